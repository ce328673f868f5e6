# SPDX-License-Identifier: MIT
"""Data directories written by older MySQL versions, taken out of the test data in MySQL's source package.

Kept are those whose redo has the format of 8.0.30 and later (`#innodb_redo/#ib_redoN`). `index.json` beside them says
for each: which server wrote the redo, its checkpoint and end LSN, and whether it was shut down cleanly (then the
checkpoint is the end, and the pages in the files are complete).
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import redo_files
import sid

_PACKAGE = "mysql-source"
_TARBALL = "./usr/src/mysql/mysql-source.tar.gz"


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
    index: dict[str, dict[str, object]] = {}
    outer = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
    inner = subprocess.Popen(["tar", "xO", _TARBALL], stdin=outer.stdout, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=inner.stdout, mode="r|gz") as source:
        for member in source:
            if "/mysql-test/std_data/" not in member.name or not member.name.endswith(".zip"):
                continue
            stream = source.extractfile(member)
            name = Path(member.name).stem
            datadir = _extract(stream.read(), partial / name) if stream else None
            if datadir is not None:
                index[name] = {"path": str(datadir.relative_to(partial)), **describe(datadir)}
    for process in (inner, outer):
        process.communicate()
    if not index:
        raise RuntimeError(f"no data directory with redo in {package.name}")
    (partial / "index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    package.unlink()
    return target
