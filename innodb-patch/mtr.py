#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""MySQL's own tests (mysql-test) on the unpatched server and on the patched one in a mode, side by side.

python3 innodb-patch/mtr.py                        mode OFF: every result must be the unpatched server's
python3 innodb-patch/mtr.py --mode nowrite         a mode, with a log and page server started for it (stream, read, nowrite)
python3 innodb-patch/mtr.py --mode stock --list FILE   only the unpatched server, for mtr_list.py
python3 innodb-patch/mtr.py --tests 'innodb.blob*' --jobs 2
python3 innodb-patch/mtr.py --seconds 240          stop after so long; the next call goes on where this one ended

The tests are those of mtr-tests.txt, which all pass on the unpatched server where they were chosen. The unpatched server is the same
source with the same compiler options without patches (build.py --stock). Results are kept beside the builds, by build and mode:
a test that has one is not run again unless --again is given. A difference needs a line in mtr-reasons.txt.

Exit codes: 0 no unexplained difference; 1 there is one, or less than 97 % of what passes unpatched passes; 2 could not run; 3 not
finished within --seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fnmatch
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mtr_mysqld
import patched_tree

import mysql  # isort: skip
import stack  # isort: skip

HERE = Path(__file__).resolve().parent
_PROGRAMS = (
    "mysqld mysqltest mysqltest_safe_process mysql mysqladmin mysqldump mysqlcheck mysqlimport mysqlshow mysqlslap "
    "mysqlbinlog my_print_defaults perror innochecksum ibd2sdi mysql_tzinfo_to_sql myisamchk myisampack "
    "mysql_config_editor mysql_secure_installation mysql_migrate_keyring mysql_keyring_encryption_test"
).split()
_MODES = ("off", "stream", "read", "nowrite")
STOCK = "stock"
_CHUNK = 60
_WANTED_PERCENT = 97
_RESULT = re.compile(r"^\[\s*\d+%\] (\S+)(?: '[^']*')?\s+(?:w\d+\s+)?\[ (?:\S+-)?(pass|fail|skipped|disabled) \]\s*(.*)$")

_CRASH = re.compile(r"Assertion failure|\[FATAL\]|got signal|ERROR\] \[MY-013183\]")
_WHY_MAX = 1500


class MtrError(RuntimeError):
    """The tests could not be run; the message says why."""


@dataclasses.dataclass
class Outcome:
    """Of one test: pass, fail or skip; for the last two why."""

    result: str
    seconds: float = 0.0
    why: str = ""


@dataclasses.dataclass
class Reason:
    """A line of mtr-reasons.txt: a known difference."""

    modes: list[str]
    pattern: str
    sign: str
    text: str

    def is_about(self, mode: str, test: str) -> bool:
        """Whether it is about this test in this mode."""
        return mode in self.modes and fnmatch.fnmatchcase(test, self.pattern)

    def explains(self, mode: str, test: str, why: str) -> bool:
        """Whether it is about this failure: what the test says must have the sign in it."""
        return self.is_about(mode, test) and self.sign in why


def read_tests(file: Path) -> list[str]:
    """suite.name, one a line."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def read_reasons(file: Path) -> list[Reason]:
    """MODES TEST "SIGN" REASON, one a line; raises MtrError for a line that is not that."""
    reasons = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r'(\S+)\s+(\S+)\s+"([^"]+)"\s+(\S.*)', line)
        modes = found[1].split(",") if found else []
        if not found or not set(modes) <= set(_MODES) - {"off"}:
            names = ", ".join(_MODES[1:])
            raise MtrError(f'{file.name}:{number}: wanted MODES TEST "SIGN" REASON, modes of {names}: {line}')
        reasons.append(Reason(modes, found[2], found[3], found[4]))
    return reasons


def _with_line(why: str, line: str) -> str:
    """Adds to a reason: what says that the server ended comes first, since its log may be long."""
    if _CRASH.search(line):
        return f"{line} {why}"[:_WHY_MAX]
    return f"{why} {line}"[:_WHY_MAX].strip()


def parse(lines: Sequence[str]) -> dict[str, Outcome]:
    """What mysql-test-run.pl prints; the lines behind a failure are its reason."""
    outcomes: dict[str, Outcome] = {}
    failing: Outcome | None = None
    for line in lines:
        found = _RESULT.match(line)
        if not found:
            if failing is not None and line.strip() and not line.startswith(("        Test ended", "---", "worker[")):
                failing.why = _with_line(failing.why, line.strip())
            continue
        test, result, rest = found.groups()
        failing = None
        if test == "shutdown_report":
            continue
        outcome = Outcome({"skipped": "skip", "disabled": "skip"}.get(result, result))
        if result == "pass":
            outcome.seconds = int(rest) / 1000 if rest.isdigit() else 0.0
        else:
            outcome.why = rest
        # A test with combinations runs more than once: one failure is a failure.
        if test in outcomes and outcomes[test].result == "fail":
            continue
        outcomes[test] = outcome
        failing = outcome if result == "fail" else None
    return outcomes


class Results:
    """Outcomes of one server, kept from call to call."""

    def __init__(self, programs: Path, mode: str) -> None:
        self._file = patched_tree.cache_dir() / "mtr" / f"{programs.name}-{mode}.json"
        self.outcomes = self._kept()

    def _kept(self) -> dict[str, Outcome]:
        if not self._file.exists():
            return {}
        kept = json.loads(self._file.read_text(encoding="utf-8"))
        return {name: Outcome(**fields) for name, fields in kept.items()}

    def add(self, outcomes: dict[str, Outcome]) -> None:
        """Kept at once, beside what another run has added meanwhile."""
        self.outcomes |= self._kept() | outcomes
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({name: dataclasses.asdict(o) for name, o in sorted(self.outcomes.items())}, indent=0)
        partial = self._file.with_suffix(".new")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._file)


def _build_module() -> Any:  # noqa: ANN401
    """build.py of this folder; ci/ has one of the same name."""
    spec = importlib.util.spec_from_file_location("innodb_patch_build", HERE / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def programs_of(patched: bool) -> Path:
    """A finished build."""
    found = _build_module().find(_PROGRAMS, patched)
    if found is None:
        arguments = " ".join((["--stock"] if not patched else []) + _PROGRAMS[1:])
        raise MtrError(f"a build is missing; run: python3 innodb-patch/build.py {arguments}")
    return found


def suite_dir() -> Path:
    """mysql-test of the source in the cache."""
    trees = sorted(patched_tree.cache_dir().glob("source-*/mysql-test"))
    if not trees:
        raise MtrError("there is no MySQL source in the cache; run: python3 innodb-patch/build.py")
    return trees[-1]


def make_prefix(directory: Path, programs: Path, wrapped: bool) -> None:
    """A directory that mysql-test-run.pl takes for a build."""
    (directory / "bin").mkdir(parents=True)
    for name in _PROGRAMS:
        (directory / "bin" / name).symlink_to(programs / name)
    if wrapped:
        (directory / "bin" / "mysqld").unlink()
        (directory / "bin" / "mysqld").symlink_to(HERE / "mtr_mysqld.py")
    (directory / "share").symlink_to(programs / "share")


class Run:
    """Tests on one server."""

    def __init__(self, mode: str, programs: Path, jobs: int, work_dir: Path, deadline: float) -> None:
        self.mode = mode
        self.programs = programs
        self.results = Results(self.programs, mode)
        self._jobs = jobs
        self._work_dir = work_dir / mode
        self._deadline = deadline
        self._suite_dir = suite_dir()

    def run(self, tests: list[str], again: bool) -> bool:
        """Runs those that have no result yet; False when time was over before the last."""
        left = [test for test in tests if again or test not in self.results.outcomes]
        if not left:
            return True
        make_prefix(self._work_dir / "prefix", self.programs, self.mode in _MODES[1:])
        with ExitStack() as running:
            environment = {**os.environ, "MTR_BINDIR": str(self._work_dir / "prefix")}
            if self.mode in _MODES[1:]:
                server = running.enter_context(stack.PageServer(self._work_dir / "volumes", self._work_dir))
                server.start()
                environment |= mtr_mysqld.environment(
                    self.programs / "mysqld", self.mode, stack.binary("redotail"), server.address
                )
            while left:
                if time.monotonic() > self._deadline:
                    return False
                chunk, left = left[:_CHUNK], left[_CHUNK:]
                stack.progress(f"{self.mode}: {len(chunk)} tests, {len(left)} behind them")
                outcomes = parse(list(self._chunk(chunk, environment)))
                self.results.add({name: o for name, o in outcomes.items() if name in chunk})
                if time.monotonic() < self._deadline and not outcomes:
                    raise MtrError("mysql-test-run.pl ran no test; its output is above")
        return all(test in self.results.outcomes for test in tests)

    def _chunk(self, tests: list[str], environment: dict[str, str]) -> Iterator[str]:
        """The lines that mysql-test-run.pl prints, also shown when they say something of a test."""
        listed = self._work_dir / "tests"
        listed.write_text("\n".join(tests) + "\n", encoding="utf-8")
        command = [
            "perl", "mysql-test-run.pl", f"--vardir={self._work_dir / 'var'}", f"--tmpdir={self._work_dir / 'tmp'}",
            "--force", "--max-test-fail=0", "--nounit-tests", "--user=root", "--retry=0", "--no-check-testcases",
            "--testcase-timeout=3", f"--parallel={self._jobs}", f"--do-test-list={listed}",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=self._suite_dir, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        seen = 0
        kept = []
        try:
            for line in process.stdout:
                line = line.rstrip("\n")
                kept = [*kept[-40:], line]
                if _RESULT.match(line):
                    seen += 1
                    print(f"  {line[:110]}", flush=True)
                yield line
                if time.monotonic() > self._deadline:
                    process.send_signal(signal.SIGTERM)
            process.wait()
        finally:
            # Its servers, too, when this program is interrupted; they are in its process group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        if not seen:
            print("\n".join(kept), flush=True)


@dataclasses.dataclass
class Difference:
    """A test whose result is another one than unpatched."""

    test: str
    stock: str
    mode: str
    why: str
    reason: str


def differences(mode: str, tests: list[str], stock: Results, other: Results, reasons: list[Reason]) -> list[Difference]:
    """Where results differ, with what explains it; nothing explains a difference in mode OFF."""
    found = []
    for test in tests:
        ours, theirs = other.outcomes[test], stock.outcomes[test]
        if ours.result != theirs.result:
            reason = next((r.text for r in reasons if r.explains(mode, test, ours.why)), "")
            found.append(Difference(test, theirs.result, ours.result, ours.why, reason))
    return found


def count(tests: list[str], results: Results) -> dict[str, int]:
    """How many of each result."""
    every = [results.outcomes[test].result for test in tests]
    return {name: every.count(name) for name in ("pass", "fail", "skip")}


def report(mode: str, tests: list[str], stock: Results, other: Results, reasons: list[Reason]) -> dict[str, Any]:
    """Prints the comparison; what --json writes."""
    differing = differences(mode, tests, stock, other, reasons)
    ours, theirs = count(tests, other), count(tests, stock)
    both = sum(stock.outcomes[t].result == "pass" == other.outcomes[t].result for t in tests)
    percent = 100 * both / max(theirs["pass"], 1)
    for name, counted in ((STOCK, theirs), (f"mode {mode.upper()}", ours)):
        print(f"{name + ':':14} {counted['pass']} pass, {counted['fail']} fail, {counted['skip']} skip")
    print(f"{both} of {theirs['pass']} that pass unpatched pass, {percent:.1f} %")
    for one in differing:
        print(f"  {one.test}: {one.stock} -> {one.mode}: {one.reason or 'UNEXPLAINED: ' + one.why}")
    for reason in reasons:
        matched = [t for t in tests if reason.is_about(mode, t)]
        if matched and not any(d.test in matched for d in differing):
            print(f"  {reason.pattern}: has a reason and is not different any more")
    unexplained = [d.test for d in differing if not d.reason]
    good = not unexplained and percent >= _WANTED_PERCENT
    print(f"{'GOOD' if good else 'BAD'}: {len(tests)} tests, {len(differing)} differ, {len(unexplained)} unexplained")
    return {
        "mode": mode, "tests": len(tests), "stock": theirs, "ours": ours, "percent_of_stock": round(percent, 2),
        "differences": [dataclasses.asdict(d) for d in differing], "good": good,
    }  # fmt: skip


def choose(options: argparse.Namespace) -> list[str]:
    """The tests of the list that are wanted."""
    tests = read_tests(options.list)
    if options.suite:
        tests = [t for t in tests if t.split(".")[0] in options.suite]
    if options.tests:
        tests = [t for t in tests if any(fnmatch.fnmatchcase(t, pattern) for pattern in options.tests)]
    if not tests:
        raise MtrError("no test of the list is wanted")
    return tests


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="MySQL's own tests, unpatched and patched.")
    parser.add_argument("--mode", choices=(STOCK, *_MODES), default="off")
    parser.add_argument("--suite", action="append", help="only this suite of the list; may be given again")
    parser.add_argument("--tests", action="append", metavar="PATTERN", help="only suite.name like this; may be given again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--seconds", type=float, default=86400, help="stop starting tests after so long")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--build", type=Path, help="this patched build, not the one for the patches as they are now")
    parser.add_argument("--list", type=Path, default=HERE / "mtr-tests.txt")
    parser.add_argument("--json", type=Path, help="also write the comparison here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    deadline = time.monotonic() + options.seconds
    work_dir = Path(tempfile.mkdtemp(prefix="rdmtr-"))
    try:
        tests = choose(options)
        reasons = read_reasons(HERE / "mtr-reasons.txt")
        builds = {STOCK: programs_of(False)}
        if options.mode != STOCK:
            builds[options.mode] = options.build or programs_of(True)
        runs = [Run(mode, build, options.jobs, work_dir, deadline) for mode, build in builds.items()]
        if not all([run.run(tests, options.again and run.mode != STOCK) for run in runs]):
            left = {run.mode: sum(t not in run.results.outcomes for t in tests) for run in runs}
            print(f"not finished: {left} tests left; the same command goes on")
            return 3
        if options.mode == STOCK:
            print(count(tests, runs[0].results))
            return 0
        result = report(options.mode, tests, runs[0].results, runs[1].results, reasons)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    except (MtrError, stack.StackError, mysql.ServerError, patched_tree.BuildError, OSError) as problem:
        print(f"mtr: {problem}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
