#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes the patches anew out of the patched source tree: line numbers right, no fuzz, changes made by hand taken in.

python3 innodb-patch/refresh.py                       as the tree is; changes go into the last patch
python3 innodb-patch/refresh.py --into 0002           ... into that patch
python3 innodb-patch/refresh.py --file PATH           a file of MySQL that no patch touched so far was changed as well
python3 innodb-patch/refresh.py --from-patches        only lines and fuzz; the tree's changes stay out
    --check                                           write nothing; exit code 1 when something would change

Prints what changes in each patch. New files are edited in overlay/, not in the tree. A tree to which other patches were
applied than there are now is refused: its differences would undo what was changed in the patches.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import patched_tree
from patched_tree import BuildError, PatchedTree, say

_FUZZ = re.compile(r"Hunk #\d+ succeeded at \d+ .*(?:fuzz|offset)")


def _diff(before: Path, after: Path) -> str:
    """As `git diff` prints it, without the hashes. Both are children of one directory."""
    pair = before.parent / "pair"
    pair.mkdir()
    try:
        (pair / "a").symlink_to(before)
        (pair / "b").symlink_to(after)
        command = ["git", "diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", "--no-renames",
                   "--text", "a/", "b/"]  # fmt: skip
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(command, cwd=pair, env=environment, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(pair)
    if done.returncode not in (0, 1):
        raise BuildError(f"git diff: {done.stderr}")
    kept = [line for line in done.stdout.splitlines(keepends=True) if not line.startswith(("index ", "old mode", "new mode"))]
    return "".join(kept)


def _head(patch: Path) -> str:
    """What a patch says of itself."""
    return patch.read_text(encoding="utf-8").partition("diff --git ")[0]


def save_original(tree: PatchedTree, name: str, tarball: Path) -> None:
    """Takes the upstream version of a file that was changed by hand before anybody saved it."""
    if (tree.pristine / name).exists():
        return
    with tarfile.open(tarball) as archive:
        for member in archive:
            if member.name.partition("/")[2] == name:
                content = archive.extractfile(member)
                assert content is not None
                (tree.pristine / name).parent.mkdir(parents=True, exist_ok=True)
                (tree.pristine / name).write_bytes(content.read())
                return
    raise BuildError(f"{name} is not in {tarball}")


class Refresh:
    """The steps of the series as directories, and the patches between them."""

    def __init__(self, tree: PatchedTree, scratch: Path) -> None:
        self._tree = tree
        self._scratch = scratch
        self._patches = patched_tree.series()
        self._names = tree.touched(self._patches)
        self.moved: dict[str, int] = {}
        self._steps = [self._originals()]
        for number, patch in enumerate(self._patches, 1):
            step = scratch / str(number)
            shutil.copytree(self._steps[-1], step)
            said = patched_tree.apply_patch(step, patch)
            self.moved[patch.name] = len(_FUZZ.findall(said))
            self._steps.append(step)

    def _originals(self) -> Path:
        step = self._scratch / "0"
        for name in self._names:
            (step / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._tree.original(name), step / name)
        return step

    def take_in(self, into: str | None) -> list[str]:
        """Puts what differs in the tree into a patch; the files that differ."""
        target = self._scratch / "tree"
        for name in self._names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._tree.tree / name, target / name)
        last = self._steps[-1]
        changed = [n for n in self._names if (last / n).read_bytes() != (target / n).read_bytes()]
        if not changed:
            return []
        if self._tree.applied_digest() != patched_tree.series_digest():
            raise BuildError(
                f"{self._tree.tree} does not have the patches as they are now, and differs from them in "
                f"{', '.join(changed)}. Run build.py, which makes the tree anew, or take --from-patches"
            )
        difference = self._scratch / "difference.patch"
        difference.write_text(_diff(last, target), encoding="utf-8")
        for number in range(self._index(into), len(self._patches)):
            patched_tree.apply_patch(self._steps[number], difference)
        self._steps[-1] = target
        return changed

    def _index(self, into: str | None) -> int:
        """Of the step behind the patch."""
        found = [i for i, p in enumerate(self._patches, 1) if into is not None and p.name.startswith(into)]
        if into is not None and len(found) != 1:
            raise BuildError(f"{into!r} begins the names of {len(found)} patches")
        return found[0] if found else len(self._patches)

    def texts(self) -> dict[Path, str]:
        """Each patch as it should be."""
        return {
            patch: _head(patch) + _diff(self._steps[number], self._steps[number + 1])
            for number, patch in enumerate(self._patches)
        }


def refresh(tree: PatchedTree, into: str | None, from_patches: bool, write: bool) -> int:
    """Does it, and says what changed; the number of patches that changed or would."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Refresh(tree, Path(scratch))
        changed = [] if from_patches else work.take_in(into)
        texts = work.texts()
    if changed:
        say(f"changed in the tree: {', '.join(changed)}")
    other = 0
    for patch, text in texts.items():
        old = patch.read_text(encoding="utf-8")
        moved = work.moved[patch.name]
        note = f", {moved} places had moved" if moved else ""
        say(f"{patch.name}: {'the same' if text == old else 'changes'}{note}")
        if text == old:
            continue
        other += 1
        lines = difflib.unified_diff(old.splitlines(), text.splitlines(), "before", "after", n=1, lineterm="")
        print("\n".join("    " + line for line in lines))
        if write:
            patch.write_text(text, encoding="utf-8")
    if write and not from_patches:
        tree.note_applied()
    return other


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Make the patches anew out of the patched source tree.")
    parser.add_argument("--into", metavar="PATCH", help="beginning of the name of the patch that gets the changes")
    parser.add_argument("--file", action="append", default=[], help="of MySQL, changed by hand, in no patch yet")
    parser.add_argument("--from-patches", action="store_true", help="do not look at the tree")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    try:
        with patched_tree.alone():
            trees = sorted(patched_tree.cache_dir().glob("source-*/MYSQL_VERSION"))
            if not trees:
                raise BuildError("there is no source tree; run: python3 innodb-patch/build.py")
            version = patched_tree.version_of(trees[-1].parent)
            patched_tree.check_version(version)
            tree = PatchedTree(trees[-1].parent)
            for name in options.file:
                save_original(tree, name, patched_tree.cache_dir() / "mysql-source.tar.gz")
            other = refresh(tree, options.into, options.from_patches, not options.check)
    except (BuildError, OSError) as problem:
        print(f"innodb-patch: {problem}", file=sys.stderr)
        return 1
    return 1 if options.check and other else 0


if __name__ == "__main__":
    sys.exit(main())
