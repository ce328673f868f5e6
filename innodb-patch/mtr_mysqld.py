#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""mysqld as mysql-test-run.pl of mtr.py starts it: in a mode of Redoubt, its data directory in a volume of its own.

Stands in for mysqld in the directory that mtr.py gives to mysql-test-run.pl. A server of the test suite (one that has a group in
the suite's my.cnf) gets the options of the mode; before its first start on a fresh copy of the system database the copy goes
into a new volume. Everything else that tests do with mysqld (--initialize, --help, a directory of their own) goes to the
program as it is. What it needs to know is in the environment, see environment().
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

# Beside the data: it goes when mysql-test-run.pl makes the directory anew.
_MARK = "redoubt_mtr"
_NOT_A_SERVER = ("--initialize", "--initialize-insecure", "--help", "--version", "--bootstrap", "-V", "-?", "-I")


def environment(mysqld: Path, mode: str, redotail: Path, address: str) -> dict[str, str]:
    """What main() wants to find: the program, the mode, and a server that is log server and page server at once."""
    return {
        "REDOUBT_MTR_MYSQLD": str(mysqld),
        "REDOUBT_MTR_MODE": mode.upper(),
        "REDOUBT_MTR_REDOTAIL": str(redotail),
        "REDOUBT_MTR_SERVER": address,
    }


def suite_datadir(arguments: Sequence[str]) -> Path | None:
    """The data directory if this is a server of the test suite."""
    given = dict(a.partition("=")[::2] for a in arguments if a.startswith("--"))
    if any(a.partition("=")[0] in (*_NOT_A_SERVER, "--datadir") for a in arguments):
        return None
    suffix, defaults = given.get("--defaults-group-suffix"), given.get("--defaults-file")
    if not suffix or not defaults:
        return None
    config = configparser.RawConfigParser(allow_no_value=True, strict=False, delimiters=("=",))
    # Not strictly an INI file: "!include" lines and options without value.
    text = "\n".join(line for line in Path(defaults).read_text(encoding="utf-8").splitlines() if line[:1] != "!")
    config.read_string(text)
    group = f"mysqld{suffix}"
    return Path(config.get(group, "datadir")) if config.has_option(group, "datadir") else None


def volume_of(datadir: Path) -> str:
    """The volume that has the directory's pages; the pages of a fresh directory are put into a new one."""
    mark = datadir / _MARK
    if mark.exists():
        return mark.read_text(encoding="ascii")
    volume = "mtr-" + uuid.uuid4().hex[:16]
    address = os.environ["REDOUBT_MTR_SERVER"]
    command = [os.environ["REDOUBT_MTR_REDOTAIL"], "--cold", "--datadir", str(datadir), "--volume", volume,
               "--to", address, "--log-servers", address]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"redotail --cold ended with {done.returncode}: {done.stdout}{done.stderr}")
    mark.write_text(volume, encoding="ascii")
    return volume


def mode_options(datadir: Path) -> list[str]:
    """The mode's, and what it would set with a warning, which the suite takes for a failure."""
    mode, address = os.environ["REDOUBT_MTR_MODE"], os.environ["REDOUBT_MTR_SERVER"]
    options = [
        f"--innodb-pageserver-mode={mode}",
        f"--innodb-pageserver-log-servers={address}",
        f"--innodb-pageserver-page-servers={address}",
        f"--innodb-pageserver-volume={volume_of(datadir)}",
    ]
    if mode == "NOWRITE":
        options += ["--innodb-doublewrite=OFF", "--innodb-undo-log-truncate=OFF",
                    "--innodb-extend-and-initialize=OFF"]  # fmt: skip
    return options


def main() -> None:
    """Becomes mysqld."""
    arguments = sys.argv[1:]
    mysqld = os.environ["REDOUBT_MTR_MYSQLD"]
    datadir = suite_datadir(arguments)
    more = mode_options(datadir) if datadir is not None else []
    # By the name that it was called by: beside that it looks for its messages.
    os.execv(mysqld, [sys.argv[0], *arguments, *more])


if __name__ == "__main__":
    main()
