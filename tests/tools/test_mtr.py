# SPDX-License-Identifier: MIT
"""innodb-patch/mtr.py: what it reads from MySQL's test program, and when a difference is explained."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[2] / "innodb-patch"))

import mtr  # noqa: E402
import mtr_mysqld  # noqa: E402

_PRINTED = """worker[1] mysql-test-run: WARNING: running this script as _root_ will cause some tests to be skipped
[  0%] innodb.quick                             w1  [ pass ]   1172
[  1%] main.subquery 'ps_protocol'              w2  [ pass ]     61
[  2%] innodb.broken                            w1  [ fail ]
        Test ended at 2026-11-26 04:20:00

CURRENT_TEST: innodb.broken
mysqltest: At line 7: Query 'IMPORT' failed.
[  3%] innodb.debug_only                        w2  [ skipped ]  Test needs a debug server.
[  4%] innodb.slow                              w2  [ fail ]  timeout after 180 seconds
[100%] shutdown_report                              [ pass ]       
"""


class Parsing(unittest.TestCase):
    """Lines of mysql-test-run.pl."""

    def test_results_and_reasons(self) -> None:
        """Each test once, with the lines behind a failure; the report of the shutdown is no test."""
        outcomes = mtr.parse(_PRINTED.splitlines())
        self.assertEqual(
            {name: o.result for name, o in outcomes.items()},
            {"innodb.quick": "pass", "main.subquery": "pass", "innodb.broken": "fail", "innodb.debug_only": "skip",
             "innodb.slow": "fail"},
        )  # fmt: skip
        self.assertEqual(outcomes["innodb.quick"].seconds, 1.172)
        self.assertIn("Query 'IMPORT' failed", outcomes["innodb.broken"].why)
        self.assertIn("debug server", outcomes["innodb.debug_only"].why)
        self.assertIn("timeout", outcomes["innodb.slow"].why)

    def test_one_failed_combination_is_a_failure(self) -> None:
        """Whichever comes first."""
        lines = ["[ 1%] a.b 'x' [ pass ] 1", "[ 2%] a.b 'y' [ fail ]", "[ 3%] a.b 'z' [ pass ] 1"]
        self.assertEqual(mtr.parse(lines)["a.b"].result, "fail")


class Comparing(unittest.TestCase):
    """Against the unpatched server."""

    def compare(self, mode: str, stock: str, ours: str, reasons: list[mtr.Reason]) -> bool:
        """Whether a hundred tests are good of which one has these results."""
        tests = [f"innodb.t{i}" for i in range(100)]
        kept = [mock.Mock(outcomes={t: mtr.Outcome("pass") for t in tests}) for _ in range(2)]
        kept[0].outcomes["innodb.t5"] = mtr.Outcome(stock)
        kept[1].outcomes["innodb.t5"] = mtr.Outcome(ours, why="the reason")
        with contextlib.redirect_stdout(io.StringIO()):
            return mtr.report(mode, tests, kept[0], kept[1], reasons)["good"]

    def test_a_difference_needs_a_reason(self) -> None:
        """One for this mode; in mode OFF nothing is a reason."""
        reasons = [mtr.Reason(["nowrite"], "innodb.t?", "the reason", "no import")]
        self.assertTrue(self.compare("nowrite", "pass", "pass", []))
        self.assertTrue(self.compare("nowrite", "fail", "fail", []))
        self.assertFalse(self.compare("nowrite", "pass", "fail", []))
        self.assertFalse(self.compare("nowrite", "pass", "skip", []))
        self.assertTrue(self.compare("nowrite", "pass", "fail", reasons))
        self.assertFalse(self.compare("read", "pass", "fail", reasons))
        other = [mtr.Reason(["nowrite"], "innodb.t5", "another reason", "not this one")]
        self.assertFalse(self.compare("nowrite", "pass", "fail", other))

    def test_reasons_do_not_carry_more_than_three_percent(self) -> None:
        """Of what passes on the unpatched server."""
        tests = [f"innodb.t{i}" for i in range(100)]
        stock = mock.Mock(outcomes={t: mtr.Outcome("pass") for t in tests})
        reasons = [mtr.Reason(["read"], "*", "reason", "because")]
        for failures, good in ((3, True), (4, False)):
            ours = mock.Mock(outcomes={t: mtr.Outcome("pass" if i >= failures else "fail", why="a reason") for i, t in enumerate(tests)})
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(mtr.report("read", tests, stock, ours, reasons)["good"], good)

    def test_the_list_and_the_reasons_of_this_repository(self) -> None:
        """At least 300 tests of the two suites, each once; a reason names tests of the list, and none is for mode OFF."""
        tests = mtr.read_tests(mtr.HERE / "mtr-tests.txt")
        self.assertGreaterEqual(len(tests), 300)
        self.assertEqual(len(tests), len(set(tests)))
        self.assertEqual({t.split(".")[0] for t in tests}, {"innodb", "main"})
        for reason in mtr.read_reasons(mtr.HERE / "mtr-reasons.txt"):
            self.assertTrue(any(reason.is_about(reason.modes[0], t) for t in tests), reason.pattern)

    def test_a_reason_for_mode_off_is_refused(self) -> None:
        """As is a line without one."""
        for line in ('off innodb.x "a" because', "read innodb.x because", 'reed innodb.x "a" because'):
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write(f"# known\n{line}\n")
                file.flush()
                with self.assertRaisesRegex(mtr.MtrError, ':2: wanted MODES TEST "SIGN" REASON'):
                    mtr.read_reasons(Path(file.name))


class Wrapper(unittest.TestCase):
    """Which calls of mysqld are servers of the suite."""

    def test_only_servers_of_the_suite_get_a_mode(self) -> None:
        """Not the making of a system database, not a test's own directory."""
        with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
            file.write("!include x\n[mysqld]\nskip-name-resolve\n[mysqld.1]\ndatadir=/var/one\nport=1\n[mysqld.2]\ndatadir = /var/two\n")
            file.flush()
            server = [f"--defaults-file={file.name}", "--defaults-group-suffix=.2", "--log-output=file"]
            self.assertEqual(mtr_mysqld.suite_datadir(server), Path("/var/two"))
            for more in ("--initialize-insecure", "--help", "--datadir=/tmp/own", "--version"):
                self.assertIsNone(mtr_mysqld.suite_datadir([*server, more]))
            self.assertIsNone(mtr_mysqld.suite_datadir(["--no-defaults", "--datadir=/x"]))
            self.assertIsNone(mtr_mysqld.suite_datadir([server[0], "--log-output=file"]))


if __name__ == "__main__":
    unittest.main()
