#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The whole way once: a real MySQL is followed, a table is dropped by mistake, and the second before it comes back.

python3 ci/demo.py [--keep DIR]
python3 ci/demo.py --compute [--keep DIR]

Installs what is missing (as root), builds, starts a stock MySQL, a page server and the tailer, runs sysbench, drops a
table, restores the data directory as of the second before, boots a stock MySQL on it and shows that the rows are back.
At the end every page the page server holds is compared with the server's own files. Everything started is stopped.

--compute: a mysqld of innodb-patch/ (built when there is no build, which takes most of an hour) whose redo and pages are in
Redoubt is killed under load, its directory removed; another one in an empty directory serves the same data. The time until
then is printed beside that of a stock mysqld's crash recovery.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import build
import compute_servers
import demo_compute
import mysql
import packages
import redo_files
import stack

_VOLUME = "demo"
_TABLE = "sbtest.sbtest2"
_SYSBENCH = ("--tables=4", "--table-size=20000", "--threads=4")
_WAIT_SECONDS = 300


def build_programs() -> None:
    """Builds the three programs."""
    stack.progress("building pageserver, redotail and pagectl")
    build.ninja(build.configure("release"), ["pageserver", "redotail", "pagectl"], os.cpu_count() or 2)


def utc_now() -> str:
    """The time as pagectl takes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fingerprint(server: mysql.Server) -> tuple[int, str]:
    """Row count and checksum of the table of this story."""
    rows = int(server.scalar(f"SELECT COUNT(*) FROM {_TABLE}"))
    return rows, server.query(f"CHECKSUM TABLE {_TABLE}")[0][1]


def follow_and_drop(server: mysql.Server, tail: stack.RedoTail, ctl: stack.PageCtl) -> tuple[str, tuple[int, str]]:
    """Import, load, the mistake. Returns the moment before it and what the table held then."""
    server.run_sql("CREATE DATABASE sbtest")
    stack.progress("sysbench: making 4 tables of 20,000 rows")
    server.sysbench("oltp_read_write", _SYSBENCH, "prepare")
    stack.progress("redotail: importing the running server")
    tail.start()
    status = stack.wait_for_import(ctl, tail, _WAIT_SECONDS)
    stack.progress(f"imported; every page can be read from LSN {status['horizon_lsn']} on")
    stack.progress("sysbench: reads and writes")
    server.sysbench("oltp_read_write", [*_SYSBENCH, "--events=4000", "--time=60"])
    before = fingerprint(server)
    time.sleep(2)
    moment = utc_now()
    time.sleep(2)
    stack.progress(f"{moment}: all is well, {_TABLE} has {before[0]} rows, checksum {before[1]}")
    server.run_sql(f"DROP TABLE {_TABLE}")
    stack.progress(f"{utc_now()}: DROP TABLE {_TABLE} ... by mistake")
    server.sysbench("oltp_insert", ["--tables=1", *_SYSBENCH[1:], "--events=2000", "--time=60"])
    stack.progress("and the others have kept writing")
    return moment, before


def restore_and_look(ctl: stack.PageCtl, server: mysql.Server, target: Path, moment: str) -> tuple[int, str]:
    """Writes the directory as of the moment, boots a stock server on it, returns what the table holds."""
    stack.progress(f"pagectl restore {_VOLUME} --time {moment}")
    started = time.monotonic()
    result = ctl.restore(_VOLUME, target, "--time", moment)
    seconds = time.monotonic() - started
    stack.progress(f"restored as of LSN {result.get('lsn')}: {result.get('files')} files in {seconds:.1f} s")
    with mysql.Server(target, server.options) as restored:
        restored.start()
        stack.progress("a stock mysqld boots on it")
        found = fingerprint(restored)
        stack.progress(f"{_TABLE} there: {found[0]} rows, checksum {found[1]}")
        restored.stop()
    return found


def compare_all(ctl: stack.PageCtl, server: mysql.Server, tail: stack.RedoTail) -> tuple[int, int]:
    """Shuts the first server down and compares every page of it with the page server's; (compared, unequal)."""
    stack.progress("clean shutdown of the first server, comparing every page")
    server.stop()
    stack.wait_for_lsn(ctl, tail, redo_files.end_lsn(server.datadir), _WAIT_SECONDS)
    result = ctl.compare(_VOLUME, server.datadir)
    return int(result["pages_compared"]), int(result["pages_unequal"])


def tell(work_dir: Path) -> bool:
    """The story; True when it ends well."""
    with mysql.Server(work_dir / "mysql") as server:
        stack.progress("a stock MySQL, unmodified")
        server.initialize()
        server.start()
        page_server = stack.PageServer(work_dir / "pageserver", work_dir)
        tail = stack.RedoTail(server, page_server, _VOLUME, work_dir)
        ctl = stack.PageCtl(page_server)
        with page_server, tail:
            page_server.start()
            moment, before = follow_and_drop(server, tail, ctl)
            after = restore_and_look(ctl, server, work_dir / "restored", moment)
            compared, unequal = compare_all(ctl, server, tail)
            tail.stop()
            page_server.stop()
    print(f"\nbefore the mistake  {before[0]:8} rows, checksum {before[1]}")
    print(f"after the restore   {after[0]:8} rows, checksum {after[1]}")
    print(f"pages compared      {compared:8}, unequal {unequal}")
    return before == after and compared > 0 and unequal == 0


def main() -> int:
    """Prepares, tells the story, cleans up."""
    parser = argparse.ArgumentParser(description="Follow a real MySQL, drop a table, get it back.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here and keep everything")
    parser.add_argument("--no-build", action="store_true", help="use the programs that are there")
    parser.add_argument("--compute", action="store_true", help="a mysqld that goes on in an empty directory")
    arguments = parser.parse_args()
    if not arguments.no_build:
        packages.ensure(["build", "test"])
        build_programs()
    mysql.install()
    ending = "the dropped table is back, and every page is equal"
    if arguments.compute:
        ending = "what was acknowledged is there, in a directory that was empty"
    work_dir = arguments.keep or Path(tempfile.mkdtemp(prefix="redoubt-demo-"))
    try:
        good = demo_compute.tell(work_dir, compute_servers.ensure_built()) if arguments.compute else tell(work_dir)
    except (mysql.ServerError, mysql.SqlError, stack.StackError) as problem:
        print(f"\n{problem}")
        good = False
    finally:
        if arguments.keep is None:
            shutil.rmtree(work_dir, ignore_errors=True)
    print(f"\nGOOD: {ending}" if good else "\nBAD: see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
