# SPDX-License-Identifier: MIT
"""The planted bugs in the source and those that the simulator lists are the same; one that nobody asks for finds nothing."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("client", "pageserver")


class Plants(unittest.TestCase):
    """Names, both ways."""

    def test_source_and_catalogue_agree(self) -> None:
        """Every REDOUBT_PLANTED names a plant of the catalogue, and every plant has a place.

        A mistake of innodb-patch is made in the simulator's model of it, which asks by itself.
        """
        catalogue = (ROOT / "sim" / "cluster" / "plants.cc").read_text()
        listed = set(re.findall(r'^ +\{"(\w+)",\s+"', catalogue, re.MULTILINE))
        planted: set[str] = set()
        for folder in FOLDERS:
            for path in (ROOT / folder).rglob("*.cc"):
                planted |= set(re.findall(r"REDOUBT_PLANTED\([^,()]+(?:\([^()]*\))?[^,()]*,\s*(\w+)\)", path.read_text()))
        for path in (ROOT / "sim").rglob("*.cc"):
            planted |= set(re.findall(r'->Planted\("(\w+)"\)', path.read_text()))
        self.assertEqual(planted, listed)

    def test_headers_mean_the_same_in_both_builds(self) -> None:
        """A plant in a header would make two definitions of one function."""
        for folder in FOLDERS:
            for path in (ROOT / folder).rglob("*.h"):
                self.assertNotIn("REDOUBT_PLANTED", path.read_text(), path)


if __name__ == "__main__":
    unittest.main()
