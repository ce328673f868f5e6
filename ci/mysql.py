#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stock MySQL 9.7 in a private prefix, and servers run from it.

The packages come from Debian sid and need a newer libc than the machine has, so every program is started through the
prefix's own dynamic loader. Nothing outside the cache directory is touched.

python3 ci/mysql.py install             unpack the server (idempotent), print the prefix
python3 ci/mysql.py start DIR           initialise DIR if it is absent or empty, start a server on it
python3 ci/mysql.py stop DIR            clean shutdown
python3 ci/mysql.py sql DIR [SQL]       run SQL (or standard input) on it
python3 ci/mysql.py std-data            fetch the data directories of older versions out of MySQL's test data
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sid

PACKAGES = ["mysql-server-core", "mysql-client-core"]
SERIES = "9.7"
_READY_SECONDS = 180
_SHUTDOWN_SECONDS = 300
_SOCKET_PATH_MAX = 100  # sockaddr_un holds 107 bytes; the server adds a suffix for its lock file.


def cache_dir() -> Path:
    """Where downloaded and unpacked things live; REDOUBT_CACHE moves it."""
    return Path(os.environ.get("REDOUBT_CACHE", Path.home() / ".cache" / "redoubt"))


def install() -> Path:
    """Unpacks the server below the cache directory unless that was done before; returns the prefix."""
    done = sorted(cache_dir().glob(f"mysql-{SERIES}*/.complete"))
    if done:
        return done[-1].parent
    archive = sid.SidArchive(cache_dir() / "apt-sid")
    print("mysql: reading Debian sid's package lists", flush=True)
    archive.update()
    version = archive.version(PACKAGES[0])
    if not version.startswith(SERIES + "."):
        raise RuntimeError(f"Debian sid has MySQL {version}; this project was tested with {SERIES}")
    prefix = cache_dir() / f"mysql-{version.split('-')[0]}"
    started = time.monotonic()
    print(f"mysql: downloading {version} and its dependencies", flush=True)
    debs = archive.download(PACKAGES, with_dependencies=True)
    partial = prefix.with_name(prefix.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(prefix, ignore_errors=True)
    sid.unpack(debs, partial)
    (partial / ".complete").write_text(f"{version}\n{len(debs)} packages\n", encoding="utf-8")
    partial.rename(prefix)
    seconds = time.monotonic() - started
    print(f"mysql: {len(debs)} packages unpacked in {seconds:.0f} s: {prefix}", flush=True)
    return prefix


def program(name: str) -> list[str]:
    """The command line prefix that runs one of the unpacked programs (mysqld, mysql, innochecksum, ...)."""
    prefix = install()
    for folder in ("usr/sbin", "usr/bin"):
        path = prefix / folder / name
        if path.exists():
            break
    else:
        raise FileNotFoundError(f"{name} is not in {prefix}")
    loader = next(prefix.glob("usr/lib*/ld-linux*"), None)
    library_dirs = [d for d in prefix.glob("usr/lib/*-linux-gnu") if d.is_dir()]
    if loader is None or not library_dirs:
        raise FileNotFoundError(f"no dynamic loader in {prefix}; remove the directory and install again")
    return [str(loader), "--library-path", ":".join(map(str, library_dirs)), str(path)]


@dataclasses.dataclass
class Options:
    """What the tests vary about a server. Sizes as mysqld takes them ("64M")."""

    page_size: int = 16384
    redo_capacity: str = "128M"
    buffer_pool: str = "256M"
    change_buffering: str | None = None
    flush_log_at_trx_commit: int = 1
    binlog: bool = False
    directories: tuple[str, ...] = ()  # other places for tablespaces, relative to the data directory; made when absent
    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """The mysqld options for these settings."""
        chosen = [
            f"--innodb-page-size={self.page_size}",
            f"--innodb-redo-log-capacity={self.redo_capacity}",
            f"--innodb-buffer-pool-size={self.buffer_pool}",
            f"--innodb-flush-log-at-trx-commit={self.flush_log_at_trx_commit}",
        ]
        if self.change_buffering is not None:
            chosen.append(f"--innodb-change-buffering={self.change_buffering}")
        if not self.binlog:
            chosen.append("--skip-log-bin")
        return [*chosen, *self.extra]


class ServerError(RuntimeError):
    """The server or one of its client programs failed; carries the end of the error log."""


class SqlError(RuntimeError):
    """A statement failed; carries the client's message."""


@dataclasses.dataclass
class SysbenchResult:
    """What a run of sysbench came to."""

    transactions: int
    per_second: float
    p95_ms: float


def sysbench_result(output: str) -> SysbenchResult:
    """Reads sysbench's output."""
    match = re.search(r"transactions:\s+(\d+)\s+\(([0-9.]+) per sec.*95th percentile:\s+([0-9.]+)", output, re.S)
    if match is None:
        raise SqlError(f"no rate in sysbench's output: {output[-500:]}")
    return SysbenchResult(int(match[1]), float(match[2]), float(match[3]))


class Session:
    """What Server.session() gives: statements go in, and what they print comes back line by line."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        assert client.stdin is not None and client.stdout is not None and client.stderr is not None
        self._statements, self._answers, self._errors = client.stdin, client.stdout, client.stderr

    def send(self, statements: str) -> None:
        """Hands statements to the client, without waiting for them; raises OSError when it has ended."""
        self._statements.write(statements + "\n")

    def answer(self) -> str:
        """The next line that the statements print; "" when the client has ended, as it does at the first error."""
        return self._answers.readline().strip()

    def failure(self) -> str:
        """What the client complained of; waits for its end."""
        return self._errors.read().strip()


class Server:
    """One mysqld on one data directory. Reached over a Unix socket only; `DATADIR.run` holds socket, pid and log."""

    def __init__(self, datadir: Path | str, options: Options | None = None) -> None:
        self.datadir = Path(datadir).absolute()
        self.options = options or Options()
        self.run_dir = self.datadir.with_name(self.datadir.name + ".run")
        self.error_log = self.run_dir / "error.log"
        self._process: subprocess.Popen[bytes] | None = None

    # -- files ---------------------------------------------------------------------------------------------------

    @property
    def socket(self) -> Path:
        """The Unix socket; kept in a short temporary directory when the data directory's path is too long for one."""
        path = self.run_dir / "mysqld.sock"
        if len(str(path)) <= _SOCKET_PATH_MAX:
            return path
        link = self.run_dir / "socket_dir"
        if not link.exists():
            link.symlink_to(tempfile.mkdtemp(prefix="redoubt-mysqld-"))
        return link.resolve() / "mysqld.sock"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int((self.run_dir / "pid").read_text(encoding="ascii"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if f"--datadir={self.datadir}".encode() in command else None

    def error_log_tail(self, lines: int = 25) -> str:
        """The last lines of the server's error log."""
        try:
            text = self.error_log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(no error log)"
        return "\n".join(text.splitlines()[-lines:])

    # -- life ----------------------------------------------------------------------------------------------------

    def _directories(self) -> list[Path]:
        return [(self.datadir / directory).resolve() for directory in self.options.directories]

    def _command(self, *more: str) -> list[str]:
        share = install() / "usr/share/mysql"
        known = ";".join(map(str, self._directories()))
        return [
            *program("mysqld"),
            "--no-defaults",
            f"--datadir={self.datadir}",
            f"--basedir={install() / 'usr'}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
            f"--plugin-dir={install() / 'usr/lib/mysql/plugin'}",
            "--secure-file-priv=",
            "--mysqlx=OFF",
            "--user=root",
            f"--log-error={self.error_log}",
            *self.options.arguments(),
            *([f"--innodb-directories={known}"] if known else []),
            *more,
        ]

    def initialize(self) -> None:
        """Makes a fresh data directory with a passwordless root; the directory must be absent or empty."""
        self.datadir.mkdir(parents=True, exist_ok=True)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        command = self._command("--initialize-insecure")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"mysqld --initialize-insecure failed:\n{done.stderr}{self.error_log_tail()}")

    def start(self, *more: str, wait: bool = True) -> None:
        """Starts mysqld, detached from this program's terminal, and waits until it answers."""
        if self.pid is not None:
            raise ServerError(f"a server already runs on {self.datadir} (pid {self.pid})")
        self.run_dir.mkdir(parents=True, exist_ok=True)
        for directory in self._directories():
            directory.mkdir(parents=True, exist_ok=True)
        command = self._command(f"--socket={self.socket}", "--skip-networking", *more)
        with open(self.error_log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.run_dir / "pid").write_text(str(self._process.pid), encoding="ascii")
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Waits until a statement succeeds; raises when the process ends or time runs out."""
        deadline = time.monotonic() + seconds
        while True:
            if self.pid is None:
                raise ServerError(f"mysqld on {self.datadir} ended at start:\n{self.error_log_tail()}")
            if self.socket.exists() and self._client("SELECT 1").returncode == 0:
                return
            if time.monotonic() > deadline:
                raise ServerError(f"mysqld on {self.datadir} not ready:\n{self.error_log_tail()}")
            time.sleep(0.1)

    def stop(self, fast_shutdown: int = 1, seconds: float = _SHUTDOWN_SECONDS) -> None:
        """Clean shutdown; does nothing when the server does not run. fast_shutdown as innodb_fast_shutdown (0 purges all)."""
        if self.pid is None:
            return
        self.run_sql(f"SET GLOBAL innodb_fast_shutdown={fast_shutdown}; SHUTDOWN")
        self._wait_gone(seconds)

    def kill9(self) -> None:
        """Kills the server without warning, as a crash does."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        self._wait_gone(30)

    def _wait_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > deadline:
                raise ServerError(f"mysqld {self.pid} did not end:\n{self.error_log_tail()}")
            time.sleep(0.05)
        (self.run_dir / "pid").unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill9()

    # -- talk ----------------------------------------------------------------------------------------------------

    def client_command(self, *more: str) -> list[str]:
        """The command line of the mysql client connected to this server."""
        charsets = install() / "usr/share/mysql/charsets"
        return [
            *program("mysql"),
            "--no-defaults",
            "--user=root",
            f"--socket={self.socket}",
            f"--character-sets-dir={charsets}",
            "--default-character-set=utf8mb4",
            "--batch",
            "--commands",
            "--system-command",
            "--skip-column-names",
            *more,
        ]

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A client that stays connected; the end of the block kills it, and what it did not commit is rolled back."""
        client = subprocess.Popen(
            self.client_command("--unbuffered"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        try:
            yield Session(client)
        finally:
            client.kill()
            client.communicate()

    def _client(self, text: str | Path, *more: str) -> subprocess.CompletedProcess[str]:
        # The client runs in the data directory, so that a workload may copy files of it.
        if isinstance(text, Path):
            with open(text, encoding="utf-8") as file:
                return self._run_client(more, stdin=file)
        return self._run_client(more, input=text)

    def _run_client(self, more: tuple[str, ...], **feed: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.client_command(*more), cwd=self.datadir, capture_output=True, text=True, check=False, **feed
        )

    def run_sql(self, text: str | Path, database: str = "") -> str:
        """Runs statements, or a file of them; returns what they print. Raises SqlError at the first that fails."""
        done = self._client(text, *([database] if database else []))
        if done.returncode != 0:
            name = text.name if isinstance(text, Path) else text[:200]
            raise SqlError(f"{name}: {done.stderr.strip()}")
        return done.stdout

    def query(self, statement: str, database: str = "") -> list[list[str]]:
        """Rows of one query, each value as text ("NULL" for null)."""
        return [line.split("\t") for line in self.run_sql(statement, database).splitlines()]

    def scalar(self, statement: str, database: str = "") -> str:
        """The only value of the only row."""
        return self.query(statement, database)[0][0]

    def status(self, name: str) -> int:
        """A numeric server status variable."""
        return int(self.query(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    def sysbench(self, script: str, arguments: Sequence[str], action: str = "run") -> str:
        """Runs a sysbench script's action over the socket; returns its output, raises with it on failure."""
        command = [
            "sysbench",
            script,
            "--db-driver=mysql",
            f"--mysql-socket={self.socket}",
            "--mysql-user=root",
            *arguments,
            action,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
            raise SqlError(f"sysbench {script} {action}: {tail}")
        return done.stdout


def innochecksum(file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs innochecksum on a tablespace file that no server has open."""
    command = [*program("innochecksum"), *more, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fetch_source_std_data() -> Path:
    """The data directories of older versions out of MySQL's own test data; see std_data.py."""
    import std_data

    return std_data.fetch(cache_dir())


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="A stock MySQL in a private prefix.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="unpack the server, print where")
    commands.add_parser("std-data", help="fetch data directories of older versions")
    start = commands.add_parser("start", help="initialise when empty, then start")
    start.add_argument("dir", type=Path)
    start.add_argument("--page-size", type=int, default=16384)
    start.add_argument("--redo-capacity", default="128M")
    start.add_argument("--buffer-pool", default="256M")
    start.add_argument("--change-buffering")
    start.add_argument("--mysqld", action="append", default=[], metavar="OPTION", help="as --mysqld=--sync-binlog=0")
    stop = commands.add_parser("stop", help="clean shutdown")
    stop.add_argument("dir", type=Path)
    stop.add_argument("--fast-shutdown", type=int, default=1)
    sql = commands.add_parser("sql", help="run statements, or standard input")
    sql.add_argument("dir", type=Path)
    sql.add_argument("statements", nargs="?")
    sql.add_argument("--database", default="")
    arguments = parser.parse_args()

    if arguments.command == "install":
        print(install())
    elif arguments.command == "std-data":
        print(fetch_source_std_data())
    elif arguments.command == "start":
        options = Options(
            page_size=arguments.page_size,
            redo_capacity=arguments.redo_capacity,
            buffer_pool=arguments.buffer_pool,
            change_buffering=arguments.change_buffering,
            extra=tuple(arguments.mysqld),
        )
        server = Server(arguments.dir, options)
        if not server.datadir.exists() or not any(server.datadir.iterdir()):
            print(f"mysql: initialising {server.datadir}", flush=True)
            server.initialize()
        server.start()
        print(f"mysql: ready, pid {server.pid}, socket {server.socket}")
    elif arguments.command == "stop":
        Server(arguments.dir).stop(arguments.fast_shutdown)
    else:
        text = arguments.statements if arguments.statements else sys.stdin.read()
        print(Server(arguments.dir).run_sql(text, arguments.database), end="")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, SqlError) as problem:
        sys.exit(f"mysql: {problem}")
