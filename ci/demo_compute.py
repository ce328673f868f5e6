# SPDX-License-Identifier: MIT
"""The second story of demo.py: a mysqld that loses its machine and goes on in an empty directory elsewhere."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import mysql
import stack
from compute_servers import Ledger, PatchedServer, Servers

_TABLES = ("--tables=4", "--table-size=50000", "--mysql-db=sbtest", "--threads=4")
_EVENTS = 20000
_LAST_ENTRY = "SELECT COALESCE(MAX(id), 0) FROM ledger.t"
_OPTIONS = mysql.Options(redo_capacity="1G", buffer_pool="256M")


@dataclasses.dataclass
class Outcome:
    """What became of one server."""

    load_seconds: float  # of sysbench's transactions
    start_seconds: float  # from the start after the kill to the first answer
    acknowledged: int  # rows of the ledger that a client was told are there
    found: int  # rows that are there


def load(server: mysql.Server, tables: Sequence[str], *limits: str) -> None:
    """sysbench's writes; not minding that the server dies."""
    try:
        server.sysbench("oltp_write_only", [*tables, *limits])
    except mysql.SqlError:
        time.sleep(1)  # one that was killed may be there for another moment
        if server.pid is not None:
            raise


def load_and_kill(server: mysql.Server) -> tuple[float, int]:
    """A fixed number of sysbench's transactions, then some more, in the middle of which the server is killed."""
    began = time.monotonic()
    load(server, _TABLES, f"--events={_EVENTS}", "--time=0")
    seconds = time.monotonic() - began
    more = threading.Thread(target=load, args=(server, _TABLES, "--time=60"), daemon=True)
    ledger = Ledger(server)
    ledger.start()
    more.start()
    time.sleep(3)
    server.kill9()
    acknowledged = ledger.end()
    more.join(60)
    return seconds, acknowledged


def first_answer(server: mysql.Server, query: str, *arguments: str) -> tuple[float, int]:
    """Starts it; the seconds until the query was answered, and the answer."""
    began = time.monotonic()
    server.start(*arguments)
    found = int(server.scalar(query))
    return time.monotonic() - began, found


def stock(datadir: Path) -> Outcome:
    """A stock server through the same load and the same end, in its own directory."""
    with mysql.Server(datadir, _OPTIONS) as server:
        stack.progress("beside it: a stock mysqld, the same load, kill -9, crash recovery")
        server.start()
        seconds, acknowledged = load_and_kill(server)
        start, found = first_answer(server, _LAST_ENTRY)
        stack.progress(f"stock: first answer after {start:.2f} s")
        server.stop()
    return Outcome(seconds, start, acknowledged, found)


def stateless(work_dir: Path, programs: Path, servers: Servers) -> Outcome:
    """The server of this story."""
    first = PatchedServer(work_dir / "machine1", programs, _OPTIONS)
    second = PatchedServer(work_dir / "machine2", programs, _OPTIONS)
    arguments = servers.arguments("STATELESS")
    with first, second:
        first.datadir.mkdir()
        start, _ = first_answer(first, _LAST_ENTRY, *arguments)
        stack.progress(f"a STATELESS mysqld in an empty directory: first answer after {start:.2f} s; sysbench")
        seconds, acknowledged = load_and_kill(first)
        shutil.rmtree(first.datadir)
        stack.progress(f"kill -9, rm -rf {first.datadir}; another mysqld in {second.datadir}, which is empty")
        second.datadir.mkdir()
        start, found = first_answer(second, _LAST_ENTRY, *arguments)
        stack.progress(f"stateless: first answer after {start:.2f} s; CHECK TABLE")
        for number in range(1, 5):
            answer = second.query(f"CHECK TABLE sbtest.sbtest{number}")[-1][-1]
            if answer != "OK":
                raise stack.StackError(f"CHECK TABLE sbtest.sbtest{number}: {answer}")
        second.stop()
    return Outcome(seconds, start, acknowledged, found)


def tell(work_dir: Path, programs: Path) -> bool:
    """The story; True when it ends well."""
    origin = PatchedServer(work_dir / "origin", programs, _OPTIONS)
    servers = Servers(work_dir, 3)
    with ExitStack() as running:
        for program in (origin, *servers.all):
            running.enter_context(program)
        stack.progress("three log servers, one page server")
        for server in servers.all:
            server.start()
        stack.progress("a database of 4 tables of 50,000 rows, made as always; a cold copy of it goes into a volume")
        origin.initialize()
        origin.start()
        origin.run_sql("CREATE DATABASE sbtest; CREATE DATABASE ledger")
        origin.sysbench("oltp_write_only", _TABLES, "prepare")
        origin.run_sql("CREATE TABLE ledger.t (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))")
        origin.stop(fast_shutdown=0)
        servers.seed(origin.datadir)
        after = stateless(work_dir, programs, servers)
        beside = stock(origin.datadir)
    print("\n                     stateless      stock")
    print(f"{_EVENTS} transactions {after.load_seconds:8.1f} s {beside.load_seconds:8.1f} s")
    print(f"start to first query {after.start_seconds:7.2f} s {beside.start_seconds:8.2f} s")
    print(f"rows acknowledged    {after.acknowledged:9} {beside.acknowledged:10}")
    print(f"rows found           {after.found:9} {beside.found:10}")
    return after.acknowledged > 0 and after.found in (after.acknowledged, after.acknowledged + 1)
