#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What following costs the followed server: sysbench oltp_write_only with and without redotail, alternating.

One server, rounds of the same length, every other one with redotail and a page server on the same machine; the
pages go to the same disk and the programs share the server's processors, so this is the worst case. With --remote the
page server's share is left out: redotail runs with --dry-run, which reads, parses and sends nothing.

python3 ci/tail_cost.py [--rounds N] [--seconds S] [--threads N] [--remote] [--no-commit-sync]
                       [--limit PERCENT]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import mysql
import stack

_VOLUME = "cost"
_IMPORT_SECONDS = 300


class DryTail(stack.RedoTail):
    """redotail that sends nothing."""

    def arguments(self) -> list[str]:
        """See Program."""
        full = super().arguments()
        return [*full[: full.index("--to")], "--dry-run"]


def cpu_seconds(pid: int | None) -> float:
    """User and system time of a process so far."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int | None) -> float:
    """The most memory the process has had resident."""
    if pid is None:
        return 0.0
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(match[1]) / 1024 if match else 0.0


def measure(server: mysql.Server, options: argparse.Namespace) -> float:
    """Transactions a second of one round."""
    arguments = ["--tables=4", "--table-size=20000", f"--threads={options.threads}", f"--time={options.seconds}"]
    return mysql.sysbench_result(server.sysbench("oltp_write_only", arguments)).per_second


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="What following costs the followed server.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--remote", action="store_true")
    parser.add_argument("--no-commit-sync", action="store_true", help="flush_log_at_trx_commit=2: less noise from the disk")
    parser.add_argument("--limit", type=float, default=5.0, help="fail above so many percent of slow-down")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="redoubt-cost-"))
    try:
        return run(root, options)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(root: Path, options: argparse.Namespace) -> int:
    """The rounds and the table."""
    settings = mysql.Options(redo_capacity="512M", flush_log_at_trx_commit=2 if options.no_commit_sync else 1)
    with mysql.Server(root / "mysql", settings) as server:
        server.initialize()
        server.start()
        server.run_sql("CREATE DATABASE sbtest")
        server.sysbench("oltp_write_only", ["--tables=4", "--table-size=20000"], "prepare")
        page_server = stack.PageServer(root / "pageserver", root)
        kind = DryTail if options.remote else stack.RedoTail
        tail = kind(server, page_server, _VOLUME, root)
        with page_server, tail:
            if not options.remote:
                page_server.start()
                tail.start()
                stack.wait_for_import(stack.PageCtl(page_server), tail, _IMPORT_SECONDS)
                tail.stop()
            measure(server, options)  # warm
            without: list[float] = []
            beside: list[float] = []
            cpu = server_cpu = memory = redo = 0.0
            for number in range(options.rounds):
                without.append(measure(server, options))
                tail.start()
                time.sleep(3)
                began = cpu_seconds(tail.pid)
                server_began = cpu_seconds(page_server.pid)
                lsn = server.status("Innodb_redo_log_current_lsn")
                beside.append(measure(server, options))
                cpu += cpu_seconds(tail.pid) - began
                server_cpu += cpu_seconds(page_server.pid) - server_began
                redo += server.status("Innodb_redo_log_current_lsn") - lsn
                memory = max(memory, rss_mib(tail.pid))
                tail.stop()
                stack.progress(f"round {number + 1}: {without[-1]:.0f} without, {beside[-1]:.0f} with redotail")
    ratios = [b / a for a, b in zip(without, beside, strict=True)]
    slower = 100.0 * (1.0 - statistics.median(ratios))
    seconds = options.rounds * options.seconds
    print(f"without redotail   {statistics.median(without):8.0f} transactions/s")
    print(f"with redotail      {statistics.median(beside):8.0f} transactions/s")
    print(f"slower by          {slower:8.1f} %  (median of {options.rounds} pairs, {min(ratios):.3f} .. {max(ratios):.3f})")
    print(f"redotail: {100 * cpu / seconds:.1f} % of one processor, {memory:.0f} MiB at most, {redo / seconds / 1e6:.1f} MB/s of redo")
    if not options.remote:
        print(f"pageserver: {100 * server_cpu / seconds:.1f} % of one processor, {1000 * server_cpu / redo * 1e6:.1f} ms per MB of redo")
    return 0 if slower <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
