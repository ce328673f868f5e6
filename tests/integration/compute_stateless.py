# SPDX-License-Identifier: MIT
"""Runs of compute_test.py in which the pages are in the page servers only: modes NOWRITE and STATELESS."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import restore_check  # noqa: E402
import stack  # noqa: E402
import workloads  # noqa: E402
from compute_servers import VOLUME, PatchedServer  # noqa: E402
from compute_stack import SMALL_POOL, Check  # noqa: E402

_CLIENTS = 3
_OPEN_ROWS = 2000
_ACCOUNTS = f"""
CREATE TABLE ledger.entries (client INT, seq INT, part INT, id BIGINT AUTO_INCREMENT UNIQUE, filler VARCHAR(200),
    PRIMARY KEY (client, seq, part));
CREATE TABLE ledger.balance (client INT PRIMARY KEY, amount INT);
CREATE TABLE ledger.counter (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
CREATE TABLE ledger.open_changes (id INT PRIMARY KEY, v INT);
SET SESSION cte_max_recursion_depth = {_OPEN_ROWS};
INSERT INTO ledger.open_changes WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {_OPEN_ROWS})
    SELECT n, 0 FROM seq;
"""
_UNDO = "CREATE UNDO TABLESPACE more ADD DATAFILE 'more.ibu'"
_UNDO_STATE = (
    "SELECT COALESCE((SELECT STATE FROM information_schema.innodb_tablespaces WHERE NAME = 'more'), 'not there')"
)
_UNDO_CHANGES = (
    "CREATE UNDO TABLESPACE {name} ADD DATAFILE '{name}.ibu'; ALTER UNDO TABLESPACE {name} SET INACTIVE; SELECT SLEEP(0.5); "
)
_REFUSED = (
    ("CREATE TABLE ledger.z (id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED", "ROW_FORMAT=COMPRESSED"),
    ("CREATE TABLE ledger.e (id INT PRIMARY KEY) ENCRYPTION='Y'", "ENCRYPTION"),
    ("ALTER INSTANCE DISABLE INNODB REDO_LOG", "DISABLE INNODB REDO_LOG"),
)
_FIXED = (
    ("innodb_flush_log_at_trx_commit", "2"),
    ("innodb_undo_log_truncate", "ON"),
)


class Account(threading.Thread):
    """One client that runs transactions one by one and remembers, outside MySQL, what was acknowledged.

    Transaction N of a client inserts two rows and raises its balance by one; either all of it is there or nothing.
    """

    def __init__(self, server: PatchedServer, client: int, done: int) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.acknowledged = done
        self.failure = ""
        self._server = server
        self._ending = threading.Event()

    def _transaction(self, seq: int) -> str:
        rows = ", ".join(f"({self.client}, {seq}, {part}, REPEAT('e', 150))" for part in (1, 2))
        return (
            f"BEGIN; INSERT INTO ledger.entries (client, seq, part, filler) VALUES {rows};"
            f"UPDATE ledger.balance SET amount = amount + 1 WHERE client = {self.client}; COMMIT; SELECT {seq};"
        )

    def run(self) -> None:
        """Until the server goes away or end() is called."""
        with self._server.session() as session, contextlib.suppress(OSError):
            while not self._ending.is_set():
                session.send(self._transaction(self.acknowledged + 1))
                if session.answer() != str(self.acknowledged + 1):
                    self.failure = session.failure()
                    return
                self.acknowledged += 1

    def end(self) -> None:
        """Stops after the transaction that runs."""
        self._ending.set()
        self.join(60)


class StartedByPagectl(PatchedServer):
    """A server whose socket is where `pagectl compute start` puts it."""

    @property
    def socket(self) -> Path:
        """See the class."""
        return self.datadir / "mysqld.sock"


class KeptPagesCheck(Check):
    """What NOWRITE and STATELESS share: accounts, an open transaction, counters, and a stock server at the end."""

    def __init__(self, work_dir: Path, programs: Path, count: int, seconds: float, rounds: int) -> None:
        super().__init__(work_dir, programs, count, seconds)
        self.work_dir = work_dir
        self.rounds = rounds
        self.done = dict.fromkeys(range(_CLIENTS), 0)
        self.counter = 0
        self.transactions = 0
        self.loads = 0
        self.accounts: list[Account] = []

    def prepare_accounts(self) -> None:
        """The tables, and what the mode refuses."""
        self.server.run_sql(_ACCOUNTS)
        for client in self.done:
            self.server.run_sql(f"INSERT INTO ledger.balance VALUES ({client}, 0)")
        self.server.run_sql(_UNDO)

    def check_refusals(self) -> None:
        """Statements that need pages in files, and variables that the mode has set."""
        for statement, word in _REFUSED:
            try:
                self.server.run_sql(statement)
                self.expect(False, f"accepted: {statement}")
            except mysql.SqlError as refusal:
                self.expect(word in str(refusal) and "pageserver" in str(refusal), f"{statement}: {refusal}")
        for name, value in _FIXED:
            before = self.server.scalar(f"SELECT @@{name}")
            self.server.run_sql(f"SET GLOBAL {name}={value}")
            self.expect(self.server.scalar(f"SELECT @@GLOBAL.{name}") == before, f"{name} could be changed")

    def begin_load(self) -> list[threading.Thread]:
        """Accounts, sysbench, a transaction that stays open, undo tablespaces; none of them minds that the server dies."""
        self.accounts = [Account(self.server, client, done) for client, done in self.done.items()]
        open_changes = "BEGIN; UPDATE ledger.open_changes SET v = v + 1; SELECT SLEEP(600)"
        # Killed in the middle of it, sooner or later; each load takes names of its own, since one may stay.
        self.loads += 1
        undo = "".join(_UNDO_CHANGES.format(name=f"u{self.loads}_{number}") for number in range(100))
        threads: list[threading.Thread] = [*self.accounts]
        server = self.server
        threads.append(threading.Thread(target=self._until_killed, args=(lambda: server.load(600),), daemon=True))
        threads.append(threading.Thread(target=self._until_killed, args=(lambda: server.run_sql(undo),), daemon=True))
        threads.append(
            threading.Thread(target=self._until_killed, args=(lambda: server.run_sql(open_changes),), daemon=True)
        )
        for thread in threads:
            thread.start()
        return threads

    @staticmethod
    def _until_killed(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except mysql.SqlError:
            pass

    def note_counter(self) -> None:
        """A counter whose highest values belong to rows that are gone; it must never go back."""
        self.server.run_sql("INSERT INTO ledger.counter (v) VALUES (1), (2), (3); DELETE FROM ledger.counter")
        self.counter = int(
            self.server.scalar("INSERT INTO ledger.counter (v) VALUES (4); SELECT LAST_INSERT_ID(); DELETE FROM ledger.counter")
        )

    def check_counter(self) -> None:
        """After a start."""
        value = int(self.server.scalar("INSERT INTO ledger.counter (v) VALUES (5); SELECT LAST_INSERT_ID()"))
        self.expect(value > self.counter, f"AUTO_INCREMENT went back: {value} after {self.counter}")

    def change_undo(self, number: int) -> None:
        """The third undo tablespace is there after a start; then it is truncated, and every other time made anew."""
        self.expect_undo("active")
        self.server.run_sql("ALTER UNDO TABLESPACE more SET INACTIVE")
        self.expect_undo("empty")
        if number % 2 == 0:
            self.server.run_sql("DROP UNDO TABLESPACE more")
            self.server.run_sql(_UNDO)
        else:
            self.server.run_sql("ALTER UNDO TABLESPACE more SET ACTIVE")

    def expect_undo(self, state: str) -> None:
        """At the latest when purge has done what the load has left."""
        deadline = time.monotonic() + 120
        while (found := self.server.scalar(_UNDO_STATE)) != state and time.monotonic() < deadline:
            time.sleep(0.2)
        self.expect(found == state, f"the third undo tablespace is {found}, not {state}")

    def check_accounts(self, accounts: list[Account]) -> None:
        """Nothing acknowledged is missing, nothing is there that was not under way."""
        for account in accounts:
            row = self.server.query(
                "SELECT COALESCE(MAX(seq), 0), COUNT(*), (SELECT amount FROM ledger.balance b WHERE b.client = "
                f"{account.client}) FROM ledger.entries WHERE client = {account.client}"
            )[0]
            last, rows, amount = map(int, row)
            self.expect(
                last in (account.acknowledged, account.acknowledged + 1) and rows == 2 * last and amount == last,
                f"client {account.client}: {account.acknowledged} acknowledged; last {last}, {rows} rows, balance {amount}",
            )
            # It ends with its server; no number, and no row of another one, is in its way.
            self.expect("Duplicate entry" not in account.failure, f"client {account.client}: {account.failure}")
            self.transactions += last - self.done[account.client]
            self.done[account.client] = last
        changed = self.server.scalar("SELECT COUNT(*) FROM ledger.open_changes WHERE v <> 0")
        self.expect(changed == "0", f"{changed} rows of a transaction that was not committed")

    def agrees_with_stock(self, when: str) -> None:
        """`pagectl restore`; a stock mysqld boots on the directory and has the same tables and undo tablespaces."""
        expected = restore_check.checksums(self.server)
        expected_undo = self.server.scalar(_UNDO_STATE)
        self.server.stop()
        deadline = time.monotonic() + 60
        while (status := self.servers.ctl.status(VOLUME))["applied_lsn"] != status["commit_lsn"]:
            if time.monotonic() > deadline:
                raise stack.StackError(f"the page server did not apply all: {status}")
            time.sleep(0.2)
        target = self.work_dir / f"restored-{when}"
        self.servers.ctl.restore(VOLUME, target, "--latest")
        with mysql.Server(target) as stock:
            stock.start()
            found = restore_check.checksums(stock)
            self.check_tables(stock)
            undo = stock.scalar(_UNDO_STATE)
            stock.stop()
        different = [name for name in sorted(expected | found) if expected.get(name) != found.get(name)]
        stack.progress(f"  {when}: {len(found)} tables restored, a stock mysqld boots, {len(different)} differ")
        self.expect(undo == expected_undo, f"{when}: on a stock server the third undo tablespace is {undo}")
        self.expect(len(found) > 4 and not different, f"{when}: tables differ on a stock server: {different}")


class NowriteCheck(KeptPagesCheck):
    """One run of --mode nowrite."""

    mode = "NOWRITE"

    def run(self) -> None:
        """The steps."""
        self.seed()
        self.start(SMALL_POOL)
        self.prepare_accounts()
        self.check_refusals()
        self.build_in_place()
        self.move_in_a_file()
        for number in range(1, self.rounds + 1):
            self.note_counter()
            load = self.begin_load()
            time.sleep(self.seconds)
            self.tell_pages()
            self.server.kill9()
            for thread in load:
                thread.join(60)
            began = time.monotonic()
            self.start(SMALL_POOL)
            stack.progress(f"  round {number}: started in {time.monotonic() - began:.1f} s after kill -9")
            self.check_accounts(self.accounts)
            self.check_counter()
            self.check_tables()
            self.change_undo(number)
        self.refuses_other_modes()
        self.agrees_with_stock("nowrite")

    def tell_pages(self) -> None:
        """Pages were dropped and read, none was written but page 0."""
        status = self.server.pageserver_status()
        names = ("reads", "pages_not_written", "page0_writes", "read_retries", "reads_beyond_end")
        stack.progress("  " + ", ".join(f"{name}={status[name]}" for name in names))
        self.expect(int(status["pages_not_written"]) > 100, "hardly a page was dropped")

    def refuses_other_modes(self) -> None:
        """The directory is hollow: nobody else may take it for a database."""
        self.server.stop()
        for arguments in ([], self.servers.arguments("READ")):
            try:
                self.server.start(*arguments)
                self.expect(False, f"started on hollow files with {arguments}")
            except mysql.ServerError:
                self.expect("page 0 only" in self.server.error_log_tail(60), self.server.error_log_tail(8))
        self.start(SMALL_POOL)


class StatelessCheck(KeptPagesCheck):
    """One run of --mode stateless: each round another directory, each of them gone after its server's end."""

    mode = "STATELESS"

    def __init__(self, work_dir: Path, programs: Path, count: int, seconds: float, rounds: int) -> None:
        super().__init__(work_dir, programs, count, seconds, rounds)
        self.programs = programs
        self.node = 0

    def run(self) -> None:
        """The steps."""
        self.seed()
        shutil.rmtree(self.server.datadir)
        self.start_elsewhere()
        self.prepare_accounts()
        self.check_refusals()
        self.build_in_place()
        self.move_in_a_file()
        for number in range(1, self.rounds + 1):
            self.note_counter()
            load = self.begin_load()
            time.sleep(self.seconds / 2)
            self.disturb(number)
            time.sleep(self.seconds / 2)
            if number % 3 == 0:
                self.take_over_from_stopped(load)
            else:
                self.server.kill9()
                self.leave(load)
                self.start_elsewhere()
            self.check_accounts(self.accounts)
            self.check_counter()
            self.check_tables()
            self.change_undo(number)
            stack.progress(f"  round {number}: {self.transactions} transactions so far, tables and counters good")
        self.take_over_from_living()
        self.agrees_with_stock("stateless")
        self.started_by_pagectl()

    def started_by_pagectl(self) -> None:
        """`pagectl compute`: one server, a second one in its place, which ends the first; status; stop."""
        first, second = self.pagectl_start("first"), self.pagectl_start("second")
        try:
            first.run_sql("INSERT INTO ledger.counter (v) VALUES (6)")
            self.expect(False, "a server that a second pagectl compute start replaced has acknowledged a commit")
        except mysql.SqlError as refusal:
            # It may have ended before, since it also hears of the second one while nobody writes.
            told = str(refusal) + (first.datadir / "mysqld.log").read_text(encoding="utf-8", errors="replace")
            self.expect("taken the volume" in told, f"the first server's commit: {refusal}")
        second.run_sql("INSERT INTO ledger.counter (v) VALUES (7)")
        time.sleep(4)
        codes = [self.servers.ctl.run("compute", "status", str(s.datadir)).returncode for s in (first, second)]
        self.expect(codes == [1, 0], f"pagectl compute status of the first and the second server: {codes}")
        self.expect(self.servers.ctl.run("compute", "stop", str(second.datadir)).returncode == 0, "compute stop failed")
        gone = self.servers.ctl.run("compute", "status", str(second.datadir)).returncode
        self.expect(gone == 1, f"pagectl compute status after stop: {gone}")

    def pagectl_start(self, name: str) -> PatchedServer:
        """A server that this program does not start itself."""
        server = StartedByPagectl(self.work_dir / name, self.programs)
        began = time.monotonic()
        answer = self.servers.ctl.json(
            "compute", "start", str(server.datadir), "--volume", VOLUME, "--log-servers", self.servers.addresses(),
            "--page-servers", self.servers.page_server.address, "--mysqld", str(self.programs / "mysqld"),
            *(f"--mysqld-option={option}" for option in [*server.basic_options(), "--skip-networking"]),
        )  # fmt: skip
        stack.progress(f"  pagectl compute start: {answer} after {time.monotonic() - began:.2f} s")
        self.running.callback(self.end_process, int(answer["pid"]))
        return server

    @staticmethod
    def end_process(pid: int) -> None:
        """Whatever the test did not end."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def start_elsewhere(self) -> PatchedServer:
        """A server in a directory that does not exist yet; returns the one before."""
        before = self.server
        self.node += 1
        self.server = PatchedServer(self.work_dir / f"node{self.node}", self.programs)
        self.server.datadir.mkdir()
        self.running.enter_context(self.server)
        began = time.monotonic()
        self.start(SMALL_POOL)
        self.server.query("SELECT COUNT(*) FROM ledger.t")
        stack.progress(f"  a server in an empty directory, first answer after {time.monotonic() - began:.2f} s")
        return before

    def leave(self, load: list[threading.Thread]) -> None:
        """The dead server's clients end, its directory goes."""
        for thread in load:
            thread.join(60)
        shutil.rmtree(self.server.datadir)

    def disturb(self, number: int) -> None:
        """A log server or the page server is killed and comes back, under load."""
        if len(self.servers.log_servers) == 1:
            return
        victim = self.servers.page_server if number % 2 else self.servers.log_servers[number // 2 % 3]
        stack.progress(f"  kill -9 of {victim.data_dir.name}")
        victim.kill9()
        time.sleep(1)
        victim.start()

    def take_over_from_stopped(self, load: list[threading.Thread]) -> None:
        """SIGSTOP of the active server, a second one takes over, the first wakes and must acknowledge nothing."""
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGSTOP)
        stopped = self.start_elsewhere()
        known = [account.acknowledged for account in self.accounts]
        assert stopped.pid is not None
        os.kill(stopped.pid, signal.SIGCONT)
        self.first_ends(stopped, load)
        late = sum(account.acknowledged for account in self.accounts) - sum(known)
        stack.progress(f"  woken after the takeover; {late} answers on commits that were durable before it")

    def take_over_from_living(self) -> None:
        """A second server takes over while the first one serves."""
        load = self.begin_load()
        time.sleep(2)
        first = self.start_elsewhere()
        self.first_ends(first, load)
        self.check_accounts(self.accounts)
        self.check_tables()

    def first_ends(self, first: PatchedServer, load: list[threading.Thread]) -> None:
        """Its clients get an error that says why, and it ends."""
        self.expect(first.exit_code(30) is not None, "a server whose volume was taken over goes on")
        for thread in load:
            thread.join(60)
        told = [account.failure for account in self.accounts]
        self.expect(
            any("taken the volume" in text for text in told), f"no client was told why its commit failed: {told}"
        )
        stack.progress(f"  the first server's clients: {sorted(set(told))}")
        self.expect("taken the volume over" in first.error_log_tail(100), "the first server's log does not say why")
        shutil.rmtree(first.datadir)


class WorkloadCheck(StatelessCheck):
    """The workloads of ci/workloads.py, each followed by kill -9 and a server in an empty directory."""

    def __init__(self, work_dir: Path, programs: Path, count: int, names: list[str]) -> None:
        super().__init__(work_dir, programs, count, seconds=0, rounds=0)
        self.names = names

    def run(self) -> None:
        """The steps."""
        self.seed()
        shutil.rmtree(self.server.datadir)
        self.start_elsewhere()
        for name in self.names:
            seconds = workloads.run(self.server, workloads.ALL[name])
            expected = restore_check.checksums(self.server)
            self.server.kill9()
            self.leave([])
            self.start_elsewhere()
            found = restore_check.checksums(self.server)
            different = [table for table in sorted(expected | found) if expected.get(table) != found.get(table)]
            stack.progress(f"  {name}: {seconds:.0f} s; {len(found)} tables after kill -9, {len(different)} differ")
            self.expect(not different, f"{name}: tables differ after kill -9: {different}")
            self.check_tables()
        self.agrees_with_stock("workloads")
