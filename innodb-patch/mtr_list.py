#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Which of MySQL's own tests mtr.py runs: a rule that looks at the tests and at the unpatched server, never at a patched one.

python3 innodb-patch/mtr_list.py --candidates > FILE        what the source says
python3 innodb-patch/mtr.py --mode stock --list FILE        which of them pass without patches, and how fast
python3 innodb-patch/mtr_list.py                            writes mtr-tests.txt

A candidate is a test of suite innodb or main that
- is not disabled (collections/disabled.def) here,
- has no options, configuration or script of its own (NAME.opt, NAME-master.opt, NAME.cnf, NAME.sh, NAME-master.sh), and
- reads, itself or by what it reads with `source`, no file of _LEFT_OUT: debug server, plugins, components, replication, binary log,
  encryption, TLS, a restart of the server, an hour of time, an engine other than InnoDB.

The list is what was in it before, and all candidates that pass on the unpatched server within _SECONDS. No test leaves it: what a
mode cannot do stays and counts.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import mtr
import patched_tree

_SUITES = {"innodb": "suite/innodb/t", "main": "t"}
_SECONDS = 6.0
_OWN_FILES = (".opt", "-master.opt", ".cnf", ".sh", "-master.sh")
_LEFT_OUT = (
    "have_debug*", "have_*_debug.inc", "have_*plugin*", "have_*component*", "have_*_example*", "have_udf*", "have_simple_parser*",
    "have_mecab*", "have_ndb*", "have_multi_ndb*", "have_hypergraph*", "have_router*", "have_valgrind*", "have_asan*",
    "rpl*", "gr_*", "group_replication*", "have_log_bin*", "have_binlog*", "*mysqlbinlog*", "*keyring*", "*encrypt*", "*ssl*",
    "*tls*", "*cipher*", "have_fips*", "restart_*", "*start_mysqld*", "*shutdown_mysqld*", "*kill_mysqld*", "*restart*",
    "expect_crash*", "big_test*", "not_as_root*", "have_myisam*", "force_myisam*", "have_archive*", "have_blackhole*",
    "have_federated*", "have_case_insensitive*", "have_lowercase[12]*", "windows*", "have_thread_pool*", "mysql_upgrade*",
    "install_*", "validate_password*",
)  # fmt: skip
_SOURCE = re.compile(r"^\s*(?:--\s*)?source\s+(\S+?);?\s*$", re.MULTILINE | re.IGNORECASE)


def disabled(suite_dir: Path) -> set[str]:
    """suite.name of what collections/disabled.def takes out on Linux."""
    names = set()
    for line in (suite_dir / "collections" / "disabled.def").read_text(encoding="utf-8", errors="replace").splitlines():
        found = re.match(r"([\w-]+\.[\w-]+)\s*(@\S+)?\s*:", line)
        if found and found[2] in (None, "@linux"):
            names.add(found[1])
    return names


def sources(suite_dir: Path, file: Path, seen: set[Path]) -> Iterator[str]:
    """Names below mysql-test of the files that a test reads, and of those that these read; what is in a variable is not known."""
    text = file.read_text(encoding="latin-1")
    for name in _SOURCE.findall(text):
        yield name
        for place in (suite_dir, file.parent, file.parent.parent):
            other = place / name
            if other.is_file() and other not in seen:
                seen.add(other)
                yield from sources(suite_dir, other, seen)
                break


def is_left_out(name: str) -> bool:
    """Whether a file that a test reads says that it wants what is not looked at here."""
    return "/rpl/" in name or any(fnmatch.fnmatchcase(name.rpartition("/")[2], pattern) for pattern in _LEFT_OUT)


def candidates(suite_dir: Path) -> list[str]:
    """By suite, then by name."""
    off = disabled(suite_dir)
    found = []
    for suite, place in _SUITES.items():
        for file in sorted((suite_dir / place).glob("*.test")):
            test = f"{suite}.{file.stem}"
            own = any((file.parent / (file.stem + ending)).exists() for ending in _OWN_FILES)
            if test not in off and not own and not any(map(is_left_out, sources(suite_dir, file, {file}))):
                found.append(test)
    return found


def chosen(known: list[str], more: list[str], stock: dict[str, mtr.Outcome]) -> list[str]:
    """What was in the list, and what of `more` passes in time."""
    passing = (name for name, outcome in stock.items() if outcome.result == "pass" and outcome.seconds <= _SECONDS)
    return sorted({*known, *(set(more) & set(passing))})


def main() -> int:
    """The command line; see the module's head."""
    parser = argparse.ArgumentParser(description="Choose which of MySQL's own tests are run.")
    parser.add_argument("--candidates", action="store_true", help="whatever the unpatched server does with them")
    options = parser.parse_args()
    listed = mtr.HERE / "mtr-tests.txt"
    try:
        found = candidates(mtr.suite_dir())
        if options.candidates:
            print("\n".join(found))
            return 0
        head = [line for line in listed.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        tests = chosen(mtr.read_tests(listed), found, mtr.Results(mtr.programs_of(False), mtr.STOCK).outcomes)
        listed.write_text("\n".join([*head, *tests]) + "\n", encoding="utf-8")
    except (mtr.MtrError, patched_tree.BuildError, OSError) as problem:
        print(f"mtr_list: {problem}", file=sys.stderr)
        return 2
    print(f"{listed.name}: {len(tests)} tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
