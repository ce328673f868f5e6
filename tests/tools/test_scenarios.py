# SPDX-License-Identifier: MIT
"""What holds for every scenario: RocksDB in a quarter of the seeds wherever pages are kept, and a line in scenarios/README.md."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"


def topology(text: str) -> dict[str, int]:
    """The numbers of a scenario's topology."""
    line = re.search(r"^topology \{(.*?)\}", text, re.MULTILINE | re.DOTALL)
    return {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", line[1])} if line else {}


class Scenarios(unittest.TestCase):
    """Every file below scenarios/smoke, and rocksdb_native."""

    def files(self) -> list[Path]:
        found = sorted((SCENARIOS / "smoke").glob("*.textproto")) + [SCENARIOS / "rocksdb_native.textproto"]
        self.assertGreater(len(found), 40)
        return found

    def test_a_quarter_of_the_seeds_keeps_pages_in_rocksdb(self) -> None:
        for path in self.files():
            shape = topology(path.read_text())
            keeps_pages = shape.get("log_servers", 0) == 0 or shape.get("page_servers", 0) > 0
            if keeps_pages:
                self.assertGreaterEqual(shape.get("rocksdb_percent", 0), 25, path.name)

    def test_the_readme_says_what_goes_wrong_in_each(self) -> None:
        readme = (SCENARIOS / "README.md").read_text()
        rows = [line for line in readme.splitlines() if line.startswith("| `")]
        told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
        for path in self.files():
            self.assertIn(path.stem, told)


if __name__ == "__main__":
    unittest.main()
