#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every libFuzzer target of build/fuzz for a short while, each with a fixed seed.

python3 ci/fuzz.py [--seconds N]        of all targets together; a find is left in build/fuzz/finds
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "fuzz"
_SEED = 1


def targets() -> list[Path]:
    """The built fuzz programs."""
    found = [f for folder in ("bin", "tests") for f in (BUILD / folder).glob("*_fuzz")]
    return sorted(f for f in found if os.access(f, os.X_OK))


def run(target: Path, seconds: int) -> bool:
    """Fuzzes one target; True when it found nothing."""
    finds = BUILD / "finds"
    finds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        command = [
            str(target),
            f"-max_total_time={seconds}",
            f"-seed={_SEED}",
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-print_final_stats=1",
            f"-artifact_prefix={finds}/{target.name}-",
            corpus,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    executed = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    print(f"{target.name:24} {executed} inputs, exit code {done.returncode}", flush=True)
    if done.returncode != 0:
        print("\n".join(lines[-60:]), flush=True)
    return done.returncode == 0


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run the fuzz targets for a short while.")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    found = targets()
    if not found:
        print(f"no fuzz targets below {BUILD}; build the preset fuzz first")
        return 1
    good = [run(target, max(5, options.seconds // len(found))) for target in found]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
