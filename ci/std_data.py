#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the redo and pages of older MySQL versions: data directories out of the test data in MySQL's source package.

Kept are those whose redo has the format of 8.0.30 and later (`#innodb_redo/#ib_redoN`). `index.json` beside them says
for each: which server wrote the redo, its checkpoint and end LSN, and whether it was shut down cleanly (then the
checkpoint is the end, and the pages in the files are complete).

python3 ci/std_data.py            downloads them once, then checks each of them:

every directory     its redo, from the oldest block of its files on, parses to the end that redo_files.py finds by
                    itself, with no mini-transaction cut there
closed cleanly      every page that this redo builds from nothing, and that is still in use, equals the one in the
                    files; where the redo initialises no such page, the directory shows nothing about pages
crashed             the redo behind the checkpoint applies to the pages of the files without an error, and each index
                    page is sound after every mini-transaction. There are no later files to compare with

Exit code 0 only when all of that holds, and the directories are from the servers that the README names.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import mysql
import redo_files
import sid
import stack

_PACKAGE = "mysql-source"
_TARBALL = "./usr/src/mysql/mysql-source.tar.gz"
_SERVERS = ("8.0.38", "8.0.42", "8.4.0", "8.4.3", "8.4.8")
_BLOCK_HEADER_BYTES = 12
_REBUILD_SECONDS = 60


def describe(datadir: Path) -> dict[str, object]:
    """Who wrote the redo of a closed data directory, where its checkpoint is and where the redo ends."""
    checkpoint = redo_files.checkpoint_lsn(datadir)
    end = redo_files.end_lsn(datadir)
    return {
        "creator": redo_files.creator(datadir),
        "checkpoint_lsn": checkpoint,
        "end_lsn": end,
        "clean": end == checkpoint,
    }


def _extract(archive: bytes, target: Path) -> Path | None:
    """Unpacks one zip when it holds redo of the new format; returns the data directory inside."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        if not any("#innodb_redo/#ib_redo" in name for name in packed.namelist()):
            return None
        packed.extractall(target)
    redo_dir = next(d for d in target.rglob("#innodb_redo") if any(d.glob("#ib_redo*")))
    return redo_dir.parent


def _unpack(package: Path, target: Path) -> dict[str, dict[str, object]]:
    """Takes the data directories out of the package; what `index.json` says about them."""
    index: dict[str, dict[str, object]] = {}
    outer = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
    inner = subprocess.Popen(["tar", "xO", _TARBALL], stdin=outer.stdout, stdout=subprocess.PIPE)
    assert outer.stdout is not None and inner.stdout is not None
    outer.stdout.close()  # tar alone reads it, so that dpkg-deb sees when tar is gone
    with tarfile.open(fileobj=inner.stdout, mode="r|gz") as source:
        for member in source:
            if "/mysql-test/std_data/" not in member.name or not member.name.endswith(".zip"):
                continue
            stream = source.extractfile(member)
            name = Path(member.name).stem
            datadir = _extract(stream.read(), target / name) if stream else None
            if datadir is not None:
                index[name] = {"path": str(datadir.relative_to(target)), **describe(datadir)}
    while inner.stdout.read(1 << 20):
        pass  # the padding behind the archive's end
    for process in (inner, outer):
        if process.wait() != 0:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode} on {package.name}")
    if not index:
        raise RuntimeError(f"no data directory with redo in {package.name}")
    return index


def fetch(cache: Path) -> Path:
    """Downloads and unpacks once; returns the directory with `index.json`."""
    target = cache / "std_data"
    if (target / "index.json").exists():
        return target
    archive = sid.SidArchive(cache / "apt-sid")
    archive.update()
    print("std-data: downloading MySQL's source package (430 MB)", flush=True)
    package = archive.download([_PACKAGE], with_dependencies=False)[-1]
    print("std-data: reading the test data out of it", flush=True)
    partial = target.with_name("std_data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        index = _unpack(package, partial)
    finally:
        package.unlink()  # a damaged one must not be met again
    (partial / "index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


@dataclasses.dataclass
class Outcome:
    """One line of the table at the end."""

    name: str
    creator: str = "?"
    redo_bytes: int = 0
    mtrs: int = 0
    records: int = 0
    compared: int = 0
    shown: str = ""
    problems: list[str] = dataclasses.field(default_factory=list)


def _data_lsn(lsn: int) -> int:
    """An LSN on a block border or in a block's header is where the block's data begins."""
    return lsn - lsn % redo_files.BLOCK_BYTES + max(lsn % redo_files.BLOCK_BYTES, _BLOCK_HEADER_BYTES)


def _redo_rebuild(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(stack.binary("redo_rebuild")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_REBUILD_SECONDS)


def _output(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr).strip()[-400:]


def _json_line(done: subprocess.CompletedProcess[str], outcome: Outcome) -> dict[str, Any]:
    """What redo_rebuild found; empty, and a problem, when it got nowhere."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        outcome.problems.append(f"redo_rebuild ended with {done.returncode}: {_output(done)}")
        return {}
    return json.loads(lines[-1])


def check_parse(datadir: Path, end_lsn: int, outcome: Outcome) -> None:
    """All the redo in the files parses, up to the end that the blocks alone show."""
    done = _redo_rebuild("--parse-only", "--from-start", "--final", str(datadir))
    found = re.search(r" end (\d+) \((.*)\): (\d+) bytes (\d+) mtrs (\d+) records", done.stdout)
    if done.returncode != 0 or not found:
        outcome.problems.append(f"the redo does not parse: {_output(done)}")
        return
    outcome.redo_bytes, outcome.mtrs, outcome.records = (int(found[i]) for i in (3, 4, 5))
    if _data_lsn(int(found[1])) != _data_lsn(end_lsn):
        outcome.problems.append(f"whole mtrs end at LSN {found[1]} ({found[2]}), the redo at {end_lsn}")
    if outcome.records == 0:
        outcome.problems.append("the redo holds no record")


def check_pages(datadir: Path, outcome: Outcome) -> None:
    """Pages built from the redo alone are those in the files of a server that was shut down cleanly."""
    done = _redo_rebuild("--from-start", "--final", str(datadir), "--json")
    result = _json_line(done, outcome)
    if not result:
        return
    outcome.compared = result["compared"]
    must_be_none = ("unequal", "unequal_unlogged", "apply_errors", "lsn_behind", "stamp_unequal")
    if wrong := [f"{key} {result[key]}" for key in must_be_none if result[key] != 0]:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("UNEQUAL", "unlogged-space"))]
        outcome.problems.append("\n      ".join([f"pages: {', '.join(wrong)}", *lines[:5]]))
    elif done.returncode != 0 and outcome.compared != 0:
        outcome.problems.append(f"redo_rebuild ended with {done.returncode}: {_output(done)}")
    if outcome.compared:
        equal = result["equal"]
        outcome.shown = f"closed cleanly: of {outcome.compared} pages that the redo builds, {equal} equal the files"
    else:
        outcome.shown = "closed cleanly, but its redo initialises no page: parsed only"


def check_recovery(datadir: Path, outcome: Outcome) -> None:
    """The redo behind the checkpoint fits the pages that a crash left."""
    done = _redo_rebuild("--base", str(datadir), "--final", str(datadir), "--check-each-mtr", "--json")
    result = _json_line(done, outcome)
    if not result:
        return
    must_be_none = ("apply_errors", "check_failures", "skipped_space")
    if wrong := [f"{key} {result[key]}" for key in must_be_none if result[key] != 0]:
        outcome.problems.append(f"recovery: {', '.join(wrong)}")
    applied = result["applied"]
    if applied == 0:
        outcome.problems.append("recovery: no record was applied")
    outcome.shown = f"crashed: {applied} records behind the checkpoint apply to its pages; nothing to compare with"


def check(name: str, entry: dict[str, Any], root: Path) -> Outcome:
    """Everything that one directory allows."""
    outcome = Outcome(name)
    datadir = root / entry["path"]
    found = describe(datadir)
    outcome.creator = str(found["creator"])
    if {**found, "path": entry["path"]} != entry:
        outcome.problems.append(f"index.json says {entry}, the files say {found}; remove {root.name} from the cache")
    check_parse(datadir, redo_files.end_lsn(datadir), outcome)
    (check_pages if found["clean"] else check_recovery)(datadir, outcome)
    return outcome


def print_table(outcomes: list[Outcome]) -> None:
    """One line for each directory: whose redo, how much, what it shows."""
    print(f"\n{'directory':42} {'server':13} {'redo KB':>8} {'mtrs':>7} {'records':>8}  what it shows")
    for outcome in outcomes:
        print(
            f"{outcome.name:42} {outcome.creator:13} {outcome.redo_bytes / 1e3:8.0f} {outcome.mtrs:7} "
            f"{outcome.records:8}  {outcome.shown}"
        )
        for problem in outcome.problems:
            print(f"    FAILED: {problem}")


def main() -> int:
    """The command line; see the module's head."""
    argparse.ArgumentParser(description="Check the redo and pages that older MySQL servers wrote.").parse_args()
    root = fetch(mysql.cache_dir())
    started = time.monotonic()
    index = json.loads((root / "index.json").read_text(encoding="utf-8"))
    outcomes = [check(name, index[name], root) for name in sorted(index)]
    print_table(outcomes)
    problems = [outcome.name for outcome in outcomes if outcome.problems]
    creators = {outcome.creator for outcome in outcomes}
    if absent := [version for version in _SERVERS if f"MySQL {version}" not in creators]:
        problems.append(f"no redo of MySQL {', '.join(absent)}")
    compared = sum(outcome.compared for outcome in outcomes)
    if compared == 0:
        problems.append("no page was compared")
    print(
        f"\n{'BAD' if problems else 'GOOD'}: {len(outcomes)} directories, {compared} pages compared, "
        f"{time.monotonic() - started:.0f} s" + (f"; failed: {', '.join(problems)}" if problems else "")
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
