# SPDX-License-Identifier: MIT
"""A data directory that crashed with most of its changes in redo only: what the benchmarks replay.

The server is told to write no page it does not have to, so that its checkpoint stays where the load began and its own
crash recovery has to apply everything.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import mysql
import stack

_TABLES = ("--tables=4", "--table-size=50000", "--mysql-db=sbtest", "--threads=4")
_ROUNDS_MAX = 200


@dataclasses.dataclass
class CrashedServer:
    """The crashed data directory, never started again itself; copies of it are."""

    datadir: Path
    redo_bytes: int


# A server so told writes no page that it does not have to.
LAZY_FLUSHING = (
    "--innodb-max-dirty-pages-pct=99.99",
    "--innodb-max-dirty-pages-pct-lwm=0",
    "--innodb-adaptive-flushing=OFF",
    "--innodb-idle-flush-pct=0",
)


def _options() -> mysql.Options:
    return mysql.Options(
        redo_capacity="2G",
        buffer_pool="6G",
        flush_log_at_trx_commit=2,
        extra=(*LAZY_FLUSHING, "--innodb-doublewrite=OFF"),
    )


def make(directory: Path, redo_bytes: int) -> CrashedServer:
    """Makes one, with about that much redo above its checkpoint; an existing one in the directory is used again."""
    datadir = directory / f"crashed-{redo_bytes // 1_000_000}"
    note = directory / f"{datadir.name}.bytes"
    if note.exists():
        return CrashedServer(datadir, int(note.read_text(encoding="ascii")))
    shutil.rmtree(datadir, ignore_errors=True)
    with mysql.Server(datadir, _options()) as server:
        server.initialize()
        server.start()
        server.run_sql("CREATE DATABASE sbtest")
        server.sysbench("oltp_write_only", [*_TABLES, "--rand-seed=1"], "prepare")
        for seed in range(1, _ROUNDS_MAX):
            behind = server.status("Innodb_redo_log_current_lsn") - server.status("Innodb_redo_log_checkpoint_lsn")
            stack.progress(f"redo for the benchmarks: {behind / 1e6:.0f} of {redo_bytes / 1e6:.0f} MB")
            if behind >= redo_bytes:
                break
            server.sysbench("oltp_write_only", [*_TABLES, "--events=20000", "--time=60", f"--rand-seed={seed}"])
        server.kill9()
    note.write_text(str(behind), encoding="ascii")
    return CrashedServer(datadir, behind)


def copy_to(source: Path, target: Path) -> Path:
    """A fresh copy of a data directory."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
