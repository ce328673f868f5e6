#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Debian packages this project needs, in one list, and how to install the missing ones.

python3 ci/packages.py [GROUP]...     installs the groups (default: all), prints what it did
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

GROUPS: dict[str, tuple[str, ...]] = {
    "build": (
        "g++",
        "cmake",
        "ninja-build",
        "ccache",
        "lld",
        "librocksdb-dev",
        "libboost1.81-dev",
        "libprotobuf-dev",
        "protobuf-compiler",
        "libspdlog-dev",
        "libcli11-dev",
        "libzstd-dev",
        "liblz4-dev",
        "libssl-dev",
        "libmariadb-dev",
    ),
    "test": (
        "libgtest-dev",
        "libgmock-dev",
        "librapidcheck-dev",
        "libbenchmark-dev",
        "sysbench",
        "clang-19",
        "libclang-rt-19-dev",
        "libfuzzer-19-dev",
        "clang-format-19",
        "chromium",
        "valgrind",
    ),
    "bench": ("redis-server", "fio"),
    # To build MySQL itself (innodb-patch/build.py), beside "build".
    "mysqld": (
        "clang-19",
        "bison",
        "libprotoc-dev",
        "libncurses-dev",
        "libtirpc-dev",
        "rpcsvc-proto",
        "libaio-dev",
        "pkg-config",
        "zlib1g-dev",
        "libicu-dev",
        "libnuma-dev",
        "libudev-dev",
        "libsasl2-dev",
        "libldap2-dev",
        "rapidjson-dev",
        "patch",
    ),
}

_LOCK_WAIT_SECONDS = 600


def is_installed(package: str) -> bool:
    """True when dpkg has the package fully installed."""
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode == 0 and answer.stdout.strip() == "installed"


def missing(groups: list[str] | tuple[str, ...]) -> list[str]:
    """The packages of the groups that are not installed, in list order."""
    return [name for group in groups for name in GROUPS[group] if not is_installed(name)]


def _apt_get(arguments: list[str]) -> None:
    """Runs apt-get without questions; raises with its output when it fails."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "-q", "-y", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT_SECONDS}", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}:\n{tail}")


def ensure(groups: list[str] | tuple[str, ...] = tuple(GROUPS)) -> None:
    """Installs what the groups lack. Needs root only when something is missing."""
    wanted = missing(groups)
    if not wanted:
        print(f"packages: {', '.join(groups)}: all present", flush=True)
        return
    if os.geteuid() != 0:
        raise PermissionError(
            "these Debian packages are missing and only root can install them; run: "
            f"apt-get install --no-install-recommends {' '.join(wanted)}"
        )
    print(f"packages: installing {len(wanted)}: {' '.join(wanted)}", flush=True)
    started = time.monotonic()
    try:
        _apt_get(["install", "--no-install-recommends", *wanted])
    except RuntimeError:
        _apt_get(["update"])  # Package lists may be absent or too old to fetch from.
        _apt_get(["install", "--no-install-recommends", *wanted])
    left = missing(groups)
    if left:
        raise RuntimeError(f"apt-get reported success, yet these are missing: {' '.join(left)}")
    print(f"packages: done in {time.monotonic() - started:.0f} s", flush=True)


def main() -> int:
    """Installs the groups named on the command line."""
    parser = argparse.ArgumentParser(description="Install the Debian packages the project needs.")
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="default: all groups")
    groups = parser.parse_args().groups or list(GROUPS)
    ensure(groups)
    return 0


if __name__ == "__main__":
    sys.exit(main())
