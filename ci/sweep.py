#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The nightly swarm: hours of new seeds over every scenario, what failed sorted out, and one page that says it all.

python3 ci/sweep.py --hours 8 --dir build/sweep      begins, or goes on where a former call with this --dir ended
python3 ci/sweep.py --report --dir build/sweep       only writes the page again

A round is one `simulate swarm --scenarios`, which gives each scenario the same share of processor time and runs 5 % of
the seeds twice. After a round what failed is run three times more (a bug fails each time with the same hash; another
hash is nondeterminism; what passes with more time was only slow), and the first capsule of each new kind of failure is
shrunk. Ctrl-C ends the round and writes the page; nothing that was run is lost.

In --dir: state.json (seed base, rounds), round-NNNN.jsonl and runs.jsonl (one line a run), capsules/, triage.jsonl,
probes.txt, summary.md. Exit code: 0, or the worst of 10 safety, 12 crash, 13 nondeterminism, 11 liveness, 124 slow,
20 (a canary was not found), 14 (a probe is not as it should be, --probes-must).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import sweep_summary
from sweep_summary import Run, Triage

ROOT = Path(__file__).resolve().parent.parent
_SEEDS_PER_ROUND = 1_000_000  # more than any round can run of one scenario
_RERUNS = 3
_RERUN_SECONDS = 600
_TRIAGED_PER_ROUND = 12
_TRIAGE_SHARE = 0.1  # of the time
_TRIAGE_SECONDS_MIN = 60  # where there is something to look at
_SHRINK_SECONDS_MAX = 120
_SHRINK_SECONDS_MIN = 10


class Sweep:
    """One directory of results, which grows from call to call."""

    def __init__(self, directory: Path, simulate: Path, scenarios: Path) -> None:
        self.directory = directory
        self.simulate = simulate
        self.scenarios = scenarios
        self.capsules = directory / "capsules"
        self.stopped = False
        directory.mkdir(parents=True, exist_ok=True)
        self._state_file = directory / "state.json"
        if self._state_file.exists():
            self.state = json.loads(self._state_file.read_text(encoding="utf-8"))
        else:
            self.state = {"seed_base": secrets.randbelow(1 << 40), "rounds": 0, "seconds": 0.0}
            self._save()

    def _save(self) -> None:
        scratch = self._state_file.with_suffix(".tmp")
        scratch.write_text(json.dumps(self.state), encoding="utf-8")
        scratch.replace(self._state_file)

    def runs(self) -> list[Run]:
        """Every run of every round."""
        return sweep_summary.read_runs(sorted(self.directory.glob("round-*.jsonl")))

    def triaged(self) -> list[Triage]:
        """What became of the failures that were looked at."""
        return sweep_summary.read_triage(self.directory / "triage.jsonl")

    def round(self, seconds: float, jobs: int) -> Path:
        """Runs one round; its file of runs. The round counts as begun before it runs: its seeds are never used again."""
        number = self.state["rounds"] + 1
        self.state["rounds"] = number
        self._save()
        lines = self.directory / f"round-{number:04}.jsonl"
        base = self.state["seed_base"] + number * _SEEDS_PER_ROUND
        command = [
            str(self.simulate), "swarm", "--scenarios", str(self.scenarios), "--budget", f"{max(1, int(seconds))}s",
            "--jobs", str(jobs), "--seed-base", str(base), "--double-run-every", "20", "--json", str(lines),
            "--capsule-dir", str(self.capsules),
        ]  # fmt: skip
        began = time.monotonic()
        # In a group of its own: Ctrl-C reaches this program, which then asks the swarm to end.
        swarm = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            swarm.wait()
        except KeyboardInterrupt:
            self.stopped = True
            swarm.send_signal(signal.SIGINT)
            swarm.wait()
        self.state["seconds"] += time.monotonic() - began
        self._save()
        if not lines.exists():
            raise RuntimeError(f"no run in round {number}: {' '.join(command)} ended with {swarm.returncode}")
        return lines

    def triage(self, runs: list[Run], seconds: float) -> None:
        """Runs failures again and shrinks the first of each new kind, until the time is used up."""
        known = {item.kind for item in self.triaged()}
        done = {(item.scenario, item.seed) for item in self.triaged()}
        failures = [run for run in runs if run.failed and (run.scenario, run.seed) not in done]
        deadline = time.monotonic() + max(seconds, _TRIAGE_SECONDS_MIN)
        with open(self.directory / "triage.jsonl", "a", encoding="utf-8") as out:
            for run in sweep_summary.first_of_each_kind(failures)[:_TRIAGED_PER_ROUND]:
                item = self._look_at(run)
                left = deadline - time.monotonic()
                if item.verdict == "bug" and item.kind not in known and left > _SHRINK_SECONDS_MIN:
                    self._shrink(item, left)
                known.add(item.kind)
                out.write(json.dumps(item.as_json()) + "\n")
                out.flush()

    def _capsule_of(self, run: Run) -> Path:
        stem = f"{Path(run.scenario).stem}-{run.seed}"
        found = sorted(path for path in self.capsules.glob(f"{stem}*.capsule") if not path.stem.endswith("-small"))
        return found[0] if found else self.capsules / f"{stem}.capsule"

    def _look_at(self, run: Run) -> Triage:
        """Three more runs."""
        again = []
        for _ in range(_RERUNS):
            command = [str(self.simulate), "run", run.scenario, "--seed", str(run.seed), "--hash-only"]
            try:
                done = subprocess.run(
                    command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_RERUN_SECONDS
                )
                again.append(done.stdout.strip() or f"died {done.returncode}")
            except subprocess.TimeoutExpired:
                again.append("limit of time")
        return Triage(run.scenario, run.seed, run.reason, sweep_summary.verdict_of(run, again), run.kind,
                      capsule=str(self._capsule_of(run)))  # fmt: skip

    def _shrink(self, item: Triage, seconds: float) -> None:
        budget = f"{int(min(seconds / 2, _SHRINK_SECONDS_MAX))}s"
        command = [str(self.simulate), "shrink", item.capsule, "--budget", budget]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        became = re.search(r"(\d+) faults became (\d+), (\d+) ms became (\d+)", done.stdout)
        if done.returncode == 0 and became is not None:
            item.shrunk = item.capsule.removesuffix(".capsule") + "-small.capsule"
            item.faults = int(became[2])
            item.virtual_ms = int(became[4])

    def report(self) -> int:
        """Writes runs.jsonl, probes.txt and the page; the exit code, probes aside."""
        lines = sorted(self.directory.glob("round-*.jsonl"))
        joined = self.directory / "runs.jsonl"
        joined.write_text("".join(path.read_text(encoding="utf-8") for path in lines), encoding="utf-8")
        command = [str(self.simulate), "probes", "--history", str(joined)]
        probes = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        (self.directory / "probes.txt").write_text(probes.stdout + probes.stderr, encoding="utf-8")
        runs = self.runs()
        text = sweep_summary.page(runs, self.triaged(), self.state, probes.stdout)
        (self.directory / "summary.md").write_text(text, encoding="utf-8")
        self.probes_broken = probes.returncode != 0
        return sweep_summary.exit_code(runs)


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run new seeds of every scenario for hours, and say what they found.")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "sweep")
    parser.add_argument("--scenarios", type=Path, default=ROOT / "scenarios")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--round-minutes", type=float, default=10.0)
    parser.add_argument("--probes-must", action="store_true", help="14 when a probe is not as it should be")
    parser.add_argument("--report", action="store_true", help="only write the page again")
    options = parser.parse_args()
    if not options.simulate.exists():
        print(f"{options.simulate} does not exist; build it first", file=sys.stderr)
        return 20

    simulate = options.simulate.resolve()
    scenarios = options.scenarios
    if scenarios.is_absolute() and scenarios.is_relative_to(ROOT):
        scenarios = scenarios.relative_to(ROOT)  # replay lines work on other machines
    sweep = Sweep(options.dir.resolve(), simulate, scenarios)
    end = time.monotonic() + options.hours * 3600
    try:
        while not options.report and not sweep.stopped and time.monotonic() < end:
            seconds = min(options.round_minutes * 60, end - time.monotonic())
            runs = sweep_summary.read_runs([sweep.round(seconds * (1 - _TRIAGE_SHARE), options.jobs)])
            if not sweep.stopped:
                sweep.triage(runs, seconds * _TRIAGE_SHARE)
            print(sweep_summary.round_line(sweep.state["rounds"], runs), flush=True)
            sweep.report()
    except KeyboardInterrupt:
        print("stopped", flush=True)
    code = sweep.report()
    if code == 0 and options.probes_must and sweep.probes_broken:
        code = 14
    print((sweep.directory / "summary.md").read_text(encoding="utf-8"))
    return code


if __name__ == "__main__":
    sys.exit(main())
