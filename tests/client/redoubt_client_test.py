#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the C test of the client library against three real page servers on loopback and one that only has pages.

python3 tests/client/redoubt_client_test.py --pageserver build/release/bin/pageserver \\
    --test build/release/tests/redoubt_client_test
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SERVERS = 3
SECONDS_MAX = 200


class Server:
    """One pageserver process on a port of its own choice."""

    def __init__(self, program: str, directory: Path, *more: str) -> None:
        directory.mkdir()
        self.log = (directory / "log").open("wb")
        command = [program, "--data-dir", str(directory / "data"), "--listen", "127.0.0.1:0", "--cache-bytes", "64MiB"]
        command += more
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().decode()
        if "ready on " not in ready:
            raise RuntimeError(f"pageserver said {ready!r}; see {directory / 'log'}")
        self.address = ready.split("ready on ")[1].split(",")[0]

    def end(self) -> None:
        """Kills it if it still runs."""
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Run the C test against real servers.")
    parser.add_argument("--pageserver", required=True)
    parser.add_argument("--test", required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redoubt_client_test.") as root:
        servers: list[Server] = []
        try:
            for number in range(SERVERS):
                servers.append(Server(arguments.pageserver, Path(root) / f"server{number}"))
            logs = ",".join(server.address for server in servers)
            servers.append(Server(arguments.pageserver, Path(root) / "pages", "--role", "page", "--log-servers", logs))
            names = [f"{server.address}:{server.process.pid}" for server in servers]
            return subprocess.run([arguments.test, *names], timeout=SECONDS_MAX, check=False).returncode
        finally:
            for server in servers:
                server.end()


if __name__ == "__main__":
    sys.exit(main())
