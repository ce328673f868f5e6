# SPDX-License-Identifier: MIT
"""What the runs of a sweep say: reading them, sorting failures, the page. Pure functions over lines and lists."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# From bad to worst; as sim/command/seed_run.cc, Severity.
_CODES = {"TIMELIMIT": 124, "LIVENESS": 11, "NONDETERMINISM": 13, "HARNESS": 20, "CRASH": 12, "SAFETY": 10}
_SHOWN_PER_SCENARIO = 5


@dataclasses.dataclass
class Run:
    """One line of `simulate swarm --json`."""

    scenario: str
    seed: int
    outcome: str
    reason: str
    hash: str
    commit: str
    expected: str = ""  # how a canary's runs must end
    virtual_ms: int = 0
    cpu_ms: int = 0
    wall_ms: int = 0
    twice: bool = False

    @property
    def failed(self) -> bool:
        """Neither a pass, nor idle, nor a canary that did what it has to."""
        return not self.expected and self.outcome in _CODES

    @property
    def kind(self) -> str:
        """Failures of one kind have the same: scenario, outcome, and the reason without its numbers."""
        reason = re.sub(r"0x[0-9a-fA-F]+|(?<![A-Za-z])\d+", "N", self.reason)
        return f"{Path(self.scenario).stem}: {self.outcome}: {reason}"


@dataclasses.dataclass
class Triage:
    """A failure that was looked at."""

    scenario: str
    seed: int
    reason: str
    verdict: str  # bug, nondeterminism, slow
    kind: str
    capsule: str = ""
    shrunk: str = ""  # the smaller capsule
    faults: int = 0  # of it
    virtual_ms: int = 0  # of it

    def as_json(self) -> dict[str, Any]:
        """One line of triage.jsonl."""
        return dataclasses.asdict(self)


def parse_run(line: str) -> Run | None:
    """A run; None for a line that was cut off by a crash, or is of another kind."""
    try:
        fields = json.loads(line)
        return Run(
            scenario=fields["scenario"], seed=int(fields["seed"]), outcome=fields["outcome"],
            reason=fields["reason"], hash=fields["hash"], commit=fields["commit"],
            expected=fields.get("expected", ""), virtual_ms=int(fields["virtual_ms"]), cpu_ms=int(fields["cpu_ms"]),
            wall_ms=int(fields.get("wall_ms", 0)), twice=bool(fields.get("twice", False)),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs of several files, in order."""
    found = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [run for run in map(parse_run, lines) if run is not None]
    return found


def read_triage(path: Path) -> list[Triage]:
    """All of triage.jsonl; none when there is no such file."""
    if not path.exists():
        return []
    return [Triage(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def first_of_each_kind(failures: Iterable[Run]) -> list[Run]:
    """One failure of each kind: the one with the least virtual time, worst kinds first."""
    best: dict[str, Run] = {}
    for run in failures:
        if run.kind not in best or run.virtual_ms < best[run.kind].virtual_ms:
            best[run.kind] = run
    order = list(_CODES)
    return sorted(best.values(), key=lambda run: (-order.index(run.outcome), run.scenario, run.seed))


def verdict_of(run: Run, again: list[str]) -> str:
    """What a failure is, from the lines "HASH CODE" of further runs.

    bug: it fails the same way each time. nondeterminism: the runs, or the first one, have different hashes. slow: it was
    over the limit of time, and goes through, or goes on, without one.
    """
    hashes = {line.split()[0] for line in again if line.startswith("0x")}
    codes = {line.split()[-1] for line in again}
    if run.outcome == "TIMELIMIT" and codes <= {"0", "14", "time"} and len(hashes) <= 1:
        return "slow"
    first_known = run.hash not in ("", "0x0000000000000000")
    if len(set(again)) > 1 or (first_known and hashes and hashes != {run.hash}):
        return "nondeterminism"
    return "nondeterminism" if run.outcome == "NONDETERMINISM" or codes <= {"0", "14"} else "bug"


def exit_code(runs: Iterable[Run]) -> int:
    """The worst outcome's; 20 when a canary was run and never found."""
    runs = list(runs)
    order = list(_CODES)
    failed = [order.index(run.outcome) for run in runs if run.failed]
    if failed:
        return _CODES[order[max(failed)]]
    canaries = {run.scenario for run in runs if run.expected}
    found = {run.scenario for run in runs if run.expected and run.outcome == run.expected}
    return 20 if canaries - found else 0


def round_line(number: int, runs: list[Run]) -> str:
    """A round in one line of progress."""
    failed = sum(run.failed for run in runs)
    return f"round {number}: {len(runs)} runs, {failed} failed"


def probes_not_hit(table: str) -> list[str]:
    """The lines of `simulate probes` that it marks."""
    return [line.strip() for line in table.splitlines() if re.search(r"NEVER HIT|NOT ALWAYS|runs   HIT", line)]


def _scenario_rows(runs: list[Run]) -> list[str]:
    rows = []
    for scenario in sorted({run.scenario for run in runs if not run.expected}):
        own = [run for run in runs if run.scenario == scenario]
        failed = sum(run.failed for run in own)
        idle = sum(run.outcome == "IDLE" for run in own)
        times = [run.cpu_ms / 1000 for run in own]
        virtual = sum(run.virtual_ms for run in own)
        ratio = virtual / max(1, sum(run.cpu_ms for run in own))
        rows.append(
            f"| {scenario} | {len(own)} | {failed} | {100 * failed / len(own):.3g} % | {idle} "
            f"| {statistics.median(times):.2f} | {ratio:.0f}x |"
        )
    return rows


def _canary_rows(runs: list[Run]) -> list[str]:
    rows = []
    for scenario in sorted({run.scenario for run in runs if run.expected}):
        own = [run for run in runs if run.scenario == scenario]
        found = [run for run in own if run.outcome == run.expected]
        since = len(own) - 1 - max((i for i, run in enumerate(own) if run.outcome == run.expected), default=-1)
        state = f"last found at commit {found[-1].commit}, {since} runs ago" if found else "**NEVER FOUND: blind**"
        rows.append(f"| {scenario} | {len(own)} | {len(found)} | {state} |")
    return rows


def _failure_lines(runs: list[Run], triaged: list[Triage]) -> list[str]:
    by_seed = {(item.scenario, item.seed): item for item in triaged}
    lines = []
    for scenario in sorted({run.scenario for run in runs if run.failed}):
        own = sorted((r for r in runs if r.failed and r.scenario == scenario), key=lambda r: (r.virtual_ms, r.seed))
        lines.append(f"### {scenario}: {len(own)} failing seeds\n")
        # One of each kind first, then the shortest of the rest.
        shown = first_of_each_kind(own)
        shown += [run for run in own if run not in shown][: max(0, _SHOWN_PER_SCENARIO - len(shown))]
        for run in shown:
            item = by_seed.get((run.scenario, run.seed))
            lines.append(f"- seed {run.seed}, {run.virtual_ms / 1000:.1f} s virtual: {run.outcome} {run.reason}")
            lines.append(f"  - `simulate run {run.scenario} --seed {run.seed} --trace -` (commit {run.commit})")
            if item is not None:
                lines.append(f"  - three more runs: {item.verdict}; capsule {Path(item.capsule).name}")
                if item.shrunk:
                    small = f"`simulate replay capsules/{Path(item.shrunk).name}`"
                    lines.append(f"  - shrunk to {item.faults} faults, {item.virtual_ms / 1000:.1f} s: {small}")
        lines.append("")
    return lines


def page(runs: list[Run], triaged: list[Triage], state: dict[str, Any], probe_table: str) -> str:
    """The summary page, in Markdown."""
    failed = sum(run.failed for run in runs)
    twice = sum(run.twice for run in runs)
    differing = sum(run.outcome == "NONDETERMINISM" for run in runs)
    cpu = sum(run.cpu_ms for run in runs) / 1000
    commits = sorted({run.commit for run in runs})
    lines = [
        "# Sweep\n",
        f"{len(runs)} runs, {failed} failed; {twice} were run twice, {differing} of them differed.",
        f"{state['rounds']} rounds in {state['seconds'] / 3600:.2f} hours, {cpu:.0f} s of processor, "
        f"seed base {state['seed_base']}, commits {', '.join(commits) or 'none'}.\n",
        "| scenario | runs | failed | rate | idle | median s | virtual/real |",
        "|---|---|---|---|---|---|---|",
        *_scenario_rows(runs),
        "",
        "## Canaries (must be found)\n",
        "| scenario | runs | found | |",
        "|---|---|---|---|",
        *_canary_rows(runs),
        "",
        "## Probes not as they should be\n",
        *([f"    {line}" for line in probes_not_hit(probe_table)] or ["none"]),
        "",
        "## Failing seeds\n",
        *(_failure_lines(runs, triaged) or ["none"]),
    ]
    return "\n".join(lines) + "\n"
