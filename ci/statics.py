#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No mutable statics: what one simulated node, or run, leaves behind another would find.

Looks at the data of static libraries (nm). What lies in writable memory must be a constant by its name (kName, made at
first use) or one of the few that are allowed and say why here.

python3 ci/statics.py build/release/pageserver/log/libredoubt_log.a ...
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

# RocksDB's jobs, and whether the world runs: replaced C functions have no other way to learn it, and a thread is enough.
ALLOWED = ("queues_of_thread", "guards_of_thread")
# What compilers put there.
_MADE = re.compile(r"^(vtable|typeinfo|VTT|construction vtable|guard variable|TLS |DW\.ref)|__ioinit$|__tls_guard$|^\.L|^_ZT[VITS]")
_GENERATED = re.compile(r"\.pb\.cc|redoubt::proto::|descriptor_table_|_default_instance_")


def mutable_data(nm_output: str) -> list[str]:
    """The writable symbols of our own code, as `nm -C` names them."""
    found = []
    for line in nm_output.splitlines():
        match = re.match(r"^[0-9a-f]+ [bBdD] (?P<name>.*)$", line)
        if match and not _MADE.search(match["name"]) and not _GENERATED.search(match["name"]):
            found.append(match["name"])
    return found


def allowed(name: str) -> bool:
    """A constant by its name, or on the list."""
    last = re.sub(r"\[abi:\w+\]|\(.*?\)( const)?", "", name).rsplit("::", 1)[-1]
    return re.match(r"k[A-Z]\w*$", last) is not None or last in ALLOWED


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Look for mutable statics in static libraries.")
    parser.add_argument("libraries", nargs="+", type=Path)
    options = parser.parse_args()
    broken = 0
    for library in options.libraries:
        listing = subprocess.run(["nm", "-C", library], capture_output=True, text=True, check=True).stdout
        for name in mutable_data(listing):
            if not allowed(name):
                broken += 1
                print(f"{library.name}: {name} is a mutable static; state belongs to the node that has it")
    print(f"statics: {len(options.libraries)} libraries, {broken} mutable statics")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
