#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does to a followed MySQL server what a tailer must survive, and compares every page after each.

watchdog      redotail stands still (SIGSTOP) under load: commits must go on; afterwards the gap is seen and imported anew
capacity      the redo capacity goes down and up under load: files are truncated, renamed, recycled
recreated     a clean shutdown, then an empty redo directory: followed on without a new import
discard       DISCARD and IMPORT of a table that nobody touches afterwards
redo_off      redo logging switched off and on: everything is imported anew
page_server   the page server stands still, then is killed: commits go on, nothing is lost
import_killed redo is recycled while no tailer runs; the next one is killed in its import, the one after repairs the hole
waiting_alter an ALTER waits behind a transaction, so that the dictionary does not answer, while an index is built elsewhere: followed on
password      a second tailer with a wrong password ends with 3 and says what to look at; the first goes on

python3 ci/tail_check.py [NAME]... [--keep DIR]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mysql
import redo_files
import stack

_VOLUME = "tail"
_WAIT_SECONDS = 180
_WATCHDOG_SECONDS = 6
_PROMPT_SECONDS = 15
_LOAD = ["--tables=2", "--table-size=5000", "--threads=2"]


class CheckError(RuntimeError):
    """A scenario did not go as it must."""


class Tail(stack.RedoTail):
    """redotail with a short watchdog."""

    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """See Program."""
        watchdog = ["--watchdog-seconds", str(_WATCHDOG_SECONDS), "--watchdog-bytes", str(24 << 20)]
        return [*super().arguments(), *watchdog, *self.extra]


class World:
    """One server followed into one volume."""

    def __init__(self, root: Path) -> None:
        self.server = mysql.Server(root / "mysql", mysql.Options(redo_capacity="48M"))
        self.page_server = stack.PageServer(root / "pageserver", root)
        self.tail = Tail(self.server, self.page_server, _VOLUME, root)
        self.ctl = stack.PageCtl(self.page_server)

    def start(self) -> None:
        """Server with tables, page server, tailer; returns when the import is done."""
        self.server.initialize()
        self.server.start()
        self.server.run_sql("CREATE DATABASE sbtest")
        self.server.sysbench("oltp_write_only", _LOAD, "prepare")
        self.page_server.start()
        self.tail.start()
        stack.wait_for_import(self.ctl, self.tail, _WAIT_SECONDS)

    def load(self, seconds: int, every: int = 1) -> list[float]:
        """Runs write transactions; returns the transactions a second of each interval."""
        arguments = [*_LOAD, f"--time={seconds}", f"--report-interval={every}"]
        output = self.server.sysbench("oltp_write_only", arguments)
        return [float(x) for x in re.findall(r"tps: ([0-9.]+)", output)]

    def log(self) -> str:
        """Everything redotail has said."""
        return self.tail.log.read_text(encoding="utf-8", errors="replace")

    def wait_log(self, text: str, count: int = 1, seconds: float = _WAIT_SECONDS) -> None:
        """Waits until redotail has said something so often."""
        deadline = time.monotonic() + seconds
        while self.log().count(text) < count:
            self.tail.check_running()
            if time.monotonic() > deadline:
                raise CheckError(f"redotail did not say {text!r} {count} times:\n{self.tail.log_tail()}")
            time.sleep(0.1)

    def compare(self) -> int:
        """Clean shutdown, every page compared, server started again; returns the pages compared."""
        self.server.stop()
        end = redo_files.end_lsn(self.server.datadir)
        stack.wait_for_lsn(self.ctl, self.tail, end, _WAIT_SECONDS)
        self.wait_log("shut down cleanly", self.shutdowns + 1)
        self.shutdowns += 1
        time.sleep(1)
        result = self.ctl.compare(_VOLUME, self.server.datadir)
        if int(result["pages_unequal"]) != 0 or int(result["pages_compared"]) == 0:
            raise CheckError(f"{result['pages_unequal']} of {result['pages_compared']} pages unequal: {str(result)[:1500]}")
        return int(result["pages_compared"])

    shutdowns = 0


def watchdog(world: World) -> str:
    """A tailer that stands still must not hold commits up, whatever it has registered."""
    pid = world.tail.pid
    if pid is None:
        raise CheckError("redotail does not run")
    before = world.load(5)
    os.kill(pid, signal.SIGSTOP)
    try:
        during = world.load(40)
    finally:
        os.kill(pid, signal.SIGCONT)
    stalled = longest_stall(during)
    if stalled > 2 * _WATCHDOG_SECONDS:
        raise CheckError(f"no transaction for {stalled} s while redotail stood still: {during}")
    stack.wait_for_lsn(world.ctl, world.tail, world.server.status("Innodb_redo_log_checkpoint_lsn"), _WAIT_SECONDS)
    reimported = world.log().count("import complete") > 1
    if reimported:
        world.wait_log("import complete", 2)
    return (
        f"{median(before):.0f} tps before, {median(during):.0f} while it stood still, longest stall {stalled} s"
        f"{', gap seen and imported anew' if reimported else ''}"
    )


def capacity(world: World) -> str:
    """Redo files are truncated, renamed and recycled under load."""
    for size in (8, 64, 16, 48):
        world.server.run_sql(f"SET GLOBAL innodb_redo_log_capacity = {size << 20}")
        world.load(4)
    return "48 -> 8 -> 64 -> 16 -> 48 MiB under load"


def recreated(world: World) -> str:
    """The redo directory is emptied after a clean shutdown."""
    imports = world.log().count("import needed")
    world.server.stop()
    world.wait_log("shut down cleanly", world.shutdowns + 1)
    world.shutdowns += 1
    directory = world.server.datadir / "#innodb_redo"
    for file in directory.iterdir():
        file.unlink()
    world.server.start()
    world.load(3)
    world.wait_log("made anew after a clean shutdown")
    if world.log().count("import needed") != imports:
        raise CheckError("a new import, although nothing was lost")
    return "followed on over the new log"


def discard(world: World) -> str:
    """A table comes back from a copy and nobody changes it."""
    run = world.server.run_sql
    run(
        "CREATE DATABASE IF NOT EXISTS d; DROP TABLE IF EXISTS d.t; CREATE TABLE d.t (id INT PRIMARY KEY, s VARCHAR(200));"
        "INSERT INTO d.t SELECT id, REPEAT(c, 1) FROM sbtest.sbtest1 LIMIT 3000"
    )
    # The lock is held while the session lives, so the copy is made from within it.
    folder = world.server.datadir / "d"
    run("FLUSH TABLES d.t FOR EXPORT; SYSTEM cp d/t.ibd d/t.ibd.copy && cp d/t.cfg d/t.cfg.copy;\nUNLOCK TABLES")
    run("DELETE FROM d.t; ALTER TABLE d.t DISCARD TABLESPACE")
    (folder / "t.ibd.copy").rename(folder / "t.ibd")
    (folder / "t.cfg.copy").rename(folder / "t.cfg")
    run("ALTER TABLE d.t IMPORT TABLESPACE")
    time.sleep(8)
    rows = world.server.scalar("SELECT COUNT(*) FROM d.t")
    return f"{rows} rows came back"


def redo_off(world: World) -> str:
    """What happens while redo is off is in no log."""
    imports = world.log().count("import complete")
    world.server.run_sql("ALTER INSTANCE DISABLE INNODB REDO_LOG")
    world.load(3)
    world.server.run_sql("ALTER INSTANCE ENABLE INNODB REDO_LOG")
    world.load(3)
    world.wait_log("import complete", imports + 1)
    # On an idle server the LSN hardly moves: the hole begins and ends in one block of the log.
    world.server.run_sql("CREATE TABLE sbtest.o (id INT PRIMARY KEY)")
    time.sleep(5)
    world.server.run_sql(
        "ALTER INSTANCE DISABLE INNODB REDO_LOG; INSERT INTO sbtest.o VALUES (1);"
        "ALTER INSTANCE ENABLE INNODB REDO_LOG"
    )
    world.wait_log("import complete", imports + 2)
    return "imported anew, under load and on an idle server"


def page_server(world: World) -> str:
    """A page server that hangs, then dies, then comes back."""
    pid = world.page_server.pid
    if pid is None:
        raise CheckError("pageserver does not run")
    os.kill(pid, signal.SIGSTOP)
    try:
        during = world.load(20)
    finally:
        os.kill(pid, signal.SIGCONT)
    world.page_server.kill9()
    threading.Timer(3, world.page_server.start).start()
    world.load(6)
    stalled = longest_stall(during)
    if stalled > 2 * _WATCHDOG_SECONDS:
        raise CheckError(f"no transaction for {stalled} s while the page server hung: {during}")
    return f"{median(during):.0f} tps while it hung, longest stall {stalled} s"


def import_killed(world: World) -> str:
    """A tailer dies in the import that repairs a hole, when redo behind the hole has been applied."""
    followed = int(world.ctl.status(_VOLUME)["applied_lsn"])
    world.tail.kill9()
    world.server.run_sql(f"SET GLOBAL innodb_redo_log_capacity = {8 << 20}")
    for _ in range(20):
        world.load(3)
        if world.server.status("Innodb_redo_log_checkpoint_lsn") > followed + (16 << 20):
            break
    world.tail.extra = ("--import-rate", str(1 << 20))
    world.tail.start()
    world.wait_log("was recycled before it was read")
    world.wait_log("import of", 2)
    world.load(3)
    hole = int(world.ctl.status(_VOLUME)["holes"][-1]["end_lsn"])
    stack.wait_for_lsn(world.ctl, world.tail, hole + 1, _WAIT_SECONDS)
    world.tail.kill9()
    if world.log().count("import complete") != 1:
        raise CheckError("the import that was to be killed had ended")
    world.tail.extra = ()
    world.tail.start()
    world.wait_log("import complete", 2)
    return f"hole up to LSN {hole} repaired by the second import"


def waiting_alter(world: World) -> str:
    """Whether an index on an expression is finished, only the dictionary says, which waits for the locks of every table."""
    world.server.run_sql(
        "CREATE TABLE sbtest.held (id INT PRIMARY KEY); INSERT INTO sbtest.held VALUES (1);"
        "CREATE TABLE sbtest.built (id INT AUTO_INCREMENT PRIMARY KEY, k INT);"
        "INSERT INTO sbtest.built (k) SELECT k FROM sbtest.sbtest1"
    )
    with world.server.session() as reader:
        reader.send("BEGIN; SELECT * FROM sbtest.held;")
        reader.answer()
        with world.server.session() as alter:
            alter.send("ALTER TABLE sbtest.held ADD COLUMN z INT, ALGORITHM=INPLACE;")
            time.sleep(1)
            waiting = "SELECT COUNT(*) FROM performance_schema.processlist WHERE state = 'Waiting for table metadata lock'"
            if world.server.scalar(waiting) != "1":
                raise CheckError("the ALTER does not wait, so nothing is shown")
            world.server.run_sql(
                "CREATE INDEX by_expression ON sbtest.built ((k % 100)); UPDATE sbtest.built SET k = k + 1 WHERE id < 500"
            )
            stack.wait_for_lsn(world.ctl, world.tail, world.server.status("Innodb_redo_log_flushed_to_disk_lsn"), _PROMPT_SECONDS)
    world.server.run_sql("UPDATE sbtest.built SET k = k + 1 WHERE id < 500")
    world.wait_log("without a record of it")
    return f"followed on within {_PROMPT_SECONDS} s, the index read when the dictionary answered"


def longest_stall(tps: list[float]) -> int:
    """The longest run of seconds without a transaction."""
    longest = run = 0
    for value in tps:
        run = run + 1 if value == 0 else 0
        longest = max(longest, run)
    return longest


def median(values: list[float]) -> float:
    """The middle value."""
    return sorted(values)[len(values) // 2]


def password(world: World) -> str:
    """A login that the server refuses."""
    world.server.run_sql("CREATE USER 'reader'@'localhost' IDENTIFIED BY 'right'")
    secret = world.server.datadir.parent / "password"
    secret.write_text("wrong\n", encoding="utf-8")
    arguments = ["reader" if argument == "root" else argument for argument in world.tail.arguments()]
    command = [str(stack.binary("redotail")), *arguments, "--mysql-password-file", str(secret)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WAIT_SECONDS)
    wanted = ("user reader", str(world.server.socket), "--mysql-password-file")
    if done.returncode != 3 or not all(text in done.stderr for text in wanted):
        raise CheckError(f"redotail ended with {done.returncode}: {done.stderr[-500:]}")
    world.load(2)
    return "refused, user, socket and option named"


SCENARIOS: dict[str, Callable[[World], str]] = {
    "watchdog": watchdog,
    "capacity": capacity,
    "recreated": recreated,
    "discard": discard,
    "redo_off": redo_off,
    "page_server": page_server,
    "import_killed": import_killed,
    "waiting_alter": waiting_alter,
    "password": password,
}


def check(name: str, root: Path) -> str:
    """One scenario on a fresh server; raises when something is not as it must be."""
    world = World(root)
    with world.server, world.page_server, world.tail:
        world.start()
        outcome = SCENARIOS[name](world)
        compared = world.compare()
        world.tail.stop()
    return f"{outcome}; {compared} pages equal"


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="What a tailer must survive.")
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], default=[])
    parser.add_argument("--keep", type=Path, help="leave servers and logs here")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.names or SCENARIOS:
        root = (arguments.keep or Path(tempfile.mkdtemp(prefix="redoubt-tail-"))) / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        try:
            stack.progress(f"{name}: {check(name, root)}")
        except (CheckError, mysql.ServerError, mysql.SqlError, stack.StackError) as problem:
            stack.progress(f"{name}: FAILED: {problem}")
            failed += 1
        finally:
            if arguments.keep is None:
                shutil.rmtree(root.parent, ignore_errors=True)
    print("GOOD" if failed == 0 else f"BAD: {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
