# SPDX-License-Identifier: MIT
"""Each house rule fires on the smallest text that breaks it, and stays silent on its look-alikes."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ci"))

import tidy  # noqa: E402

LAYERS = tidy.Layers.load(
    """
    [[layer]]
    path = "low"
    uses = []
    [[layer]]
    path = "high"
    uses = ["low"]
    [[layer]]
    path = "high/inner"
    uses = []
    [[layer]]
    path = "tests"
    uses = ["*"]
    [[external]]
    prefix = "rocksdb/"
    paths = ["high/rocksdb_*"]
    """
)


def ban_names(code: str, path: str = "pageserver/page/x.cc") -> list[str]:
    """The names of the bans that fire on the code."""
    return [finding.rule for finding in tidy.check_bans(path, code)]


class Awaiting(unittest.TestCase):
    def found(self, code: str) -> list[str]:
        return [finding.rule for finding in tidy.check_awaiting("a.cc", code)]

    def test_fires_on_operands_that_may_not_be_evaluated(self) -> None:
        for code in (
            "co_await f(first ? end : Draw());",
            "x = co_await f(a,\n  first ? end : Draw());",
            "co_return co_await f(a && g(Draw()));",
            "if (co_await f(a || g(Draw()))) {",
        ):
            with self.subTest(code):
                self.assertEqual(self.found(code), ["await"])

    def test_silent_where_the_wait_itself_is_the_operand(self) -> None:
        for code in (
            "const bool again = !status.ok() && co_await MayTryAgain(status);",
            "const Lsn lsn = first ? end : Draw();\nco_await f(lsn);",
            "while (a && b) { co_await f(); }",
            'co_await f("what?");  // or || that?',
        ):
            with self.subTest(code):
                self.assertEqual(self.found(code), [])


class Bans(unittest.TestCase):
    def test_fire_on_what_breaks_determinism(self) -> None:
        cases = {
            "auto t = std::chrono::steady_clock::now();": "clock",
            "auto t = time(nullptr);": "clock",
            "std::this_thread::sleep_for(x);": "sleep",
            "std::thread t(f);": "thread",
            "std::lock_guard lock(mutex_);": "mutex",
            "std::mutex m;": "mutex",
            "int r = rand();": "random",
            "std::random_device d;": "random",
            "std::uniform_int_distribution<int> d(0, 1);": "distribution",
            'const char* v = getenv("X");': "getenv",
            "if (simulated) {": "simulated",
            "if (!runtime.is_simulated()) {": "simulated",
            'printf("%d", x);': "print",
            "std::cerr << x;": "print",
            "fprintf(stderr, x);": "print",
            "throw Error();": "throw",
        }
        for code, rule in cases.items():
            with self.subTest(code):
                self.assertEqual(ban_names(code), [rule])

    def test_silent_on_look_alikes(self) -> None:
        for code in (
            "// std::thread is banned",
            'log->Info("printf(x) and rand()");',
            "co_await scheduler->Sleep(d);",
            "const Lsn at = sample.time(0);",
            "std::snprintf(buffer, n, f);",
            "random->Next();",
            "std::string_view operand(x);",
            'auto s = R"(std::mutex m;)";',
            "/* getenv\n rand() */",
            "uint64_t x = 1'000'000; int y = 2;",
        ):
            with self.subTest(code):
                self.assertEqual(ban_names(code), [])

    def test_hold_only_outside_the_production_world(self) -> None:
        self.assertEqual(ban_names("std::thread t;", "common/runtime/asio/pool.cc"), [])
        self.assertEqual(ban_names('std::cout << "x";', "client/ctl/main.cc"), [])
        self.assertEqual(ban_names("if (simulated) {", "sim/main.cc"), [])

    def test_a_waiver_covers_its_line_and_the_next_and_only_its_rule(self) -> None:
        waived = "// tidy: allow(mutex): RocksDB calls back from its own thread\nstd::mutex m;\nstd::mutex n;\n"
        self.assertEqual([f.line for f in tidy.check_bans("pageserver/x.cc", waived)], [3])
        self.assertEqual(ban_names("std::mutex m;  // tidy: allow(thread): no\n"), ["mutex"])
        self.assertEqual(ban_names("std::mutex m;  // tidy: allow(mutex):\n"), ["mutex"])

    def test_each_names_its_replacement_and_its_line(self) -> None:
        finding = next(tidy.check_bans("client/x.cc", "\n\nstd::thread t;\n"))
        self.assertEqual(finding.line, 3)
        self.assertIn("TaskGroup", str(finding))


class Unordered(unittest.TestCase):
    def test_loop_over_an_unordered_member_of_the_header(self) -> None:
        header = "std::unordered_map<int, std::string> pages_;\n"
        found = list(tidy.check_unordered("pageserver/x.cc", "for (auto& [k, v] : pages_) {\n", header))
        self.assertEqual(len(found), 1)

    def test_other_loops_and_look_ups_are_fine(self) -> None:
        header = "std::unordered_map<int, int> pages_;\nstd::map<int, int> sorted_;\n"
        code = "for (auto& x : sorted_) {}\nauto it = pages_.find(1);\n"
        self.assertEqual(list(tidy.check_unordered("pageserver/x.cc", code, header)), [])

    def test_collecting_and_sorting_right_behind_is_fine(self) -> None:
        code = "std::unordered_set<int> s;\nfor (int x : s) {\n  found.push_back(x);\n}\nstd::sort(a, b);\n"
        self.assertEqual(list(tidy.check_unordered("client/x.cc", code)), [])

    def test_waiver(self) -> None:
        code = "std::unordered_set<int> s;\n// tidy: allow(unordered): a sum\nfor (int x : s) {\n"
        self.assertEqual(list(tidy.check_unordered("client/x.cc", code)), [])


class Includes(unittest.TestCase):
    def rules(self, path: str, code: str) -> list[str]:
        return [str(finding) for finding in tidy.check_includes(path, code, LAYERS)]

    def test_downwards_and_within_is_fine(self) -> None:
        self.assertEqual(self.rules("high/a.cc", '#include "high/a.h"\n#include "low/b.h"\n#include <vector>\n'), [])
        self.assertEqual(self.rules("tests/t.cc", '#include "high/inner/a.h"\n'), [])

    def test_upwards_fails_and_names_both_layers(self) -> None:
        (finding,) = self.rules("low/a.cc", '#include "high/a.h"\n')
        self.assertIn("low may not include high", finding)

    def test_the_longest_path_decides(self) -> None:
        self.assertEqual(len(self.rules("high/inner/a.cc", '#include "low/b.h"\n')), 1)
        self.assertEqual(len(self.rules("high/a.cc", '#include "high/inner/b.h"\n')), 1)

    def test_third_party_headers_stay_where_they_belong(self) -> None:
        self.assertEqual(self.rules("high/rocksdb_store.cc", "#include <rocksdb/db.h>\n"), [])
        self.assertEqual(len(self.rules("high/store.cc", "#include <rocksdb/db.h>\n")), 1)

    def test_unknown_places_fail(self) -> None:
        self.assertEqual(len(self.rules("new/a.cc", '#include "low/b.h"\n')), 1)
        self.assertEqual(len(self.rules("high/a.cc", '#include "b.h"\n')), 1)

    def test_an_include_in_a_comment_does_not_count(self) -> None:
        self.assertEqual(self.rules("low/a.cc", '// #include "high/a.h"\n'), [])

    def test_the_layers_of_the_repository_load(self) -> None:
        layers = tidy.Layers.load((tidy.ROOT / "ci/layers.toml").read_text(encoding="utf-8"))
        self.assertEqual(layers.layer_of("common/runtime/asio/world.h"), "common/runtime/asio")
        self.assertEqual(layers.layer_of("common/runtime/task.h"), "common/runtime")
        with self.assertRaises(ValueError):
            tidy.Layers.load('[[layer]]\npath = "a"\nuses = ["b"]\n')


class TextAndSize(unittest.TestCase):
    def test_todo_needs_a_number(self) -> None:
        head = "// SPDX-License-Identifier: MIT\n"
        self.assertEqual(len(list(tidy.check_text("a.cc", head + "// TODO: later\n"))), 1)
        self.assertEqual(list(tidy.check_text("a.cc", head + "// TODO(#7): later\n")), [])

    def test_missing_head_is_a_note_and_missing_pragma_fails(self) -> None:
        found = list(tidy.check_text("a.h", "int x;\n"))
        self.assertEqual({(f.rule, f.fails) for f in found}, {("pragma-once", True), ("head", False)})

    def test_long_functions_are_measured_and_do_not_fail(self) -> None:
        body = "  x();\n" * 80
        code = "namespace a {\n\nvoid F(int a,\n       int b) {\n" + body + "}\n\nvoid G() {\n  y();\n}\n\n}  // namespace a\n"
        (found,) = list(tidy.check_size("a.cc", code))
        self.assertFalse(found.fails)
        self.assertIn("8", found.text)

    def test_scenarios_must_be_run_by_something(self) -> None:
        paths = ["scenarios/smoke/a.textproto", "scenarios/nightly/b.textproto"]
        found = list(tidy.check_scenarios(paths, "simulate run scenarios/smoke"))
        self.assertEqual([f.path for f in found], ["scenarios/nightly/b.textproto"])


if __name__ == "__main__":
    unittest.main()
