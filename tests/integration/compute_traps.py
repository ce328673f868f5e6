# SPDX-License-Identifier: MIT
"""Runs of compute_test.py --mode traps: what is refused, what is waited for, and kills at the worst moments.

refusals    DATA DIRECTORY, CLONE in both directions, LOAD DATA ... ALGORITHM=BULK: nothing is changed by the attempt
shutdown    a majority of the log servers is lost before SHUTDOWN, which waits for it, or ends the server after
            innodb_pageserver_wal_timeout_ms; in modes STREAM and STATELESS
reads       pages are waited for longer than InnoDB lets anybody wait for a latch
idle        another server takes the volume while nothing is written: the first one ends all the same; STREAM, NOWRITE, STATELESS
counters    kill -9 while a transaction is acknowledged whose number comes after that of one that is not, and behind a row with
            a number from long ago, the highest one being in no redo that the volume has; mode STATELESS
builds      kill -9 in the middle of index builds and rebuilds in place, and between a rebuild's renames and its commit;
            modes NOWRITE and STATELESS
imports     kill -9 in the middle of IMPORT TABLESPACE; both modes
buffered    kill -9 while changes of secondary indexes wait in the change buffer, for the next server to merge; both modes
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import stack  # noqa: E402
from compute_kills import KILLS, KillsCheck, Statement  # noqa: E402
from compute_servers import PatchedServer  # noqa: E402
from compute_stack import SMALL_POOL  # noqa: E402

CASES = ("refusals", "shutdown", "reads", "idle", "counters", *KILLS)
_CLONE_PLUGIN = "mysql_clone.so"
# InnoDB's own is 600 s, and no variable of a release build changes it.
_LATCH_SECONDS = 3
# The client library asks log servers once a second whether they have heard of another; then clients are told for two seconds.
_HEARS_IN_SECONDS = 8
_IDLE_SECONDS = 4
# It is passed when so many looks in a row, one a second, find the same thread waiting; and some more.
_LOOKS = 11
# Rows of two clients, each with leaf pages of its own.
_NUMBERED = """
CREATE TABLE ledger.numbered (client INT, seq INT, id BIGINT AUTO_INCREMENT UNIQUE, filler VARCHAR(200), PRIMARY KEY (client, seq));
INSERT INTO ledger.numbered (client, seq, filler) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 400)
    SELECT c.client, n, REPEAT('f', 150) FROM seq, (SELECT 1 AS client UNION ALL SELECT 2) c;
"""
# The second row waits; its number is taken with the first one's.
_SLOW_SECONDS = 4
_SLOW_ROWS = "INSERT INTO ledger.numbered (client, seq, filler) VALUES (1, {0}, 'at once'), (1, {0} + 1, SLEEP(" + f"{_SLOW_SECONDS}))"
_OTHER_ROW = "INSERT INTO ledger.numbered (client, seq, filler) VALUES (2, {}, 'never acknowledged')"
_COUNTER_ROUNDS = 2
_COUNTER_TRIES = 6


class Memory:
    """Variables of a running mysqld that only a debug build could set."""

    def __init__(self, server: PatchedServer) -> None:
        self._pid = server.pid
        self._program = server.programs / "mysqld"
        maps = Path(f"/proc/{self._pid}/maps").read_text(encoding="ascii").splitlines()
        self._base = int(next(line for line in maps if line.endswith(str(self._program))).split("-")[0], 16)

    def put(self, symbol: str, value: int) -> None:
        """Into the eight bytes at the symbol."""
        symbols = subprocess.run(["nm", str(self._program)], capture_output=True, text=True, check=True).stdout
        [address] = re.findall(rf"^([0-9a-f]+) [BDbd] {symbol}$", symbols, re.M)
        with open(f"/proc/{self._pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self._base + int(address, 16))
            memory.write(value.to_bytes(8, "little"))


class TrapsCheck(KillsCheck):
    """One run of --mode traps."""

    def __init__(self, work_dir: Path, programs: Path, count: int, cases: Sequence[str]) -> None:
        super().__init__(work_dir, programs, count)
        self.cases = cases

    def run(self) -> None:
        """The cases, each on a server of its own."""
        self.seed()
        shutil.copytree(self.server.datadir, self.work_dir / "origin")
        if "shutdown" in self.cases:  # first in mode STREAM, whose server goes on with its own files
            self.shutdown("STREAM")
        if "refusals" in self.cases:
            self.refusals("STREAM", self.server)
        if "idle" in self.cases:
            self.idle("STREAM")
        shutil.rmtree(self.server.datadir)
        self.go_on("STATELESS")
        alone: dict[str, Callable[[], None]] = {
            "refusals": lambda: self.refusals("STATELESS", self.server),
            "shutdown": lambda: self.shutdown("STATELESS"),
            "reads": self.reads,
            "idle": lambda: [self.idle(mode) for mode in ("NOWRITE", "STATELESS")],
            "counters": self.counters,
        }
        for case, work in alone.items():
            if case in self.cases:
                work()
        if set(KILLS) & set(self.cases):
            self.kill_in_the_middle(self.cases)

    # ---- refusals

    def refused(self, statement: str, word: str) -> None:
        """With an error that names the mode and what is not possible in it."""
        before = int(self.server.pageserver_status()["forbidden_ops"])
        try:
            self.server.run_sql(statement)
            self.expect(False, f"accepted: {statement}")
        except mysql.SqlError as refusal:
            text = str(refusal)
            self.expect(f"innodb_pageserver_mode={self.mode}" in text and word in text, f"{statement}: {text}")
        counted = int(self.server.pageserver_status()["forbidden_ops"])
        self.expect(counted > before, f"not counted as refused: {statement}")

    def refusals(self, mode: str, server: PatchedServer) -> None:
        """Statements that need more of the machine than the mode has."""
        outside = self.work_dir / "outside"
        outside.mkdir(exist_ok=True)
        clones = (server.programs / _CLONE_PLUGIN).exists()
        plugins = [f"--plugin-dir={server.programs}"] if clones else []
        server.stop()
        if mode == "STREAM":
            self.mode = mode
            self.start(SMALL_POOL, *plugins)
        else:
            self.go_on(mode, f"--innodb-directories={outside}", *plugins)
            self.elsewhere_refused(outside)
        self.bulk_refused()
        if clones:
            self.clone_refused()
        else:
            stack.progress(f"  skipped: CLONE; run: python3 innodb-patch/build.py {_CLONE_PLUGIN}")
        stack.progress(f"  mode {mode}: refusals done")

    def elsewhere_refused(self, outside: Path) -> None:
        """Tables and tablespaces whose files the next server would not have. The directory is one that InnoDB allows."""
        partition = "PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9) DATA DIRECTORY='{}')"
        self.refused(f"CREATE TABLE ledger.d (id INT PRIMARY KEY) DATA DIRECTORY='{outside}'", "DATA DIRECTORY")
        self.refused(f"CREATE TABLE ledger.d (id INT PRIMARY KEY) {partition.format(outside)}", "DATA DIRECTORY")
        self.refused(f"CREATE TABLESPACE apart ADD DATAFILE '{outside}/apart.ibd'", "outside the data directory")
        self.expect(not list(outside.iterdir()), f"left behind: {list(outside.iterdir())}")
        found = self.server.query("SHOW TABLES IN ledger LIKE 'd'")
        self.expect(not found, f"there is a table all the same: {found}")

    def bulk_refused(self) -> None:
        """The server without its bulk load component says so itself; with it, the mode is the reason."""
        rows = self.work_dir / "rows.csv"
        rows.write_text("1,one\n2,two\n", encoding="ascii")
        self.server.run_sql("CREATE TABLE ledger.bulk (id INT PRIMARY KEY, c VARCHAR(20))")
        load = f"LOAD DATA FROM INFILE '{rows}' INTO TABLE ledger.bulk FIELDS TERMINATED BY ',' ALGORITHM=BULK"
        try:
            self.server.run_sql(load)
            self.expect(False, f"accepted: {load}")
        except mysql.SqlError as refusal:
            self.expect("Bulk Load" in str(refusal) or "innodb_pageserver_mode" in str(refusal), str(refusal))
        count = self.server.scalar("SELECT COUNT(*) FROM ledger.bulk")
        self.expect(count == "0", f"a refused bulk load has left {count} rows")
        self.server.run_sql("DROP TABLE ledger.bulk")

    def clone_refused(self) -> None:
        """Into this server in every mode; from it where its files have no pages."""
        before = self.server.query("SHOW TABLES IN sbtest")
        self.server.run_sql(f"INSTALL PLUGIN clone SONAME '{_CLONE_PLUGIN}'")
        copy = self.work_dir / f"cloned-{self.mode}"
        if self.mode == "STREAM":
            self.server.run_sql(f"CLONE LOCAL DATA DIRECTORY='{copy}'")
            self.expect((copy / "ibdata1").exists(), "nothing was cloned in mode STREAM")
        else:
            self.refused(f"CLONE LOCAL DATA DIRECTORY='{copy}'", "CLONE from this server")
            self.expect(not (copy / "ibdata1").exists(), "a refused clone has left files")
        shutil.rmtree(copy, ignore_errors=True)
        with PatchedServer(self.work_dir / "donor", self.programs) as donor:
            port = stack.free_port()
            if not donor.datadir.exists():
                shutil.copytree(self.work_dir / "origin", donor.datadir)
                (donor.datadir / "auto.cnf").unlink(missing_ok=True)
            donor.start(
                f"--plugin-dir={self.programs}", "--skip-networking=OFF", "--bind-address=127.0.0.1", f"--port={port}"
            )
            donor.run_sql(
                f"INSTALL PLUGIN clone SONAME '{_CLONE_PLUGIN}'; CREATE USER giver@'%' IDENTIFIED BY 'x';"
                "GRANT BACKUP_ADMIN ON *.* TO giver@'%'"
            )
            self.server.run_sql(f"SET GLOBAL clone_valid_donor_list='127.0.0.1:{port}'")
            self.refused(f"CLONE INSTANCE FROM giver@127.0.0.1:{port} IDENTIFIED BY 'x'", "CLONE into this server")
            donor.run_sql("DROP USER giver@'%'; UNINSTALL PLUGIN clone")
            donor.stop()
        self.expect(self.server.query("SHOW TABLES IN sbtest") == before, "a refused clone has dropped tables")
        self.server.run_sql("UNINSTALL PLUGIN clone")

    # ---- shutdown

    def shutdown(self, mode: str) -> None:
        """SHUTDOWN while no majority answers: waits until one does; with a timeout ends without it. Nothing is lost."""
        self.server.stop()
        for timeout_ms in (0, 6000):
            more = [f"--innodb-pageserver-wal-timeout-ms={timeout_ms}"]
            if mode == "STREAM":
                self.mode = mode
                self.start(SMALL_POOL, *more)
            else:
                self.go_on(mode, *more)
            self.server.run_sql("INSERT INTO ledger.t (note) VALUES ('acknowledged')")
            count = self.server.scalar("SELECT COUNT(*) FROM ledger.t")
            # Left open: SHUTDOWN rolls it back, which is redo.
            Statement(self.server, "BEGIN; UPDATE sbtest.sbtest1 SET k = k + 1 LIMIT 500; SELECT SLEEP(600)").begin()
            time.sleep(1)
            away = self.servers.log_servers[1:]
            for server in away:
                server.kill9()
            ending = Statement(self.server, "SHUTDOWN").begin()
            code = self.server.exit_code(12 if timeout_ms == 0 else 60)
            told = self.server.error_log_tail(200)
            if timeout_ms == 0:
                self.expect(code is None, f"{mode}: ended with {code} although no majority answered")
                self.expect("No majority of Redoubt's log servers" in told, f"{mode}: does not say why it waits")
            else:
                self.expect(code not in (None, 0), f"{mode}: exit code {code} after the timeout")
                self.expect("innodb_pageserver_wal_timeout_ms has passed" in told, f"{mode}: {told[-600:]}")
            for server in away:
                server.start()
            if timeout_ms == 0:
                code = self.server.exit_code(60)
                self.expect(code == 0, f"{mode}: exit code {code} after the majority came back")
            ending.thread.join(30)
            self.after_shutdown(mode, count)
            stack.progress(f"  mode {mode}, timeout {timeout_ms} ms: shutdown without a majority, nothing lost")

    def after_shutdown(self, mode: str, count: str) -> None:
        """What was acknowledged is there, what was open is not."""
        if mode == "STREAM":
            self.start(SMALL_POOL)
        else:
            self.go_on(mode)
        found = self.server.scalar("SELECT COUNT(*) FROM ledger.t")
        self.expect(found == count, f"{mode}: {count} rows acknowledged, {found} found")
        self.check_tables()
        self.server.stop()

    # ---- reads

    def reads(self) -> None:
        """The page server stands still; one thread waits for a page, others for that thread."""
        query = "SELECT COUNT(*), SUM(LENGTH(pad)) FROM sbtest.sbtest1"
        patience = "--innodb-pageserver-read-timeout-ms=1000"
        self.go_on("STATELESS", patience)
        expected = self.server.query(query)
        self.go_on("STATELESS", patience)
        waiting = self.wait_for_pages(query, _LATCH_SECONDS + _LOOKS + 8)
        self.expect(self.server.pid is not None, f"the server has ended: {self.server.error_log_tail(12)}")
        os.kill(self.page_server_pid(), signal.SIGCONT)
        for statement in waiting:
            statement.thread.join(60)
            rows = [line.split("\t") for line in statement.output.splitlines()]
            self.expect(rows == expected, f"{rows} instead of {expected}: {statement.failure}")
        told = self.server.error_log_tail(200)
        self.expect("cannot be read from Redoubt's page servers" in told, "does not say what it waits for")
        stack.progress(f"  {len(waiting)} clients waited for a page longer than latches may be waited for, and got it")
        self.reads_without_patience(query, patience)

    def reads_without_patience(self, query: str, patience: str) -> None:
        """That the limit is reached in such a wait: with the patience taken away it ends the server."""
        self.go_on("STATELESS", patience)
        memory = Memory(self.server)
        self.wait_for_pages(query, 2)
        deadline = time.monotonic() + _LATCH_SECONDS + _LOOKS + 30
        while self.server.pid is not None and time.monotonic() < deadline:
            try:
                memory.put("srv_fatal_semaphore_wait_extend", 0)
            except OSError:
                break
            time.sleep(0.1)
        code = self.server.exit_code(10)
        os.kill(self.page_server_pid(), signal.SIGCONT)
        told = self.server.error_log_tail(400)
        self.expect(
            code is not None and f"Semaphore wait has lasted > {_LATCH_SECONDS}" in told,
            f"the limit on waits for latches was not reached, this check is blind: exit code {code}",
        )
        self.go_on("STATELESS")

    def wait_for_pages(self, query: str, seconds: float) -> list[Statement]:
        """Clients that want the same pages, which are not in the buffer pool, from a page server that stands still."""
        Memory(self.server).put("srv_fatal_semaphore_wait_threshold", _LATCH_SECONDS)
        self.server.query("SELECT id FROM sbtest.sbtest1 LIMIT 1")  # the dictionary's pages
        os.kill(self.page_server_pid(), signal.SIGSTOP)
        waiting = [Statement(self.server, query).begin() for _ in range(4)]
        time.sleep(seconds)
        return waiting

    def page_server_pid(self) -> int:
        """Of the process."""
        pid = self.servers.page_server.pid
        assert pid is not None
        return pid

    # ---- a takeover that the first server does not meet

    def idle(self, mode: str) -> None:
        """The first server only reads: it must not go on answering what the second one changes."""
        self.server.stop()
        if mode == "STREAM":
            self.mode = mode
            self.start(SMALL_POOL)
        else:
            self.go_on(mode)
        query = "SELECT COUNT(*) FROM ledger.t"
        count = int(self.server.scalar(query))
        first = self.server
        self.wait_until_idle(first)
        second = PatchedServer(self.work_dir / f"after-idle-{mode}", self.programs)
        second.datadir.mkdir()
        self.running.enter_context(second)
        second.start(*self.servers.arguments("STATELESS"), SMALL_POOL)
        second.run_sql("INSERT INTO ledger.t (note) VALUES ('by the second server')")
        code = first.exit_code(_HEARS_IN_SECONDS)
        if code is None:
            self.expect(False, f"{mode}: after {_HEARS_IN_SECONDS} s the idle first server still answers {first.scalar(query)}")
            first.kill9()
        else:
            told = first.error_log_tail(200)
            self.expect("taken the volume over" in told and "looking after" in told, f"{mode}: {told[-600:]}")
        found = int(second.scalar(query))
        self.expect(found == count + 1, f"{mode}: {count} rows before the takeover, one more then, {found} found")
        stack.progress(f"  mode {mode}: an idle server that was replaced ended with {code}")
        if mode == "STREAM":
            second.stop()
        else:
            self.server = second
            self.mode = "STATELESS"

    def wait_until_idle(self, server: PatchedServer) -> None:
        """Purge and the like have written all they wanted: a write would tell the server, too."""
        quiet_since, before = time.monotonic(), ""
        deadline = time.monotonic() + 60
        while time.monotonic() - quiet_since < _IDLE_SECONDS:
            appended = server.pageserver_status()["wal_appended_lsn"]
            if appended != before:
                quiet_since, before = time.monotonic(), appended
            if time.monotonic() > deadline:
                self.expect(False, f"{server.datadir.name} goes on writing redo, so this check is blind")
                return
            time.sleep(0.2)

    # ---- counters

    def counters(self) -> None:
        """AUTO_INCREMENT never goes back, whichever of several rows that are inserted at the same time get into the redo.

        A statement takes two numbers and inserts the first row. Another one takes the next number, notes it as the
        table's highest, and waits for an undo page while its row is in no redo. Then the first one's second row follows,
        is acknowledged, and the server is killed: the highest number was noted by nobody whose redo is there.
        """
        self.killed_behind_a_low_number()
        self.server.run_sql(_NUMBERED)
        told = 0
        for seq in range(1001, 1001 + 2 * _COUNTER_TRIES, 2):
            if told < _COUNTER_ROUNDS:
                told += self.killed_with_a_number(seq)
        self.expect(told == _COUNTER_ROUNDS, f"this check is blind: {told} of {_COUNTER_TRIES} rounds were as they ought to be")
        stack.progress(f"  {told} times killed with a number that only a lost row had noted")

    def killed_behind_a_low_number(self) -> None:
        """The highest number came into the volume with the pages of the copy that it began with."""
        highest = int(self.server.scalar("SELECT MAX(id) FROM sbtest.sbtest1"))
        self.server.run_sql("DELETE FROM sbtest.sbtest1 WHERE id = 7; INSERT INTO sbtest.sbtest1 (id) VALUES (7)")
        self.go_on("STATELESS")
        self.expect_above(highest, "INSERT INTO sbtest.sbtest1 (k) VALUES (7)")

    def killed_with_a_number(self, seq: int) -> bool:
        """One round; False when the first statement also had to wait for a page, or the second one had not."""
        self.go_on("STATELESS")
        self.leave_undo_pages()
        slow = Statement(self.server, _SLOW_ROWS.format(seq)).begin()
        time.sleep(_SLOW_SECONDS - 0.7)
        os.kill(self.page_server_pid(), signal.SIGSTOP)
        other = Statement(self.server, _OTHER_ROW.format(seq)).begin()
        slow.thread.join(5)
        as_meant = not slow.thread.is_alive() and not slow.failure and other.thread.is_alive()
        self.server.kill9()
        os.kill(self.page_server_pid(), signal.SIGCONT)
        for statement in (slow, other):
            statement.thread.join(30)
        self.go_on("STATELESS")
        if as_meant:
            self.expect_next_number(seq)
        return as_meant

    def leave_undo_pages(self) -> None:
        """Out of the buffer pool, into which the other client's rows come."""
        self.server.run_sql("SET GLOBAL innodb_old_blocks_time=0")
        for _ in range(3):
            self.server.query("SELECT COUNT(*), SUM(LENGTH(pad)) FROM sbtest.sbtest1")
            self.server.query("SELECT COUNT(*), SUM(LENGTH(pad)) FROM sbtest.sbtest2")
        self.server.query("SELECT * FROM ledger.numbered WHERE client = 2 ORDER BY seq DESC LIMIT 1")

    def expect_next_number(self, seq: int) -> None:
        """Both rows are there, and a new one comes behind them."""
        found = self.server.scalar(f"SELECT COUNT(*) FROM ledger.numbered WHERE client = 1 AND seq IN ({seq}, {seq} + 1)")
        self.expect(found == "2", f"{found} of two acknowledged rows")
        highest = int(self.server.scalar("SELECT MAX(id) FROM ledger.numbered"))
        self.expect_above(highest, f"INSERT INTO ledger.numbered (client, seq) VALUES (3, {seq})")

    def expect_above(self, highest: int, insert: str) -> None:
        """The row gets a number of its own."""
        try:
            number = int(self.server.scalar(f"{insert}; SELECT LAST_INSERT_ID()"))
            self.expect(number > highest, f"AUTO_INCREMENT went back: {number} after {highest}")
        except mysql.SqlError as refusal:
            self.expect(False, f"AUTO_INCREMENT went back below {highest}: {refusal}")
