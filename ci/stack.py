# SPDX-License-Identifier: MIT
"""The built programs as processes: a page server, a tailer that follows one MySQL server, and pagectl.

Every start has a log file in the working directory given; a failure quotes its end. Everything started is stopped by
the context managers, also on an exception.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import mysql

_Self = TypeVar("_Self")

ROOT = Path(__file__).resolve().parent.parent
_READY_SECONDS = 60
_STOP_SECONDS = 60
_COMMAND_SECONDS = 1200


class StackError(RuntimeError):
    """A program of ours failed; the message says which, and quotes its log."""


def binary(name: str) -> Path:
    """A program of the release build, or of the build directory REDOUBT_BUILD names."""
    path = Path(os.environ.get("REDOUBT_BUILD", ROOT / "build" / "release")) / "bin" / name
    if not path.exists():
        raise StackError(f"{path} does not exist; build with: cmake --preset release && cmake --build --preset release")
    return path


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def progress(text: str) -> None:
    """One line of progress with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Program:
    """A long-running program with a log file; started, stopped, killed, started again."""

    def __init__(self, name: str, work_dir: Path) -> None:
        self.name = name
        self.log = work_dir / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def arguments(self) -> list[str]:
        """The command line without the program itself."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id while it lives."""
        return self._process.pid if self._process is not None and self.running else None

    def log_tail(self, lines: int = 20) -> str:
        """The last lines the program wrote."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def start(self) -> None:
        """Starts the program; the log is appended to."""
        if self.running:
            raise StackError(f"{self.name} already runs")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [str(binary(self.name)), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check_running(self) -> None:
        """Raises with the end of the log when the program has ended by itself."""
        if self._process is not None and not self.running:
            raise StackError(f"{self.name} ended with {self._process.returncode}:\n{self.log_tail()}")

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """SIGTERM; raises when the program does not end in time or not with exit code 0."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise StackError(f"{self.name} did not end on SIGTERM within {seconds:.0f} s:\n{self.log_tail()}") from None
        if code != 0:
            raise StackError(f"{self.name} ended with {code} on SIGTERM:\n{self.log_tail()}")

    def kill9(self) -> None:
        """Kills without warning."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def __enter__(self: _Self) -> _Self:
        """A guard that starts nothing: whatever runs when the block is left is killed."""
        return self

    def __exit__(self, *_: object) -> None:
        self.kill9()


class PageServer(Program):
    """`pageserver` on a directory and a port of the loopback interface."""

    def __init__(self, data_dir: Path, work_dir: Path, port: int | None = None, extra: tuple[str, ...] = ()) -> None:
        super().__init__("pageserver", work_dir)
        self.data_dir = data_dir
        self.address = f"127.0.0.1:{port or free_port()}"
        self.extra = extra

    def arguments(self) -> list[str]:
        """See Program."""
        return ["--data-dir", str(self.data_dir), "--listen", self.address, *self.extra]

    def start(self) -> None:
        """Starts and waits for the line that says it serves."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        super().start()
        deadline = time.monotonic() + _READY_SECONDS
        while "ready" not in self.log.read_bytes()[seen:].decode("utf-8", "replace"):
            self.check_running()
            if time.monotonic() > deadline:
                raise StackError(f"pageserver did not say ready within {_READY_SECONDS} s:\n{self.log_tail()}")
            time.sleep(0.05)


class RedoTail(Program):
    """`redotail` between one MySQL server and one volume."""

    def __init__(self, server: mysql.Server, page_server: PageServer, volume: str, work_dir: Path) -> None:
        super().__init__("redotail", work_dir)
        self.server = server
        self.page_server = page_server
        self.volume = volume

    def arguments(self) -> list[str]:
        """See Program."""
        return [
            "--datadir", str(self.server.datadir),
            "--mysql", f"unix:{self.server.socket}",
            "--mysql-user", "root",
            "--to", self.page_server.address,
            "--volume", self.volume,
        ]  # fmt: skip


class PageCtl:
    """Runs pagectl against a page server."""

    def __init__(self, page_server: PageServer) -> None:
        self.page_server = page_server

    def run(self, *arguments: str, seconds: float = _COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """One command; the caller looks at the exit code."""
        command = [str(binary("pagectl")), "--server", self.page_server.address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)

    def json(self, *arguments: str, may_fail: bool = False) -> dict[str, Any]:
        """One command with --json; its answer. With may_fail an exit code other than 0 is fine if there is an answer."""
        done = self.run(*arguments, "--json")
        if done.returncode == 0 or (may_fail and done.stdout.strip().startswith("{")):
            try:
                return json.loads(done.stdout)
            except json.JSONDecodeError as problem:
                raise StackError(f"pagectl {' '.join(arguments)}: {problem}: {done.stdout[:500]!r}") from problem
        text = (done.stdout + done.stderr).strip()
        raise StackError(f"pagectl {' '.join(arguments)} ended with {done.returncode}: {text}")

    def status(self, volume: str) -> dict[str, Any]:
        """The volume's state; an empty one while the volume does not exist yet."""
        try:
            return self.json("volume", "status", volume)
        except StackError:
            return {"applied_lsn": 0, "commit_lsn": 0, "horizon_lsn": 0}

    def compare(self, volume: str, datadir: Path) -> dict[str, Any]:
        """Compares every page at the newest LSN with the files of a server that was shut down cleanly."""
        return self.json("compare", volume, "--datadir", str(datadir), "--latest", may_fail=True)

    def restore(self, volume: str, target: Path, *moment: str) -> dict[str, Any]:
        """Writes a data directory as of --lsn N, --time T or --latest."""
        return self.json("restore", volume, *moment, "--to", str(target))


class Following:
    """A MySQL server, a page server and the tailer between them, in one working directory.

    A context in which they can run: nothing is started on entry, everything that runs is killed on exit.
    """

    def __init__(self, work_dir: Path, volume: str, options: mysql.Options | None = None) -> None:
        self.work_dir = work_dir
        self.volume = volume
        self.server = mysql.Server(work_dir / "mysql", options)
        self.page_server = PageServer(work_dir / "pageserver", work_dir)
        self.tail = RedoTail(self.server, self.page_server, volume, work_dir)
        self.ctl = PageCtl(self.page_server)
        self._running = ExitStack()

    def start_servers(self) -> None:
        """A fresh MySQL server and the page server; the tailer is the caller's to start."""
        self.server.initialize()
        self.server.start()
        self.page_server.start()

    def __enter__(self: _Self) -> _Self:
        """See the class."""
        for program in (self.server, self.page_server, self.tail):
            self._running.enter_context(program)
        return self

    def __exit__(self, *what: object) -> None:
        self._running.close()


def run_check(name: str, keep: Path | None, check: Callable[[Path], list[str]], summary: str) -> int:
    """Runs a check in a working directory and prints what it says was wrong; returns the exit code.

    The directory goes away only when all was well and the caller does not want to keep it.
    """
    work_dir = keep or Path(tempfile.mkdtemp(prefix=f"redoubt-{name}-"))
    try:
        problems = check(work_dir)
    except (mysql.ServerError, mysql.SqlError, StackError) as problem:
        problems = [str(problem)]
    for text in problems:
        print(f"    {text}")
    print(f"\n{'BAD' if problems else 'GOOD'}: {summary}, {len(problems)} problems")
    if problems:
        print(f"servers, volume and logs are left in {work_dir}")
    elif keep is None:
        shutil.rmtree(work_dir, ignore_errors=True)
    return 1 if problems else 0


def wait_for_import(ctl: PageCtl, tail: RedoTail, seconds: float) -> dict[str, Any]:
    """Waits until the volume can be read, which is when the import has finished; returns the status."""
    return _wait(ctl, tail, seconds, "finish the import", lambda status: int(status["horizon_lsn"]) > 0)


def wait_for_lsn(ctl: PageCtl, tail: RedoTail, lsn: int, seconds: float) -> dict[str, Any]:
    """Waits until everything up to an LSN is applied and no page image is still owed; returns the status."""

    def arrived(status: dict[str, Any]) -> bool:
        applied = int(status["applied_lsn"])
        at_end = applied >= lsn or (lsn % 512 == 12 and applied >= lsn - 12)
        return at_end and not status.get("spaces_wanting_images")

    return _wait(ctl, tail, seconds, f"apply up to LSN {lsn}", arrived)


def _wait(ctl: PageCtl, tail: RedoTail, seconds: float, what: str, done: Any) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        tail.check_running()
        tail.page_server.check_running()
        status = ctl.status(tail.volume)
        error = str(status.get("ingest_error") or "")
        if error and not error.startswith("unavailable"):  # unavailable: the volume is just being created
            raise StackError(f"volume {tail.volume} stopped ingesting: {error}")
        if done(status):
            return status
        if time.monotonic() > deadline:
            raise StackError(
                f"did not {what} within {seconds:.0f} s; status {json.dumps(status)}\n"
                f"redotail's log:\n{tail.log_tail()}\npageserver's log:\n{tail.page_server.log_tail()}"
            )
        time.sleep(0.2)
