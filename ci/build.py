# SPDX-License-Identifier: MIT
"""Builds with CMake's presets: progress on the way, and compiler results kept where the next build finds them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PROGRESS_SECONDS = 10


def environment() -> dict[str, str]:
    """The caller's environment; compiler results are found again from whatever directory is built."""
    return {
        "CCACHE_DIR": str(Path.home() / ".cache" / "ccache"),
        "CCACHE_BASEDIR": str(ROOT),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_DEPEND": "1",  # the compiler says which headers it read: nothing is preprocessed only to find out
        "CCACHE_PCH_EXTSUM": "1",  # cmake/RedoubtTargets.cmake writes what stands for clang's
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",  # what it takes to keep results of precompiled headers
        **os.environ,
    }


class StageFailed(Exception):
    """A stage ended badly; its output has been shown."""


def run(command: list[str], *, quiet: bool = False) -> str:
    """Runs a command in the repository; raises StageFailed, having shown its output, when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout, flush=True)
        raise StageFailed(f"{' '.join(command)} ended with {done.returncode}")
    if not quiet:
        print(done.stdout, end="", flush=True)
    return done.stdout


def ninja(directory: Path, targets: list[str], jobs: int) -> None:
    """Builds; shows a progress line now and then, and everything else that is said."""
    command = ["ninja", "-C", str(directory), f"-j{jobs}", "-k", "20", *targets]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    shown = 0.0
    for line in process.stdout:
        is_progress = line.startswith("[") and "/" in line.split("]")[0]
        if not is_progress:
            print(line, end="", flush=True)
        elif time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            print(f"  {line.rstrip()[:120]}", flush=True)
    if process.wait() != 0:
        raise StageFailed(f"{' '.join(command)} ended with {process.returncode}")


def configure(preset: str) -> Path:
    """Configures a preset of CMakePresets.json; returns its build directory."""
    run(["cmake", "--preset", preset], quiet=True)
    return ROOT / "build" / preset
