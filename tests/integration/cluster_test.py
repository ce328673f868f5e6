#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A cluster of real processes under kill -9 and SIGSTOP: what was acknowledged is there afterwards, and the pages are right.

Three log servers, two page servers and a writer on the loopback interface (--together: two of the log servers keep the
pages, too). One of them at a time, at random, is killed and started again, or stopped and continued; while the writer
is stopped or dead another one takes over, and the stopped one must find itself fenced. At the end everything runs, and
cluster_load compares each log server's redo and each page server's pages with the simulator's model, and reads what
clients were told with the simulator's checkers.

python3 tests/integration/cluster_test.py [--seconds N | --rounds N] [--seed N] [--keep DIR]
python3 tests/integration/cluster_test.py --self-test    damage and lies must be seen: a byte of a redo file, a byte of a
                                                         page, an acknowledgement that never was

The seed gives the model's redo and the order of victims; what the processes are doing then is not of the seed. Exit
code: 0, 10 safety, 11 liveness, 14 too little was done, 1 a process ended by itself.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import stack  # noqa: E402

_LOG_SERVERS = 3
_PAGE_SERVERS = 2
_FENCED = 3
_FENCED_SECONDS = 30
_CHECK_SECONDS = 120


class Server(stack.PageServer):
    """A page server process with a name of its own, which can be stopped and continued."""

    def __init__(self, name: str, work_dir: Path, extra: tuple[str, ...]) -> None:
        super().__init__(work_dir / name, work_dir, extra=extra)
        self.log = work_dir / f"{name}.log"
        self.title = name

    def signal(self, number: signal.Signals) -> None:
        """Sends it."""
        assert self._process is not None
        self._process.send_signal(number)


class Writer:
    """One life of `cluster_load run`."""

    def __init__(self, cluster: Cluster, number: int, lies: tuple[str, ...]) -> None:
        self.title = f"writer{number}"
        self.log = cluster.work_dir / f"{self.title}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(stack.binary("cluster_load")), "run", "--who", self.title, *cluster.arguments(), *lies],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        """Sends it."""
        self.process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


class Cluster:
    """All the processes of one test."""

    def __init__(self, work_dir: Path, seed: int, together: bool, lies: tuple[str, ...] = ()) -> None:
        self.work_dir = work_dir
        self.seed = seed
        self.lies = lies
        self.chronicle = work_dir / "chronicle"
        roles = ["all"] * _PAGE_SERVERS if together else []
        roles += ["log"] * (_LOG_SERVERS - len(roles))
        self.log_servers = [Server(f"log{i}", work_dir, ("--role", role)) for i, role in enumerate(roles, 1)]
        follow = ("--role", "page", "--log-servers", ",".join(s.address for s in self.log_servers))
        self._alone = [] if together else [Server(f"page{i}", work_dir, follow) for i in range(1, _PAGE_SERVERS + 1)]
        self.page_servers = self._alone or self.log_servers[:_PAGE_SERVERS]
        self.writer: Writer | None = None
        self._writers: list[Writer] = []

    @property
    def servers(self) -> list[Server]:
        """Log servers, then page servers."""
        return [*self.log_servers, *self._alone]

    def addresses(self) -> list[str]:
        """As cluster_load wants to know them."""
        return [
            "--log-servers", ",".join(s.address for s in self.log_servers),
            "--page-servers", ",".join(s.address for s in self.page_servers),
            "--seed", str(self.seed),
        ]  # fmt: skip

    def arguments(self) -> list[str]:
        """Of run and check."""
        return [*self.addresses(), "--chronicle", str(self.chronicle)]

    def start(self) -> None:
        """All servers, the volume, the first writer."""
        for server in self.servers:
            server.start()
        command = [str(stack.binary("cluster_load")), "create", *self.addresses()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise stack.StackError(f"no volume: {done.stderr}")
        self.start_writer()

    def start_writer(self) -> Writer:
        """A new one, which takes over."""
        self.writer = Writer(self, len(self._writers) + 1, self.lies)
        self._writers.append(self.writer)
        return self.writer

    def note_restart(self, server: Server) -> None:
        """Into the chronicle, while the server is dead: what it said last was of another life."""
        with open(self.chronicle, "ab", buffering=0) as chronicle:
            chronicle.write(f"restarted driver 0 0 0 0 0 {server.address}\n".encode())

    def check_running(self) -> None:
        """Raises when something has ended by itself."""
        for server in self.servers:
            server.check_running()
        assert self.writer is not None
        if self.writer.process.poll() is not None:
            raise stack.StackError(
                f"{self.writer.title} ended with {self.writer.process.returncode}:\n{self.writer.log_tail()}"
            )

    def check(self, seconds: int = _CHECK_SECONDS) -> int:
        """The verdict; printed. What is not level within the time is not live."""
        command = [
            str(stack.binary("cluster_load")), "check", "--who", "verifier", *self.arguments(),
            "--seconds-max", str(seconds),
        ]  # fmt: skip
        with open(self.work_dir / "verifier.log", "ab") as log:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=False, timeout=600)
        print(done.stdout, end="", flush=True)
        return done.returncode

    def __enter__(self) -> Cluster:
        self._guard = ExitStack()
        for server in self.servers:
            self._guard.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            if writer.process.poll() is None:
                writer.process.kill()
                writer.process.wait()
        self._guard.close()


class Trouble:
    """What is done to the cluster, one thing at a time."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.counts: dict[str, int] = {}

    def round(self) -> None:
        """One fault and its end."""
        self._wait(0.3, 1.5)
        self.cluster.check_running()
        victim = self.random.choice([*self.cluster.servers, None])
        stop = self.random.random() < 0.5
        name = "SIGSTOP" if stop else "kill -9"
        self.counts[name] = self.counts.get(name, 0) + 1
        if victim is None:
            self._writer(stop)
        elif stop:
            stack.progress(f"SIGSTOP {victim.title}")
            victim.signal(signal.SIGSTOP)
            self._wait(0.2, 5.0)
            victim.signal(signal.SIGCONT)
        else:
            stack.progress(f"kill -9 {victim.title}")
            victim.kill9()
            self.cluster.note_restart(victim)
            self._wait(0.0, 3.0)
            victim.start()

    def _writer(self, stop: bool) -> None:
        """The writer is killed or stopped; another one takes over, and the stopped one is fenced."""
        old = self.cluster.writer
        assert old is not None
        self.counts["takeover"] = self.counts.get("takeover", 0) + 1
        stack.progress(f"{'SIGSTOP' if stop else 'kill -9'} {old.title}, another one takes over")
        old.signal(signal.SIGSTOP if stop else signal.SIGKILL)
        if not stop:
            old.process.wait()
            self._wait(0.0, 1.0)
            self.cluster.start_writer()
            return
        # A pause that nobody notices, or one during which the other writer gets something done.
        self._wait(0.0, 1.0)
        self.cluster.start_writer()
        self._wait(0.5, 4.0)
        old.signal(signal.SIGCONT)
        try:
            code = old.process.wait(_FENCED_SECONDS)
        except subprocess.TimeoutExpired:
            raise stack.StackError(
                f"{old.title} goes on {_FENCED_SECONDS} s after another writer took over:\n{old.log_tail()}"
            ) from None
        if code != _FENCED:
            raise stack.StackError(f"{old.title} ended with {code} instead of being fenced:\n{old.log_tail()}")

    def _wait(self, low: float, high: float) -> None:
        time.sleep(self.random.uniform(low, high))


def damage_newest_segment(server: Server) -> None:
    """Turns one bit in the middle of what the server has written last."""
    segments = sorted((server.data_dir / "log").rglob("*.redo"))
    data = bytearray(segments[-1].read_bytes())
    written = len(data.rstrip(b"\0"))  # space ahead lies behind it
    data[written // 2] ^= 1
    segments[-1].write_bytes(bytes(data))
    stack.progress(f"{server.title}: one bit of {segments[-1].name} turned, at {written // 2} of {written}")


def run(work_dir: Path, seed: int, together: bool, seconds: float, rounds: int | None) -> int:
    """The test itself."""
    with Cluster(work_dir, seed, together) as cluster:
        cluster.start()
        trouble = Trouble(cluster, seed)
        end = time.monotonic() + seconds
        done = 0
        while done < rounds if rounds is not None else time.monotonic() < end:
            trouble.round()
            done += 1
        time.sleep(2)  # the last writer may be a newborn
        cluster.check_running()
        assert cluster.writer is not None
        code = cluster.writer.end()
        if code != 0:
            raise stack.StackError(f"{cluster.writer.title} ended with {code}:\n{cluster.writer.log_tail()}")
        print(f"{done} faults: " + ", ".join(f"{count} {name}" for name, count in sorted(trouble.counts.items())))
        return cluster.check()


def self_test(work_dir: Path, seed: int, together: bool) -> int:
    """Each lie and each damage must end in something else than a pass; 0 when all did."""
    missed = []

    def note(name: str, code: int) -> None:
        seen = code in (10, 11)
        stack.progress(f"{name}: {'seen' if seen else 'NOT SEEN'} (check ended with {code})")
        if not seen:
            missed.append(name)

    for name, lies in (
        ("claims more than was acknowledged", ("--claim-bytes", "1000000")),
        ("a byte of a page", ("--damage-page-at", "50")),
        ("a byte of a redo file", ()),
    ):
        directory = work_dir / name.replace(" ", "_")
        directory.mkdir()
        with Cluster(directory, seed, together, lies) as cluster:
            cluster.start()
            time.sleep(6)
            assert cluster.writer is not None
            cluster.writer.end()
            if not lies:
                victim = cluster.log_servers[1]
                victim.kill9()
                cluster.note_restart(victim)
                damage_newest_segment(victim)
                victim.start()
            note(name, cluster.check(30))
    return 20 if missed else 0


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Kill and stop real processes of a cluster, then check everything.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--rounds", type=int, help="so many faults, however long it takes")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--keep", type=Path, help="working directory, which stays")
    parser.add_argument("--together", action="store_true", help="two of the log servers are the page servers (role all)")
    parser.add_argument("--self-test", action="store_true", help="damage and lies must be seen")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1, 1 << 31) if options.seed is None else options.seed
    work_dir = options.keep or Path(tempfile.mkdtemp(prefix="redoubt-cluster-"))
    work_dir.mkdir(parents=True, exist_ok=True)
    print(f"cluster_test: seed {seed}, in {work_dir}", flush=True)
    try:
        if options.self_test:
            code = self_test(work_dir, seed, options.together)
        else:
            code = run(work_dir, seed, options.together, options.seconds, options.rounds)
    except (stack.StackError, subprocess.TimeoutExpired) as problem:
        print(f"FAILED: {problem}")
        code = 1
    verdict = "GOOD" if code == 0 else "BAD"
    length = f"--rounds {options.rounds}" if options.rounds is not None else f"--seconds {options.seconds:g}"
    how = ("--self-test" if options.self_test else length) + (" --together" if options.together else "")
    if code != 0:
        print(f"chronicle, data and logs are left in {work_dir}")
    elif options.keep is None:
        shutil.rmtree(work_dir, ignore_errors=True)
    print(f"{verdict}: seed {seed}, exit code {code}; again: python3 tests/integration/cluster_test.py {how} --seed {seed}")
    return code


if __name__ == "__main__":
    sys.exit(main())
