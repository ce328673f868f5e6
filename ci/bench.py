#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures Redoubt beside what people know: ratios from one run, printed as a table and written as JSON.

python3 ci/bench.py [--only PART]... [--redo-mb N] [--json FILE]
python3 ci/bench.py --compute [--part PART]... [--quick] [--redo-mb N] [--json FILE]

Parts: recovery (parse + apply beside mysqld's crash recovery), ingest, getpage (beside redis GET), restore (beside
cp -r; stored bytes too), memory. What redotail costs the server that it follows is measured by ci/tail_cost.py, the
single steps of the applier by build/release/bin/innodb_bench. --compute measures the patched mysqld beside an unpatched
one instead: see compute_bench.py.
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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench_data
import compute_bench
import mysql
import packages
import stack

_GETPAGE_ROUNDS = 7
_GETPAGE_SECONDS = 1
_REDIS_KEYS = 1000
_PAGE_BYTES = 16384


@contextlib.contextmanager
def _started_on(processor: int) -> Iterator[None]:
    """What is started inside runs on this one of our processors (the last one when there are not so many)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[: processor + 1][-1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclasses.dataclass
class Row:
    """One line of the table. `ratio` is ours over theirs where more is better, so 1.0 is a draw."""

    name: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    target: float | None = None

    def text(self) -> str:
        """The line of the Markdown table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}x"
        target = "" if self.target is None else f">= {self.target:g}x"
        return f"| {self.name} | {self.ours} | {self.theirs} | {ratio} | {target} |"


class Bench:
    """The parts; each returns its rows."""

    def __init__(self, work_dir: Path, data_dir: Path, redo_bytes: int) -> None:
        self.work_dir = work_dir
        self.data_dir = data_dir
        self.redo_bytes = redo_bytes

    def crashed(self) -> bench_data.CrashedServer:
        """The redo that the parts replay."""
        return bench_data.make(self.data_dir, self.redo_bytes)

    def recovery(self) -> list[Row]:
        """Parse + apply, one core, reading and checksums included, beside mysqld's recovery on all cores."""
        crashed = self.crashed()
        copy = bench_data.copy_to(crashed.datadir, self.work_dir / "recovery")
        options = mysql.Options(redo_capacity="2G", buffer_pool="6G")
        with mysql.Server(copy, options) as server:
            began = time.monotonic()
            server.start()
            crash_start = time.monotonic() - began
            server.stop()
            began = time.monotonic()
            server.start()
            clean_start = time.monotonic() - began
        shutil.rmtree(copy)
        theirs = crash_start - clean_start
        command = ["taskset", "-c", "0", str(stack.binary("redo_rebuild")), "--json"]
        directory = str(crashed.datadir)
        best: dict[str, Any] = {}
        for _ in range(3):
            # Base and final are the same crashed files: what is measured is the replay, not the comparison.
            done = subprocess.run(
                [*command, "--base", directory, "--final", directory], capture_output=True, text=True, check=False
            )
            result = json.loads(done.stdout.strip().splitlines()[-1])
            if result["apply_errors"] != 0 or result["applied"] == 0:
                raise stack.StackError(f"redo_rebuild: {done.stdout[-500:]}")
            if not best or result["seconds"] < best["seconds"]:
                best = result
        records = (best["applied"] + best["skipped_by_lsn"]) / best["seconds"] / 1e6
        return [
            Row(
                f"parse + apply of {best['redo_bytes'] / 1e6:.0f} MB redo",
                f"{best['seconds']:.1f} s, {best['mb_per_second']:.0f} MB/s, {records:.1f} M records/s, 1 core",
                f"mysqld crash recovery {theirs:.1f} s, 2 cores",
                theirs / best["seconds"],
                3,
            )
        ]

    def _bench_program(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(stack.binary("rpc_bench")), *arguments, "--json"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise stack.StackError(f"rpc_bench {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _page_server(self, name: str, *extra: str) -> stack.PageServer:
        directory = self.work_dir / name
        shutil.rmtree(directory, ignore_errors=True)
        return stack.PageServer(directory, self.work_dir, extra=extra)

    def ingest(self) -> list[Row]:
        """Redo over loopback: acknowledged as synced, parsed, in RocksDB."""
        crashed = self.crashed()
        with self._page_server("ingest") as page_server:
            page_server.start()
            result = self._bench_program(
                "ingest", "--server", page_server.address, "--volume", "bench",
                "--redo", str(crashed.datadir / "#innodb_redo"),
            )  # fmt: skip
            page_server.stop()
        return [
            Row("ingest over loopback, synced and in RocksDB", f"{result['mb_per_second']:.0f} MB/s",
                "100 MB/s", result["mb_per_second"] / 100, 1),
            Row("append acknowledged to readable",
                f"p50 {result['visible_p50_us'] / 1000:.2f} ms, p99 {result['visible_p99_us'] / 1000:.2f} ms"),
        ]  # fmt: skip

    def getpage(self) -> list[Row]:
        """GetPage of hot pages beside GET of 16 KiB values from redis-server, 1 and 16 clients.

        Each server on one processor, its clients on another: left to the kernel, a pair shares one in some rounds and not
        in others, which is worth more than anything that is measured here.
        """
        rows = []
        port = stack.free_port()
        with _started_on(1):
            redis = subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                stdout=subprocess.DEVNULL,
            )
        try:
            with self._page_server("getpage") as page_server:
                with _started_on(1):
                    page_server.start()
                with _started_on(0):
                    self._redis(port, "set", 16, 20 * _REDIS_KEYS)
                    for clients in (1, 16):
                        rows.append(self._getpage_row(page_server, port, clients))
                page_server.stop()
        finally:
            redis.send_signal(signal.SIGTERM)
            redis.wait()
        return rows

    def _getpage_row(self, page_server: stack.PageServer, port: int, clients: int) -> Row:
        """Rounds of both in turn, and their medians."""
        theirs: list[dict[str, float]] = []
        ours: list[dict[str, float]] = []
        for _ in range(_GETPAGE_ROUNDS):
            theirs.append(self._redis(port, "get", clients, 30_000 * (1 if clients == 1 else 3)))
            ours.append(
                self._bench_program(
                    "getpage", "--server", page_server.address, "--volume", "bench",
                    "--clients", str(clients), "--seconds", str(_GETPAGE_SECONDS),
                )
            )  # fmt: skip

        def text(rate: str, rounds: list[dict[str, float]]) -> str:
            middle = {key: statistics.median(one[key] for one in rounds) for key in (rate, "p50_us", "p99_us")}
            return f"{middle[rate]:.0f}/s, p50 {middle['p50_us']:.0f} us, p99 {middle['p99_us']:.0f} us"

        return Row(
            f"GetPage hot, {clients} client{'s' if clients > 1 else ''}",
            text("per_second", ours),
            f"redis GET {text('rps', theirs)}",
            statistics.median(a["per_second"] / b["rps"] for a, b in zip(ours, theirs, strict=True)),
            1,
        )

    def _redis(self, port: int, command: str, clients: int, requests: int) -> dict[str, float]:
        done = subprocess.run(
            ["redis-benchmark", "-p", str(port), "-t", command, "-d", str(_PAGE_BYTES), "-r", str(_REDIS_KEYS),
             "-c", str(clients), "-n", str(requests), "--csv"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        names, values = (line.replace('"', "").split(",") for line in done.stdout.strip().splitlines()[-2:])
        cell = dict(zip(names, values, strict=True))
        return {
            "rps": float(cell["rps"]),
            "p50_us": float(cell["p50_latency_ms"]) * 1000,
            "p99_us": float(cell["p99_latency_ms"]) * 1000,
        }

    def restore(self) -> list[Row]:
        """Import a server, restore it, and compare the rate with cp -r of the same files."""
        crashed = self.crashed()
        copy = bench_data.copy_to(crashed.datadir, self.work_dir / "restore-source")
        target = self.work_dir / "restored"
        with mysql.Server(copy, mysql.Options(redo_capacity="2G", buffer_pool="4G")) as server:
            server.start()
            page_server = self._page_server("restore")
            tail = stack.RedoTail(server, page_server, "bench", self.work_dir)
            ctl = stack.PageCtl(page_server)
            with page_server, tail:
                page_server.start()
                tail.start()
                stack.wait_for_import(ctl, tail, 600)
                server.sysbench("oltp_write_only", ["--tables=4", "--table-size=50000", "--mysql-db=sbtest",
                                "--threads=4", "--events=40000", "--time=60"])  # fmt: skip
                # While the server is there to ask: what a stopped one owes comes only with its next start.
                stack.wait_for_lsn(ctl, tail, server.status("Innodb_redo_log_flushed_to_disk_lsn"), 300)
                server.stop()
                state = stack.wait_for_lsn(ctl, tail, 0, 300)
                time.sleep(3)
                tail.stop()
                began = time.monotonic()
                ctl.restore("bench", target, "--latest")
                ours = time.monotonic() - began
                state = ctl.status("bench")
                page_server.stop()
        os.sync()
        began = time.monotonic()
        subprocess.run(["cp", "-r", str(target), str(self.work_dir / "copied")], check=True)
        os.sync()
        theirs = time.monotonic() - began
        size = sum(f.stat().st_blocks * 512 for f in target.rglob("*") if f.is_file())
        stored = sum(f.stat().st_blocks * 512 for f in (self.work_dir / "restore").rglob("*")
                     if f.is_file() and "log" not in f.relative_to(self.work_dir / "restore").parts)  # fmt: skip
        redo = int(state.get("ingested_bytes", 0))
        pages = size // _PAGE_BYTES
        return [
            Row(f"restore of {size / 1e6:.0f} MB, synced", f"{size / ours / 1e6:.0f} MB/s",
                f"cp -r and sync {size / theirs / 1e6:.0f} MB/s", theirs / ours),
            Row(f"stored after {redo / 1e6:.0f} MB redo and the import",
                f"{stored / 1e6:.0f} MB, {stored / max(redo, 1):.2f} bytes per redo byte, "
                f"{stored / max(pages, 1):.0f} bytes per live page"),
        ]  # fmt: skip

    def memory(self) -> list[Row]:
        """Peak memory of a page server that takes 2 GB of redo, beside its limit."""
        crashed = self.crashed()
        cache_bytes = 256 << 20
        limit = cache_bytes + (256 << 20)
        volumes = max(1, -(-2_000_000_000 // crashed.redo_bytes))
        with self._page_server("memory", "--cache-bytes", str(cache_bytes)) as page_server:
            page_server.start()
            for number in range(volumes):
                self._bench_program(
                    "ingest", "--server", page_server.address, "--volume", f"bench{number}",
                    "--redo", str(crashed.datadir / "#innodb_redo"),
                )  # fmt: skip
            status = Path(f"/proc/{page_server.pid}/status").read_text(encoding="ascii")
            peak = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
            page_server.stop()
        return [
            Row(f"peak memory while ingesting {volumes * crashed.redo_bytes / 1e9:.1f} GB of redo",
                f"{peak / (1 << 20):.0f} MiB", f"limit {limit / (1 << 20):.0f} MiB", limit / peak, 1)
        ]  # fmt: skip


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("recovery", "ingest", "getpage", "restore", "memory")
    parser.add_argument("--only", action="append", choices=parts, help="only this part; may be given again")
    parser.add_argument("--redo-mb", type=int, help="redo to replay (default 450; with --compute 1000)")
    parser.add_argument("--data", type=Path, help="where the crashed server is kept for the next run")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--compute", action="store_true", help="the patched mysqld beside an unpatched one, and nothing else")
    compute_bench.add_arguments(parser)
    options = parser.parse_args()
    if options.compute:
        return compute_bench.run(options)
    packages.ensure(["build", "test", "bench"])
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as work_dir:
        data = options.data or Path(work_dir) / "data"
        data.mkdir(parents=True, exist_ok=True)
        bench = Bench(Path(work_dir), data, (options.redo_mb or 450) * 1_000_000)
        for part in options.only or parts:
            stack.progress(f"measuring: {part}")
            work: Callable[[], list[Row]] = getattr(bench, part)
            new = work()
            rows += new
            for row in new:
                stack.progress(row.text())
    print("\n| what | Redoubt | beside | ratio | wanted |\n|---|---|---|---|---|")
    for row in rows:
        print(row.text())
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1), encoding="utf-8")
    missed = [row.name for row in rows if row.ratio is not None and row.target is not None and row.ratio < row.target]
    for name in missed:
        print(f"below its target: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
