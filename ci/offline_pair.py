#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a pair of data directories around a workload, for rebuilding pages without a page server.

`base` is a cold copy of a cleanly shut down server. `final` is the same directory after the workload and another clean
shutdown, its redo files still holding everything since base's checkpoint: the redo capacity is so large that nothing
was recycled, which is checked.

python3 ci/offline_pair.py DIR WORKLOAD [--page-size N]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import mysql
import redo_files
import workloads

_REDO_DIR = "#innodb_redo"
# The server makes 32 files of the capacity and may recycle the first as soon as the second is in use, so one file has to
# hold a whole workload: 256 MiB.
_REDO_CAPACITY = "8G"


class PairError(RuntimeError):
    """The pair cannot be used to rebuild pages; says why."""


def _shrink_redo(datadir: Path) -> None:
    """Removes spare redo files and gives back the unwritten part of the used ones: they would fill the disk."""
    for spare in (datadir / _REDO_DIR).glob("*_tmp"):
        spare.unlink()
    for _, file in redo_files.in_use(datadir):
        subprocess.run(["fallocate", "--dig-holes", str(file)], check=True)


def make_pair(directory: Path, chosen: list[workloads.Workload], page_size: int, fast_shutdown: int) -> Path:
    """Writes DIRECTORY/base and DIRECTORY/final; an existing pair there is replaced. Returns DIRECTORY."""
    for old in ("base", "final", "final.run"):
        shutil.rmtree(directory / old, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    options = mysql.Options(page_size=page_size, redo_capacity=_REDO_CAPACITY, flush_log_at_trx_commit=2)
    for workload in chosen:
        options = workload.server_options(options)
    with mysql.Server(directory / "final", options) as server:
        server.initialize()
        # One start before the copy: the first start after initialisation still creates files.
        server.start()
        server.stop(fast_shutdown=0)
        shutil.copytree(server.datadir, directory / "base", ignore=shutil.ignore_patterns("*_tmp"))
        _shrink_redo(directory / "base")
        # ci/mysql.py keeps socket, pid and log beside the directory, so the two differ by the server's work only.
        server.start()
        for workload in chosen:
            workloads.run(server, workload)
        server.stop(fast_shutdown)
    _shrink_redo(directory / "final")
    base_lsn = redo_files.checkpoint_lsn(directory / "base")
    oldest = redo_files.in_use(directory / "final")[0][0]
    if oldest > base_lsn:
        raise PairError(f"redo before LSN {oldest} was recycled; the base's checkpoint is {base_lsn}")
    return directory


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Base and final data directory around a workload.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("workload", nargs="+", choices=list(workloads.ALL))
    parser.add_argument("--page-size", type=int, default=16384)
    parser.add_argument("--fast-shutdown", type=int, default=1)
    arguments = parser.parse_args()
    chosen = [workloads.ALL[name] for name in arguments.workload]
    directory = make_pair(arguments.directory, chosen, arguments.page_size, arguments.fast_shutdown)
    print(
        f"{directory}: base checkpoint {redo_files.checkpoint_lsn(directory / 'base')}, "
        f"final checkpoint {redo_files.checkpoint_lsn(directory / 'final')}"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (mysql.ServerError, mysql.SqlError, PairError) as problem:
        sys.exit(f"offline_pair: {problem}")
