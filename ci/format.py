#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the C++ files against .clang-format; --fix rewrites them.

python3 ci/format.py [--fix] [FILE]...
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import tidy

TOOL = "clang-format-19"


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check or fix the format of the C++ files.")
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("files", nargs="*", help="default: all of the repository")
    options = parser.parse_args()
    files = options.files or [f for f in tidy.repository_files() if f.endswith(tidy.CODE_SUFFIXES)]
    files = [f for f in files if not f.startswith("innodb-patch/")]
    mode = ["-i"] if options.fix else ["--dry-run", "-Werror"]
    done = subprocess.run([TOOL, *mode, *files], cwd=tidy.ROOT, capture_output=True, text=True, check=False)
    wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line})
    if done.returncode != 0 and not wrong:
        print(done.stderr)
        return done.returncode
    for name in wrong:
        print(f"{name}: not formatted; run: python3 ci/format.py --fix {name}")
    print(f"format: {len(files)} files, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
