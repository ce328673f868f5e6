# SPDX-License-Identifier: MIT
"""bench.py --compute: servers whose pages and redo are in Redoubt beside an unpatched one, on the same machine.

Three contenders: stock (the same source and compiler options without patches, doublewrite on), NOWRITE and STATELESS, each of the
two on a volume of its own; three log servers and one page server, which both volumes share. No binary log,
innodb_flush_log_at_trx_commit=1, redo files of the size that MySQL gives them by itself. A load that writes is measured when it has
made more redo than these files hold: before that a server need not write the pages that it changes, behind it it must, as fast as it
changes them. Rounds are run in turns; who is not being measured is stopped (SIGSTOP), so that what it still flushes costs nobody else
anything, and the page server has applied everything before the next one's turn. A ratio is the median of the ratios of the rounds.

Parts: write, read-write, point (all data in the buffer pool), small-pool (a quarter of the data), start (kill -9 under load, then
the time from the start to the first answer).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import bench_data
import compute_servers
import demo_compute
import mysql
import packages
import stack
from compute_servers import PatchedServer, Servers
from tail_cost import cpu_seconds

PARTS = ("write", "read-write", "point", "small-pool", "start")
_SCRIPTS = {"write": "oltp_write_only", "read-write": "oltp_read_write", "point": "oltp_point_select"}
_WRITE = (_SCRIPTS["write"], _SCRIPTS["read-write"])
_LSN = "Innodb_redo_log_current_lsn"
_POOL_BYTES_MIN = 8 << 20
_REDO_CAPACITY = 100 << 20  # what a server has that is told nothing
# Rows changed in one transaction of the load that is killed: much redo, few commits.
_HEAVY = ("--index-updates=10", "--non-index-updates=10", "--delete-inserts=10")
_LOAD_SECONDS_MAX = 1800
# InnoDB flushes pages at the rate at which they turn dirty, whatever it is told, but not more than this in a second.
_FEW_WRITES = (*bench_data.LAZY_FLUSHING, "--innodb-io-capacity=100", "--innodb-io-capacity-max=100")
# The checkpoint may follow all the same: then the load ends when it has made so many times the redo that was wanted.
_REDO_TIMES_MAX = 1.5


@dataclasses.dataclass
class Sizes:
    """How much is measured."""

    rounds: int
    seconds: int
    threads: int
    tables: int
    rows: int
    redo_bytes: int
    steady: bool  # loads that write are measured when they have filled the redo files once

    def sysbench(self) -> list[str]:
        """Its arguments for the tables."""
        return [f"--tables={self.tables}", f"--table-size={self.rows}", "--mysql-db=sbtest", f"--threads={self.threads}"]


@dataclasses.dataclass
class Figure:
    """One line of the table. `value` is what the limit is about; without a limit it is only reported."""

    name: str
    ours: str
    theirs: str = ""
    value: float | None = None
    limit: float | None = None
    at_most: bool = False
    unit: str = "x"

    @property
    def verdict(self) -> str:
        """Empty where nothing was asked for."""
        if self.limit is None or self.value is None:
            return ""
        return "good" if (self.value <= self.limit if self.at_most else self.value >= self.limit) else "MISSED"

    def text(self) -> str:
        """The line of the Markdown table."""
        value = "" if self.value is None else f"{self.value:.3g}{self.unit}"
        limit = "" if self.limit is None else f"{'<=' if self.at_most else '>='} {self.limit:g}{self.unit}"
        return f"| {self.name} | {self.ours} | {self.theirs} | {value} | {limit} | {self.verdict} |"

    def json(self) -> dict[str, object]:
        """All of it."""
        return {**dataclasses.asdict(self), "verdict": self.verdict}


@dataclasses.dataclass
class Round:
    """What one contender did in one round; all but the rate is per transaction."""

    rate: float
    p95_ms: float
    write_bytes: float  # of mysqld, as the kernel counts what goes to the disk (/proc/PID/io)
    written_chars: float  # of mysqld, as it calls write() and pwrite()
    cpu_us: dict[str, float]


def io_of(pid: int | None) -> dict[str, int]:
    """/proc/PID/io."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


class Contender:
    """One server, and the processes behind it; stopped by a signal while others are measured."""

    def __init__(self, name: str, server: mysql.Server, arguments: list[str], servers: Servers | None, volume: str = "") -> None:
        self.name = name
        self.server = server
        self.arguments = arguments
        self._servers = servers
        self.volume = volume

    def start(self, pool_bytes: int, *more: str) -> None:
        """With an empty directory where the mode has it so."""
        self.server.options = dataclasses.replace(self.server.options, buffer_pool=str(pool_bytes))
        if self.name.startswith("STATELESS"):
            shutil.rmtree(self.server.datadir, ignore_errors=True)
            self.server.datadir.mkdir()
        self.server.start(*self.arguments, *more)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """It runs inside, and nothing of it is left to do behind."""
        self._signal(signal.SIGCONT)
        try:
            yield
            self.settle()
        finally:
            self._signal(signal.SIGSTOP)

    def settle(self) -> None:
        """The page server has applied all, and nothing waits for the disk."""
        if self._servers and isinstance(self.server, PatchedServer):
            self._servers.wait_applied(int(self.server.pageserver_status()["wal_commit_lsn"]), volume=self.volume)
        os.sync()

    def stop(self) -> None:
        """A clean shutdown."""
        self._signal(signal.SIGCONT)
        self.server.stop()

    def _signal(self, what: signal.Signals) -> None:
        if self.server.pid is not None:
            os.kill(self.server.pid, what)

    def _cpu(self) -> dict[str, float]:
        used = {"mysqld": cpu_seconds(self.server.pid)}
        if self._servers:
            used["log servers"] = sum(cpu_seconds(one.pid) for one in self._servers.log_servers)
            used["page server"] = cpu_seconds(self._servers.page_server.pid)
        children = os.times()
        used["sysbench"] = children.children_user + children.children_system
        return used

    def measure(self, script: str, sizes: Sizes, seconds: int) -> Round:
        """One round."""
        cpu, io = self._cpu(), io_of(self.server.pid)
        output = self.server.sysbench(script, [*sizes.sysbench(), f"--time={seconds}"])
        io_then, cpu_then = io_of(self.server.pid), self._cpu()
        done = mysql.sysbench_result(output)
        count = max(done.transactions, 1)
        return Round(
            done.per_second,
            done.p95_ms,
            (io_then["write_bytes"] - io["write_bytes"]) / count,
            (io_then["wchar"] - io["wchar"]) / count,
            {name: (cpu_then[name] - cpu[name]) / count * 1e6 for name in cpu},
        )

    def warm(self, script: str, sizes: Sizes) -> None:
        """Runs the load before it is measured."""
        seconds = 1 + sizes.seconds // 2
        begin = self.server.status(_LSN)
        self.measure(script, sizes, seconds)
        while script in _WRITE and sizes.steady and self.server.status(_LSN) < begin + _REDO_CAPACITY:
            self.measure(script, sizes, seconds)


def _median(rounds: list[Round], field: str) -> float:
    return statistics.median(getattr(one, field) for one in rounds)


def _cpu_text(rounds: list[Round]) -> str:
    each = {name: statistics.median(one.cpu_us[name] for one in rounds) for name in rounds[0].cpu_us}
    return f"{sum(each.values()):.0f} us (" + ", ".join(f"{name} {us:.0f}" for name, us in each.items()) + ")"


class ComputeBench:
    """The parts; each returns its figures."""

    def __init__(self, work_dir: Path, sizes: Sizes, modes: list[str], beside: Path | None) -> None:
        self.work_dir = work_dir
        self.sizes = sizes
        self.servers = Servers(work_dir, 3)
        self.contenders: list[Contender] = []
        self._running = ExitStack()
        self._modes = modes
        self._beside = beside
        self.data_bytes = 0

    def __enter__(self) -> ComputeBench:
        for server in self.servers.all:
            self._running.enter_context(server)
        return self

    def __exit__(self, *what: object) -> None:
        self._running.close()

    def prepare(self, stock_programs: Path, programs: Path) -> None:
        """The tables, made once by the unpatched server; a volume for each of ours."""
        options = mysql.Options(redo_capacity=str(_REDO_CAPACITY), buffer_pool="512M")
        stock = PatchedServer(self.work_dir / "stock", stock_programs, options)
        self._running.enter_context(stock)
        stock.initialize()
        stock.start()
        stock.run_sql("CREATE DATABASE sbtest")
        stock.sysbench("oltp_write_only", self.sizes.sysbench(), "prepare")
        stock.stop(fast_shutdown=0)
        self.data_bytes = sum(file.stat().st_size for file in (stock.datadir / "sbtest").iterdir())
        for server in self.servers.all:
            server.start()
        self.contenders = [Contender("stock", stock, [], None)]
        ours = [(mode, mode, programs) for mode in self._modes]
        if self._beside:
            ours.append(("STATELESS beside", "STATELESS", self._beside))
        for name, mode, build in ours:
            volume = name.lower().replace(" ", "-")
            server = PatchedServer(self.work_dir / volume, build, options)
            self._running.enter_context(server)
            if mode == "NOWRITE":
                shutil.copytree(stock.datadir, server.datadir)
            self.servers.seed(stock.datadir, volume)
            self.contenders.append(Contender(name, server, self.servers.arguments(mode, volume), self.servers, volume))

    def _start_all(self, pool_bytes: int) -> None:
        for one in self.contenders:
            with one.turn():
                one.start(pool_bytes)

    def _stop_all(self) -> None:
        for one in self.contenders:
            one.stop()

    def _rounds(self, script: str) -> dict[str, list[Round]]:
        """All rounds of one load, by contender."""
        results: dict[str, list[Round]] = {one.name: [] for one in self.contenders}
        for one in self.contenders:
            with one.turn():
                one.warm(script, self.sizes)
        for number in range(self.sizes.rounds):
            order = self.contenders if number % 2 == 0 else self.contenders[::-1]
            for one in order:
                with one.turn():
                    results[one.name].append(one.measure(script, self.sizes, self.sizes.seconds))
            said = ", ".join(f"{name} {rounds[-1].rate:.0f}/s" for name, rounds in results.items())
            stack.progress(f"  {script}, round {number + 1} of {self.sizes.rounds}: {said}")
        return results

    def _figures(self, what: str, script: str, results: dict[str, list[Round]], limit: float | None) -> list[Figure]:
        stock = results["stock"]
        figures = []
        for one in self.contenders[1:]:
            rounds = results[one.name]
            ratio = statistics.median(a.rate / b.rate for a, b in zip(rounds, stock, strict=True))

            def rate(of: list[Round]) -> str:
                return f"{_median(of, 'rate'):.0f}/s, p95 {_median(of, 'p95_ms'):.1f} ms"

            figures.append(Figure(f"{script}, {what}, {one.name}", rate(rounds), rate(stock), ratio, limit))
            figures.append(
                Figure(f"processor time a transaction, {script}, {what}, {one.name}", _cpu_text(rounds), _cpu_text(stock))
            )
        return figures

    def _bytes(self, results: dict[str, list[Round]]) -> list[Figure]:
        """What mysqld writes for a transaction."""

        def text(of: list[Round]) -> str:
            return f"{_median(of, 'write_bytes'):.0f} bytes (write calls: {_median(of, 'written_chars'):.0f})"

        stock = results["stock"]
        figures = []
        for one in self.contenders[1:]:
            rounds = results[one.name]
            share = _median(rounds, "write_bytes") / max(_median(stock, "write_bytes"), 1)
            limit = 0.1 if one.name.startswith("STATELESS") else None
            figures.append(
                Figure(f"written to disk by mysqld a transaction, {one.name}", text(rounds), text(stock), share, limit, True)
            )
        return figures

    def _read_all(self) -> None:
        """Every row and index entry once: all contenders have them in the pool, also one that started in an empty directory."""
        for one in self.contenders:
            with one.turn():
                for table in range(1, self.sizes.tables + 1):
                    for index in ("PRIMARY", f"k_{table}"):
                        one.server.scalar(f"SELECT SUM(k) FROM sbtest.sbtest{table} FORCE INDEX ({index})")

    def in_memory(self, parts: list[str]) -> list[Figure]:
        """The three loads with a pool that holds everything."""
        limits = {"write": 0.8, "point": 0.98, "read-write": None}
        figures: list[Figure] = []
        self._start_all(max(512 << 20, 2 * self.data_bytes))
        self._read_all()
        for part in parts:
            stack.progress(f"measuring: {part}, everything in the buffer pool")
            results = self._rounds(_SCRIPTS[part])
            figures += self._figures("in memory", _SCRIPTS[part], results, limits[part])
            if part == "write":
                figures += self._bytes(results)
        self._stop_all()
        return figures

    def small_pool(self) -> list[Figure]:
        """The three loads with a pool of a quarter of the data, reads first: then the times of reads are theirs."""
        pool = max(_POOL_BYTES_MIN, self.data_bytes // 4)
        what = f"pool of {pool >> 20} of {self.data_bytes >> 20} MiB"
        figures: list[Figure] = []
        self._start_all(pool)
        for part in ("point", "read-write", "write"):
            stack.progress(f"measuring: {part}, {what}")
            results = self._rounds(_SCRIPTS[part])
            figures += self._figures(what, _SCRIPTS[part], results, None)
            if part == "point":
                for one in self.contenders[1:]:
                    with one.turn():
                        figures.append(self._page_reads(one))
        self._stop_all()
        return figures

    @staticmethod
    def _page_reads(one: Contender) -> Figure:
        assert isinstance(one.server, PatchedServer)
        status = one.server.pageserver_status()
        return Figure(
            f"page reads of oltp_point_select, {one.name}",
            f"{status['reads']} pages, p50 {status['read_wait_us_p50']} us, p99 {status['read_wait_us_p99']} us, "
            f"{float(status['read_batch_mean']):.2f} pages a request",
        )

    # ---- start after a crash

    def _load_and_kill(self, one: Contender, behind: str) -> int:
        """The heavy load until there is enough redo behind the status variable's LSN, or enough in all; kill -9 in its middle.

        The bytes that a start would have to apply, or, without a variable, that there were.
        """
        limits = (*_HEAVY, f"--time={_LOAD_SECONDS_MAX}")
        load = threading.Thread(target=demo_compute.load, args=(one.server, self.sizes.sysbench(), *limits), daemon=True)
        from_lsn = one.server.status(_LSN)
        load.start()
        said = 0.0
        while True:
            lsn = one.server.status(_LSN)
            redo = lsn - (one.server.status(behind) if behind else from_lsn)
            if redo >= self.sizes.redo_bytes or lsn - from_lsn >= _REDO_TIMES_MAX * self.sizes.redo_bytes:
                break
            if time.monotonic() - said > 10:
                said = time.monotonic()
                stack.progress(f"  {one.name}: {redo / 1e6:.0f} of {self.sizes.redo_bytes / 1e6:.0f} MB of redo")
            if not load.is_alive():
                raise stack.StackError(f"{one.name}: the load ended with {redo} bytes of redo")
            time.sleep(0.5)
        one.server.kill9()
        load.join(60)
        return redo

    def start(self) -> list[Figure]:
        """Empty directory beside crash recovery, after the same load."""
        stock = self.contenders[0]
        ours = next(one for one in self.contenders if one.name == "STATELESS")
        pool = 4 << 30  # crash recovery keeps the redo itself in the pool, too
        query = "SELECT COUNT(*) FROM sbtest.sbtest1 WHERE id <= 100"
        stack.progress("measuring: start after kill -9, stock")
        before = stock.server.options
        stock.server.options = dataclasses.replace(before, redo_capacity="4G")
        stock.start(pool, *_FEW_WRITES)
        redo = self._load_and_kill(stock, "Innodb_redo_log_checkpoint_lsn")
        os.sync()
        theirs, _ = demo_compute.first_answer(stock.server, query)
        stock.server.options = before
        stock.server.kill9()
        stack.progress(f"stock: first answer after {theirs:.2f} s; STATELESS")
        ours.start(pool)
        ours_redo = self._load_and_kill(ours, "")
        shutil.rmtree(ours.server.datadir)
        ours.server.datadir.mkdir()
        seconds, _ = demo_compute.first_answer(ours.server, query, *ours.arguments)
        ours.stop()
        texts = (f"{seconds:.2f} s, {ours_redo / 1e6:.0f} MB of redo since its start",
                 f"crash recovery {theirs:.2f} s, {redo / 1e6:.0f} MB of redo to apply")  # fmt: skip
        return [
            Figure("start to first query in an empty directory after kill -9", *texts, seconds, 10, True, " s"),
            Figure("the same, beside stock's crash recovery", *texts, seconds / theirs, 0.5, True),
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only --compute knows."""
    group = parser.add_argument_group("with --compute")
    group.add_argument("--part", action="append", choices=PARTS, help="only this part; may be given again")
    group.add_argument("--mode", action="append", choices=("NOWRITE", "STATELESS"), help="only this mode beside stock")
    group.add_argument("--rounds", type=int, default=5, help="of each load (default 5)")
    group.add_argument("--seconds", type=int, default=10, help="of each round (default 10)")
    group.add_argument("--threads", type=int, default=32, help="of sysbench (default 32; see innodb-patch/README.md for 8)")
    group.add_argument("--beside", type=Path, metavar="DIR", help="another patched build, measured as STATELESS too")
    group.add_argument("--quick", action="store_true", help="small and short: that it works, with mode OFF where no unpatched mysqld is kept; exit code 0 whatever the figures")
    group.add_argument("--if-built", action="store_true", help=f"exit code {compute_servers.SKIPPED} when no patched mysqld is there")


def _sizes(options: argparse.Namespace) -> Sizes:
    if options.quick:
        return Sizes(1, 2, options.threads, 2, 5000, 10_000_000, steady=False)
    redo_bytes = (options.redo_mb or 1000) * 1_000_000
    return Sizes(options.rounds, options.seconds, options.threads, 4, 100_000, redo_bytes, steady=True)


def _stock_programs(quick: bool) -> Path:
    """The unpatched server; whoever only wants to see that the benchmark works need not build it for that."""
    if not quick:
        return compute_servers.ensure_built(patched=False)
    try:
        return compute_servers.built_programs(patched=False)
    except stack.StackError:
        stack.progress("no unpatched mysqld is kept: the patched one in mode OFF stands in for it")
        return compute_servers.built_programs()


def measure(work_dir: Path, options: argparse.Namespace) -> list[Figure]:
    """The parts that were asked for."""
    parts = options.part or list(PARTS)
    modes = options.mode or ["NOWRITE", "STATELESS"]
    if "start" in parts and "STATELESS" not in modes:
        raise stack.StackError("part start is about mode STATELESS")
    stock_programs, programs = _stock_programs(options.quick), compute_servers.ensure_built()
    figures: list[Figure] = []
    with ComputeBench(work_dir, _sizes(options), modes, options.beside) as bench:
        stack.progress("preparing the tables and the volumes")
        bench.prepare(stock_programs, programs)
        in_memory = [part for part in parts if part in _SCRIPTS]
        if in_memory:
            figures += bench.in_memory(in_memory)
        if "small-pool" in parts:
            figures += bench.small_pool()
        if "start" in parts:
            figures += bench.start()
    return figures


def run(options: argparse.Namespace) -> int:
    """bench.py --compute; the exit code."""
    if options.if_built and not compute_servers.wanted_and_built():
        return compute_servers.SKIPPED
    packages.ensure(["build", "test", "bench"])
    mysql.install()
    # Who ends it ends its servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as work_dir:
        figures = measure(Path(work_dir), options)
    print("\n| what | Redoubt | stock | value | wanted | verdict |\n|---|---|---|---|---|---|")
    for figure in figures:
        print(figure.text())
    if options.json:
        options.json.write_text(json.dumps([figure.json() for figure in figures], indent=1), encoding="utf-8")
    missed = [figure.name for figure in figures if figure.verdict == "MISSED"]
    for name in missed:
        print(f"missed: {name}")
    return 1 if missed and not options.quick else 0
