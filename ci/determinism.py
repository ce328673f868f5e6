#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same seed must give the same trace: runs `simulate check-determinism` over scenarios.

Each seed runs twice in one process, once in a process with fixed addresses and once in one with randomised addresses,
another environment and poisoned heap memory; all four trace hashes must be equal.

python3 ci/determinism.py                       every scenario below scenarios/, 3 seeds each
python3 ci/determinism.py --seeds 1000 --jobs 2 the long check
python3 ci/determinism.py --simulate build/h/bin/simulate scenarios/smoke/protect_smoke.textproto
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SEEDS_PER_CALL = 10


def check(simulate: Path, scenario: Path, first: int, count: int) -> tuple[bool, str]:
    """Runs `count` seeds from `first`; whether all agreed, and what was printed."""
    command = [str(simulate), "check-determinism", str(scenario), "--seed", str(first), "--seeds", str(count)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode == 0, done.stdout


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check that a seed's trace does not depend on anything but the seed.")
    parser.add_argument("scenarios", nargs="*", type=Path, help="scenario files; default: all below scenarios/")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    parser.add_argument("--seeds", type=int, default=3, help="per scenario")
    parser.add_argument("--seed-base", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()

    scenarios = options.scenarios or sorted((ROOT / "scenarios").rglob("*.textproto"))
    if not scenarios or not options.simulate.exists():
        print(f"nothing to check: {len(scenarios)} scenarios, {options.simulate}", file=sys.stderr)
        return 20
    end = options.seed_base + options.seeds
    calls = [
        (scenario, first, min(_SEEDS_PER_CALL, end - first))
        for scenario in scenarios
        for first in range(options.seed_base, end, _SEEDS_PER_CALL)
    ]
    began = time.monotonic()
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for (scenario, first, count), (agreed, output) in zip(
            calls, pool.map(lambda call: check(options.simulate, *call), calls), strict=True
        ):
            if not agreed:
                failed += 1
                print(f"{scenario} seeds {first} to {first + count - 1}:\n{output}", flush=True)
    runs = len(scenarios) * options.seeds
    verdict = "PASS" if failed == 0 else f"NONDETERMINISM in {failed} batches"
    print(f"{runs} seeds of {len(scenarios)} scenarios, four runs each, in {time.monotonic() - began:.0f} s: {verdict}")
    return 0 if failed == 0 else 13


if __name__ == "__main__":
    sys.exit(main())
