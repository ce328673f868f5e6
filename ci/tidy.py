#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house rules that a compiler does not check.

Fails on what breaks determinism or layering: banned calls (each names what to use instead), includes that cross the
layers of ci/layers.toml, debug prints in libraries, scenarios that nothing runs. Reports, without failing, what somebody
should look at: long files, long functions, missing heads.

A line that has a reason to break a rule says so, on itself or the line above: // tidy: allow(RULE): the reason

python3 ci/tidy.py             checks the repository; exit code 1 when something fails
python3 ci/tidy.py --list      the rules
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE_SUFFIXES = (".h", ".cc")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70


@dataclasses.dataclass(frozen=True)
class Ban:
    """A pattern that must not occur in code (comments and string literals do not count)."""

    name: str
    pattern: str
    instead: str
    allowed: tuple[str, ...] = ()  # path patterns where it is fine

    def allows(self, path: str) -> bool:
        """True where the ban does not hold."""
        return any(fnmatch.fnmatch(path, pattern) for pattern in self.allowed)


_ASIO = ("common/runtime/asio/*", "tests/common/runtime/asio/*", "tests/bench/*")
_MEASURING = (*_ASIO, "tests/tools/*")
_GUARD = ("sim/runtime/host_guard.cc", "tests/sim/host_guard_test.cc")  # replaces what is banned
_PROGRAMS = ("*/main.cc", "client/ctl/*", "sim/command/*", "tests/*", "common/base/check.cc")

BANS: tuple[Ban, ...] = (
    Ban(
        "clock",
        r"\b(system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday|utc_clock)\b"
        r"|(?<![\w.>:])(std::)?time\(\s*(nullptr|NULL|0|&)",
        "Scheduler::Now for deadlines, WallClock::NowUnixNs for people",
        (*_MEASURING, *_GUARD),
    ),
    Ban(
        "sleep",
        r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.>:])sleep\(",
        "co_await scheduler->Sleep(duration)",
        (*_ASIO, *_GUARD),
    ),
    Ban(
        "thread",
        r"\bstd::(thread|jthread|async|future|promise)\b|\bpthread_create\b",
        "TaskGroup::Spawn, or BlockingExecutor::Run for work that blocks",
        (*_ASIO, *_GUARD),
    ),
    Ban(
        "mutex",
        r"\bstd::(mutex|shared_mutex|recursive_mutex|timed_mutex|condition_variable(_any)?|lock_guard|unique_lock|"
        r"scoped_lock|shared_lock)\b",
        "a node is single-threaded: nothing, or Semaphore and Condition of common/runtime/sync.h",
        _ASIO,
    ),
    Ban(
        "random",
        r"\bstd::(random_device|mt19937(_64)?|minstd_rand0?|default_random_engine|ranlux\w+|knuth_b|shuffle|sample)\b"
        r"|(?<![\w.>:])(std::)?s?rand\(|\barc4random\w*\b|\bgetrandom\(",
        "Random of common/runtime/runtime.h",
        (*_ASIO, *_GUARD),
    ),
    Ban(
        "distribution",
        r"\bstd::(uniform_int|uniform_real|normal|bernoulli|exponential|poisson|geometric|discrete|binomial)"
        r"_distribution\b",
        "Random::Below; the standard's distributions differ by library",
        _ASIO,
    ),
    Ban("getenv", r"\b(secure_)?getenv\b", "a flag in main.cc, handed down", _ASIO),
    Ban("simulated", r"\bif\b[^{;]*\b(is_?)?[Ss]imulat(ed|or|ion)\b", "another implementation behind the seam", ("sim/*",)),
    Ban(
        "print",
        r"\bstd::(cout|cerr|clog)\b|(?<![\w.>:])(std::)?(printf|puts|putchar|perror)\(|\bf(printf|puts)\(\s*std(err|out)\b",
        "EventLog of the Runtime",
        _PROGRAMS,
    ),
    Ban("throw", r"(?<![\w.])throw\b(?!\()", "Status or Result for operating errors, REDOUBT_CHECK for programmer errors"),
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing found; `fails` says whether it breaks the build."""

    path: str
    line: int
    rule: str
    text: str
    fails: bool = True

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


_TOKENS = re.compile(
    r'R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"  # not the digit separator
    r"|//[^\n]*"
    r"|/\*.*?\*/",
    re.DOTALL,
)
_WAIVER = re.compile(r"tidy:\s*allow\((?P<rules>[\w, -]+)\):\s*\S")


def strip(text: str) -> str:
    """The code with comments and literals blanked out; line numbers stay. Include lines keep their names."""

    def blank(match: re.Match[str]) -> str:
        token = match[0]
        line_start = text.rfind("\n", 0, match.start()) + 1
        if token.startswith('"') and text[line_start : match.start()].lstrip().startswith("#include"):
            return token
        kept = '""' if token[0] in "\"R'" else " "
        return kept + "\n" * token.count("\n")

    return _TOKENS.sub(blank, text)


def waivers(text: str) -> dict[int, set[str]]:
    """Line number -> rules that the line may break."""
    found: dict[int, set[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _WAIVER.search(line)
        if match:
            rules = {rule.strip() for rule in match["rules"].split(",")}
            for covered in (number, number + 1):
                found.setdefault(covered, set()).update(rules)
    return found


def check_bans(path: str, text: str, bans: Iterable[Ban] = BANS) -> Iterator[Finding]:
    """Banned calls in one file."""
    allowed = waivers(text)
    lines = strip(text).splitlines()
    for ban in bans:
        if ban.allows(path):
            continue
        pattern = re.compile(ban.pattern)
        for number, line in enumerate(lines, 1):
            match = pattern.search(line)
            if match and ban.name not in allowed.get(number, set()):
                yield Finding(path, number, ban.name, f"`{match[0].strip()}`; use {ban.instead}")


_AWAITING = re.compile(r"[^;{}]*\bco_await\b[^;{}]*[;{]")
_CONDITIONAL = re.compile(r"\?|(?:&&|\|\|)(?!\s*!?\s*co_await\b)")


def check_awaiting(path: str, text: str) -> Iterator[Finding]:
    """Operands that may not be evaluated, in an expression with co_await: GCC 12 evaluates them all the same."""
    code = strip(text)
    allowed = waivers(text)
    for statement in _AWAITING.finditer(code):
        conditional = _CONDITIONAL.search(statement[0])
        if conditional:
            number = code.count("\n", 0, statement.start() + conditional.start()) + 1
            if "await" not in allowed.get(number, set()):
                yield Finding(path, number, "await", f"`{conditional[0]}` beside co_await; name the value before the co_await")


_UNORDERED = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<[^;{}()]*>\s*&?\s*(\w+)\s*(?:[;={]|$)", re.MULTILINE)
_SORT_LINES = 10  # a loop that collects, with std::sort this close behind it, is fine
_RANGE_FOR = re.compile(r"\bfor\s*\([^;()]*?:\s*\*?(?:this->)?((?:\w+(?:\.|->))*\w+)\s*\)")


def check_unordered(path: str, text: str, companion: str = "") -> Iterator[Finding]:
    """Loops over unordered containers declared in the file or its header: their order differs from run to run."""
    if path.startswith("tests/"):
        return
    code = strip(text)
    names = set(_UNORDERED.findall(code)) | set(_UNORDERED.findall(strip(companion)))
    allowed = waivers(text)
    lines = code.splitlines()
    for match in _RANGE_FOR.finditer(code):
        name = re.split(r"\.|->", match[1])[-1]
        number = code.count("\n", 0, match.start()) + 1
        sorted_below = any("std::sort(" in line for line in lines[number : number + _SORT_LINES])
        if name in names and not sorted_below and "unordered" not in allowed.get(number, set()):
            yield Finding(
                path, number, "unordered", f"loop over unordered `{name}`; use std::map, or sort first, or say why order cannot matter"
            )


@dataclasses.dataclass(frozen=True)
class Layers:
    """ci/layers.toml."""

    uses: dict[str, tuple[str, ...]]
    external: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def load(cls, text: str) -> Layers:
        """Parses the file's text; raises when a layer names one that does not exist."""
        data = tomllib.loads(text)
        uses = {layer["path"]: tuple(layer["uses"]) for layer in data.get("layer", [])}
        for path, names in uses.items():
            for name in names:
                if name != "*" and name not in uses:
                    raise ValueError(f"layers.toml: {path} uses {name}, which is no layer")
        external = tuple((e["prefix"], tuple(e["paths"])) for e in data.get("external", []))
        return cls(uses, external)

    def layer_of(self, path: str) -> str | None:
        """The layer with the longest path that contains the file."""
        matches = [layer for layer in self.uses if path == layer or path.startswith(layer + "/")]
        return max(matches, key=len, default=None)


_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def check_includes(path: str, text: str, layers: Layers) -> Iterator[Finding]:
    """Includes that cross layers, or that bring in a library where it must not be known."""
    allowed = waivers(text)
    own = layers.layer_of(path)
    for number, line in enumerate(strip(text).splitlines(), 1):
        match = _INCLUDE.match(line)
        if not match or "include" in allowed.get(number, set()):
            continue
        target = match[1] or match[2]
        for prefix, paths in layers.external:
            if target.startswith(prefix) and not any(fnmatch.fnmatch(path, p) for p in paths):
                yield Finding(path, number, "include", f"<{target}> may be included only by {', '.join(paths)}")
        if not match[1]:
            continue
        other = layers.layer_of(target)
        if own is None:
            yield Finding(path, number, "include", "this file is in no layer of ci/layers.toml")
            return
        if other is None:
            yield Finding(path, number, "include", f'"{target}" is not a path from the repository root in any layer')
        elif other != own and "*" not in layers.uses[own] and other not in layers.uses[own]:
            known = ", ".join(layers.uses[own]) or "nothing but the standard library"
            yield Finding(path, number, "include", f'{own} may not include {other} ("{target}"); it may use {known}')


_TODO = re.compile(r"//.*\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")


def check_text(path: str, text: str) -> Iterator[Finding]:
    """Rules about comments and file heads."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if _TODO.search(line):
            yield Finding(path, number, "todo", "a TODO needs its issue number: TODO(#12)")
    if path.endswith(".h") and "#pragma once" not in text:
        yield Finding(path, 1, "pragma-once", "a header begins with #pragma once")
    if not lines or "SPDX-License-Identifier" not in lines[0]:
        yield Finding(path, 1, "head", "no SPDX line", fails=False)
    elif path.endswith(".h") and not (len(lines) > 2 and lines[2].startswith("//")):
        yield Finding(path, 1, "head", "no sentence that says what this is and for whom", fails=False)


_FUNCTION_START = re.compile(r"^(?!namespace|class|struct|enum|union|extern|using|#|//|\}|template)\S.*$")


def long_functions(text: str) -> Iterator[tuple[int, int]]:
    """(line, length) of functions over the limit, in clang-formatted code: a body opens on, or after, a line at column 0."""
    start = 0
    for number, line in enumerate(strip(text).splitlines(), 1):
        if line.startswith("}"):
            if start and number - start > FUNCTION_LINES_MAX:
                yield start, number - start + 1
            start = 0
        elif _FUNCTION_START.match(line):
            start = number
            if line.rstrip().endswith((";", "}")):
                start = 0


def check_size(path: str, text: str) -> Iterator[Finding]:
    """Files and functions that may hide a concept without a name."""
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        yield Finding(path, 1, "size", f"{count} lines", fails=False)
    for line, length in long_functions(text):
        yield Finding(path, line, "size", f"a function of {length} lines", fails=False)


def check_scenarios(scenarios: Iterable[str], runners: str) -> Iterator[Finding]:
    """Scenarios that no CMakeLists.txt and no program of ci/ names, by file or by folder."""
    for path in scenarios:
        folder = path.rsplit("/", 1)[0]
        if path not in runners and Path(path).name not in runners and folder not in runners:
            yield Finding(path, 1, "scenario", "nothing runs it; name it, or its folder, in a CMakeLists.txt or in ci/")


def repository_files() -> list[str]:
    """Tracked and new files, ignored ones left out."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return sorted({name for name in listing.split("\0") if name and (ROOT / name).is_file()})


def check_code(path: str, text: str, companion: str, layers: Layers) -> Iterator[Finding]:
    """All rules for one C++ file."""
    yield from check_bans(path, text)
    yield from check_awaiting(path, text)
    yield from check_unordered(path, text, companion)
    yield from check_includes(path, text, layers)
    yield from check_text(path, text)
    yield from check_size(path, text)


def check_repository() -> list[Finding]:
    """All rules on all files."""
    files = repository_files()
    layers = Layers.load((ROOT / "ci/layers.toml").read_text(encoding="utf-8"))
    findings: list[Finding] = []
    for path in files:
        if path.endswith(CODE_SUFFIXES) and not path.startswith("innodb-patch/"):
            text = (ROOT / path).read_text(encoding="utf-8")
            header = (ROOT / path).with_suffix(".h")
            companion = header.read_text(encoding="utf-8") if path.endswith(".cc") and header.exists() else ""
            findings += check_code(path, text, companion, layers)
    scenarios = [f for f in files if f.startswith("scenarios/") and f.endswith(".textproto")]
    runner_files = [f for f in files if f.endswith("CMakeLists.txt") or (f.startswith("ci/") and f.endswith(".py"))]
    runners = "\n".join((ROOT / f).read_text(encoding="utf-8") for f in runner_files)
    findings += check_scenarios(scenarios, runners)
    return findings


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check the house rules.")
    parser.add_argument("--list", action="store_true", help="print the rules")
    if parser.parse_args().list:
        for ban in BANS:
            print(f"{ban.name:14} {ban.instead}")
        return 0
    findings = check_repository()
    failures = [f for f in findings if f.fails]
    reports = [f for f in findings if not f.fails]
    for finding in reports:
        print(f"note: {finding}")
    for finding in failures:
        print(finding)
    print(f"tidy: {len(failures)} broken rules, {len(reports)} notes")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
