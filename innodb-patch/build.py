#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Builds mysqld with Redoubt's patches: source, patches, client library, compiler.

python3 innodb-patch/build.py                    mysqld; prints its path
python3 innodb-patch/build.py mysqltest mysql    other programs of the server as well
python3 innodb-patch/build.py --print            the path of the newest build for these patches, without building
python3 innodb-patch/build.py --stock            the same release with the same options and without patches, to compare with

What is built is found again: the directory of a finished build is named by the patches, the new files, the client
library and the compiler's options. The source tree below the cache directory keeps its build, so that a changed patch
compiles only what it touches; ccache keeps the rest for a new tree.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "ci"))

import build as redoubt_build  # noqa: E402
import mysql  # noqa: E402
import packages  # noqa: E402
import sid  # noqa: E402
from patched_tree import (  # noqa: E402
    BuildError,
    PatchedTree,
    alone,
    cache_dir,
    check_version,
    overlay_files,
    replace_if_other,
    say,
    series,
    version_of,
    wanted_release,
)

_PACKAGE = "mysql-source"
_TARBALL = "usr/src/mysql/mysql-source.tar.gz"
# Files of plugins, and what their targets are called.
_PLUGINS = {"mysql_clone.so": "clone"}
_PROGRESS_SECONDS = 15
_OPTIMISE = "-O1 -DNDEBUG -g0"
_CMAKE_OPTIONS = {
    "CMAKE_BUILD_TYPE": "RelWithDebInfo",
    # With precompiled headers it takes half of the time that GCC takes.
    "CMAKE_C_COMPILER": "clang-19",
    "CMAKE_CXX_COMPILER": "clang++-19",
    "CMAKE_CXX_FLAGS": "-Xclang -fno-pch-timestamp",  # ccache asks for it
    "CMAKE_CXX_FLAGS_RELWITHDEBINFO": _OPTIMISE,
    "CMAKE_C_FLAGS_RELWITHDEBINFO": _OPTIMISE,
    "REDOUBT_GEOMETRY_OPTIONS": "-O0",  # of build_time.cmake
    "MINIMAL_RELWITHDEBINFO": "OFF",  # it would add -g1
    "CMAKE_C_COMPILER_LAUNCHER": "ccache",
    "CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
    "WITH_UNIT_TESTS": "OFF",
    "WITH_ROUTER": "OFF",
    "WITH_MYSQLX": "OFF",
    "WITH_NDB": "OFF",
    "WITH_NDBCLUSTER_STORAGE_ENGINE": "OFF",
    "WITH_GROUP_REPLICATION": "OFF",
    "WITH_PROTOBUF": "system",
    "WITH_SSL": "system",
    "WITH_ZLIB": "system",
    "WITH_ZSTD": "system",
    "WITH_LZ4": "system",
    "WITH_ICU": "system",
    "WITH_CURL": "none",
    "WITH_EDITLINE": "bundled",
    "WITH_FIDO": "none",
    "WITH_AUTHENTICATION_WEBAUTHN": "OFF",
    "WITH_LD": "lld",
    "WITH_INNODB_PAGESERVER": "ON",
}


def fetch_tarball() -> Path:
    """The source tarball out of Debian's package; its checksum is compared when the release is the known one."""
    tarball = cache_dir() / "mysql-source.tar.gz"
    if tarball.exists():
        return tarball
    archive = sid.SidArchive(mysql.cache_dir() / "apt-sid-source")
    archive.update()
    version = archive.version(_PACKAGE).split("-")[0]
    check_version(version)
    say(f"downloading {_PACKAGE} {version}")
    [deb] = archive.download([_PACKAGE], with_dependencies=False)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir()) as unpacked:
        sid.unpack([deb], Path(unpacked))
        found = Path(unpacked) / _TARBALL
        if version == wanted_release()["VERSION"]:
            digest = hashlib.sha256(found.read_bytes()).hexdigest()
            if digest != wanted_release()["SHA256"]:
                raise BuildError(f"{_TARBALL} of {deb.name} has SHA-256 {digest}, MYSQL_VERSION says otherwise")
        found.rename(tarball)
    deb.unlink()
    return tarball


def source_tree() -> Path:
    """The unpacked source; made once, patched in place by apply()."""
    known = sorted(cache_dir().glob("source-*/MYSQL_VERSION"))
    if known:
        check_version(version_of(known[-1].parent))
        return known[-1].parent
    tarball = fetch_tarball()
    say("unpacking the source")
    with tempfile.TemporaryDirectory(dir=cache_dir()) as unpacked:
        subprocess.run(["tar", "-xzf", str(tarball), "-C", unpacked], check=True)
        [top] = list(Path(unpacked).iterdir())
        version = version_of(top)
        check_version(version)
        tree = cache_dir() / f"source-{version}"
        top.rename(tree)
    return tree


class ClientLibrary:
    """The static client library that mysqld links, as this repository's build makes it."""

    def __init__(self) -> None:
        directory = ROOT / "build" / "release" / "client" / "abi"
        self.archive = directory / "libredoubt_client_c.a"
        self._description = directory / "redoubt_client_c.pc"

    def build(self, jobs: int) -> None:
        """Makes the archive."""
        redoubt_build.ninja(redoubt_build.configure("release"), ["redoubt_client_c"], jobs)

    def link_line(self) -> list[str]:
        """The archive and the names of the shared libraries behind it, for CMake."""
        text = self._description.read_text(encoding="utf-8")
        [libs] = re.findall(r"^Libs: (.*)$", text, re.M)
        names = [word[2:] for word in libs.split() if word.startswith("-l")]
        return [str(self.archive), *(name for name in names if name not in ("redoubt_client_c", "stdc++", "m"))]


def key_of(library: ClientLibrary) -> str:
    """Names a build: everything that can make its result another one."""
    digest = hashlib.sha256()
    files = [HERE / "MYSQL_VERSION", HERE / "series", *series(), ROOT / "client" / "redoubt_client.h", library.archive]
    files += [HERE / "overlay" / name for name in overlay_files()]
    for file in files:
        digest.update(file.read_bytes())
    digest.update(json.dumps(_CMAKE_OPTIONS, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def stock_key() -> str:
    """Names an unpatched build."""
    digest = hashlib.sha256((HERE / "MYSQL_VERSION").read_bytes())
    digest.update(json.dumps(_CMAKE_OPTIONS, sort_keys=True).encode())
    return "stock-" + digest.hexdigest()[:16]


def environment() -> dict[str, str]:
    """As for our own builds, with a compiler cache of its own that is large enough."""
    return {
        **os.environ,
        "CCACHE_DIR": str(Path.home() / ".cache" / "ccache-mysqld"),
        "CCACHE_BASEDIR": str(cache_dir()),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_DEPEND": "1",
        "CCACHE_MAXSIZE": "3G",
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",  # for precompiled headers
    }


def _run(command: list[str], log: Path) -> None:
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            command, cwd=cache_dir(), env=environment(), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise BuildError(f"{' '.join(command[:4])} ... ended with {done.returncode}; {log}:\n{tail}")


def client_options(library: ClientLibrary) -> dict[str, str]:
    """Where the patched server finds the client library."""
    # The archive's place below the cache, so that another checkout of this repository compiles nothing anew.
    client = cache_dir() / "client"
    client.mkdir(parents=True, exist_ok=True)
    replace_if_other(ROOT / "client" / "redoubt_client.h", client / "redoubt_client.h")
    archive, *shared = library.link_line()
    replace_if_other(Path(archive), client / "libredoubt_client_c.a")
    return {
        "REDOUBT_CLIENT_INCLUDE": str(client),
        "REDOUBT_CLIENT_LIBRARIES": ";".join([str(client / "libredoubt_client_c.a"), *shared]),
    }


def compile_programs(tree: Path, library: ClientLibrary | None, programs: list[str], jobs: int) -> Path:
    """Configures and builds, without patches if there is no library; returns the build directory."""
    directory = tree.with_name(tree.name.replace("source-", "build-"))
    if library:
        options = {**_CMAKE_OPTIONS, **client_options(library)}
    else:
        options = {**_CMAKE_OPTIONS, "WITH_INNODB_PAGESERVER": "OFF"}
    options["CMAKE_PROJECT_MySQL_INCLUDE"] = str(HERE / "build_time.cmake")
    say("configuring MySQL")
    defines = [f"-D{name}={value}" for name, value in options.items()]
    _run(["cmake", "-S", str(tree), "-B", str(directory), "-G", "Ninja", *defines], cache_dir() / "cmake.log")
    say(f"building {' '.join(programs)}: half an hour when nothing is in the compiler cache")
    targets = [_PLUGINS.get(program, program) for program in programs]
    command = ["ninja", "-C", str(directory), f"-j{jobs}", *targets]
    process = subprocess.Popen(
        command, cwd=cache_dir(), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    shown = 0.0
    said: list[str] = []
    for line in process.stdout:
        said = [*said[-200:], line]
        if line.startswith("[") and time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            print(f"  {line.rstrip()[:110]}", flush=True)
    if process.wait() != 0:
        raise BuildError("".join(said[-60:]) + f"{' '.join(command)} ended with {process.returncode}")
    return directory


def finished(key: str, programs: list[str]) -> Path | None:
    """The directory of an earlier build with this key that has all of `programs`."""
    directory = cache_dir() / f"built-{key}"
    return directory if all((directory / program).exists() for program in programs) else None


def find(programs: list[str], patched: bool = True) -> Path | None:
    """The directory of a finished build, for the patches and the client library as they are now."""
    library = ClientLibrary()
    if not patched:
        return finished(stock_key(), programs)
    return finished(key_of(library), programs) if library.archive.exists() else None


def build(programs: list[str], jobs: int, patched: bool = True) -> Path:
    """Directory with the programs, built unless an earlier build can be taken."""
    library = ClientLibrary() if patched else None
    if library:
        library.build(jobs)
    key = key_of(library) if library else stock_key()
    with alone():
        found = finished(key, programs)
        if found:
            say(f"taking the build {'of these patches' if patched else 'without patches'}: {found}")
            return found
        packages.ensure(["build", "mysqld"])
        tree = source_tree()
        PatchedTree(tree).apply(patched)
        output = compile_programs(tree, library, programs, jobs)
        return keep(key, tree, output, programs)


def keep(key: str, tree: Path, output: Path, programs: list[str]) -> Path:
    """Copies what was built to where finished() finds it."""
    directory = cache_dir() / f"built-{key}"
    share = directory / "share"
    share.mkdir(parents=True, exist_ok=True)
    shutil.copytree(output / "share" / "english", share / "english", dirs_exist_ok=True)
    shutil.copytree(tree / "share" / "charsets", share / "charsets", dirs_exist_ok=True)
    shutil.copy2(output / "scripts" / "mysql_fix_privilege_tables.sql", share)  # mysql-test-run.pl wants it
    for program in programs:
        # Not in place: a server may run from an earlier build with this key.
        partial = directory / (program + ".new")
        place = "plugin_output_directory" if program in _PLUGINS else "runtime_output_directory"
        shutil.copy2(output / place / program, partial)
        partial.replace(directory / program)
    return directory


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Build mysqld with Redoubt's patches.")
    parser.add_argument("programs", nargs="*", help="besides mysqld: mysqltest, mysql, mysqladmin, mysql_clone.so, ...")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--print", action="store_true", dest="print_only", help="only say where the build is")
    parser.add_argument("--stock", action="store_true", help="without the patches")
    options = parser.parse_args()
    programs = ["mysqld", *options.programs]
    try:
        if options.print_only:
            found = find(programs, not options.stock)
            print(found or "not built")
            return 0 if found else 1
        print(build(programs, options.jobs, not options.stock))
    except (BuildError, redoubt_build.StageFailed, RuntimeError, OSError, tarfile.TarError) as problem:
        print(f"innodb-patch: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
