#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the patches cost a server that does not use them: sysbench on the unpatched and the patched server in mode OFF.

Both are the same source, built with the same options (innodb-patch/build.py, and with --stock), run on copies of one directory and
are measured in turns, first one first and then the other. Prints the ratio of each load, and looks for threads and files that the
unpatched server does not have.

python3 tests/integration/compute_off_cost.py [--rounds N] [--seconds S] [--threads N]

Exit code 0 when no ratio is below 0.98 and nothing is new. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import stack  # noqa: E402
from compute_servers import PatchedServer, built_programs  # noqa: E402

_TARGET = 0.98
_SCRIPTS = ("oltp_point_select", "oltp_read_write")
_TABLES = ("--tables=2", "--table-size=20000", "--mysql-db=sbtest")


def threads_of(server: mysql.Server) -> collections.Counter[str]:
    """Names of the process's threads as the kernel knows them; without those of connections, which come and go."""
    names = (p.joinpath("comm").read_text(encoding="utf-8").strip() for p in Path(f"/proc/{server.pid}/task").iterdir())
    return collections.Counter(name for name in names if name != "connection")


def files_of(server: mysql.Server) -> collections.Counter[str]:
    """Files of the data directory, and what the process has open elsewhere, sockets as such."""
    found = collections.Counter(str(f.relative_to(server.datadir)) for f in server.datadir.rglob("*"))
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        target = os.readlink(link)
        inside = target.startswith(str(server.datadir))
        if not inside:
            found[re.sub(r"\d{3,}", "N", target.replace(str(server.run_dir), "RUN").split(":")[0])] += 1
    return found


def measure(server: mysql.Server, script: str, options: argparse.Namespace) -> float:
    """Transactions a second of one round."""
    output = server.sysbench(script, [*_TABLES, f"--threads={options.threads}", f"--time={options.seconds}"])
    return mysql.sysbench_result(output).per_second


def compare(servers: tuple[mysql.Server, mysql.Server], script: str, options: argparse.Namespace) -> float:
    """Median of the rounds' ratios, patched to unpatched."""
    ratios: list[float] = []
    rates: tuple[list[float], list[float]] = ([], [])
    for server in servers:
        measure(server, script, argparse.Namespace(threads=options.threads, seconds=1))
    for number in range(options.rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            rates[which].append(measure(servers[which], script, options))
        ratios.append(rates[1][-1] / rates[0][-1])
    ratio = statistics.median(ratios)
    stack.progress(
        f"{script}: unpatched {statistics.median(rates[0]):.0f}/s, patched and OFF {statistics.median(rates[1]):.0f}/s, ratio "
        f"{ratio:.3f} (median of {len(ratios)} rounds, {min(ratios):.3f} .. {max(ratios):.3f})"
    )
    return ratio


def check(work_dir: Path, options: argparse.Namespace) -> list[str]:
    """The rounds; what is wrong."""
    problems: list[str] = []
    with PatchedServer(work_dir / "stock", built_programs(patched=False)) as stock, PatchedServer(work_dir / "off", built_programs()) as off:
        for server in (stock, off):
            server.options = mysql.Options(flush_log_at_trx_commit=2)
        stock.initialize()
        stock.start()
        stock.run_sql("CREATE DATABASE sbtest")
        stock.sysbench("oltp_read_write", _TABLES, "prepare")
        stock.stop()
        shutil.copytree(stock.datadir, off.datadir)
        stock.start()
        off.start()
        for script in _SCRIPTS:
            ratio = compare((stock, off), script, options)
            if ratio < _TARGET:
                problems.append(f"{script}: ratio {ratio:.3f}, wanted {_TARGET}")
        for what, of in (("thread", threads_of), ("file", files_of)):
            ours, theirs = of(off), of(stock)
            stack.progress(f"{what}s: {theirs.total()} unpatched, {ours.total()} patched and OFF")
            if not theirs:
                problems.append(f"no {what} of the unpatched server was seen: nothing was compared")
            if ours - theirs:
                problems.append(f"new {what}s: {dict(ours - theirs)}")
        if off.pageserver_status()["state"] != "off":
            problems.append("the patched server is not in mode OFF")
        stock.stop()
        off.stop()
    return problems


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="What the patches cost a server in mode OFF.")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="work here and leave everything")
    options = parser.parse_args()
    return stack.run_check("off-cost", options.keep, lambda work_dir: check(work_dir, options), "mode OFF")


if __name__ == "__main__":
    sys.exit(main())
