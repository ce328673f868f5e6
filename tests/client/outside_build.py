#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds a C program against the installed client library, with nothing but what is installed.

Shows that the archive and its link line are complete, that the header stands alone in C and C++, and that no symbol of
ours is exported from a shared library into which the archive is linked.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path) -> str:
    """The command's output; ends the check when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Build outside of the tree.")
    parser.add_argument("--build", required=True, help="the build directory")
    build = Path(parser.parse_args().build).resolve()
    with tempfile.TemporaryDirectory(prefix="redoubt_outside.") as name:
        prefix = Path(name)
        run("cmake", "--build", build, "--target", "redoubt_client_c", "-j2")
        run("cmake", "--install", build, "--component", "redoubt_client_c", "--prefix", prefix)
        flags = run("pkg-config", "--cflags", "--libs", prefix / "lib/pkgconfig/redoubt_client_c.pc").split()
        strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        # The tests' own sources come along; headers of ours only from the installation.
        sources = prefix / "src/tests/client"
        sources.mkdir(parents=True)
        for file in ("redoubt_client_test.c", "redo_blocks.c", "redo_blocks.h"):
            (sources / file).write_bytes((ROOT / "tests/client" / file).read_bytes())
        c_files = [sources / "redoubt_client_test.c", sources / "redo_blocks.c"]
        run("cc", "-std=c11", "-D_GNU_SOURCE", *strict, f"-I{prefix / 'src'}", *c_files, "-o", prefix / "test", *flags)
        version = run(prefix / "test", "--version")
        if not version.startswith("redoubt_client 2"):
            sys.exit(f"the program said {version!r}")
        packaged = run("pkg-config", "--modversion", prefix / "lib/pkgconfig/redoubt_client_c.pc")
        if version.split() != ["redoubt_client", packaged.strip()]:
            sys.exit(f"the program said {version!r}, pkg-config {packaged!r}")
        alone = prefix / "alone.cc"
        alone.write_text('#include "client/redoubt_client.h"\nint main() { return redoubt_client_version() == 0; }\n')
        run("c++", "-std=c++20", *strict, alone, "-o", prefix / "alone", *flags)
        run(prefix / "alone")
        shared = prefix / "shared.c"
        shared.write_text(
            '#include "client/redoubt_client.h"\nunsigned outside(void);\n'
            "unsigned outside(void) { return redoubt_client_version() + (redoubt_client_open(0, 0, 0) != 0); }\n"
        )
        run("cc", "-std=c11", "-fPIC", "-shared", shared, "-o", prefix / "liboutside.so", *flags)
        exported = run("nm", "-D", "--defined-only", "-C", prefix / "liboutside.so").splitlines()
        ours = [line for line in exported if "redoubt::" in line.split(" ", 2)[2].split("(")[0] or " redoubt_" in line]
        if ours:
            sys.exit("exported from a shared library:\n" + "\n".join(ours[:20]))
    print("outside build: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
