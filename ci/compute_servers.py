# SPDX-License-Identifier: MIT
"""A mysqld of innodb-patch/ and the servers of its volume as processes, and a client that remembers what was acknowledged.

python3 ci/compute_servers.py    builds that mysqld, and what its tests load, unless REDOUBT_NO_MYSQLD is set; gives up at
                                 REDOUBT_MYSQLD_UNTIL (seconds since 1970)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import mysql
import stack

ROOT = Path(__file__).resolve().parent.parent
VOLUME = "compute"
_TABLES = ("--tables=2", "--table-size=20000")


SKIPPED = 77  # ctest's SKIP_RETURN_CODE of what needs that mysqld


def build_command(patched: bool = True) -> list[str]:
    """What builds the mysqld of the patches as they are now, or the unpatched one; nothing is done when it is kept."""
    return [sys.executable, str(ROOT / "innodb-patch" / "build.py"), *(("mysql_clone.so",) if patched else ("--stock",))]


@contextlib.contextmanager
def mysqld_build(nice: int = 0, output: IO[str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The patched mysqld is being built meanwhile, at that priority; what is not done at the end is ended."""
    command = ["nice", "-n", str(nice), *build_command()]
    # A group of its own: compilers end with it.
    building = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        yield building
    finally:
        if building.poll() is None:
            os.killpg(building.pid, signal.SIGTERM)
            building.wait()


def built_programs(patched: bool = True) -> Path:
    """The directory with the mysqld of the patches as they are now, or with the unpatched one."""
    command = build_command(patched)
    done = subprocess.run([*command, "--print"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        what = "mysqld for these patches" if patched else "unpatched mysqld"
        raise stack.StackError(f"there is no {what}; run: {' '.join(command)}")
    return Path(done.stdout.strip())


def is_built() -> bool:
    """Whether a mysqld of the patches as they are now is kept."""
    try:
        built_programs()
    except stack.StackError:
        return False
    return True


def wanted() -> bool:
    """Whether ci/check.py was not told to leave that mysqld out; says so if it was."""
    if os.environ.get("REDOUBT_NO_MYSQLD"):
        print("skipped: --no-mysqld")
        return False
    return True


def wanted_and_built() -> bool:
    """Whether there is a mysqld of these patches, and it is wanted. Says why not."""
    if not wanted():
        return False
    try:
        built_programs()
    except stack.StackError as problem:
        print(f"skipped: {problem}")
        return False
    return True


def ensure_built(patched: bool = True) -> Path:
    """The same; built when it is not there."""
    if subprocess.run(build_command(patched), check=False).returncode != 0:
        raise stack.StackError("innodb-patch/build.py failed")
    return built_programs(patched)


class PatchedServer(mysql.Server):
    """As a stock server of the tests, with the patched mysqld; the client programs stay the stock ones."""

    def __init__(self, datadir: Path, programs: Path, options: mysql.Options | None = None) -> None:
        super().__init__(datadir, options)
        self.programs = programs

    def _command(self, *more: str) -> list[str]:
        where = [f"--datadir={self.datadir}", f"--log-error={self.error_log}"]
        return [str(self.programs / "mysqld"), *self.basic_options(), *where, *more]

    def basic_options(self) -> list[str]:
        """What a server that is not installed needs to run, and what the tests set."""
        return [
            "--no-defaults",
            f"--lc-messages-dir={self.programs / 'share'}",
            f"--character-sets-dir={self.programs / 'share' / 'charsets'}",
            "--secure-file-priv=",
            "--user=root",
            *self.options.arguments(),
        ]

    def pageserver_status(self) -> dict[str, str]:
        """SHOW STATUS LIKE 'Innodb_pageserver%', names without the prefix."""
        rows = self.query("SHOW GLOBAL STATUS LIKE 'Innodb_pageserver%'")
        return {row[0].removeprefix("Innodb_pageserver_"): row[1] if len(row) > 1 else "" for row in rows}

    def exit_code(self, seconds: float) -> int | None:
        """Waits for the process to end by itself."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def load(self, seconds: float, script: str = "oltp_read_write") -> str:
        """sysbench on the prepared tables."""
        return self.sysbench(script, [*_TABLES, "--mysql-db=sbtest", "--threads=4", f"--time={seconds:.0f}"])

    def prepare(self) -> None:
        """sysbench's tables and the ledger."""
        self.run_sql("CREATE DATABASE sbtest; CREATE DATABASE ledger")
        self.sysbench("oltp_read_write", [*_TABLES, "--mysql-db=sbtest"], "prepare")
        self.run_sql("CREATE TABLE ledger.t (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))")
        # The dictionary knows the numbers that were given before sysbench's CREATE INDEX; this one comes behind them.
        self.run_sql("INSERT INTO sbtest.sbtest1 (k) VALUES (1)")


class Ledger(threading.Thread):
    """Inserts rows one by one from a client of its own and remembers what was acknowledged."""

    def __init__(self, server: PatchedServer) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ending = threading.Event()
        self.acknowledged = 0

    def run(self) -> None:
        """Until the server goes away or end() is called."""
        with self._server.session() as session, contextlib.suppress(OSError):
            while not self._ending.is_set():
                session.send("INSERT INTO ledger.t (note) VALUES (REPEAT('x', 150)); SELECT LAST_INSERT_ID();")
                answer = session.answer()
                if not answer.isdigit():
                    return
                self.acknowledged = int(answer)

    def end(self) -> int:
        """Stops; the last id that was acknowledged."""
        self._ending.set()
        self.join(60)
        return self.acknowledged


class Servers:
    """The volume's servers: one for everything, or three for the log and one for pages."""

    def __init__(self, work_dir: Path, count: int) -> None:
        roles = ("--role", "all") if count == 1 else ("--role", "log")
        self.log_servers = [self._server(work_dir, f"log{i}", roles) for i in range(1, count + 1)]
        self.page_server = self.log_servers[0]
        if count > 1:
            self.page_server = self._server(work_dir, "page", ("--role", "page", "--log-servers", self.addresses()))
        self.all = list(dict.fromkeys([*self.log_servers, self.page_server]))
        self.ctl = stack.PageCtl(self.page_server)

    @staticmethod
    def _server(work_dir: Path, name: str, extra: tuple[str, ...]) -> stack.PageServer:
        server = stack.PageServer(work_dir / name, work_dir, extra=extra)
        server.log = work_dir / f"{name}.log"
        return server

    def addresses(self) -> str:
        """Of the log servers, as flags and variables want them."""
        return ",".join(s.address for s in self.log_servers)

    def arguments(self, mode: str = "STREAM", volume: str = VOLUME) -> list[str]:
        """mysqld's."""
        return [
            f"--innodb-pageserver-mode={mode}",
            f"--innodb-pageserver-page-servers={self.page_server.address}",
            f"--innodb-pageserver-log-servers={self.addresses()}",
            f"--innodb-pageserver-volume={volume}",
        ]

    def seed(self, datadir: Path, volume: str = VOLUME) -> None:
        """The pages of a server that was shut down cleanly."""
        command = [str(stack.binary("redotail")), "--cold", "--datadir", str(datadir), "--volume", volume,
                   "--to", self.page_server.address, "--log-servers", self.addresses()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise stack.StackError(f"redotail --cold ended with {done.returncode}: {done.stdout}{done.stderr}")

    def wait_applied(self, lsn: int, seconds: float = 120, volume: str = VOLUME) -> None:
        """Until the page server has everything up to the LSN."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.ctl.status(volume)
            applied = int(status["applied_lsn"])
            if applied >= lsn or (lsn % 512 == 12 and applied >= lsn - 12):
                return
            if time.monotonic() > deadline:
                raise stack.StackError(f"not applied up to {lsn} within {seconds:.0f} s: {json.dumps(status)}")
            time.sleep(0.2)


def main() -> int:
    """ctest's entry compute_mysqld."""
    if not wanted():
        return SKIPPED
    with contextlib.suppress(stack.StackError):
        print(f"there is one: {built_programs()}")
        return 0
    until = os.environ.get("REDOUBT_MYSQLD_UNTIL")
    seconds = max(float(until) - time.time(), 1) if until else None
    with mysqld_build() as building:
        try:
            return building.wait(seconds)
        except subprocess.TimeoutExpired:
            print("skipped: the patched mysqld is not built in time; what is compiled is kept for the next time")
            return SKIPPED


if __name__ == "__main__":
    sys.exit(main())
