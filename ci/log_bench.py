#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Log append on real processes beside fio: three log servers, and fio with three jobs, on the same disk, in one run.

python3 ci/log_bench.py [--seconds N] [--rounds N] [--depths 1,16] [--dir DIR] [--json FILE]

Each round is fio and then Redoubt for each chunk size and depth; the table has the medians of the rounds, and the
ratio of the medians, as disks are noisy. fio writes with --fdatasync=1 into three files at once, since three log
servers share the disk here; its figure is that of one job, as Redoubt's is that of one log server (each writes
everything). Exit code 1 when a throughput is below 0.7 of fio's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import packages
import stack

ROOT = Path(__file__).resolve().parent.parent
_LOG_SERVERS = 3
_WANTED = 0.7


@dataclass
class Figures:
    """Of one chunk size and depth, a value a round."""

    mb_per_second: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)

    def text(self) -> str:
        """Medians, for the table."""
        return f"{statistics.median(self.mb_per_second):.2f} MB/s, p99 {statistics.median(self.p99_us) / 1000:.2f} ms"


def fio(directory: Path, chunk_bytes: int, depth: int, seconds: float) -> tuple[float, float]:
    """MB/s of one of three jobs, and the 99th percentile in microseconds of write and fdatasync together."""
    command = [
        "fio", "--name=log", f"--directory={directory}", f"--numjobs={_LOG_SERVERS}", "--rw=write", "--size=4g",
        f"--bs={chunk_bytes}", "--fdatasync=1", "--time_based", f"--runtime={seconds}", "--output-format=json",
        f"--ioengine={'psync' if depth == 1 else 'libaio'}", f"--iodepth={depth}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise stack.StackError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    jobs = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    for path in directory.glob("log.*"):
        path.unlink()
    rate = statistics.mean(job["write"]["bw_bytes"] for job in jobs) / 1e6
    write = statistics.mean(job["write"]["clat_ns"]["percentile"]["99.000000"] for job in jobs)
    sync = statistics.mean(job["sync"]["lat_ns"]["percentile"]["99.000000"] for job in jobs)
    return rate, (write + sync) / 1000


class LogServers:
    """Three log servers below a directory."""

    def __init__(self, directory: Path) -> None:
        self.servers = []
        for i in range(_LOG_SERVERS):
            server = stack.PageServer(directory / f"log{i}", directory, extra=("--role", "log"))
            server.log = directory / f"log{i}.log"
            self.servers.append(server)
        self._volumes = 0

    def append(self, chunk_bytes: int, depth: int, seconds: float) -> tuple[float, float]:
        """As fio()."""
        self._volumes += 1
        command = [
            str(stack.binary("log_bench")), "--log-servers", ",".join(s.address for s in self.servers),
            "--volume", f"v{self._volumes}", "--chunk-bytes", str(chunk_bytes), "--depth", str(depth),
            "--seconds", str(seconds),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise stack.StackError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout.strip().splitlines()[-1])
        return result["mb_per_second"], result["p99_us"]

    def __enter__(self) -> LogServers:
        for server in self.servers:
            server.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.kill9()


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Measure log append beside fio.")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="4096,65536")
    parser.add_argument("--depths", default="1,16")
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "log_bench", help="on the disk to be measured")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    packages.ensure(["bench"])
    sizes = [int(text) for text in options.sizes.split(",")]
    depths = [int(text) for text in options.depths.split(",")]
    shutil.rmtree(options.dir, ignore_errors=True)
    (options.dir / "fio").mkdir(parents=True)

    theirs = {(size, depth): Figures() for size in sizes for depth in depths}
    ours = {key: Figures() for key in theirs}
    with LogServers(options.dir) as servers:
        for number in range(options.rounds):
            for size, depth in theirs:
                for figures, (rate, p99) in (
                    (theirs[size, depth], fio(options.dir / "fio", size, depth, options.seconds)),
                    (ours[size, depth], servers.append(size, depth, options.seconds)),
                ):
                    figures.mb_per_second.append(rate)
                    figures.p99_us.append(p99)
            stack.progress(f"round {number + 1} of {options.rounds}")
    shutil.rmtree(options.dir, ignore_errors=True)

    ratios = {
        key: statistics.median(ours[key].mb_per_second) / statistics.median(theirs[key].mb_per_second) for key in theirs
    }
    print("\n| what | Redoubt, a majority of three log servers | beside, each of three jobs | ratio |\n|---|---|---|---|")
    for (size, depth), ratio in ratios.items():
        name = f"log append, {size // 1024} KiB, {depth} in flight"
        beside = f"fio --fdatasync=1 {theirs[size, depth].text()}"
        print(f"| {name} | {ours[size, depth].text()} | {beside} | {ratio:.2f} |")
    if options.json:
        rows = [
            {"bytes": size, "depth": depth, "ratio": ratio, "mb_per_second": ours[size, depth].mb_per_second,
             "p99_us": ours[size, depth].p99_us, "fio_mb_per_second": theirs[size, depth].mb_per_second,
             "fio_p99_us": theirs[size, depth].p99_us}
            for (size, depth), ratio in ratios.items()
        ]  # fmt: skip
        options.json.write_text(json.dumps(rows), encoding="utf-8")
    return 0 if all(ratio >= _WANTED for ratio in ratios.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
