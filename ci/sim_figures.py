#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The simulator's figures for the README: virtual/real time, seconds a seed, seeds a minute, and whether runs repeat.

python3 ci/sim_figures.py [--seeds N] [--jobs N] [--seed-base N] [--json FILE]

Runs N seeds, each twice, shared evenly among the smoke scenarios. Times are processor time of the first of the two
runs, as `simulate swarm` counts it, so that another program on the machine changes little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sweep_summary
from sweep_summary import Run

ROOT = Path(__file__).resolve().parent.parent


def figures(runs: list[Run]) -> dict[str, float]:
    """The figures of some runs."""
    cpu = sum(run.cpu_ms for run in runs)
    return {
        "seeds": len(runs),
        "virtual_per_real": sum(run.virtual_ms for run in runs) / max(1, cpu),
        "median_seconds": statistics.median(run.cpu_ms for run in runs) / 1000,
        "seeds_per_minute_and_core": len(runs) * 60_000 / max(1, cpu),
        "double_runs": sum(run.twice for run in runs),
        "hash_mismatches": sum(run.outcome == "NONDETERMINISM" for run in runs),
        "failed": sum(run.failed for run in runs),
    }


def rows(name: str, of: dict[str, float]) -> list[str]:
    """Lines of the README's table."""
    return [
        f"| {name}: virtual/real time | {of['virtual_per_real']:.0f}x | wanted 100x |",
        f"| {name}: median seed | {of['median_seconds']:.2f} s | wanted at most 1 s |",
        f"| {name}: seeds a minute and core | {of['seeds_per_minute_and_core']:.0f} | wanted 60 |",
        f"| {name}: hash mismatches | {of['hash_mismatches']:.0f} in {of['double_runs']:.0f} double runs | wanted 0 |",
    ]


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Measure the simulator.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed-base", type=int, default=1)
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    parser.add_argument("--scenarios", type=Path, default=ROOT / "scenarios" / "smoke")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scenarios = sorted(options.scenarios.rglob("*.textproto"))
    if not scenarios or not options.simulate.exists():
        print(f"nothing to measure: {len(scenarios)} scenarios, {options.simulate}", file=sys.stderr)
        return 20

    began = time.monotonic()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as directory:
        lines = Path(directory) / "runs.jsonl"
        for scenario in scenarios:
            count = max(1, options.seeds // len(scenarios))
            command = [
                str(options.simulate), "swarm", "--scenario", str(scenario), "--seeds", str(count), "--seed-base",
                str(options.seed_base), "--jobs", str(options.jobs), "--double-run-every", "1", "--json", str(lines),
            ]  # fmt: skip
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
            own = sweep_summary.read_runs([lines])
            if not own:
                print(f"no run of {scenario}", file=sys.stderr)
                return 20
            runs += own
            one = figures(own)
            print(f"{scenario.stem:28} {one['virtual_per_real']:6.0f}x  {one['median_seconds']:.2f} s median  "
                  f"{one['failed']:.0f} failed", flush=True)  # fmt: skip
    smoke = figures([run for run in runs if Path(run.scenario).stem == "smoke"] or runs)
    everything = figures(runs)
    print("\n| what | seen | |\n|---|---|---|")
    print("\n".join(rows("smoke", smoke) + rows(f"{len(scenarios)} scenarios", everything)))
    print(f"\n{len(runs)} seeds in {time.monotonic() - began:.0f} s, {everything['failed']:.0f} failed")
    if options.json:
        options.json.write_text(json.dumps({"smoke": smoke, "all": everything}), encoding="utf-8")
    reached = (
        smoke["virtual_per_real"] >= 100
        and everything["median_seconds"] <= 1
        and everything["seeds_per_minute_and_core"] >= 60
        and everything["hash_mismatches"] == 0
        and everything["failed"] == 0
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
