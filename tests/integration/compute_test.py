#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A mysqld built by innodb-patch/build.py with its redo in Redoubt: loads, kills and stops; then every page is equal.

    --mode off      the patched server is a server: initialises, runs sysbench, stops, starts
    --mode stream   innodb_pageserver_mode=STREAM, once with one server for everything and once with three log servers
                    and a page server (--servers 1 or 3: only that): a cold copy goes into the volume, sysbench runs;
                    DDL that would not be in the redo is logged as page images or refused; a log server is killed under
                    load; mysqld is killed under load and its local redo catches up; what was acknowledged is there;
                    after a clean stop `pagectl compare` says that every page is equal; a server that takes the volume
                    over ends the older one; files that the volume went on without are refused, however long their redo is
    --mode read     innodb_pageserver_mode=READ with a buffer pool smaller than the data: sysbench runs on pages
                    from the page server; it is killed under load, local files are read; it comes back and is read from
                    again; scans and DDL with every page compared with the local file, no difference; reads leave
                    together; at the end CHECK TABLE and every page equal
    --mode nowrite  innodb_pageserver_mode=NOWRITE, rounds of kill -9 under load and a start in the same directory
    --mode stateless
                    innodb_pageserver_mode=STATELESS, rounds of kill -9 of mysqld (of a log server or the page server
                    before it) or SIGSTOP with a takeover, then another mysqld in an empty directory; at the end a
                    takeover from a living one, whose commits fail with an error
                    Both: each acknowledged transaction is there and none that was not under way, an open transaction
                    is rolled back, AUTO_INCREMENT does not go back, CHECK TABLE, indexes built in place, a table
                    exported and imported, an undo tablespace made, truncated and dropped, refusals; at the end a stock
                    mysqld on a restored directory has the same tables
    --mode traps    what is refused, what is waited for, and kills at the worst moments: see compute_traps.py
                    (--case NAME: only that)

python3 tests/integration/compute_test.py --mode stream [--servers N] [--seconds N] [--rounds N] [--keep DIR]
python3 tests/integration/compute_test.py --mode stateless --servers 1 --workloads partitions,fulltext

Needs the build of innodb-patch/build.py (it is not started from here) and the release build of this repository.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import stack  # noqa: E402
from compute_servers import SKIPPED, Ledger, PatchedServer, built_programs, wanted_and_built  # noqa: E402
from compute_stack import SMALL_POOL, Check  # noqa: E402
from compute_stateless import NowriteCheck, StatelessCheck, WorkloadCheck  # noqa: E402
from compute_traps import CASES, TrapsCheck  # noqa: E402

_REFUSED = (
    "ALTER INSTANCE DISABLE INNODB REDO_LOG",
    "ALTER TABLE ledger.z IMPORT TABLESPACE",
)


class StreamCheck(Check):
    """One run of --mode stream."""

    mode = "STREAM"

    def run(self) -> None:
        """The steps."""
        self.seed()
        shutil.copytree(self.server.datadir, self.usurper.datadir)
        self.stream()
        self.unlogged()
        self.stop_and_compare("after sysbench and DDL")
        self.start()
        self.log_server_away()
        self.killed()
        self.killed_while_ahead()
        self.stop_and_compare("at the end")
        self.taken_over()
        self.written_by_another()

    def stream(self) -> None:
        """A load, and what the status says of it."""
        self.start()
        stack.progress(f"sysbench, {self.seconds:.0f} s, redo streamed")
        self.server.load(self.seconds)
        status = self.server.pageserver_status()
        stack.progress("  " + ", ".join(f"{k}={v}" for k, v in status.items()))
        self.expect(status["state"] == "streaming", f"state {status['state']}")
        self.expect(int(status["wal_append_bytes"]) > 1 << 20, "less than 1 MiB of redo was sent")
        self.expect(int(status["quorum_waits"]) > 10, "nothing waited for a majority")
        flushed = self.server.status("Innodb_redo_log_flushed_to_disk_lsn")
        quorum = int(self.server.pageserver_status()["wal_quorum_lsn"])
        self.expect(quorum >= flushed, f"flushed LSN {flushed} is above what a majority has, {quorum}")

    def unlogged(self) -> None:
        """What is written without redo elsewhere is logged or refused."""
        self.server.run_sql("CREATE TABLE ledger.z (id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED")
        for statement in _REFUSED:
            try:
                self.server.run_sql(statement)
                self.expect(False, f"accepted: {statement}")
            except mysql.SqlError as refusal:
                self.expect("innodb_pageserver_mode" in str(refusal), f"{statement}: {refusal}")
        self.server.run_sql("DROP TABLE ledger.z")
        self.build_in_place()
        self.move_in_a_file()
        self.server.run_sql(
            "ALTER TABLE sbtest.sbtest1 ADD INDEX pad_index (pad);"
            "OPTIMIZE TABLE sbtest.sbtest2;"
            "CREATE TABLE ledger.f (id INT PRIMARY KEY, words TEXT);"
            "INSERT INTO ledger.f SELECT id, CONCAT(c, ' and ', pad) FROM sbtest.sbtest1 LIMIT 3000;"
            "ALTER TABLE ledger.f ADD FULLTEXT INDEX (words);"
            "CREATE TEMPORARY TABLE ledger.tmp AS SELECT * FROM ledger.f LIMIT 500;"
            "ALTER TABLE ledger.t ADD COLUMN more INT DEFAULT 7, ALGORITHM=INSTANT;"
            "CREATE TABLE ledger.gone AS SELECT * FROM ledger.f; TRUNCATE ledger.gone; DROP TABLE ledger.gone"
        )

    def log_server_away(self) -> None:
        """A log server is killed under load: with a majority left commits go on, else they wait for it."""
        ledger = Ledger(self.server)
        ledger.start()
        time.sleep(1)
        victim = self.servers.log_servers[-1]
        victim.kill9()
        time.sleep(1)
        before = ledger.acknowledged
        time.sleep(2)
        went_on = ledger.acknowledged - before
        majority_left = len(self.servers.log_servers) > 1
        self.expect((went_on > 0) == majority_left, f"{went_on} commits while a log server was away")
        victim.start()
        time.sleep(3)
        after = ledger.end()
        stack.progress(f"  {went_on} commits in 2 s without {victim.address}, {after - before} until 3 s after")
        self.expect(after > before + went_on, "no commit after the log server came back")

    def killed(self) -> None:
        """kill -9 of mysqld under load, mode STREAM again."""
        ledger = Ledger(self.server)
        ledger.start()
        load = threading.Thread(target=self.load_until_killed, daemon=True)
        load.start()
        time.sleep(min(self.seconds, 5))
        self.server.kill9()
        acknowledged = ledger.end()
        load.join(60)
        self.start()
        found = int(self.server.scalar("SELECT COALESCE(MAX(id), 0) FROM ledger.t"))
        status = self.server.pageserver_status()
        sent = status["catch_up_bytes"]
        stack.progress(f"  killed: {acknowledged} acknowledged, {found} found, {sent} bytes caught up")
        self.expect(
            acknowledged > 0 and found in (acknowledged, acknowledged + 1),
            f"{acknowledged} acknowledged, {found} found",
        )
        self.check_tables()

    def load_until_killed(self) -> None:
        """sysbench whose end is an error."""
        try:
            self.server.load(60)
        except mysql.SqlError:
            pass

    def killed_while_ahead(self) -> None:
        """With wal_sync=OFF the server goes on without log servers; killed, its local redo still has what they lack."""
        inflight = int(self.go_ahead()["wal_inflight_bytes"])
        self.start()
        caught_up = int(self.server.pageserver_status()["catch_up_bytes"])
        stack.progress(f"  {inflight} bytes were under way when all were killed, {caught_up} caught up")
        self.expect(inflight > 1 << 16 and caught_up >= inflight, f"{inflight} bytes under way, {caught_up} caught up")
        self.check_tables()
        self.server.load(2)

    def go_ahead(self) -> dict[str, str]:
        """The server is killed with redo that no log server has; its status before."""
        self.server.run_sql("SET GLOBAL innodb_pageserver_wal_sync=OFF")
        for server in self.servers.log_servers:
            server.kill9()
        self.server.load(3, "oltp_write_only")
        status = self.server.pageserver_status()
        self.server.kill9()
        for server in self.servers.log_servers:
            server.start()
        return status

    def taken_over(self) -> None:
        """A server with an old directory takes the volume: it refuses to start, and the one before it ends."""
        self.start()
        try:
            self.usurper.start(*self.servers.arguments())
            self.expect(False, "a server started on a directory that is older than the volume")
        except mysql.ServerError:
            self.expect("older than the volume" in self.usurper.error_log_tail(200), self.usurper.error_log_tail(8))
        try:
            self.server.run_sql("INSERT INTO ledger.t (note) VALUES ('fenced')")
            self.expect(False, "a fenced server acknowledged a commit")
        except mysql.SqlError as lost:
            stack.progress(f"  the older server's commit: {str(lost)[-80:]}")
        self.expect(self.server.exit_code(30) is not None, "a fenced server goes on")
        self.expect("taken the volume over" in self.server.error_log_tail(200), "the fenced server does not say why")

    def written_by_another(self) -> None:
        """Files whose redo is longer than the volume's, but no longer the volume's, are refused."""
        self.start()  # nobody has written since
        own_end = int(self.go_ahead()["wal_appended_lsn"])
        elsewhere = PatchedServer(self.server.datadir.parent / "elsewhere", self.programs)
        elsewhere.datadir.mkdir(parents=True)
        elsewhere.start(*self.servers.arguments("STATELESS"))
        self.running.callback(elsewhere.kill9)
        elsewhere.run_sql("INSERT INTO ledger.t (note) VALUES ('elsewhere')")
        ends = elsewhere.status("Innodb_redo_log_flushed_to_disk_lsn")
        elsewhere.stop()
        stack.progress(f"  own redo up to LSN {own_end}, the other server's up to {ends} and its shutdown")
        self.expect(own_end > ends, f"own redo ends at {own_end}, the other server's is as long: {ends}")
        try:
            self.start()
            self.expect(False, f"a server goes on with files that are not the volume's, which ends at {ends}")
        except mysql.ServerError:
            told = self.server.error_log_tail(200)
            self.expect("Another server has written" in told, told[-800:])


_READ_NUMBERS = (
    "reads", "reads_sync", "reads_async", "read_wait_us", "read_fallbacks", "read_requests", "read_batches",
    "read_batch_pages", "reads_compared", "reads_different", "reads_ahead",
)  # fmt: skip
_READ_DDL = (
    "CREATE TABLE ledger.c AS SELECT * FROM sbtest.sbtest1; ALTER TABLE ledger.c ADD INDEX (k), ADD INDEX (c);"
    "SELECT COUNT(c), SUM(LENGTH(pad)) FROM ledger.c; OPTIMIZE TABLE ledger.c; SELECT COUNT(pad) FROM sbtest.sbtest2;"
    "ALTER TABLE ledger.c ADD COLUMN more INT DEFAULT 7, ALGORITHM=INSTANT; UPDATE ledger.c SET more = id LIMIT 3000;"
    "DELETE FROM ledger.c LIMIT 3000; SELECT COUNT(c) FROM ledger.c; TRUNCATE ledger.c; DROP TABLE ledger.c"
)


class ReadCheck(Check):
    """One run of --mode read."""

    mode = "READ"

    def run(self) -> None:
        """The steps."""
        self.seed()
        self.start(SMALL_POOL)
        self.server.load(2, "oltp_write_only")  # the page server answers once it has applied something,
        time.sleep(6)  # and is asked again some seconds after it did not
        before = self.numbers()
        stack.progress(f"sysbench, {self.seconds:.0f} s, pages from the page server")
        self.server.load(self.seconds)
        after = self.numbers()
        self.tell("  ", before, after)
        self.expect(after["reads"] - before["reads"] > 1000, "less than 1000 pages came from the page server")
        self.expect(after["read_fallbacks"] == before["read_fallbacks"], "local files were read")
        self.compared()
        self.page_server_away()
        self.ahead()
        self.check_tables()
        self.stop_and_compare("at the end")

    def compared(self) -> None:
        """Load, scans that read ahead, and DDL, while every page is read from both and compared."""
        self.server.run_sql(
            "SET GLOBAL innodb_pageserver_read_compare=ON; SET GLOBAL innodb_random_read_ahead=ON;"
            "SET GLOBAL innodb_read_ahead_threshold=1"
        )
        before = self.numbers()
        stack.progress(f"sysbench, scans and DDL, {self.seconds:.0f} s, every page compared with the local file")
        load = threading.Thread(target=self.server.load, args=(self.seconds,), daemon=True)
        load.start()
        rounds = 0
        while load.is_alive() or rounds == 0:
            self.server.run_sql(_READ_DDL)
            rounds += 1
        load.join()
        after = self.numbers()
        self.tell(f"  {rounds} rounds of DDL: ", before, after)
        more = {name: after[name] - before[name] for name in after}
        batch = more["read_batch_pages"] / max(more["read_batches"], 1)
        stack.progress(f"  {batch:.2f} pages in a request on average")
        self.expect(more["reads_compared"] > 1000, "less than 1000 pages were compared")
        self.expect(more["reads_different"] == 0, f"{more['reads_different']} pages differ from the local file")
        self.expect(more["reads_async"] > 100, "less than 100 pages were read ahead")
        self.expect(batch > 1, "reads that wait at the same time do not leave together")
        self.server.run_sql("SET GLOBAL innodb_pageserver_read_compare=OFF")

    def numbers(self) -> dict[str, int]:
        """The counters of reads."""
        status = self.server.pageserver_status()
        return {name: int(status[name]) for name in _READ_NUMBERS}

    @staticmethod
    def tell(text: str, before: dict[str, int], after: dict[str, int]) -> None:
        """The differences."""
        stack.progress(text + ", ".join(f"{name}={after[name] - before[name]}" for name in after))

    def page_server_away(self) -> None:
        """Killed and started again under load, when it is no log server at the same time."""
        if self.servers.page_server in self.servers.log_servers:
            return
        before = self.numbers()
        load = threading.Thread(target=self.server.load, args=(20,), daemon=True)
        load.start()
        time.sleep(1)
        self.servers.page_server.kill9()
        time.sleep(4)
        away = self.numbers()
        self.tell("  while the page server was away: ", before, away)
        self.expect(away["read_fallbacks"] > before["read_fallbacks"], "no local file was read")
        self.servers.page_server.start()
        load.join(120)
        back = self.numbers()
        self.tell("  afterwards: ", away, back)
        self.expect(back["reads"] > away["reads"], "the page server was not read from again")

    def ahead(self) -> None:
        """Without log servers, and waiting for none: what they have is read from the page server, what is newer from the local files."""
        if self.servers.page_server in self.servers.log_servers:
            return
        self.server.run_sql("SET GLOBAL innodb_pageserver_wal_sync=OFF")
        time.sleep(5)  # what was read from local files for another reason is again read from the page server
        self.servers.wait_applied(int(self.server.pageserver_status()["wal_commit_lsn"]))
        for server in self.servers.log_servers:
            server.kill9()
        before = self.numbers()
        self.server.load(3, "oltp_write_only")
        after = self.numbers()
        self.tell("  while the log servers were away: ", before, after)
        self.expect(after["reads_ahead"] > before["reads_ahead"], "no page was newer than what log servers have")
        self.expect(after["reads"] > before["reads"], "nothing was read from the page server")
        self.expect(after["read_fallbacks"] == before["read_fallbacks"], "the page server was asked for what it cannot have")
        for server in self.servers.log_servers:
            server.start()
        self.server.run_sql("SET GLOBAL innodb_pageserver_wal_sync=ON")
        self.server.load(1, "oltp_write_only")  # waits for what was not sent
        waiting = self.numbers()
        self.server.load(2, "oltp_write_only")
        back = self.numbers()
        self.tell("  afterwards: ", waiting, back)
        self.expect(back["reads_ahead"] == waiting["reads_ahead"], "pages are newer than what log servers have, which all wait for")


def check_off(work_dir: Path, programs: Path, seconds: float) -> list[str]:
    """--mode off."""
    with PatchedServer(work_dir / "mysql", programs) as server:
        server.initialize()
        server.start()
        server.prepare()
        stack.progress(f"sysbench, {seconds:.0f} s, mode OFF")
        output = server.load(seconds)
        stack.progress("  " + " ".join(next(line for line in output.splitlines() if "transactions:" in line).split()))
        status = server.pageserver_status()
        server.stop()
        server.start()
        tables = [server.query(f"CHECK TABLE sbtest.sbtest{i}")[-1][-1] for i in (1, 2)]
        server.stop()
    problems = [] if status["state"] == "off" else [f"state {status['state']} in mode OFF"]
    return problems + ([] if tables == ["OK", "OK"] else [f"CHECK TABLE: {tables}"])


def make_check(options: argparse.Namespace, work_dir: Path, programs: Path, count: int) -> Check:
    """The run that a mode asks for."""
    if options.mode == "nowrite":
        return NowriteCheck(work_dir, programs, count, options.seconds, options.rounds)
    if options.mode == "stateless" and options.workloads:
        return WorkloadCheck(work_dir, programs, count, options.workloads.split(","))
    if options.mode == "stateless":
        return StatelessCheck(work_dir, programs, count, options.seconds, options.rounds)
    if options.mode == "traps":
        return TrapsCheck(work_dir, programs, count, options.case or CASES)
    kind = StreamCheck if options.mode == "stream" else ReadCheck
    return kind(work_dir, programs, count, options.seconds)


def check_mode(work_dir: Path, programs: Path, counts: list[int], options: argparse.Namespace) -> list[str]:
    """All modes but off."""
    problems: list[str] = []
    for count in counts:
        stack.progress(f"mode {options.mode}, {count} log server{'s' if count > 1 else ''}")
        check = make_check(options, work_dir / f"servers{count}", programs, count)
        with check.running as running:
            for program in (check.server, check.usurper, *check.servers.all):
                running.enter_context(program)
            check.run()
        problems += [f"{count} log servers: {text}" for text in check.problems]
    return problems


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="A mysqld with its redo in Redoubt.")
    parser.add_argument("--mode", choices=["off", "stream", "read", "nowrite", "stateless", "traps"], default="stream")
    parser.add_argument("--servers", type=int, choices=[1, 3], help="only with so many log servers; default: both")
    parser.add_argument("--seconds", type=float, default=10, help="of sysbench at a time")
    parser.add_argument("--rounds", type=int, default=3, help="of modes nowrite and stateless")
    parser.add_argument("--workloads", metavar="NAMES", help="mode stateless: these of ci/workloads.py, comma-separated")
    parser.add_argument("--case", action="append", choices=CASES, help="mode traps: only this; may be given again")
    parser.add_argument("--keep", type=Path, help="work here and leave everything")
    parser.add_argument("--if-built", action="store_true", help=f"exit code {SKIPPED} when there is no mysqld to test")
    options = parser.parse_args()
    if options.if_built and not wanted_and_built():
        return SKIPPED

    def check(work_dir: Path) -> list[str]:
        programs = built_programs()
        if options.mode == "off":
            return check_off(work_dir, programs, options.seconds)
        return check_mode(work_dir, programs, [options.servers] if options.servers else [3] if options.mode == "traps" else [1, 3], options)

    return stack.run_check("compute", options.keep, check, f"mode {options.mode}")


if __name__ == "__main__":
    sys.exit(main())
