#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rebuilds every page of a real MySQL server from its redo and compares it with the server's own files.

For each workload: a stock server runs under a background load, redotail imports it online into a page server and
follows it, the workload runs, the server shuts down cleanly, and every page of every persistent tablespace as of the
last LSN is compared with the files. Exit code 0 only when something was compared and nothing was unequal.

python3 ci/rebuild_check.py [--sql FILE]... [--sysbench SPEC]... [--name NAME]... [--all] [--quick]
                            [--page-size N] [--fast-shutdown N] [--together] [--offline]

--offline needs no page server: tests/tools/redo_rebuild applies the redo to a cold copy.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mysql
import offline_pair
import redo_files
import stack
import workloads

_IMPORT_SECONDS = 300
_CATCH_UP_SECONDS = 600
_VOLUME = "rebuild"


@dataclasses.dataclass
class Outcome:
    """One line of the table at the end."""

    name: str
    page_size: int
    redo_mb: float = 0.0
    seconds: float = 0.0
    compared: int = 0
    unequal: int = 0
    note: str = ""

    @property
    def good(self) -> bool:
        """Something was compared and nothing was unequal or went wrong."""
        return self.compared > 0 and self.unequal == 0 and not self.note


class BackgroundLoad:
    """Writes to tables of its own until told to stop, so that the import has a moving target."""

    _DATABASE = "background"
    _ARGUMENTS = (f"--mysql-db={_DATABASE}", "--tables=2", "--table-size=5000", "--threads=2")

    def __init__(self, server: mysql.Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._problem = ""

    def _run(self) -> None:
        seed = 1
        while not self._stop.is_set():
            try:
                self._server.sysbench(
                    "oltp_write_only", [*self._ARGUMENTS, "--events=300", "--time=30", f"--rand-seed={seed}"]
                )
            except mysql.SqlError as problem:
                self._problem = str(problem)
                return
            seed += 1

    def __enter__(self) -> BackgroundLoad:
        self._server.run_sql(f"CREATE DATABASE {self._DATABASE}")
        self._server.sysbench("oltp_write_only", self._ARGUMENTS, "prepare")
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._problem and kind is None:
            raise mysql.SqlError(f"background load: {self._problem}")


def _options(chosen: list[workloads.Workload], page_size: int) -> mysql.Options:
    options = mysql.Options(page_size=page_size)
    for workload in chosen:
        options = workload.server_options(options)
    return options


def check_online(name: str, chosen: list[workloads.Workload], arguments: argparse.Namespace, work_dir: Path) -> Outcome:
    """One server, one volume, the workloads one after the other, one comparison."""
    outcome = Outcome(name, arguments.page_size)
    started = time.monotonic()
    with mysql.Server(work_dir / "mysql", _options(chosen, arguments.page_size)) as server:
        stack.progress(f"{name}: a fresh server")
        server.initialize()
        server.start()
        page_server = stack.PageServer(work_dir / "pageserver", work_dir)
        tail = stack.RedoTail(server, page_server, _VOLUME, work_dir)
        ctl = stack.PageCtl(page_server)
        first_lsn = server.status("Innodb_redo_log_current_lsn")
        with page_server, tail:
            page_server.start()
            with BackgroundLoad(server):
                stack.progress(f"{name}: online import under load")
                tail.start()
                stack.wait_for_import(ctl, tail, _IMPORT_SECONDS)
            stack.progress(f"{name}: workload")
            for workload in chosen:
                workloads.run(server, workload)
            stack.progress(f"{name}: clean shutdown, waiting for the end of the redo")
            server.stop(arguments.fast_shutdown)
            end = redo_files.end_lsn(server.datadir)
            outcome.redo_mb = (end - first_lsn) / 1e6
            stack.wait_for_lsn(ctl, tail, end, _CATCH_UP_SECONDS)
            tail.stop()
            stack.progress(f"{name}: comparing every page at LSN {end}")
            result = ctl.compare(_VOLUME, server.datadir)
            page_server.stop()
    outcome.compared = int(result["pages_compared"])
    outcome.unequal = int(result["pages_unequal"])
    _report_unequal(result)
    outcome.seconds = time.monotonic() - started
    return outcome


def _report_unequal(result: dict[str, Any]) -> None:
    """How many in which file, and the first few in full."""
    unequal = result.get("unequal") or []
    for path, count in collections.Counter(page.get("path", "?") for page in unequal).most_common(20):
        print(f"    unequal: {count} in {path}", flush=True)
    for page in unequal[:5]:
        print(f"    unequal: {json.dumps(page)}", flush=True)
    for name in result.get("unsupported") or []:
        print(f"    not followed: {name}", flush=True)


def check_offline(name: str, chosen: list[workloads.Workload], arguments: argparse.Namespace, work_dir: Path) -> Outcome:
    """A cold copy, the workload, and redo_rebuild between the two."""
    outcome = Outcome(name, arguments.page_size)
    started = time.monotonic()
    stack.progress(f"{name}: cold copy, workload, clean shutdown")
    pair = offline_pair.make_pair(work_dir, chosen, arguments.page_size, arguments.fast_shutdown)
    stack.progress(f"{name}: rebuilding")
    command = [str(stack.binary("redo_rebuild")), "--base", str(pair / "base"), "--final", str(pair / "final")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        outcome.note = f"redo_rebuild ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-500:]}"
        return outcome
    result = json.loads(lines[-1])
    outcome.compared = int(result["compared"])
    outcome.unequal = int(result["unequal"])
    outcome.redo_mb = result["redo_bytes"] / 1e6
    left_out = int(result.get("unequal_unlogged", 0))
    if done.returncode != 0 and outcome.unequal == 0:
        outcome.note = f"redo_rebuild ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    if left_out:
        print(f"    {left_out} pages of unlogged builds differ, as they must without images", flush=True)
    outcome.seconds = time.monotonic() - started
    return outcome


def print_table(outcomes: list[Outcome]) -> bool:
    """The table and the verdict; True when all is well."""
    print(f"\n{'workload':28} {'page size':>9} {'redo MB':>8} {'seconds':>8} {'compared':>9} {'unequal':>8}")
    for outcome in outcomes:
        print(
            f"{outcome.name[:28]:28} {outcome.page_size:9} {outcome.redo_mb:8.1f} {outcome.seconds:8.1f} "
            f"{outcome.compared:9} {outcome.unequal:8}"
        )
        if outcome.note:
            print(f"    {outcome.note}")
    good = bool(outcomes) and all(outcome.good for outcome in outcomes)
    total = sum(outcome.compared for outcome in outcomes)
    unequal = sum(outcome.unequal for outcome in outcomes)
    failed = [outcome.name for outcome in outcomes if not outcome.good]
    print(f"\n{'GOOD' if good else 'BAD'}: {total} pages compared, {unequal} unequal" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return good


def choose(arguments: argparse.Namespace) -> list[workloads.Workload]:
    """The workloads the command line asks for; the quick ones when it names none."""
    chosen = [workloads.from_sql_file(path) for path in arguments.sql]
    chosen += [workloads.from_sysbench_spec(spec) for spec in arguments.sysbench]
    chosen += [workloads.ALL[name] for name in arguments.name]
    if arguments.all:
        chosen += [workload for workload in workloads.ALL.values() if workload.name not in arguments.left_out]
    if arguments.quick or not chosen:
        chosen += [workload for workload in workloads.ALL.values() if workload.quick]
    return list({workload.name: workload for workload in chosen}.values()) if arguments.all else chosen


def group_by_options(chosen: list[workloads.Workload]) -> list[tuple[str, list[workloads.Workload]]]:
    """Those that want the same server settings share a server, but for those that want one of their own."""
    groups: dict[str, list[workloads.Workload]] = {}
    for workload in chosen:
        key = workload.name if workload.alone else repr(sorted(workload.options.items()))
        groups.setdefault(key, []).append(workload)
    return [("+".join(w.name for w in group), group) for group in groups.values()]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Rebuild every page of a real MySQL server from its redo and compare it with the server's files."
    )
    parser.add_argument("--sql", action="append", default=[], type=Path, metavar="FILE", help="an SQL file to run")
    parser.add_argument("--sysbench", action="append", default=[], metavar="SPEC", help="SCRIPT[,key=value]...")
    parser.add_argument("--name", action="append", default=[], choices=list(workloads.ALL), help="a known workload")
    parser.add_argument("--all", action="store_true", help="every known workload")
    parser.add_argument("--except", dest="left_out", action="append", default=[], choices=list(workloads.ALL), help="not this one of --all")
    parser.add_argument("--quick", action="store_true", help="the short list (default when nothing is named)")
    parser.add_argument("--page-size", type=int, default=16384, choices=[4096, 8192, 16384, 32768, 65536])
    parser.add_argument("--fast-shutdown", type=int, default=1, choices=[0, 1])
    parser.add_argument("--together", action="store_true", help="workloads that want the same settings share a server and a comparison")
    parser.add_argument("--offline", action="store_true", help="without a page server, from a cold copy")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here and keep everything")
    return parser.parse_args()


def main() -> int:
    """Runs the checks; see the module's head."""
    arguments = parse_arguments()
    chosen = choose(arguments)
    groups = group_by_options(chosen) if arguments.together else [(w.name, [w]) for w in chosen]
    check = check_offline if arguments.offline else check_online
    outcomes = []
    for number, (name, group) in enumerate(groups):
        root = arguments.keep or Path(tempfile.mkdtemp(prefix="redoubt-rebuild-"))
        work_dir = root / f"{number:02}_{name[:40]}"
        shutil.rmtree(work_dir, ignore_errors=True)
        work_dir.mkdir(parents=True)
        try:
            outcome = check(name, group, arguments, work_dir)
        except (mysql.ServerError, mysql.SqlError, stack.StackError, offline_pair.PairError) as problem:
            outcome = Outcome(name, arguments.page_size, note=str(problem))
        finally:
            if arguments.keep is None:
                shutil.rmtree(root, ignore_errors=True)
        stack.progress(f"{name}: {outcome.compared} pages compared, {outcome.unequal} unequal {outcome.note}")
        outcomes.append(outcome)
    return 0 if print_table(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
