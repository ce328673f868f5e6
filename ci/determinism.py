#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same seed must give the same trace: runs `simulate check-determinism` over scenarios.

Each seed runs twice in one process, once in a process with fixed addresses and once in one with randomised addresses,
another environment and poisoned heap memory; all four trace hashes must be equal. With --twin, each seed runs once with
either build instead: what another compiler orders, initialises or lays out in another way decides nothing either.

python3 ci/determinism.py                       every scenario below scenarios/, 3 seeds each
python3 ci/determinism.py --seeds 1000 --jobs 2 the long check
python3 ci/determinism.py --simulate build/h/bin/simulate scenarios/smoke/smoke.textproto
python3 ci/determinism.py --twin build/asan/bin/simulate

Exit code: 0; 12 when a run of the twin ends badly, by a sanitizer perhaps; 13 when hashes differ; 20.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SEEDS_PER_CALL = 10
_HASH = re.compile(r"0x[0-9a-f]{16} \d+")  # and the exit code, as --hash-only prints them


def ask(command: list[str]) -> tuple[int, str]:
    """Exit code of a command, and what it printed."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def check(simulate: Path, scenario: Path, first: int, count: int) -> tuple[int, str]:
    """Runs `count` seeds from `first`; 0 when all agreed, and what was printed."""
    return ask([str(simulate), "check-determinism", str(scenario), "--seed", str(first), "--seeds", str(count)])


def check_twin(simulate: Path, twin: Path, scenario: Path, first: int, count: int) -> tuple[int, str]:
    """Runs `count` seeds from `first` with both builds; 0 when all agreed, 12 or 13, and what was printed."""
    said = ""
    worst = 0
    for seed in range(first, first + count):
        how = ["run", str(scenario), "--seed", str(seed), "--hash-only"]
        _, own = ask([str(simulate), *how])
        code, other = ask([str(twin), *how])
        if own != other or not _HASH.fullmatch(own.strip()):
            worst = max(worst, 12 if code not in (0, 10, 11, 13, 14) else 13)
            said += f"seed {seed}: {own.strip()} of {simulate}, {other.strip()} of {twin}\n"
            said += f"again: {twin} run {scenario} --seed {seed} --in-process\n"
    return worst, said


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check that a seed's trace does not depend on anything but the seed.")
    parser.add_argument("scenarios", nargs="*", type=Path, help="scenario files; default: all below scenarios/")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    parser.add_argument("--seeds", type=int, default=3, help="per scenario")
    parser.add_argument("--seed-base", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--twin", type=Path, help="a simulate that another compiler or other options built")
    options = parser.parse_args()

    scenarios = options.scenarios or sorted((ROOT / "scenarios").rglob("*.textproto"))
    builds = [options.simulate.resolve()] + ([options.twin.resolve()] if options.twin else [])
    absent = [str(build) for build in builds if not build.exists()]
    if not scenarios or absent:
        print(f"nothing to check: {len(scenarios)} scenarios, not built: {', '.join(absent) or '-'}", file=sys.stderr)
        return 20
    look = check_twin if options.twin else check
    end = options.seed_base + options.seeds
    calls = [
        (scenario, first, min(_SEEDS_PER_CALL, end - first))
        for scenario in scenarios
        for first in range(options.seed_base, end, _SEEDS_PER_CALL)
    ]
    began = time.monotonic()
    failed = worst = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for (scenario, first, count), (code, output) in zip(
            calls, pool.map(lambda call: look(*builds, *call), calls), strict=True
        ):
            if code != 0:
                failed += 1
                worst = max(worst, 12 if code == 12 else 13)
                print(f"{scenario} seeds {first} to {first + count - 1}:\n{output}", flush=True)
    runs = len(scenarios) * options.seeds
    verdict = "PASS" if failed == 0 else f"{'FAILURES' if worst == 12 else 'NONDETERMINISM'} in {failed} batches"
    how = "one run of each build" if options.twin else "four runs each"
    print(f"{runs} seeds of {len(scenarios)} scenarios, {how}, in {time.monotonic() - began:.0f} s: {verdict}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
