#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures the redo of a stock MySQL server as a recording that the simulator can play (`workload.recorded_redo`).

A server is initialised, shut down cleanly and copied (the base), runs the workload, and is shut down cleanly again with
everything purged. The recording holds the redo from the copy's checkpoint to the end, the pages of older tablespaces that
the redo changes as they were in the copy, and every changed page as the server left it in its files.

What a server does by itself (statistics, purge, dictionary writes) is not the same twice: a second capture of the same
workload is as good, but has other bytes.

python3 ci/capture_redo.py --out tests/data/NAME.recording [WORKLOAD] [--page-size N]
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

import mysql
import offline_pair
import workloads
from build import ROOT, environment


def capture(workload: workloads.Workload, page_size: int, programs: Path, out: Path) -> None:
    """Writes the recording; prints what belongs beside it in tests/data/README.md."""
    with tempfile.TemporaryDirectory(prefix="redoubt-capture-", ignore_cleanup_errors=True) as directory:
        pair = offline_pair.make_pair(Path(directory), [workload], page_size, fast_shutdown=0)
        ends = ["--base", str(pair / "base"), "--final", str(pair / "final")]
        # A recording whose end cannot be reached from its beginning would be blamed on whoever plays it.
        subprocess.run([str(programs / "redo_rebuild"), *ends], check=True, env=environment())
        recorded = [str(programs / "redo_record"), *ends, "--out", str(out.absolute())]
        text = subprocess.run(recorded, check=True, env=environment(), stdout=subprocess.PIPE, text=True).stdout
    print(f"{out}: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, workload {workload.name}")
    print(text, end="")


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Capture the redo of a stock MySQL server for the simulator.")
    parser.add_argument("workload", nargs="?", default="recorded_redo", choices=list(workloads.ALL))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--page-size", type=int, default=16384)
    parser.add_argument("--programs", type=Path, default=ROOT / "build" / "release" / "bin")
    arguments = parser.parse_args()
    capture(workloads.ALL[arguments.workload], arguments.page_size, arguments.programs, arguments.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (mysql.ServerError, mysql.SqlError, offline_pair.PairError, subprocess.CalledProcessError) as problem:
        sys.exit(f"capture_redo: {problem}")
