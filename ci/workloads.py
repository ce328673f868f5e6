#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The named workloads and how to run them against a server.

A workload is an SQL file of tests/workloads/ or a sysbench specification. `NAME.sql` runs first; files beside it named
`NAME.<part>.sql` then run at the same time, each in a session of its own. A sysbench specification is
`SCRIPT[,key=value]...`, for example `oltp_read_write,tables=4,table-size=10000,threads=4,events=4000`.

python3 ci/workloads.py                     lists the names
python3 ci/workloads.py run DIR NAME...     runs them, one after the other, on the server of ci/mysql.py that serves DIR
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mysql

SQL_DIR = Path(__file__).resolve().parent.parent / "tests" / "workloads"
_SYSBENCH_DEFAULTS = {
    "tables": "4",
    "table-size": "10000",
    "threads": "4",
    "events": "4000",
    "time": "60",
    "rand-seed": "7",
}
_SYSBENCH_DATABASE = "sbtest"


@dataclasses.dataclass(frozen=True)
class Workload:
    """Something to run, and the server settings without which it would not show what it is for."""

    name: str
    sql: Path | None = None
    sysbench: tuple[str, ...] = ()
    options: dict[str, object] = dataclasses.field(default_factory=dict)
    quick: bool = False  # part of the short list
    alone: bool = False  # wants a server of its own: it waits for purge, or leaves a transaction open
    unlogged: bool = False  # writes pages without redo: an offline rebuild from redo alone cannot have them

    def server_options(self, base: mysql.Options) -> mysql.Options:
        """The base settings with this workload's own on top."""
        return dataclasses.replace(base, **self.options)  # type: ignore[arg-type]


def _sql(name: str, **more: object) -> Workload:
    return Workload(name, sql=SQL_DIR / f"{name}.sql", **more)  # type: ignore[arg-type]


ALL: dict[str, Workload] = {
    w.name: w
    for w in (
        Workload(
            "sysbench",
            sysbench=("oltp_insert", "oltp_read_write", "oltp_delete", "oltp_write_only", "oltp_update_index"),
            quick=True,
        ),
        _sql("row_moves", quick=True),
        _sql("lob_json"),
        _sql("instant_columns"),
        _sql("old_formats"),
        _sql("partitions"),
        _sql("fulltext", unlogged=True),
        _sql("spatial"),
        _sql("foreign_keys"),
        _sql("transactions", alone=True),
        _sql("undo_spaces", alone=True),
        _sql("change_buffering", options={"buffer_pool": "24M", "change_buffering": "all"}),
        _sql("index_builds", unlogged=True, quick=True),
        _sql("locked_builds", unlogged=True, quick=True),
        _sql("ddl_churn", unlogged=True),
        _sql("users_routines"),
        _sql("deep_trees"),
        _sql("import_tablespace", unlogged=True),
        _sql("contention", unlogged=True, quick=True),
        _sql("types"),
        _sql("recorded_redo", alone=True),
        _sql("unfollowed", unlogged=True),
        _sql("outside_files", options={"directories": ("../outside",)}, unlogged=True),
    )
}


def from_sql_file(path: Path) -> Workload:
    """A workload for a file given on the command line; a known file keeps its settings."""
    known = ALL.get(path.stem)
    if known is not None and known.sql is not None and known.sql == path.resolve():
        return known
    return Workload(path.stem, sql=path.resolve())


def from_sysbench_spec(spec: str) -> Workload:
    """A workload for a sysbench specification given on the command line."""
    return Workload(spec.split(",")[0], sysbench=(spec,))


def run_sysbench(server: mysql.Server, spec: str) -> None:
    """Runs one sysbench specification; makes its tables first when there are none."""
    script, *pairs = spec.split(",")
    settings = dict(_SYSBENCH_DEFAULTS)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"sysbench specification {spec!r}: {pair!r} is not key=value")
        settings[key.replace("_", "-")] = value
    arguments = [f"--{key}={value}" for key, value in settings.items()]
    server.run_sql(f"CREATE DATABASE IF NOT EXISTS {_SYSBENCH_DATABASE}")
    present = server.scalar(
        f"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{_SYSBENCH_DATABASE}'"
    )
    if int(present) == 0:
        server.sysbench(script, arguments, "prepare")
    server.sysbench(script, arguments)


def run(server: mysql.Server, workload: Workload) -> float:
    """Runs one workload to its end; returns the seconds it took. Raises when a statement fails."""
    started = time.monotonic()
    for spec in workload.sysbench:
        run_sysbench(server, spec)
    if workload.sql is not None:
        server.run_sql(workload.sql)
        parts = sorted(workload.sql.parent.glob(f"{workload.sql.stem}.*.sql"))
        with ThreadPoolExecutor(max(len(parts), 1)) as pool:
            for _ in pool.map(server.run_sql, parts):
                pass
    return time.monotonic() - started


def run_parallel(server: mysql.Server, workloads: list[Workload]) -> dict[str, float]:
    """Runs several workloads at the same time; returns the seconds each took."""
    with ThreadPoolExecutor(max(len(workloads), 1)) as pool:
        seconds = pool.map(lambda workload: run(server, workload), workloads)
        return {workload.name: took for workload, took in zip(workloads, seconds, strict=True)}


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Named workloads for a MySQL server.")
    commands = parser.add_subparsers(dest="command")
    runner = commands.add_parser("run", help="run workloads on a running server")
    runner.add_argument("dir", type=Path)
    runner.add_argument("names", nargs="+", choices=list(ALL))
    runner.add_argument("--parallel", action="store_true", help="all at the same time")
    arguments = parser.parse_args()
    if arguments.command is None:
        for name, workload in ALL.items():
            notes = [f"{k}={v}" for k, v in workload.options.items()] + ["unlogged"] * workload.unlogged
            print(f"{name:20} {' '.join(notes)}")
        return 0
    server = mysql.Server(arguments.dir)
    chosen = [ALL[name] for name in arguments.names]
    if arguments.parallel:
        for name, seconds in run_parallel(server, chosen).items():
            print(f"{name:20} {seconds:6.1f} s", flush=True)
        return 0
    for workload in chosen:
        print(f"{workload.name:20} {run(server, workload):6.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (mysql.ServerError, mysql.SqlError) as problem:
        sys.exit(f"workloads: {problem}")
