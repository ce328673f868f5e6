#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Uses `simulate` as a person would: exit codes, the last lines of a failure, capsules elsewhere, shrinking, help.

python3 tests/sim/command_check.py --simulate build/release/bin/simulate
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_SCENARIO = "scenarios/smoke/smoke.textproto"
_PLANT = ["--plant", "missing_dirsync"]
_PLANT_SEEDS_MAX = 60
_CAPSULE_BYTES_MAX = 100_000
_SHRINK_SECONDS_MAX = 120
_SHRUNK_FAULTS_MAX = 5


class Command:
    """The program, run in the repository's root."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program = program
        self.directory = directory

    def run(self, *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        command = [str(self.program), *arguments]
        done = subprocess.run(
            command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout

    def scenario(self, *arguments: str) -> tuple[int, str]:
        """`run` of one seed; failures are written down in the test's directory."""
        return self.run("run", _SCENARIO, "--capsule-dir", str(self.directory), *arguments)


def expect(what: str, holds: bool, output: str) -> None:
    """Raises AssertionError with the end of the output."""
    if not holds:
        raise AssertionError(f"{what}; the output ended with:\n{output[-1500:]}")


def find_failing_seed(command: Command) -> str:
    """The first seed that passes without the planted bug and not with it: changes of timing make it another one."""
    for seed in map(str, range(1, _PLANT_SEEDS_MAX + 1)):
        code, _ = command.scenario("--seed", seed, "--quiet", *_PLANT)
        if code == 10 and command.scenario("--seed", seed, "--quiet")[0] == 0:
            return seed
    raise AssertionError(f"no seed up to {_PLANT_SEEDS_MAX} of {_SCENARIO} finds {_PLANT[1]}")


def check_exit_codes(command: Command, failing: str) -> None:
    """Each outcome that a scenario can have, by its code."""
    cases = [
        (0, ["--seed", "1"]),
        (10, ["--seed", failing, *_PLANT]),
        (11, ["--seed", "1", "--set", "limits.events=2000"]),
        (14, ["--seed", "1", "--set", "expect.reads_min=100000000"]),
        (20, ["--seed", "1", "--set", "workload.no_such_field=1"]),
        (20, ["--plant", "no_such_bug"]),
        (124, ["--seed", "1", "--seconds-max", "1", "--set", "phases.chaos_ms=90000000"]),
        (125, ["--seed", "1", "--bisect", "--set", "expect.reads_min=100000000"]),
        (10, ["--seed", failing, "--bisect", *_PLANT]),
    ]
    for code, arguments in cases:
        have, output = command.scenario(*arguments)
        expect(f"run {' '.join(arguments)} ended with {have} instead of {code}", have == code, output)
    for arguments in (["run", "no/such.textproto"], ["list", "no/such/directory"], ["replay", "no/such.capsule"]):
        have, output = command.run(*arguments)
        expect(f"{' '.join(arguments)} ended with {have} instead of 20", have == 20 and "no/such" in output, output)


def check_crash(command: Command) -> None:
    """A run that dies is 12, and is written down like any other failure."""
    arguments = ["run", _SCENARIO, "--seed", "1", "--quiet", "--capsule-dir", str(command.directory)]
    process = subprocess.Popen(
        [str(command.program), *arguments, "--set", "phases.chaos_ms=90000000"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while process.poll() is None and not (pids := children.read_text().split()):
        expect("no child", time.monotonic() < deadline, "")
        time.sleep(0.05)
    os.kill(int(pids[0]), signal.SIGSEGV)
    output, _ = process.communicate(timeout=60)
    expect(f"a run that died ended with {process.returncode}", process.returncode == 12, output)
    lines = output.splitlines()
    expect("no reason", lines[-4].startswith("CRASH smoke: crash: Segmentation fault"), output)
    expect("no command", lines[-1].startswith("replay: "), output)


def check_failure(command: Command, failing: str) -> Path:
    """The last lines: reason, seed, and a command that can be pasted. Returns the capsule."""
    code, output = command.scenario("--seed", failing, *_PLANT)
    lines = output.splitlines()
    reason = next((i for i, line in enumerate(lines) if line.startswith("SAFETY smoke: C")), -1)
    expect("no reason among the last lines", len(lines) - 4 <= reason, output)
    expect("no seed behind the reason", lines[reason + 1].startswith(f"seed {failing}, planted bug missing_dirsync"), output)
    expect("the last line is no command", lines[-1].startswith("replay: "), output)
    again = subprocess.run(
        shlex.split(lines[-1].removeprefix("replay: ")), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    expect("the printed command does not fail in the same way", again.returncode == code == 10, again.stdout)
    expect("another hash", "the same hash as in the capsule" in again.stdout, again.stdout)
    return Path(shlex.split(lines[-1])[3])


def check_last_lines(command: Command) -> None:
    """Every command that finds a failure ends with reason, seed and a command that shows it again."""
    scenarios = command.directory / "scenarios"
    scenarios.mkdir()
    for name in ("smoke", "slow_fsync"):
        text = (ROOT / "scenarios" / "smoke" / f"{name}.textproto").read_text()
        events = 2000 if name == "smoke" else 20000000
        (scenarios / f"{name}.textproto").write_text(re.sub(r"limits \{ events: \d+ \}", f"limits {{ events: {events} }}", text))
    corpus = command.directory / "corpus"
    added = command.run("corpus", "--directory", str(corpus), "add", _SCENARIO, "--seed", "3", "--set", "limits.events=2000")
    expect("corpus add", added[0] == 0, added[1])
    capsules = ["--capsule-dir", str(command.directory)]
    for arguments in (
        ["swarm", "--scenario", str(scenarios / "smoke.textproto"), "--seeds", "2", *capsules],
        ["swarm", "--scenarios", str(scenarios), "--budget", "3s", *capsules],
        ["corpus", "--directory", str(corpus), "run", *capsules],
    ):
        code, output = command.run(*arguments)
        lines = output.splitlines()
        expect(f"{arguments[0]} ended with {code}", code == 11, output)
        expect("no reason", lines[-4].startswith("LIVENESS smoke: C8: the event limit"), output)
        expect("no seed", re.match(r"seed \d+, commit ", lines[-3]) is not None, output)
        again = command.run(*shlex.split(lines[-1].removeprefix("replay: "))[1:])
        expect("the printed command does not fail in the same way", again[0] == 11, again[1])
        expect("another hash", "the same hash as in the capsule" in again[1], again[1])


def check_capsule_elsewhere(command: Command, capsule: Path) -> None:
    """On another machine: another directory, another environment, other addresses."""
    expect("the capsule is too large", capsule.stat().st_size <= _CAPSULE_BYTES_MAX, str(capsule.stat().st_size))
    with tempfile.TemporaryDirectory() as elsewhere:
        copy = Path(elsewhere) / capsule.name
        copy.write_bytes(capsule.read_bytes())
        env = {"PATH": os.environ["PATH"], "MALLOC_PERTURB_": "85", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
        code, output = command.run("replay", copy.name, cwd=Path(elsewhere), env=env)
        expect("replayed elsewhere", code == 10 and "the same hash as in the capsule" in output, output)
        # A hash that the same build does not reach again is a failure of its own.
        copy.write_text(re.sub(r'trace_hash: "0x\w+"', 'trace_hash: "0x0000000000000001"', copy.read_text()))
        code, output = command.run("replay", copy.name, cwd=Path(elsewhere))
        expect(f"another hash ended with {code} instead of 13", code == 13, output)


def check_shrink(command: Command, capsule: Path) -> None:
    """A planted failure becomes at most five faults within two minutes, and stays that failure."""
    began = time.monotonic()
    small = command.directory / "small.capsule"
    code, output = command.run("shrink", str(capsule), "--budget", "2m", "--output", str(small))
    seconds = time.monotonic() - began
    expect(f"shrink ended with {code}", code == 0, output)
    match = re.search(r"(\d+) faults became (\d+)", output)
    expect("no summary", match is not None, output)
    assert match is not None
    expect("it was small before", int(match[1]) > _SHRUNK_FAULTS_MAX, output)
    expect("more faults are left than five", int(match[2]) <= _SHRUNK_FAULTS_MAX, output)
    expect(f"it took {seconds:.0f} s", seconds <= _SHRINK_SECONDS_MAX + 5, output)
    code, output = command.run("replay", str(small))
    expect("the smaller one does not fail so", code == 10 and "the same hash" in output, output)
    print(f"shrink: {match[1]} faults became {match[2]} in {seconds:.0f} s")


def check_trace_and_help(command: Command) -> None:
    """`--trace full` shows every event; every subcommand's help has examples."""
    code, recent = command.scenario("--seed", "1", "--trace", "-", "--set", "phases.chaos_ms=2000")
    code, full = command.scenario("--seed", "1", "--trace", "full", "--set", "phases.chaos_ms=2000")
    expect("--trace full shows no more than --trace -", full.count("\n") > recent.count("\n") + 1000, full)
    expect("--trace full has no resumes", " resume " in full and " resume " not in recent, full)
    expect("exit code of --trace full", code in (0, 14), full)
    code, output = command.run("--help")
    names = re.findall(r"^  ([a-z-]+) +\S", output.split("Subcommands:")[1].split("\n\n")[0], re.MULTILINE)
    expect("too few subcommands", len(names) >= 10, output)
    for name in names:
        code, output = command.run(name, "--help")
        shown = f"  simulate {name}" in output and "Examples:" in output
        expect(f"the help of {name} has no example", code == 0 and shown, output)


def check_lines(command: Command) -> None:
    """A run says each change of state in a line of at most 120 columns, unless it shall be quiet; a trace does again."""
    trace = command.directory / "lines.trace"
    _, output = command.scenario("--seed", "1", "--trace", str(trace), "--trace-full")
    shown = re.findall(r"^ +\d+\.\d{6} [ =FA!][-.SRKXZFDPEWCiwe!=]{4,} \w+ .*$", output, re.MULTILINE)
    expect("too few lines", len(shown) > 50, output)
    expect("a line is too long", max(map(len, shown)) <= 120, max(shown, key=len))
    for letter in "SRXCFPEW":
        expect(f"no letter {letter}", any(letter in line[12:20] for line in shown), output)
    expect("no positions", re.search(r" A +\d+ +\d{4,} +(=|-\d+) +(=|-\d+) +(=|-\d+) +\d+ ", output) is not None, output)
    _, again = command.run("trace", str(trace), "--format", "lines")
    expect("trace --format lines shows others", all(line in again for line in shown), again)
    _, quiet = command.scenario("--seed", "1", "--quiet")
    expect("--quiet is not", quiet.count("\n") < 10, quiet)


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Check the simulate command as a person uses it.")
    parser.add_argument("--simulate", type=Path, default=ROOT / "build" / "release" / "bin" / "simulate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        command = Command(options.simulate.resolve(), Path(directory))
        failing = find_failing_seed(command)
        check_exit_codes(command, failing)
        check_crash(command)
        capsule = check_failure(command, failing)
        check_capsule_elsewhere(command, capsule)
        check_shrink(command, capsule)
        check_last_lines(command)
        check_trace_and_help(command)
        check_lines(command)
    print("the command does what it says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
