#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the checkers see? Switches on one planted bug after the other and counts the seeds until it is found.

Every plant runs over the scenarios that can meet it (suitable() below), in turn, seed 1 of each, then seed 2 of each, and
so on; the first run that ends with SAFETY, LIVENESS or CRASH has found it. The same run without the plant must pass: else
it is no finding but a failure of its own. Fails when a plant is not found within the seeds, or the median is too high.

python3 ci/mutation.py                              every plant, up to 500 seeds each
python3 ci/mutation.py --seeds-max 60 --median-max 30   a quick form; ci/check.py runs one
python3 ci/mutation.py --check-binaries build/release/bin/pageserver    production knows no plant
python3 ci/mutation.py --plants skip_epoch_check,missing_dirsync --all-scenarios
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUND = ("SAFETY", "LIVENESS", "CRASH")
# These fail by design, or may lose what they like.
NOT_FOR_PLANTS = ("canary", "beyond_budget")

# Where a plant can be met at all; without an entry: everywhere.
_TAKEOVERS = ("smoke", "crash_in_takeover", "swizzle_clog", "quorum*", "*writer*", "failover*", "*compute*")
_QUORUMS = ("quorum*", "*writer*", "failover*", "*compute*", "five*", "replica*", "long_partition*")
# A compute in front of a quorum: what its clients are told, and the pages that it reads.
_COMPUTES_ON_A_QUORUM = ("compute_quorum*",)
# Logs of several epochs with tails that nobody acknowledged; disks that are lost while an epoch is agreed upon.
_PARTED_LOGS = ("alternating*", "wipe_between*", "compute_quorum*")
# Page stores that several volumes write to and flush.
_SHARED_STORES = ("rocksdb_native", "fsync_fails", "torn_log_tail", "crash_recovery", "crash_in_recovery", "page_server_wiped")
# Log servers that lose their disks.
_WIPED_LOGS = ("wipe_between*", "replica_wiped", "five*", "compute_quorum*")
# Readers that give the server less time than they take.
_IMPATIENT = ("crash_recovery", "slow_fsync", "page_server_wiped", "quorum_swizzle", "rocksdb_native")
SUITABLE: dict[str, tuple[str, ...]] = {
    "apply_above_commit": _QUORUMS,
    "commit_counts_old_epoch": _TAKEOVERS,
    "confirmed_by_one_less": _PARTED_LOGS,
    "cut_ignores_history": _PARTED_LOGS,
    "donor_by_length": _PARTED_LOGS,
    "feed_beyond_commit": _COMPUTES_ON_A_QUORUM,
    "first_claim_believed": ("page_server_damaged",),
    "flush_covers_later_asks": _SHARED_STORES,
    "history_lacks_empty_epoch": _PARTED_LOGS,
    "journal_checksum_ignored": _SHARED_STORES,
    "mtr_split_visible": _COMPUTES_ON_A_QUORUM,
    "no_tail_truncation": _QUORUMS,
    # Writers that are replaced while the only server that has their promise loses power.
    "promise_not_synced": ("smoke", "crash_in_takeover", "crash_in_recovery", "swizzle_clog"),
    "promise_not_confirmed": _PARTED_LOGS,
    # Disks of which something cannot be read.
    "read_error_swallowed": ("page_server_damaged",),
    # Computes that read beside their successors.
    "reads_uncommitted": ("compute_cut_from_logs",),
    "refill_before_others_have_all": _WIPED_LOGS,
    "refill_without_majority": _PARTED_LOGS,
    "refused_append_counts": ("compute_quorum_zombie",),
    "restart_commits_all": _PARTED_LOGS,
    # Connections that break while what was sent on them still waits for its sync.
    "retry_answered_early": ("smoke", "slow_fsync", "half_open", "swizzle_clog", "quorum*"),
    # Writers that begin at the same moment.
    "same_epoch_twice": ("twin_takeovers", "failover*", "crash_in_takeover"),
    "skip_epoch_check": _TAKEOVERS,
    "stale_read_after_failover": _COMPUTES_ON_A_QUORUM,
    "store_goes_on_after_error": _SHARED_STORES,
    "takeover_picks_short_donor": _QUORUMS,
    "trim_ignores_members": ("long_partition*", "five*", "replica_wiped", "quorum*"),
    "trim_ignores_readers": _QUORUMS,
    "wait_timeout_swallowed": _IMPATIENT,
}


@dataclasses.dataclass
class Run:
    """How one seed of one scenario ended."""

    scenario: Path
    seed: int
    outcome: str
    reason: str
    cpu_ms: int


@dataclasses.dataclass
class Verdict:
    """What became of one plant."""

    plant: str
    seeds: int  # runs until it was found, or all there were
    found: Run | None
    problem: str  # why a finding does not count
    cpu_s: float

    def ok(self) -> bool:
        """Found, and by nothing that happens without the plant as well."""
        return self.found is not None and not self.problem

    def checker(self) -> str:
        """The id of the checker that spoke, or how the run ended."""
        if self.found is None:
            return "-"
        match = re.match(r"(C\d+):", self.found.reason)
        return match[1] if match else self.found.outcome


class Simulator:
    """Runs single seeds of the `simulate` command."""

    def __init__(self, program: Path, capsules: Path, seconds_max: int) -> None:
        self.program = program
        self.capsules = capsules
        self.seconds_max = seconds_max

    def plants(self) -> list[str]:
        """The names that `simulate list` knows."""
        listed = subprocess.run([self.program, "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return re.findall(r"^  (\w+):", listed.partition("plants:")[2], re.MULTILINE)

    def run(self, scenario: Path, seed: int, plant: str) -> Run:
        """One seed; `plant` may be empty."""
        with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:
            command = [str(self.program), "swarm", "--scenario", str(scenario), "--seeds", "1"]
            command += ["--seed-base", str(seed), "--json", answer.name, "--double-run-every", "0"]
            command += ["--seed-seconds-max", str(self.seconds_max), "--capsule-dir", str(self.capsules)]
            command += ["--plant", plant] if plant else []
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            line = answer.read().strip()
        if not line:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
        result = json.loads(line)
        reason = result["reason"]
        if result["outcome"] == "CRASH":
            checks = re.findall(r"^.*check failed.*$", done.stdout, re.MULTILINE | re.IGNORECASE)
            reason = checks[0] if checks else reason
        return Run(scenario, seed, result["outcome"], reason, result["cpu_ms"])


def suitable(plant: str, scenarios: list[Path], everything: bool) -> list[Path]:
    """The scenarios that a plant is looked for in."""
    patterns = ("*",) if everything else SUITABLE.get(plant, ("*",))
    return [s for s in scenarios if any(fnmatch.fnmatch(s.stem, pattern) for pattern in patterns)]


def hunt(simulator: Simulator, plant: str, scenarios: list[Path], seeds_max: int, jobs: int) -> Verdict:
    """Runs seeds until one finds the plant; the earliest of those that were under way counts."""
    order = [(scenario, seed) for seed in range(1, seeds_max + 1) for scenario in scenarios][:seeds_max]
    cpu_ms = 0
    first: tuple[int, Run] | None = None
    with ThreadPoolExecutor(jobs) as pool:
        running: dict[Future[Run], int] = {}
        at = 0
        while running or (first is None and at < len(order)):
            while first is None and at < len(order) and len(running) < jobs:
                running[pool.submit(simulator.run, *order[at], plant)] = at
                at += 1
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                index = running.pop(ended)
                run = ended.result()
                cpu_ms += run.cpu_ms
                if run.outcome in FOUND and (first is None or index < first[0]):
                    first = (index, run)
    if first is None:
        return Verdict(plant, len(order), None, "", cpu_ms / 1000)
    found = first[1]
    clean = simulator.run(found.scenario, found.seed, "")
    problem = "" if clean.outcome == "PASS" else f"without the plant: {clean.outcome} {clean.reason}"
    return Verdict(plant, first[0] + 1, found, problem, cpu_ms / 1000)


def row(verdict: Verdict) -> str:
    """One line of the table."""
    if verdict.found is None:
        return f"{verdict.plant:28} {verdict.seeds:5}  NOT FOUND  ({verdict.cpu_s:.0f} s of processor)"
    where = f"{verdict.found.scenario.stem} seed {verdict.found.seed}"
    text = f"{verdict.plant:28} {verdict.seeds:5}  {verdict.checker():9} {where:36} {verdict.found.reason[:140]}"
    return text + (f"\n    DOES NOT COUNT, {verdict.problem}" if verdict.problem else "")


def as_json(verdict: Verdict) -> str:
    """One line of --json."""
    line: dict[str, object] = {"plant": verdict.plant, "seeds": verdict.seeds, "found": verdict.ok()}
    line |= {"checker": verdict.checker(), "cpu_s": round(verdict.cpu_s, 2)}
    if verdict.found is not None:
        scenario = str(verdict.found.scenario.relative_to(ROOT))
        line |= {"scenario": scenario, "seed": verdict.found.seed, "reason": verdict.found.reason}
    return json.dumps(line)


def check_binaries(binaries: list[Path], plants: list[str]) -> int:
    """No production binary may hold the name of a plant; the exit code."""
    code = 0
    for binary in binaries:
        content = binary.read_bytes()
        held = [plant for plant in plants if plant.encode() in content]
        code = 1 if held else code
        print(f"{binary.name}, {len(content)} bytes: " + (f"holds {', '.join(held)}" if held else "no plant"))
    return code


def judge(verdicts: list[Verdict], median_max: float) -> int:
    """Prints the last line; the exit code."""
    median = statistics.median(verdict.seeds for verdict in verdicts)
    missed = [verdict.plant for verdict in verdicts if not verdict.ok()]
    good = not missed and median < median_max
    missing = f", missed: {', '.join(missed)}" if missed else ""
    print(f"{len(verdicts)} plants, median {median:g} seeds (below {median_max:g} wanted){missing}: "
          + ("PASS" if good else "FAIL"))
    return 0 if good else 1


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Count the seeds until each planted bug is found.")
    parser.add_argument("--plants", help="comma-separated; default: all")
    parser.add_argument("--without", default="", help="comma-separated; not these")
    parser.add_argument("--seeds-max", type=int, default=500)
    parser.add_argument("--median-max", type=float, default=60)
    parser.add_argument("--all-scenarios", action="store_true", help="not only those that can meet the plant")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed-seconds-max", type=int, default=60)
    parser.add_argument("--json", type=Path, help="one line a plant goes here")
    parser.add_argument("--capsules", type=Path, default=ROOT / "build" / "mutation")
    parser.add_argument("--check-binaries", nargs="+", type=Path, help="only look for plants in these programs")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    options = parser.parse_args()

    simulator = Simulator(options.simulate, options.capsules, options.seed_seconds_max)
    known = simulator.plants()
    if options.check_binaries:
        return check_binaries(options.check_binaries, known)
    plants = options.plants.split(",") if options.plants else known
    plants = [plant for plant in plants if plant not in options.without.split(",")]
    unknown = [plant for plant in plants if plant not in known]
    if unknown or not plants:
        print(f"no such plants: {', '.join(unknown)}; simulate list shows them", file=sys.stderr)
        return 20
    scenarios = [s for s in sorted((ROOT / "scenarios").rglob("*.textproto")) if s.stem not in NOT_FOR_PLANTS]
    print(f"{'plant':28} {'seeds':>5}  {'checker':9} {'found by':36} reason", flush=True)
    began = time.monotonic()
    verdicts: list[Verdict] = []
    for plant in plants:
        where = suitable(plant, scenarios, options.all_scenarios)
        verdicts.append(hunt(simulator, plant, where, options.seeds_max, options.jobs))
        print(row(verdicts[-1]), flush=True)
    if options.json:
        options.json.write_text("".join(as_json(verdict) + "\n" for verdict in verdicts))
    print(f"{time.monotonic() - began:.0f} s, {sum(verdict.cpu_s for verdict in verdicts):.0f} s of processor")
    return judge(verdicts, options.median_max)


if __name__ == "__main__":
    sys.exit(main())
