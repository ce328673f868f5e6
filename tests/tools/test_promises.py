# SPDX-License-Identifier: MIT
"""What the documents name exists: the tests and counters of pageserver/README.md, "Bad input", and CHANGELOG's seeds in the corpus."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bad_input_rows() -> list[list[str]]:
    """The cells of each row of the table."""
    text = (ROOT / "pageserver" / "README.md").read_text()
    section = text.split("## Bad input", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line.startswith("| ")]
    return rows[1:]


def named_in_backticks(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


class BadInput(unittest.TestCase):
    """Every row has a counter that pagectl shows and a test or scenario that is there."""

    def test_rows_are_read(self) -> None:
        rows = bad_input_rows()
        self.assertGreaterEqual(len(rows), 15)
        for row in rows:
            self.assertEqual(len(row), 4, row)

    def test_what_shows_it_exists(self) -> None:
        tests: set[str] = set()
        for path in (ROOT / "tests").rglob("*.cc"):
            tests |= {f"{suite}.{name}" for suite, name in re.findall(r"\bTEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text())}
        scenarios = {path.stem for path in (ROOT / "scenarios").rglob("*.textproto")}
        fuzzers = {path.stem for path in (ROOT / "tests" / "fuzz").glob("*.cc")}
        self.assertIn("FrameStreamTest.EveryDamagedByteIsNoticed", tests)
        for row in bad_input_rows():
            names = named_in_backticks(row[3])
            self.assertTrue(names, row)
            for name in names:
                self.assertIn(name, tests | scenarios | fuzzers, row[0])

    def test_counters_are_shown_by_pagectl(self) -> None:
        ctl = "".join(path.read_text() for path in (ROOT / "client" / "ctl").glob("*.cc"))
        statuses = set(re.findall(r'return "([a-z ]+)"', (ROOT / "common" / "base" / "status.cc").read_text()))
        for row in bad_input_rows():
            counters = named_in_backticks(row[2])
            self.assertTrue(counters or "exit code" in row[2], row)
            for counter in counters:
                reason = re.fullmatch(r'refused\["([a-z ]+)"\]', counter)
                if reason:
                    self.assertIn(reason[1], statuses, row[0])
                    self.assertIn('Key("refused")', ctl)
                else:
                    self.assertIn(f'Field("{counter.removeprefix("server.")}"', ctl, row[0])


class Seeds(unittest.TestCase):
    """A bug that a seed found stays in the corpus, and the CHANGELOG says which seed that was."""

    def test_changelog_and_corpus_agree(self) -> None:
        changelog = re.sub(r"\s+", " ", (ROOT / "CHANGELOG.md").read_text())
        told: set[tuple[str, str]] = set()
        for scenario, numbers in re.findall(r"`(\w+)`,? seeds? (\d+(?:(?:, | and )\d+)*)", changelog):
            told |= {(scenario, seed) for seed in re.findall(r"\d+", numbers)}
        self.assertGreater(len(told), 10)
        lines = (ROOT / "scenarios" / "corpus" / "seeds.txt").read_text().split("\n")
        kept = {(Path(line.split()[0]).stem, line.split()[1]) for line in lines if line.strip()}
        self.assertEqual(told, kept)


if __name__ == "__main__":
    unittest.main()
