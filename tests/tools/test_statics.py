# SPDX-License-Identifier: MIT
"""Which symbols count as mutable statics."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ci"))

import statics  # noqa: E402


class Statics(unittest.TestCase):
    """Names as nm prints them."""

    def names(self, *symbols: str) -> list[str]:
        """Those of `symbols`, "TYPE NAME", that break the rule."""
        listing = "\n".join(f"0000000000000010 {symbol}" for symbol in symbols)
        return [name for name in statics.mutable_data(listing) if not statics.allowed(name)]

    def test_data_that_changes_is_found(self) -> None:
        """Global, in an anonymous namespace, in a function."""
        wrong = ("B redoubt::cache", "b redoubt::(anonymous namespace)::counter", "d redoubt::Next(int)::last")
        self.assertEqual(len(self.names(*wrong)), 3)

    def test_constants_and_what_compilers_make_are_not(self) -> None:
        """A kName is constant from its first use on."""
        fine = (
            "b redoubt::Tables()::kTables",
            "b redoubt::Status::message[abi:cxx11]() const::kEmpty",
            "b guard variable for redoubt::Tables()::kTables",
            "d vtable for redoubt::Status",
            "r redoubt::kConstant",
            "T redoubt::Function()",
            "b redoubt::sim::(anonymous namespace)::guards_of_thread",
        )
        self.assertEqual(self.names(*fine), [])


if __name__ == "__main__":
    unittest.main()
