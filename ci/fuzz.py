#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every libFuzzer target of build/fuzz for a short while, each with a fixed seed.

python3 ci/fuzz.py [--seconds N] [--seed N] [--build DIR]       seconds: of all targets together

A find is left in build/fuzz/finds. What is printed is enough to repeat it elsewhere: the check that failed, the stack
with functions and lines, and the input as hexadecimal text.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEX_BYTES_MAX = 4096
_HEX_BYTES_A_LINE = 48
_LINES_MAX = 120

# LLVM's names inlined functions right; the last one comes with the compiler.
_ADDR2LINE = ("llvm-addr2line-19", "llvm-addr2line", "addr2line")

# Progress ("#4711 NEW ..."), notes and counters of libFuzzer.
_NOISE = re.compile(r"#\d+\s|INFO: |NOTE: |stat::|MS: \d|Base64: |\s*$|\s+Combine libFuzzer")
# ASan's picture of its own memory; the input as C text, in two lines (it is printed as hexadecimal text instead).
_PICTURES = re.compile(
    r"Shadow bytes around.*?(?=^==\d+==|\Z)|^(0x[0-9a-f]{1,2},)+\n[^\n]*\n", re.MULTILINE | re.DOTALL
)
_FRAME = re.compile(r"(\s+#\d+) 0x[0-9a-f]+\s+\((/.*)\+(0x[0-9a-f]+)\)")


def targets(build: Path) -> list[Path]:
    """The built fuzz programs."""
    found = [f for folder in ("bin", "tests") for f in (build / folder).glob("*_fuzz")]
    return sorted(f for f in found if os.access(f, os.X_OK))


def _environment() -> dict[str, str]:
    """Stacks as addresses: no symbolizer that the sanitizers accept need be installed."""
    environment = dict(os.environ)
    for name, more in (("ASAN_OPTIONS", "symbolize=0"), ("UBSAN_OPTIONS", "symbolize=0:print_stacktrace=1")):
        environment[name] = ":".join(filter(None, [environment.get(name), more]))
    return environment


def resolve(module: str, addresses: Iterable[str]) -> dict[str, list[str]]:
    """For each address in a program the functions it is in, innermost first."""
    wanted = sorted(set(addresses))
    tool = next(filter(None, map(shutil.which, _ADDR2LINE)), None)
    if tool is None or not Path(module).exists():
        return {}
    command = [tool, "-a", "-C", "-f", "-i", "-p", "-e", module, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    named: dict[str, list[str]] = {}
    current: list[str] = []
    for line in done.stdout.splitlines():
        if start := re.match(r"(0x[0-9a-f]+): (.*)", line):
            current = named.setdefault(hex(int(start[1], 16)), [])
        text = start[2] if start else line.strip().removeprefix("(inlined by) ")
        # Paths are relative to the build directory, which may be a cached result's: only the tail is sure.
        current.append(re.sub(r" at \S*/\.\./\.\./", " at ", text))
    return named


def symbolize(lines: list[str]) -> list[str]:
    """Replaces the addresses in stack frames by functions and lines; inlined ones get lines of their own."""
    frames = [_FRAME.match(line) for line in lines]
    modules = {frame[2] for frame in frames if frame}
    names = {m: resolve(m, [frame[3] for frame in frames if frame and frame[2] == m]) for m in modules}
    result = []
    for line, frame in zip(lines, frames):
        known = names[frame[2]].get(hex(int(frame[3], 16)), []) if frame else []
        if not frame or not known or known[0].startswith("??"):
            result.append(line)
            continue
        result.append(f"{frame[1]} {known[0]}")
        result += [f"{' ' * len(frame[1])} inlined in {name}" for name in known[1:]]
    return result


def report(stderr: str) -> list[str]:
    """The lines that say what was found, symbolized."""
    lines = _PICTURES.sub("", stderr).splitlines()
    return symbolize([line for line in lines if not _NOISE.match(line)])[:_LINES_MAX]


def print_input(target: Path, find: Path) -> None:
    """The input that was found, so that a log alone can repeat the find."""
    data = find.read_bytes()
    if len(data) > _HEX_BYTES_MAX:
        print(f"the input has {len(data)} bytes: {find}", flush=True)
        return
    print(f"the input, {len(data)} bytes; to repeat: xxd -r -p HEX_TEXT_FILE find; {target.name} find")
    for at in range(0, len(data), _HEX_BYTES_A_LINE):
        print(f"  {data[at:at + _HEX_BYTES_A_LINE].hex()}")
    sys.stdout.flush()


def run(target: Path, seconds: int, seed: int, finds: Path) -> bool:
    """Fuzzes one target; True when it found nothing."""
    finds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        command = [
            str(target),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-print_final_stats=1",
            "-print_funcs=0",
            f"-artifact_prefix={finds}/{target.name}-",
            corpus,
        ]
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, errors="replace", check=False
        )
    executed = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    print(f"{target.name:24} {executed[-1] if executed else '?'} inputs, exit code {done.returncode}", flush=True)
    if done.returncode != 0:
        print("\n".join(report(done.stderr)), flush=True)
        for path in re.findall(r"Test unit written to (.+)", done.stderr):
            print_input(target, Path(path))
    return done.returncode == 0


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run the fuzz targets for a short while.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "fuzz", help="the build directory")
    options = parser.parse_args()
    found = targets(options.build)
    if not found:
        print(f"no fuzz targets below {options.build}; build the preset fuzz first")
        return 1
    seconds = max(5, options.seconds // len(found))
    good = [run(target, seconds, options.seed, options.build / "finds") for target in found]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
