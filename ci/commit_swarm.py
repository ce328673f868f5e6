#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds that no commit before has seen: the commit's hash chooses them, so that everybody who checks it runs the same ones.

python3 ci/commit_swarm.py --budget 3m       all scenarios, the same share of processor time each; the canary must be found
python3 ci/commit_swarm.py --seeds-each 2    so many seeds of every scenario of scenarios/smoke, for slow builds:
                                             --simulate build/asan/bin/simulate

The last lines of a failure are `simulate`'s own: reason, seed, and the command that shows it again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from build import ROOT

_SEED_SECONDS_MAX = 300


def commit_of(directory: Path) -> str:
    """The hash of what is checked out; "" where that is no repository."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def swarm(simulate: Path, base: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of one `simulate swarm`."""
    command = [str(simulate), "swarm", "--seed-base", base, "--seed-seconds-max", str(_SEED_SECONDS_MAX), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def seeds_of_each(simulate: Path, base: str, count: int, jobs: int) -> int:
    """Runs `count` seeds of every scenario; the exit code of the first that failed. Idle seeds fail nothing here: few say little."""
    scenarios = sorted((ROOT / "scenarios" / "smoke").glob("*.textproto"))
    began = time.monotonic()
    codes = []
    shown = ""

    def one(scenario: Path) -> tuple[int, str]:
        where = str(scenario.relative_to(ROOT))
        return swarm(simulate, base, "--scenario", where, "--seeds", str(count), "--double-run-every", "0")

    with ThreadPoolExecutor(jobs) as pool:
        for code, output in pool.map(one, scenarios):
            if code not in (0, 14):
                shown += output
                codes.append(code)
    print(f"{count * len(scenarios)} seeds of {len(scenarios)} scenarios from {base} in {time.monotonic() - began:.0f} s: "
          + ("PASS" if not codes else f"{len(codes)} scenarios FAILED"))  # fmt: skip
    print(shown, end="")
    return codes[0] if codes else 0 if scenarios else 20


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run simulator seeds that the commit chooses.")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    parser.add_argument("--budget", default="3m", help="wall time: 90s, 3m")
    parser.add_argument("--seeds-each", type=int, help="instead of a budget")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    base = commit_of(ROOT)
    if base == "" or not options.simulate.exists():
        print("not a git repository" if base == "" else f"{options.simulate} does not exist; build it first", file=sys.stderr)
        return 20
    simulate = options.simulate.resolve()
    if options.seeds_each is not None:
        return seeds_of_each(simulate, base, options.seeds_each, options.jobs)
    code, output = swarm(simulate, base, "--scenarios", "scenarios", "--budget", options.budget, "--jobs", str(options.jobs))
    print(f"seeds from commit {base}\n{output}", end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
