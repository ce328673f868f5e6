#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A few simulator seeds under valgrind: a value that was never written decides nothing, no byte out of bounds is used.

python3 ci/valgrind_seeds.py                        one seed of every scenario below scenarios/smoke
python3 ci/valgrind_seeds.py --minutes 20 --seed 7  until the time is used up, a scenario after the other

Each seed is also run without valgrind, and the trace hashes must be equal: valgrind fills memory otherwise, moves
addresses and is far slower. Exit code: 0; 12 when valgrind complains or a run fails; 13 when hashes differ.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=no", "--undef-value-errors=yes"]
_SECONDS_MAX = 1200


def run_once(simulate: Path, scenario: Path, seed: int, wrapper: list[str]) -> tuple[int, str]:
    """Exit code, and the line "HASH CODE" or what was said instead."""
    command = [*wrapper, str(simulate), "run", str(scenario), "--seed", str(seed), "--hash-only"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=_SECONDS_MAX,
    )  # fmt: skip
    return done.returncode, done.stdout.strip()


def look_at(simulate: Path, scenario: Path, seed: int) -> tuple[int, str]:
    """0, 12 or 13, and why."""
    plain_code, plain = run_once(simulate, scenario, seed, [])
    code, watched = run_once(simulate, scenario, seed, _VALGRIND)
    if code != 0 or plain_code != 0:
        return 12, watched if code != 0 else plain
    if plain != watched:
        return 13, f"{plain} without valgrind, {watched} under it"
    return (0, watched) if watched.endswith(" 0") else (12, watched)


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run a few seeds of every scenario under valgrind.")
    parser.add_argument("--minutes", type=float, help="go on with further seeds until then; default: one of each")
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--scenarios", type=Path, default=ROOT / "scenarios" / "smoke")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    options = parser.parse_args()
    scenarios = sorted(path.resolve().relative_to(ROOT) for path in options.scenarios.rglob("*.textproto"))
    if not scenarios or not options.simulate.exists():
        print(f"nothing to run: {len(scenarios)} scenarios, {options.simulate}", file=sys.stderr)
        return 20
    end = time.monotonic() + (options.minutes or 0) * 60
    seed = options.seed
    worst = runs = 0
    while True:
        def look(scenario: Path, seed: int = seed) -> tuple[int, str] | None:
            late = options.minutes is not None and time.monotonic() >= end
            return None if late else look_at(options.simulate.resolve(), scenario, seed)

        with ThreadPoolExecutor(options.jobs) as pool:
            for scenario, found in zip(scenarios, pool.map(look, scenarios), strict=True):
                if found is None:
                    continue
                runs += 1
                worst = max(worst, found[0])
                if found[0] != 0:
                    print(f"{scenario} seed {seed}: {found[1]}\n"
                          f"again: {' '.join(_VALGRIND)} {options.simulate} run {scenario} --seed {seed} --in-process",
                          flush=True)  # fmt: skip
        seed += 1
        if options.minutes is None or time.monotonic() >= end:
            break
    print(f"{runs} runs under valgrind: {'PASS' if worst == 0 else 'FAIL'}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
