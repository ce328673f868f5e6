# SPDX-License-Identifier: MIT
"""What a sweep makes of its runs' lines: cut-off lines are left out, failures sorted, nothing bad is left unsaid."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ci"))

import sweep_summary as summary  # noqa: E402

_HASH = "0x00000000000000aa"


def run(**changes: object) -> summary.Run:
    """A run that passed, but for the changes."""
    good = summary.Run("scenarios/smoke/a.textproto", 7, "PASS", "", _HASH, "c0ffee", virtual_ms=50_000, cpu_ms=200)
    return dataclasses.replace(good, **changes)


def line(one: summary.Run) -> str:
    """As `simulate swarm --json` writes it."""
    return json.dumps(dataclasses.asdict(one) | {"probes": "01"})


class Lines(unittest.TestCase):
    def test_a_line_says_all_of_a_run(self) -> None:
        one = run(outcome="SAFETY", reason='C1: "x"', twice=True, wall_ms=3, expected="SAFETY")
        self.assertEqual(summary.parse_run(line(one)), one)

    def test_what_was_cut_off_is_left_out(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "round-0001.jsonl"
            path.write_text(line(run()) + "\n" + line(run(seed=8))[:40], encoding="utf-8")
            self.assertEqual([one.seed for one in summary.read_runs([path])], [7])

    def test_triage_comes_back_as_it_was_written(self) -> None:
        item = summary.Triage("s", 1, "r", "bug", "kind", "a.capsule", "a-small.capsule", 3, 400)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "triage.jsonl"
            self.assertEqual(summary.read_triage(path), [])
            path.write_text(json.dumps(item.as_json()) + "\n", encoding="utf-8")
            self.assertEqual(summary.read_triage(path), [item])


class Failures(unittest.TestCase):
    def test_canaries_and_idle_runs_are_none(self) -> None:
        self.assertTrue(run(outcome="SAFETY").failed)
        self.assertFalse(run(outcome="SAFETY", expected="SAFETY").failed)
        self.assertFalse(run(outcome="IDLE").failed)
        self.assertFalse(run().failed)

    def test_numbers_do_not_make_another_kind(self) -> None:
        first = run(outcome="SAFETY", reason="C1: lost 17 bytes at 0xab")
        self.assertEqual(first.kind, run(outcome="SAFETY", reason="C1: lost 4 bytes at 0xcd", seed=9).kind)
        self.assertNotEqual(first.kind, run(outcome="CRASH", reason="C1: lost 17 bytes at 0xab").kind)

    def test_the_shortest_of_each_kind_stands_for_it(self) -> None:
        long = run(outcome="LIVENESS", reason="C8 at 5", virtual_ms=900)
        short = run(outcome="LIVENESS", reason="C8 at 6", virtual_ms=100, seed=8)
        worse = run(outcome="SAFETY", reason="C1", virtual_ms=5000)
        self.assertEqual(summary.first_of_each_kind([long, short, worse]), [worse, short])

    def test_verdicts(self) -> None:
        bug = run(outcome="SAFETY", reason="C1")
        same = [f"{_HASH} 10"] * 3
        self.assertEqual(summary.verdict_of(bug, same), "bug")
        self.assertEqual(summary.verdict_of(bug, [*same[:2], "0x01 10"]), "nondeterminism")
        self.assertEqual(summary.verdict_of(bug, ["0x01 10"] * 3), "nondeterminism")
        self.assertEqual(summary.verdict_of(bug, [f"{_HASH} 0"] * 3), "nondeterminism")
        died = run(outcome="CRASH", reason="CHECK", hash="0x0000000000000000")
        self.assertEqual(summary.verdict_of(died, ["died -6"] * 3), "bug")
        slow = run(outcome="TIMELIMIT", reason="60 s", hash="0x0000000000000000")
        self.assertEqual(summary.verdict_of(slow, [f"{_HASH} 0"] * 3), "slow")
        self.assertEqual(summary.verdict_of(slow, ["limit of time"] * 3), "slow")
        self.assertEqual(summary.verdict_of(slow, [f"{_HASH} 10"] * 3), "bug")

    def test_the_worst_outcome_is_the_exit_code(self) -> None:
        self.assertEqual(summary.exit_code([run()]), 0)
        self.assertEqual(summary.exit_code([run(), run(outcome="LIVENESS"), run(outcome="SAFETY")]), 10)
        self.assertEqual(summary.exit_code([run(outcome="NONDETERMINISM"), run(outcome="LIVENESS")]), 13)

    def test_a_canary_that_nobody_found_fails(self) -> None:
        canary = run(scenario="scenarios/canary/c.textproto", expected="SAFETY")
        self.assertEqual(summary.exit_code([run(), canary]), 20)
        self.assertEqual(summary.exit_code([canary, dataclasses.replace(canary, outcome="SAFETY")]), 0)


class Page(unittest.TestCase):
    def page(self, runs: list[summary.Run], triaged: list[summary.Triage] | None = None, probes: str = "") -> str:
        return summary.page(runs, triaged or [], {"rounds": 1, "seconds": 60, "seed_base": 5}, probes)

    def test_a_scenario_in_a_row(self) -> None:
        text = self.page([run(), run(cpu_ms=400), run(outcome="SAFETY", reason="C1", cpu_ms=400), run(outcome="IDLE")])
        self.assertIn("| scenarios/smoke/a.textproto | 4 | 1 | 25 % | 1 | 0.30 | 167x |", text)

    def test_a_failure_has_its_replay_line_and_its_shrunk_capsule(self) -> None:
        bad = run(outcome="SAFETY", reason="C1: lost")
        item = summary.Triage(bad.scenario, bad.seed, bad.reason, "bug", bad.kind, "x/a-7.capsule", "x/a-7-small.capsule", 2)
        text = self.page([bad], [item])
        self.assertIn("`simulate run scenarios/smoke/a.textproto --seed 7 --trace -`", text)
        self.assertIn("shrunk to 2 faults", text)

    def test_blind_canaries_and_missed_probes_show(self) -> None:
        canary = run(scenario="scenarios/canary/c.textproto", expected="SAFETY")
        table = "torn tail   sometimes  0 of 9 runs   NEVER HIT\nfine   sometimes  3 of 9 runs\nbad  never  1 of 9 runs   HIT"
        text = self.page([run(), canary], probes=table)
        self.assertIn("NEVER FOUND", text)
        self.assertIn("torn tail", text)
        self.assertIn("bad  never", text)
        self.assertNotIn("fine", text)


if __name__ == "__main__":
    unittest.main()
