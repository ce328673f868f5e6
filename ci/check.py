#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything that has to hold, in one command: installs what is missing, builds, runs all tests.

python3 ci/check.py            everything; the last lines are ctest's own summary
python3 ci/check.py --fast     format, tidy, unit tests, one smoke seed
python3 ci/check.py --only L   the tests with ctest label L (tools, smoke, sanitize, fuzz, sim, more,
                               cluster, real)
python3 ci/check.py --no-mysqld   without the patched mysqld: does not build it, does not test it

Where no build of these patches is kept, the patched mysqld is built beside all that follows the release build, at a low priority:
what it needs of the processors, tests that wait for something leave. Its own tests are the last ones of real servers and wait for
it, until so many minutes after the start that the whole would take too long; then they are skipped. For its sake the tests that are
also labelled `more` are left out, which is said; `--only more` runs them, and so does the next call once mysqld is kept.

The checks themselves are ctest entries, the long ones in tests/integration/CMakeLists.txt; this program prepares what
they need.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import compute_servers
import mysql
import packages
from build import ROOT, StageFailed, configure, environment, ninja, run


def unit_test_targets(directory: Path, only: Callable[[str], bool] = lambda _: True) -> list[str]:
    """The unit test programs of a configured build; a test's target has the test's name.

    ctest names no command for a program that is not built yet, so only names are looked at: what is there besides unit
    tests in a build for sanitizers are the link tests. Raises when nothing is left: ninja would build everything.
    """
    listing = json.loads(run(["ctest", "--test-dir", str(directory), "--show-only=json-v1"], quiet=True))
    names = [t["name"] for t in listing["tests"] if not t["name"].startswith("link_") and only(t["name"])]
    if not names:
        raise StageFailed(f"{directory} is configured with no unit test that is wanted")
    return names


class Checks:
    """Runs stages, says how long each took, and remembers which failed."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.failed: list[str] = []

    def stage(self, name: str, work: Callable[[], None]) -> bool:
        """Runs one stage; False when it failed."""
        print(f"== {name}", flush=True)
        began = time.monotonic()
        try:
            work()
        except (StageFailed, RuntimeError, OSError) as problem:
            self.failed.append(name)
            print(f"== {name}: FAILED after {time.monotonic() - began:.0f} s: {problem}", flush=True)
            return False
        total = time.monotonic() - self.started
        print(f"== {name}: {time.monotonic() - began:.0f} s (total {total:.0f} s)", flush=True)
        return True


def build_tests(preset: str, jobs: int, *more: str, only: Callable[[str], bool] = lambda _: True) -> None:
    """Builds the unit tests of a preset, and more targets."""
    directory = configure(preset)
    ninja(directory, [*unit_test_targets(directory, only), *more], jobs)


def prepare(checks: Checks, options: argparse.Namespace) -> None:
    """What the chosen tests need besides the release build. A failure here shows again as a failed test."""

    def wanted(label: str) -> bool:
        return options.only == label if options.only else not options.fast

    jobs = options.jobs
    if wanted("sanitize"):
        checks.stage("build unit tests and the simulator with ASan and UBSan", lambda: build_tests("asan", jobs, "simulate"))
        checks.stage("build asio tests with TSan", lambda: build_tests("tsan", jobs, only=lambda name: "asio" in name))
    if wanted("fuzz"):
        checks.stage("build fuzz targets", lambda: ninja(configure("fuzz"), [], jobs))
    if wanted("real"):
        checks.stage("stock MySQL server", install_mysql)


def lacks_mysqld(checks: Checks, options: argparse.Namespace) -> bool:
    """Whether the patched mysqld has to be built for the chosen tests. A build that is kept is known by the client library."""
    if options.fast or options.no_mysqld or options.only not in (None, "real"):
        return False
    library = "redoubt_client_c"
    checks.stage(f"build {library}", lambda: ninja(configure("release"), [library], options.jobs))
    return not compute_servers.is_built()


@contextlib.contextmanager
def mysqld_meanwhile() -> Iterator[None]:
    """The patched mysqld is being built."""
    log = ROOT / "build" / "mysqld.log"
    print(f"== patched MySQL server: none is kept, it is built meanwhile, see {log.relative_to(ROOT)}", flush=True)
    with log.open("w", encoding="utf-8") as output:
        # Behind all but the checks that take what others leave: its own tests wait for it.
        with compute_servers.mysqld_build(nice=3, output=output):
            yield


def install_mysql() -> None:
    """Unpacks the server now, so that a network problem shows before the long tests."""
    mysql.install()


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run every check of the project.")
    parser.add_argument("--fast", action="store_true", help="format, tidy, unit tests, one smoke seed")
    parser.add_argument("--only", metavar="LABEL", help="only the tests with this ctest label")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--no-mysqld", action="store_true", help="leave the patched mysqld out")
    parser.add_argument(
        "--mysqld-minutes", type=float, default=70, metavar="N", help="skip its tests if it is not built by then (default 70)"
    )
    options = parser.parse_args()

    began = time.time()
    checks = Checks()
    if not checks.stage("packages", lambda: packages.ensure(["build", "test"])):
        return 1
    if not checks.stage("build release", lambda: ninja(configure("release"), [], options.jobs)):
        return 1
    builds_mysqld = lacks_mysqld(checks, options)
    with mysqld_meanwhile() if builds_mysqld else contextlib.nullcontext():
        prepare(checks, options)
        if checks.failed:
            print(f"== these stages failed; their tests will too: {', '.join(checks.failed)}", flush=True)
        left_out = ["more"] if builds_mysqld else []
        print(f"== tests{', without those labelled more' if builds_mysqld else ''}", flush=True)
        result = test(options, left_out, {"REDOUBT_MYSQLD_UNTIL": str(began + 60 * options.mysqld_minutes)})
    return 1 if result != 0 or checks.failed else 0


def test(options: argparse.Namespace, left_out: list[str], told: dict[str, str]) -> int:
    """Runs the chosen ctest entries but those with these labels, with more environment variables; ctest's exit code."""
    # One more than there are processors: tests/integration/CMakeLists.txt counts on it.
    command = ["ctest", "--test-dir", str(ROOT / "build" / "release"), "--output-on-failure", f"-j{options.jobs + 1}"]
    if options.only:
        command += ["-L", options.only]
    elif options.fast:
        left_out = ["sanitize", "fuzz", "sim", "cluster", "real"]
    if left_out:
        command += ["-LE", "|".join(left_out)]
    if options.no_mysqld:
        told = {**told, "REDOUBT_NO_MYSQLD": "1"}
    return subprocess.run(command, cwd=ROOT, env={**environment(), **told}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
