# SPDX-License-Identifier: MIT
"""innodb-patch: patches apply to moved lines, are made anew, and an unknown MySQL is refused."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

# At the end: both innodb-patch/ and ci/ have a build.py, and the other tests want ci's.
sys.path.append(str(Path(__file__).resolve().parents[2] / "innodb-patch"))

import patched_tree  # noqa: E402
import refresh  # noqa: E402

_FILE = "storage/innobase/log/log0x.cc"
_LINES = [f"  line {i};" for i in range(1, 41)]
_FIRST = """Say hello

Why.

diff --git a/storage/innobase/log/log0x.cc b/storage/innobase/log/log0x.cc
--- a/storage/innobase/log/log0x.cc
+++ b/storage/innobase/log/log0x.cc
@@ -8,6 +8,7 @@
   line 8;
   line 9;
   line 10;
+  hello;
   line 11;
   line 12;
   line 13;
"""
_SECOND = """Say more

diff --git a/storage/innobase/log/log0x.cc b/storage/innobase/log/log0x.cc
--- a/storage/innobase/log/log0x.cc
+++ b/storage/innobase/log/log0x.cc
@@ -29,7 +29,7 @@
   line 28;
   line 29;
   line 30;
-  line 31;
+  more;
   line 32;
   line 33;
   line 34;
"""


class PatchFolder(unittest.TestCase):
    """A small folder of patches and a small source tree."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        root = Path(scratch.name)
        self.folder = root / "innodb-patch"
        (self.folder / "patches").mkdir(parents=True)
        (self.folder / "overlay").mkdir()
        (self.folder / "MYSQL_VERSION").write_text("# which\nVERSION=9.7.4\nSHA256=0\n")
        (self.folder / "series").write_text("0001-hello.patch\n0002-more.patch\n")
        self.first = self.folder / "patches" / "0001-hello.patch"
        self.second = self.folder / "patches" / "0002-more.patch"
        self.first.write_text(_FIRST)
        self.second.write_text(_SECOND)
        (self.folder / "overlay" / "new.cc").write_text("new\n")
        patched = mock.patch.object(patched_tree, "HERE", self.folder)
        patched.start()
        self.addCleanup(patched.stop)
        self.tree = patched_tree.PatchedTree(root / "source-9.7.4")
        self.upstream(_LINES)

    def upstream(self, lines: list[str]) -> None:
        """The tree as it comes."""
        shutil.rmtree(self.tree.tree, ignore_errors=True)
        shutil.rmtree(self.tree.pristine, ignore_errors=True)
        (self.tree.tree / _FILE).parent.mkdir(parents=True)
        (self.tree.tree / _FILE).write_text("\n".join(lines) + "\n")

    def quietly(self, work, *arguments):  # noqa: ANN001, ANN002, ANN201
        """Calls without printing; the result and what would have been printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = work(*arguments)
        return result, printed.getvalue()

    def refresh(self, into: str | None = None, from_patches: bool = False, write: bool = True) -> int:
        """How many patches changed."""
        return self.quietly(refresh.refresh, self.tree, into, from_patches, write)[0]

    def text(self) -> list[str]:
        """The patched file."""
        return (self.tree.tree / _FILE).read_text().splitlines()

    def test_an_untouched_tree_changes_nothing(self) -> None:
        """The patches are byte for byte what they were."""
        self.tree.apply()
        self.assertIn("  hello;", self.text())
        self.assertEqual(self.refresh(), 0)
        self.assertEqual(self.first.read_text(), _FIRST)
        self.assertEqual(self.second.read_text(), _SECOND)

    def real_tree(self, more: str = "") -> patched_tree.PatchedTree:
        """The files of MySQL that the repository's patches touch, each with `more` in front."""
        trees = sorted(patched_tree.cache_dir().glob("pristine-*/storage"))
        if not trees:
            self.skipTest("no MySQL source in the cache")
        pristine = trees[-1].parent
        source = pristine.with_name(pristine.name.replace("pristine-", "source-"))
        patched = mock.patch.object(patched_tree, "HERE", Path(patched_tree.__file__).parent)
        patched.start()
        self.addCleanup(patched.stop)
        tree = patched_tree.PatchedTree(self.folder.parent / "source-real")
        for name in {name for patch in patched_tree.series() for name in patched_tree.touched(patch)}:
            saved = pristine / name
            (tree.tree / name).parent.mkdir(parents=True, exist_ok=True)
            text = (saved if saved.exists() else source / name).read_text(encoding="utf-8")
            (tree.tree / name).write_text(more + text, encoding="utf-8")
        return tree

    def test_the_patches_of_this_repository_are_fresh(self) -> None:
        """With the source at hand: made anew they are the same. Without it this cannot be looked at."""
        tree = self.real_tree()
        tree.apply()
        changed, printed = self.quietly(refresh.refresh, tree, None, False, False)
        self.assertEqual(changed, 0, printed)

    def test_few_lines_of_mysql_change(self) -> None:
        """What a new MySQL has to be looked through for; the rest belongs into overlay/."""
        tree = self.real_tree()
        tree.apply()
        lines: list[str] = []
        for name in tree.touched(patched_tree.series()):
            pair = [str(tree.original(name)), str(tree.tree / name)]
            lines += subprocess.run(["diff", *pair], capture_output=True, text=True, check=False).stdout.splitlines()
        changed = sum(line.startswith(("< ", "> ")) or line in ("<", ">") for line in lines)
        self.assertGreater(changed, 100)
        self.assertLessEqual(changed, 200)

    def test_the_patches_of_this_repository_apply_to_moved_lines(self) -> None:
        """As a point release would move them; every patch gets new line numbers."""
        tree = self.real_tree("// One more line.\n" * 23)
        tree.apply()
        changed, printed = self.quietly(refresh.refresh, tree, None, False, False)
        self.assertEqual(changed, len(patched_tree.series()), printed)

    def test_moved_lines_and_other_context_are_taken_and_put_right(self) -> None:
        """A point release: eleven lines more at the top, and one line of context is another one."""
        lines = [*(f"  added {i};" for i in range(11)), *_LINES]
        lines[lines.index("  line 8;")] = "  line eight;"
        self.upstream(lines)
        self.tree.apply()
        self.assertEqual(self.text()[self.text().index("  hello;") - 1], "  line 10;")
        self.assertEqual(self.refresh(), 2)
        self.assertIn("@@ -19,6 +19,7 @@", self.first.read_text())
        self.assertIn("   line eight;\n", self.first.read_text())
        self.assertTrue(self.first.read_text().startswith("Say hello\n\nWhy.\n\ndiff --git "))
        self.assertEqual(self.refresh(), 0)

    def test_too_much_has_changed(self) -> None:
        """The patch's own place is another one: an error that names the patch, and the tree stays as it was."""
        lines = [line.replace("line", "row") if 6 < i < 14 else line for i, line in enumerate(_LINES)]
        self.upstream(lines)
        with self.assertRaisesRegex(patched_tree.BuildError, "0001-hello.patch does not apply"):
            self.tree.apply()
        self.assertEqual(self.text(), lines)

    def test_a_change_by_hand_goes_into_the_patch_that_is_named(self) -> None:
        """The last one unless another is named; the one behind it is made anew as well."""
        for into, holder, other in (("0001", self.first, self.second), (None, self.second, self.first)):
            self.first.write_text(_FIRST)
            self.second.write_text(_SECOND)
            self.tree.apply()
            file = self.tree.tree / _FILE
            file.write_text(file.read_text().replace("  line 2;\n", "  line 2;\n  by hand;\n"))
            self.assertGreaterEqual(self.refresh(into), 1)
            self.assertIn("+  by hand;", holder.read_text())
            self.assertNotIn("by hand", other.read_text())
            before = file.read_text()
            self.tree.apply()
            self.assertEqual(file.read_text(), before)

    def test_a_patch_is_made_from_its_head(self) -> None:
        """How one that does not apply any more is written again."""
        self.second.write_text("Say more\n\n")
        self.tree.apply()
        file = self.tree.tree / _FILE
        file.write_text(file.read_text().replace("  line 31;\n", "  more;\n"))
        self.assertEqual(self.refresh("0002"), 1)
        self.assertEqual(self.second.read_text(), _SECOND)

    def test_a_patch_that_makes_a_file_is_refused(self) -> None:
        """A backup copy that slipped in, mostly."""
        new = f"diff --git a/{_FILE}.orig b/{_FILE}.orig\n--- /dev/null\n+++ b/{_FILE}.orig\n@@ -0,0 +1 @@\n+x\n"
        self.second.write_text(_SECOND + new)
        with self.assertRaisesRegex(patched_tree.BuildError, "0002-more.patch makes or removes a file"):
            self.tree.apply()

    def test_a_tree_with_other_patches_is_refused(self) -> None:
        """Its differences would undo what was changed in the patch."""
        self.tree.apply()
        self.second.write_text(_SECOND.replace("+  more;", "+  most;"))
        with self.assertRaisesRegex(patched_tree.BuildError, "does not have the patches as they are now"):
            self.refresh()
        self.assertEqual(self.refresh(from_patches=True), 0)
        self.assertIn("+  most;", self.second.read_text())

    def test_check_writes_nothing(self) -> None:
        """It counts what would change."""
        self.upstream(["  first;", *_LINES])
        self.tree.apply()
        self.assertEqual(self.refresh(write=False), 2)
        self.assertEqual(self.first.read_text(), _FIRST)

    def test_unpatched_again(self) -> None:
        """For a server to compare with: upstream's bytes, no new file."""
        self.tree.apply()
        self.assertTrue((self.tree.tree / "new.cc").exists())
        self.tree.apply(patched=False)
        self.assertEqual(self.text(), _LINES)
        self.assertFalse((self.tree.tree / "new.cc").exists())
        self.tree.apply()
        self.assertIn("  hello;", self.text())

    def test_another_series_is_refused(self) -> None:
        """With a message that names both versions; a point release is said and taken."""
        for version in ("9.8.0", "8.4.4", "10.7.4", "9.70.1"):
            with self.assertRaisesRegex(patched_tree.BuildError, f"MySQL {version}; the patches are for 9.7.4"):
                patched_tree.check_version(version)
        self.assertEqual(self.quietly(patched_tree.check_version, "9.7.4")[1], "")
        self.assertIn("9.7.5, the patches were made for 9.7.4", self.quietly(patched_tree.check_version, "9.7.5")[1])

    def test_one_at_a_time(self) -> None:
        """Two builds in one cache directory: the second says that it waits, and goes on when the first is done."""
        order: list[str] = []

        def second() -> None:
            with patched_tree.alone():
                order.append("second")

        waits = threading.Event()
        cache = mock.patch.object(patched_tree, "cache_dir", lambda: self.folder.parent / "cache")
        with cache, mock.patch.object(patched_tree, "say", lambda _: waits.set()):
            with patched_tree.alone():
                self.assertFalse(waits.is_set())
                thread = threading.Thread(target=second)
                thread.start()
                self.assertTrue(waits.wait(10))
                order.append("first")
            thread.join(10)
        self.assertEqual(order, ["first", "second"])


if __name__ == "__main__":
    unittest.main()