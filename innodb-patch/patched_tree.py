# SPDX-License-Identifier: GPL-2.0-only
"""MySQL's source with the patches of this folder in it: which release, which patches, which new files.

The tree is patched in place. Files that are touched are kept as they came, in a directory beside it, so that patches can
change and go; a file that stays the same keeps its time, so that nothing is compiled for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402


class BuildError(RuntimeError):
    """Something that whoever builds has to look at; the message says what."""


def say(text: str) -> None:
    """One line for whoever watches."""
    print(f"innodb-patch: {text}", flush=True)


def wanted_release() -> dict[str, str]:
    """MYSQL_VERSION of this folder: the release that the patches were made for and its tarball's checksum."""
    fields: dict[str, str] = {}
    for line in (HERE / "MYSQL_VERSION").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            fields[name.strip()] = value.strip()
    return fields


def check_version(version: str) -> None:
    """Refuses what the patches were not made for; another point release of the same series may pass."""
    wanted = wanted_release()["VERSION"]
    series = wanted.rsplit(".", 1)[0]
    if not version.startswith(series + "."):
        raise BuildError(
            f"the source is MySQL {version}; the patches are for {wanted} and other {series}.x releases. "
            "README.md, \"A new MySQL\", says how to move them"
        )
    if version != wanted:
        say(f"the source is MySQL {version}, the patches were made for {wanted}: lines may be off by some")


def version_of(source: Path) -> str:
    """The version that a source tree says of itself."""
    fields = dict(re.findall(r"^(\w+)=(\S+)", (source / "MYSQL_VERSION").read_text(encoding="utf-8"), re.M))
    return ".".join(fields[f"MYSQL_VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH"))


def cache_dir() -> Path:
    """Source tree, build tree and finished programs live here."""
    return mysql.cache_dir() / "innodb-patch"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Nobody else changes or builds the source tree of this cache directory inside, whichever checkout they run from.

    Waits for whoever does, and says so.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build in {cache_dir()}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def series() -> list[Path]:
    """The patches in order."""
    lines = (HERE / "series").read_text(encoding="utf-8").splitlines()
    return [HERE / "patches" / line for line in lines if line and not line.startswith("#")]


def overlay_files() -> list[Path]:
    """New files, by their path in MySQL's tree."""
    return sorted(f.relative_to(HERE / "overlay") for f in (HERE / "overlay").rglob("*") if f.is_file())


def touched(patch: Path) -> list[str]:
    """Upstream files that a patch changes."""
    return re.findall(r"^--- a/(\S+)", patch.read_text(encoding="utf-8"), re.M)


def apply_patch(directory: Path, patch: Path) -> str:
    """Changes the files below `directory`; two lines of context may be others. What patch(1) says, shifts and fuzz.

    A patch that is only a head text changes nothing: its change is about to be made anew.
    """
    if re.search(r"^(--- |\+\+\+ )/dev/null", patch.read_text(encoding="utf-8"), re.M):
        raise BuildError(f"{patch.name} makes or removes a file; new files belong below overlay/")
    if not touched(patch):
        return ""
    done = subprocess.run(
        ["patch", "-p1", "--fuzz=2", "--no-backup-if-mismatch", "-d", str(directory), "-i", str(patch)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"{patch.name} does not apply:\n{done.stdout}{done.stderr}")
    return done.stdout


def series_digest() -> str:
    """Names what the patches say."""
    digest = hashlib.sha256()
    for patch in series():
        digest.update(patch.name.encode() + b"\0" + patch.read_bytes())
    return digest.hexdigest()


class PatchedTree:
    """A source tree whose touched files are kept as they came, so that patches can change and go."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.pristine = tree.with_name(tree.name.replace("source-", "pristine-"))
        self._placed_list = self.pristine / ".placed"
        self._applied = self.pristine / ".applied"

    def original(self, name: str) -> Path:
        """The upstream file, saved before it is changed for the first time."""
        saved = self.pristine / name
        if not saved.exists():
            saved.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.tree / name, saved)
        return saved

    def applied_digest(self) -> str | None:
        """series_digest() of the patches that the tree has; None when nobody wrote it down."""
        return self._applied.read_text(encoding="ascii") if self._applied.exists() else None

    def note_applied(self) -> None:
        """The tree has what the patches say now."""
        self._applied.write_text(series_digest(), encoding="ascii")

    def touched(self, patches: Sequence[Path]) -> list[str]:
        """Upstream files that the patches change or that were changed before."""
        saved = set()
        if self.pristine.exists():
            files = [f for f in self.pristine.rglob("*") if f.is_file() and f.parent != self.pristine]
            saved = {str(f.relative_to(self.pristine)) for f in files}
        return sorted({name for patch in patches for name in touched(patch)} | saved)

    def apply(self, patched: bool = True) -> None:
        """Makes the tree what upstream, series and overlay say, or upstream alone; what stays the same keeps its time."""
        with tempfile.TemporaryDirectory() as scratch_name:
            scratch = Path(scratch_name)
            names = self.touched(series())
            for name in names:
                target = scratch / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.original(name), target)
            for patch in series() if patched else []:
                apply_patch(scratch, patch)
            for name in names:
                replace_if_other(scratch / name, self.tree / name)
        self._place_overlay([str(name) for name in overlay_files()] if patched else [])
        if patched:
            self.note_applied()
        else:
            self._applied.unlink(missing_ok=True)

    def _place_overlay(self, now: list[str]) -> None:
        before = json.loads(self._placed_list.read_text(encoding="utf-8")) if self._placed_list.exists() else []
        for name in before:
            if name not in now:
                (self.tree / name).unlink(missing_ok=True)
        for name in now:
            replace_if_other(HERE / "overlay" / name, self.tree / name)
        self.pristine.mkdir(parents=True, exist_ok=True)
        self._placed_list.write_text(json.dumps(now), encoding="utf-8")


def replace_if_other(source: Path, target: Path) -> None:
    """Copies unless the bytes are there already, so that nothing is compiled for it."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".new")
    shutil.copyfile(source, partial)
    partial.replace(target)
