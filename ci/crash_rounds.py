#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of page server, tailer and mysqld at random moments under load; afterwards every page has to be equal.

The moments and victims come from the seed; what the processes are doing then does not. Rows whose commit was
acknowledged are counted, and all of them have to be in a restored server at the end.

python3 ci/crash_rounds.py [--rounds N] [--seed N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from pathlib import Path

import mysql
import redo_files
import stack
import workloads

_VOLUME = "crash"
_WAIT_SECONDS = 300
_VICTIMS = ("pageserver", "redotail", "mysqld")


class Load:
    """Three writers that live through crashes of the server: sysbench, row moves, and acknowledged single rows."""

    def __init__(self, server: mysql.Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=f) for f in (self._sysbench, self._row_moves, self._acknowledge)]
        self.acknowledged = 0

    def _pause_after_failure(self) -> None:
        """A statement fails only because the server was killed; give it time to come back."""
        self._stop.wait(0.3)

    def _sysbench(self) -> None:
        seed = 1
        while not self._stop.is_set():
            try:
                arguments = ["--tables=3", "--table-size=5000", "--threads=2", "--events=500", f"--rand-seed={seed}"]
                self._server.sysbench("oltp_read_write", arguments)
            except (mysql.SqlError, mysql.ServerError):
                self._pause_after_failure()
            seed += 1

    def _row_moves(self) -> None:
        while not self._stop.is_set():
            try:
                workloads.run(self._server, workloads.ALL["row_moves"])
            except (mysql.SqlError, mysql.ServerError):
                self._pause_after_failure()

    def _acknowledge(self) -> None:
        number = 1
        while not self._stop.is_set():
            try:
                self._server.run_sql(f"INSERT IGNORE INTO acknowledged.rows_kept VALUES ({number})")
            except (mysql.SqlError, mysql.ServerError):
                self._pause_after_failure()
                continue
            self.acknowledged = number
            number += 1

    def __enter__(self) -> Load:
        self._server.run_sql(
            "CREATE DATABASE sbtest; CREATE DATABASE acknowledged; "
            "CREATE TABLE acknowledged.rows_kept (id INT PRIMARY KEY)"
        )
        self._server.sysbench("oltp_read_write", ["--tables=3", "--table-size=5000"], "prepare")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._server.pid is None:
            return  # The clients end by themselves when the server has gone.
        for thread in self._threads:
            thread.join()


class Rounds(stack.Following):
    """The three processes and what one round does to them."""

    def __init__(self, work_dir: Path, seed: int) -> None:
        super().__init__(work_dir, _VOLUME)
        self.random = random.Random(seed)

    def victims(self, rounds: int) -> list[tuple[str, ...]]:
        """Every kind equally often, in random order; the last of each ten rounds takes all three at once."""
        singles = [(_VICTIMS[n % len(_VICTIMS)],) for n in range(rounds)]
        self.random.shuffle(singles)
        return [_VICTIMS if n % 10 == 9 else single for n, single in enumerate(singles)]

    def crash(self, names: tuple[str, ...]) -> None:
        """Kills the victims, waits a moment, starts them again in the order in which they need each other."""
        time.sleep(self.random.uniform(0.5, 4.0))
        order = list(names)
        self.random.shuffle(order)
        for name in order:
            {"pageserver": self.page_server, "redotail": self.tail, "mysqld": self.server}[name].kill9()
        time.sleep(self.random.uniform(0.0, 2.0))
        if "pageserver" in names:
            self.page_server.start()
        if "mysqld" in names:
            self.server.start()
        if "redotail" in names:
            self.tail.start()

    def follow_up(self) -> int:
        """Waits until the volume has passed what the server had on disk just now; returns that LSN."""
        lsn = self.server.status("Innodb_redo_log_flushed_to_disk_lsn")
        deadline = time.monotonic() + _WAIT_SECONDS
        while int(self.ctl.status(_VOLUME)["applied_lsn"]) < lsn:
            self.tail.check_running()
            self.page_server.check_running()
            if time.monotonic() > deadline:
                raise stack.StackError(f"the volume did not reach LSN {lsn}; redotail:\n{self.tail.log_tail()}")
            time.sleep(0.2)
        return lsn

    def run(self, rounds: int) -> list[str]:
        """All rounds and the comparison; returns what was wrong."""
        with self:
            self.start_servers()
            with Load(self.server) as load:
                self.tail.start()
                stack.wait_for_import(self.ctl, self.tail, _WAIT_SECONDS)
                for number, names in enumerate(self.victims(rounds), start=1):
                    self.crash(names)
                    lsn = self.follow_up()
                    stack.progress(f"round {number}: killed {', '.join(names)}; followed up to LSN {lsn}")
            self.server.stop()
            stack.wait_for_lsn(self.ctl, self.tail, redo_files.end_lsn(self.server.datadir), _WAIT_SECONDS)
            problems = self._compare() + self._look_for_rows(load.acknowledged)
            self.tail.stop()
            self.page_server.stop()
        return problems

    def _compare(self) -> list[str]:
        result = self.ctl.compare(_VOLUME, self.server.datadir)
        compared, unequal = int(result["pages_compared"]), int(result["pages_unequal"])
        stack.progress(f"{compared} pages compared, {unequal} unequal")
        problems = [f"unequal: {page}" for page in (result.get("unequal") or [])[:20]]
        if compared == 0 or (unequal and not problems):
            problems.append(f"{compared} pages compared, {unequal} unequal")
        return problems

    def _look_for_rows(self, acknowledged: int) -> list[str]:
        target = self.work_dir / "restored"
        self.ctl.restore(_VOLUME, target, "--latest")
        with mysql.Server(target, self.server.options) as restored:
            restored.start()
            kept = int(restored.scalar(f"SELECT COUNT(*) FROM acknowledged.rows_kept WHERE id <= {acknowledged}"))
            restored.stop()
        stack.progress(f"{acknowledged} commits were acknowledged, {kept} of them are in the restored server")
        return [] if kept == acknowledged > 0 else [f"{acknowledged} rows acknowledged, {kept} found"]


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="kill -9 at random moments, then compare every page.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here and keep everything")
    arguments = parser.parse_args()
    rounds, seed = arguments.rounds, arguments.seed
    summary = f"{rounds} rounds, seed {seed}"
    return stack.run_check("crash", arguments.keep, lambda work_dir: Rounds(work_dir, seed).run(rounds), summary)


if __name__ == "__main__":
    sys.exit(main())
