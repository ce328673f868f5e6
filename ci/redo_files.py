# SPDX-License-Identifier: MIT
"""Reads the few facts the checks need from the redo files of a data directory that no server has open.

Written from the format's description alone and independent of the C++ reader, so that the two check each other.
"""

from __future__ import annotations

import struct
from pathlib import Path

BLOCK_BYTES = 512
HEADER_BYTES = 4 * BLOCK_BYTES
_BLOCK_HEADER_BYTES = 12
_CHECKPOINT_BLOCKS = (BLOCK_BYTES, 3 * BLOCK_BYTES)


def in_use(datadir: Path) -> list[tuple[int, Path]]:
    """(start LSN, file) of every redo file in use, in LSN order. Names of spare files end in _tmp."""
    found = []
    for file in (datadir / "#innodb_redo").glob("#ib_redo*"):
        if not file.name.endswith("_tmp"):
            with open(file, "rb") as stream:
                found.append((struct.unpack_from(">Q", stream.read(BLOCK_BYTES), 8)[0], file))
    return sorted(found)


def creator(datadir: Path) -> str:
    """The server that wrote the newest file, for example "MySQL 8.4.3"."""
    with open(in_use(datadir)[-1][1], "rb") as stream:
        return stream.read(BLOCK_BYTES)[16:48].split(b"\0")[0].decode("ascii", "replace")


def checkpoint_lsn(datadir: Path) -> int:
    """The newest checkpoint in any file header."""
    newest = 0
    for _, file in in_use(datadir):
        with open(file, "rb") as stream:
            header = stream.read(HEADER_BYTES)
        newest = max(newest, *(struct.unpack_from(">Q", header, at + 8)[0] for at in _CHECKPOINT_BLOCKS))
    return newest


def end_lsn(datadir: Path) -> int:
    """The end of the redo: the last block, from the checkpoint on, that carries the number its place demands."""
    end = checkpoint_lsn(datadir)
    block_lsn = end - end % BLOCK_BYTES
    for start, file in in_use(datadir):
        size = file.stat().st_size
        with open(file, "rb") as stream:
            while HEADER_BYTES <= (at := HEADER_BYTES + block_lsn - start) < size:
                stream.seek(at)
                number, length = struct.unpack(">IH", stream.read(6))
                length &= 0x7FFF
                if number != 1 + block_lsn // BLOCK_BYTES % (1 << 30) or length < _BLOCK_HEADER_BYTES:
                    return end
                end = max(end, block_lsn + length)
                if length < BLOCK_BYTES:
                    return end
                block_lsn += BLOCK_BYTES
    return end


def reaches(lsn: int, end: int) -> bool:
    """True when an LSN is at or past the end; an end on a block border is also written as the next block's data start."""
    return lsn >= end or (end % BLOCK_BYTES == _BLOCK_HEADER_BYTES and lsn >= end - _BLOCK_HEADER_BYTES)
