# SPDX-License-Identifier: MIT
"""innodb-patch/mtr_list.py: which of MySQL's tests are run, whatever a patched server does with them."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[2] / "innodb-patch"))

import mtr  # noqa: E402
import mtr_list  # noqa: E402

_FILES = {
    "collections/disabled.def": "# main.kept : not a line\nmain.broken : BUG#1 always\nmain.kept @windows : BUG#2 there\n",
    "include/have_debug.inc": "",
    "include/common.inc": "--source include/have_debug.inc\n--source include/common.inc\n",
    "include/plain.inc": "SELECT 1;\n",
    "suite/innodb/t/one.test": "--source include/plain.inc\n",
    "suite/innodb/t/debug.test": "-- source include/have_debug.inc\n",
    "suite/innodb/t/deep.test": "source include/common.inc;\n",
    "t/broken.test": "",
    "t/kept.test": "--source $somewhere/x.inc\n# source include/have_debug.inc\n",
    "t/optioned.test": "",
    "t/optioned-master.opt": "--big\n",
    "t/replicated.test": "  --source include/rpl/init.inc\n",
    "t/restarted.test": "--source include/restart_mysqld.inc\n",
}


class Candidates(unittest.TestCase):
    """By what the source says."""

    def test_what_needs_something_is_left_out(self) -> None:
        """Also when a file that a test reads needs it; a comment does not, nor what is disabled on another system."""
        with tempfile.TemporaryDirectory() as directory:
            for name, text in _FILES.items():
                file = Path(directory) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            self.assertEqual(mtr_list.candidates(Path(directory)), ["innodb.one", "main.kept"])


class Chosen(unittest.TestCase):
    """By what the unpatched server does."""

    def test_what_passes_in_time(self) -> None:
        """What was in the list stays; what fails, takes long or was not run does not come in, nor what is no candidate."""
        names = ["innodb.a", "innodb.b", "main.a", "main.b", "main.c"]
        stock = {name: mtr.Outcome("pass", 1.0) for name in [*names, "main.no_candidate"]}
        stock["innodb.b"] = mtr.Outcome("fail")
        stock["main.a"] = mtr.Outcome("pass", 60.0)
        self.assertEqual(
            mtr_list.chosen(["main.z", "innodb.a"], [*names, "main.unknown"], stock),
            ["innodb.a", "main.b", "main.c", "main.z"],
        )

    def test_the_list_is_as_the_rule_makes_it(self) -> None:
        """Sorted."""
        tests = mtr.read_tests(mtr.HERE / "mtr-tests.txt")
        self.assertEqual(tests, sorted(tests))


if __name__ == "__main__":
    unittest.main()
