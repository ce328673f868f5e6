# SPDX-License-Identifier: MIT
"""ci/compute_bench.py: what is read from sysbench and the kernel, and when a figure misses its limit."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[2] / "ci"))

import compute_bench  # noqa: E402
import compute_servers  # noqa: E402
import mysql  # noqa: E402
import stack  # noqa: E402
from compute_bench import Figure  # noqa: E402

_PRINTED = """SQL statistics:
    queries performed:
        read:                            0
        total:                           27510
    transactions:                        4585   (457.90 per sec.)
    queries:                             27510  (2747.41 per sec.)
Latency (ms):
         min:                                    3.12
         95th percentile:                       11.04
"""


class Reading(unittest.TestCase):
    """What other programs say."""

    def test_sysbench(self) -> None:
        """Transactions, not queries; output without them is an error, not a zero."""
        result = mysql.sysbench_result(_PRINTED)
        self.assertEqual((result.transactions, result.per_second, result.p95_ms), (4585, 457.9, 11.04))
        with self.assertRaises(mysql.SqlError):
            mysql.sysbench_result("FATAL: unable to connect")

    def test_bytes_of_a_process(self) -> None:
        """What is written goes up by as much at least."""
        before = compute_bench.io_of(os.getpid())
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 100_000)
            file.flush()
        after = compute_bench.io_of(os.getpid())
        self.assertGreaterEqual(after["wchar"] - before["wchar"], 100_000)
        self.assertIn("write_bytes", after)


class Verdicts(unittest.TestCase):
    """Limits, in both directions."""

    def test_limits(self) -> None:
        """A limit that is just met is met; without one there is no verdict."""
        self.assertEqual(Figure("a", "", "", 0.8, 0.8).verdict, "good")
        self.assertEqual(Figure("a", "", "", 0.79, 0.8).verdict, "MISSED")
        self.assertEqual(Figure("a", "", "", 0.1, 0.1, at_most=True).verdict, "good")
        self.assertEqual(Figure("a", "", "", 0.11, 0.1, at_most=True).verdict, "MISSED")
        self.assertEqual(Figure("a", "", "", 0.5).verdict, "")

    def test_text(self) -> None:
        """The limit stands beside the value, with its direction."""
        text = Figure("start", "1 s", "9 s", 1.0, 10, at_most=True, unit=" s").text()
        self.assertEqual(text, "| start | 1 s | 9 s | 1 s | <= 10 s | good |")
        self.assertIn("| 0.75x | >= 0.8x | MISSED |", Figure("a", "", "", 0.75, 0.8).text())


class LeftOut(unittest.TestCase):
    """--if-built: a run that nobody wants, or that cannot be, is skipped and says why."""

    def _said(self, environment: dict[str, str], built: bool) -> tuple[bool, str]:
        def programs(patched: bool = True) -> Path:
            self.assertTrue(patched)
            if not built:
                raise stack.StackError("there is none")
            return Path("/nowhere")

        with mock.patch.dict(os.environ, environment), mock.patch.object(compute_servers, "built_programs", programs):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                wanted = compute_servers.wanted_and_built()
        return wanted, printed.getvalue()

    def test_skips(self) -> None:
        """--no-mysqld of ci/check.py, and a mysqld that is missing."""
        self.assertEqual(self._said({"REDOUBT_NO_MYSQLD": "1"}, True), (False, "skipped: --no-mysqld\n"))
        self.assertEqual(self._said({"REDOUBT_NO_MYSQLD": ""}, True), (True, ""))
        self.assertEqual(self._said({"REDOUBT_NO_MYSQLD": ""}, False), (False, "skipped: there is none\n"))

    def test_waits_for_the_build(self) -> None:
        """A kept mysqld is taken at once; for one that is being built the tests do not wait for ever."""

        def none(patched: bool = True) -> Path:
            raise stack.StackError("there is none")

        now = {"REDOUBT_NO_MYSQLD": "", "REDOUBT_MYSQLD_UNTIL": "0"}
        said = io.StringIO()
        with mock.patch.dict(os.environ, now), contextlib.redirect_stdout(said):
            with mock.patch.object(compute_servers, "built_programs", return_value=Path("/kept")):
                self.assertEqual(compute_servers.main(), 0)
            with mock.patch.object(compute_servers, "built_programs", none):
                with mock.patch.object(compute_servers, "build_command", return_value=["sleep", "60"]):
                    self.assertEqual(compute_servers.main(), compute_servers.SKIPPED)
                with mock.patch.object(compute_servers, "build_command", return_value=["false"]):
                    self.assertEqual(compute_servers.main(), 1)
        self.assertIn("not built in time", said.getvalue())


if __name__ == "__main__":
    unittest.main()
