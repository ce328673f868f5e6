#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Restores a followed server at several LSNs inside a workload and holds each result against what was true then.

At each moment the workload pauses, the LSN and the checksum of every table are taken, and a transaction with changes of
its own stays open. Later each LSN is restored. For each: innochecksum passes on every file, a stock mysqld boots,
CHECK TABLE is content, every checksum is the one of that LSN (so the open transaction was rolled back), and the next
AUTO_INCREMENT value is the one that was due, although the rows with the highest values had been deleted.

python3 ci/restore_check.py [--page-size N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mysql
import stack
import workloads

_VOLUME = "restore"
_WAIT_SECONDS = 300
# What runs before each moment.
_STEPS = (("row_moves", "sysbench"), ("users_routines", "lob_json"), ("instant_columns", "spatial", "index_builds"))
_SETUP = """
CREATE DATABASE counters;
CREATE TABLE counters.c (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
CREATE TABLE counters.open_changes (id INT PRIMARY KEY, v VARCHAR(200));
INSERT INTO counters.open_changes WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 1000)
SELECT n, REPEAT('o', n % 190) FROM seq;
"""


@dataclasses.dataclass
class Moment:
    """What was true at an LSN."""

    lsn: int
    checksums: dict[str, str]
    next_counter: int


def checksums(server: mysql.Server) -> dict[str, str]:
    """CHECKSUM TABLE of every base table outside the server's own schemas.

    Tables with a multi-valued index get a checksum of their visible columns instead: for those
    CHECKSUM TABLE gives another value at every call, also on a server that nothing writes to.
    """
    ours = "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
    tables = {
        f"{schema}.{name}"
        for schema, name in server.query(
            "SELECT table_schema, table_name FROM information_schema.tables "
            f"WHERE table_type = 'BASE TABLE' AND engine = 'InnoDB' AND {ours}"
        )
    }
    multi_valued = {
        f"{schema}.{name}": columns
        for schema, name, columns in server.query(
            "SELECT table_schema, table_name, GROUP_CONCAT(DISTINCT CONCAT('`', column_name, '`')) "
            f"FROM information_schema.columns WHERE {ours} AND (table_schema, table_name) IN "
            "(SELECT table_schema, table_name FROM information_schema.statistics WHERE expression LIKE '% array)') "
            "GROUP BY table_schema, table_name"
        )
    }
    names = ", ".join(_quoted(name) for name in sorted(tables - multi_valued.keys()))
    found = {row[0]: row[1] for row in server.query(f"CHECKSUM TABLE {names}")}
    for name, columns in multi_valued.items():
        row = server.query(f"SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS('|', {columns}))) FROM {_quoted(name)}")[0]
        found[name] = " ".join(row)
    return found


def _quoted(table: str) -> str:
    return "`" + table.replace(".", "`.`", 1) + "`"


def count_on(server: mysql.Server) -> int:
    """Adds rows, deletes the newest of them; returns the AUTO_INCREMENT value that a recovered server has to go on with."""
    server.run_sql(
        "INSERT INTO counters.c (v) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 100) "
        "SELECT n FROM seq"
    )
    highest = int(server.scalar("SELECT MAX(id) FROM counters.c"))
    server.run_sql("DELETE FROM counters.c ORDER BY id DESC LIMIT 60")
    return highest + 1


@contextmanager
def open_transaction(server: mysql.Server, number: int) -> Iterator[None]:
    """Keeps a transaction open in a session of its own; its changes are never committed."""
    with server.session() as session:
        session.send(
            "START TRANSACTION; UPDATE counters.open_changes SET v = 'never committed' WHERE id % 2; "
            f"INSERT INTO counters.open_changes VALUES ({100000 + number}, 'never committed'); SELECT 'done';"
        )
        if session.answer() != "done":
            raise mysql.SqlError(f"the transaction that is to stay open: {session.failure()}")
        yield


def take_moment(server: mysql.Server, number: int, tail: stack.RedoTail, ctl: stack.PageCtl) -> Moment:
    """Records what is true now, at an LSN at which a transaction is open, and waits until the tailer is past it."""
    next_counter = count_on(server)
    with open_transaction(server, number):
        lsn = server.status("Innodb_redo_log_current_lsn")
        moment = Moment(lsn, checksums(server), next_counter)
        deadline = time.monotonic() + _WAIT_SECONDS
        while server.status("Innodb_redo_log_flushed_to_disk_lsn") < lsn and time.monotonic() < deadline:
            time.sleep(0.1)
        stack.wait_for_lsn(ctl, tail, lsn, _WAIT_SECONDS)
    return moment


def innochecksum_all(datadir: Path) -> list[str]:
    """The tablespace files that innochecksum does not accept."""
    files = [f for f in datadir.rglob("*") if f.suffix in (".ibd", ".ibu") or f.name.startswith(("undo_0", "ibdata"))]
    return [f"innochecksum: {f.relative_to(datadir)}" for f in sorted(files) if mysql.innochecksum(f).returncode != 0]


def differences(directory: Path, options: mysql.Options, moment: Moment) -> list[str]:
    """What is not as it was at the moment; empty when the restored directory is right."""
    found = innochecksum_all(directory)
    with mysql.Server(directory, options) as server:
        server.start()
        now = checksums(server)
        for table in sorted(now.keys() | moment.checksums.keys()):
            if now.get(table) != moment.checksums.get(table):
                found.append(f"checksum of {table}: {moment.checksums.get(table)} then, {now.get(table)} restored")
        names = ", ".join(map(_quoted, now))
        for row in server.query(f"CHECK TABLE {names}"):
            if row[2] == "error" or (row[2] == "status" and row[3] != "OK"):
                found.append(f"CHECK TABLE: {' '.join(row)}")
        server.run_sql("INSERT INTO counters.c (v) VALUES (-1)")
        counter = int(server.scalar("SELECT id FROM counters.c WHERE v = -1"))
        if counter != moment.next_counter:
            found.append(f"AUTO_INCREMENT went on with {counter}, {moment.next_counter} was due")
        server.stop()
    return found


def take_moments(world: stack.Following) -> list[Moment]:
    """Runs the workloads, and notes what is true after each step."""
    moments = []
    for number, names in enumerate(_STEPS, start=1):
        stack.progress(f"workload: {', '.join(names)}")
        for name in names:
            workloads.run(world.server, workloads.ALL[name])
        moments.append(take_moment(world.server, number, world.tail, world.ctl))
        stack.progress(f"moment {number}: LSN {moments[-1].lsn}, {len(moments[-1].checksums)} tables")
    workloads.run(world.server, workloads.ALL["old_formats"])
    return moments


def restore_moment(world: stack.Following, number: int, moment: Moment) -> list[str]:
    """Restores one moment and boots a stock server on it; returns what was wrong."""
    target = world.work_dir / f"restored_{number}"
    result = world.ctl.restore(world.volume, target, "--lsn", str(moment.lsn))
    stack.progress(f"moment {number}: restored, {result.get('files')} files; booting a stock mysqld on it")
    wrong = differences(target, world.server.options, moment)
    stack.progress(f"moment {number}: {len(wrong)} differences in {len(moment.checksums)} tables")
    return [f"LSN {moment.lsn}: {text}" for text in wrong]


def check(work_dir: Path, page_size: int) -> list[str]:
    """Runs everything; returns what was wrong."""
    problems: list[str] = []
    with stack.Following(work_dir, _VOLUME, mysql.Options(page_size=page_size)) as world:
        stack.progress("a fresh server, online import")
        world.start_servers()
        world.server.run_sql(_SETUP)
        world.tail.start()
        stack.wait_for_import(world.ctl, world.tail, _WAIT_SECONDS)
        for number, moment in enumerate(take_moments(world), start=1):
            problems += restore_moment(world, number, moment)
        world.server.stop()
        world.tail.stop()
        world.page_server.stop()
    return problems


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Restore at three LSNs and hold each result against that moment.")
    parser.add_argument("--page-size", type=int, default=16384, choices=[4096, 8192, 16384, 32768, 65536])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here and keep everything")
    arguments = parser.parse_args()
    page_size = arguments.page_size
    return stack.run_check(
        "restore", arguments.keep, lambda work_dir: check(work_dir, page_size), f"{len(_STEPS)} restores"
    )


if __name__ == "__main__":
    sys.exit(main())
