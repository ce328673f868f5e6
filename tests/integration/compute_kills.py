# SPDX-License-Identifier: MIT
"""Kills of a patched server in the middle of statements that change tables as a whole, for compute_traps.py."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import stack  # noqa: E402
from compute_servers import VOLUME, PatchedServer  # noqa: E402
from compute_stack import SMALL_POOL  # noqa: E402
from compute_stateless import KeptPagesCheck  # noqa: E402

KILLS = ("builds", "imports", "buffered")
_BIG_ROWS = 40000
_BIG = f"""
SET SESSION cte_max_recursion_depth = {_BIG_ROWS};
CREATE TABLE ledger.big (id INT PRIMARY KEY, k INT, c VARCHAR(200));
INSERT INTO ledger.big WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {_BIG_ROWS})
    SELECT n, n * 7919 % 20011, CONCAT_WS(' ', SHA2(n, 256), SHA2(n + 1, 256), SHA2(n % 997, 256)) FROM seq;
"""
_BIG_SUM = "SELECT COUNT(*), SUM(k), BIT_XOR(CRC32(c)) FROM ledger.{}"
_INDEXES = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = 'ledger' AND table_name = 'big'"
_SCATTERED_ROWS = 60000
# Two secondary indexes in no order at all that do not fit into the pool beside the table.
_SCATTERED = f"""
SET SESSION cte_max_recursion_depth = {_SCATTERED_ROWS};
CREATE TABLE ledger.scattered (id INT PRIMARY KEY, k INT UNSIGNED NOT NULL, c CHAR(64) NOT NULL, KEY (k), KEY (c));
INSERT INTO ledger.scattered WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {_SCATTERED_ROWS})
    SELECT n, CRC32(n), SHA2(n, 256) FROM seq;
"""
_SCATTER = "UPDATE ledger.scattered SET k = CRC32(k), c = SHA2(c, 256) WHERE id % 40 = {}"
_SCATTERED_SUM = "SELECT COUNT(*), SUM(k), BIT_XOR(CRC32(c)) FROM ledger.scattered FORCE INDEX (PRIMARY)"
# Each index has all rows, as the table has them.
_SCATTERED_BY_INDEX = (
    "SELECT n, k, c FROM (SELECT COUNT(*) AS n, SUM(k) AS k FROM ledger.scattered FORCE INDEX (k) WHERE k >= 0) by_k "
    "JOIN (SELECT COUNT(*) AS n, BIT_XOR(CRC32(c)) AS c FROM ledger.scattered FORCE INDEX (c) WHERE c >= '') by_c USING (n)"
)
_CHANGE_PAGES = 6
# The less a server may read and write, the longer changes wait.
_SLOW_MERGES = "--innodb-io-capacity=100"
_REBUILD = "ALTER TABLE ledger.big ADD COLUMN more INT NOT NULL DEFAULT 3 FIRST, ALGORITHM=INPLACE"
_RENAME_TRIES = 10
_HALF_MADE = (
    "SELECT COALESCE(GROUP_CONCAT(name), '') FROM information_schema.innodb_tablespaces WHERE name LIKE '%#sql%'"
)


def _inode(file: Path) -> int | None:
    """None: it is not there."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return None


@dataclasses.dataclass
class Statement:
    """One that another thread runs."""

    server: PatchedServer
    text: str
    output: str = ""
    failure: str = ""
    thread: threading.Thread = dataclasses.field(default_factory=threading.Thread)

    def begin(self) -> Statement:
        """Runs it."""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            self.output = self.server.run_sql(self.text)
        except mysql.SqlError as problem:
            self.failure = str(problem)


class KillsCheck(KeptPagesCheck):
    """Whoever is killed is followed by another one, from an empty directory or its own."""

    mode = "STATELESS"

    def __init__(self, work_dir: Path, programs: Path, count: int) -> None:
        super().__init__(work_dir, programs, count, seconds=0, rounds=0)
        self._node = 0

    def kill_in_the_middle(self, cases: Sequence[str]) -> None:
        """Those of KILLS that are wanted, in both modes; then a stock server has the same."""
        self.server.run_sql(_BIG + _SCATTERED)
        for mode in ("STATELESS", "NOWRITE"):
            self.mode = mode
            self.go_on(mode)
            if "builds" in cases:
                self.builds()
            if "imports" in cases:
                self.imports()
            if "buffered" in cases:
                self.buffered()
        self.agrees_with_stock("traps")

    def go_on(self, mode: str, *more: str) -> None:
        """After a kill, or a stop: in the same directory where the mode has one, else in an empty one."""
        self.server.kill9()
        self.mode = mode
        if mode == "STATELESS" or not (self.server.datadir / "redoubt_hollow").exists():
            self._node += 1
            self.server = PatchedServer(self.work_dir / f"node{self._node}", self.programs)
            self.server.datadir.mkdir()
            self.running.enter_context(self.server)
        self.start(SMALL_POOL, *more)

    # ---- statements

    def killed_while(self, text: str, images: int) -> bool:
        """kill -9 when the statement has logged so many images of pages; False when it was done before."""
        before = int(self.server.pageserver_status()["page_images"])
        statement = Statement(self.server, text).begin()
        deadline = time.monotonic() + 60
        while statement.thread.is_alive() and time.monotonic() < deadline:
            if int(self.server.pageserver_status()["page_images"]) - before >= images:
                break
        self.server.kill9()
        statement.thread.join(30)
        return bool(statement.failure)

    def builds(self) -> None:
        """The index is there or it is not, the table is as it was, nothing half-made stays, and it can be built then."""
        expected = self.server.query(_BIG_SUM.format("big"))
        statements = (
            "ALTER TABLE ledger.big ADD INDEX (c), ADD INDEX (k, c), ALGORITHM=INPLACE",
            _REBUILD,
            "ALTER TABLE ledger.big ADD FULLTEXT INDEX (c), ALGORITHM=INPLACE",
        )
        for number, statement in enumerate(statements):
            middle = sum(self.killed_in_build(statement, images, expected) for images in (1, 150, 500))
            self.expect(middle > 0, f"{self.mode}: was always done before the kill: {statement}")
            stack.progress(f"  {self.mode}: killed {middle} times in the middle of build {number + 1}")
        hit = any(self.killed_at_rename(expected) for _ in range(_RENAME_TRIES))
        self.expect(hit, f"{self.mode}: was never killed between a rebuild's renames and its commit")
        left = self.left_in_volume()
        self.expect(not left, f"{self.mode}: the volume keeps files of builds that were killed: {left}")
        stack.progress(f"  {self.mode}: killed between a rebuild's renames and its commit; files left in the volume: {len(left)}")

    def killed_in_build(self, statement: str, images: int, expected: list[list[str]]) -> bool:
        """One kill; True when it was in the middle."""
        columns, indexes = self.shape()
        in_the_middle = self.killed_while(statement, images)
        self.go_on(self.mode)
        if in_the_middle:
            self.expect(self.shape() == (columns, indexes), f"half a build is there: {self.shape()}: {statement}")
        found = self.server.query(_BIG_SUM.format("big"))
        self.expect(found == expected, f"{self.mode}, {images} images: {found} instead of {expected}: {statement}")
        left = self.server.scalar(_HALF_MADE)
        self.expect(not left, f"{self.mode}: tablespaces of a build that was killed: {left}")
        if in_the_middle:
            self.server.run_sql(statement)
        answer = self.server.query("CHECK TABLE ledger.big")[-1][-1]
        self.expect(answer == "OK", f"CHECK TABLE ledger.big: {answer}")
        self.take_back()
        return in_the_middle

    def killed_at_rename(self, expected: list[list[str]]) -> bool:
        """Killed when the rebuilt table has just got its file's name; True when the start had to give the name back."""
        file = self.server.datadir / "ledger" / "big.ibd"
        before = file.stat().st_ino
        statement = Statement(self.server, _REBUILD).begin()
        while statement.thread.is_alive() and _inode(file) in (before, None):
            pass
        self.server.kill9()
        statement.thread.join(30)
        self.go_on(self.mode, "--log-error-verbosity=3", "--innodb-print-ddl-logs=ON")
        found = self.server.query(_BIG_SUM.format("big"))
        self.expect(found == expected, f"{self.mode}: {found} instead of {expected} behind a kill at the rename")
        answer = self.server.query("CHECK TABLE ledger.big")[-1][-1]
        self.expect(answer == "OK", f"CHECK TABLE ledger.big: {answer}")
        self.take_back()
        return "DDL record: RENAME SPACE" in self.server.error_log_tail(2000)

    def left_in_volume(self) -> list[str]:
        """Files of the volume that belong to no table: of statements that did not come to their end."""
        self.servers.wait_applied(int(self.server.status("Innodb_redo_log_current_lsn")))
        spaces = self.servers.ctl.json("space", "list", VOLUME)["spaces"]
        return [space["path"] for space in spaces if "#sql" in space["path"]]

    def shape(self) -> tuple[int, int]:
        """Columns and indexes of the table."""
        columns = len(self.server.query("SHOW COLUMNS FROM ledger.big"))
        return columns, int(self.server.scalar(_INDEXES))

    def take_back(self) -> None:
        """The table as it was."""
        for name in {row[2] for row in self.server.query("SHOW INDEX FROM ledger.big")} - {"PRIMARY"}:
            self.server.run_sql(f"ALTER TABLE ledger.big DROP INDEX `{name}`")
        if self.shape()[0] > 3:
            self.server.run_sql("ALTER TABLE ledger.big DROP COLUMN more")

    def imports(self) -> None:
        """The table is imported or it is not; then it can be imported, or dropped."""
        files = self.work_dir / f"exported-{self.mode}"
        files.mkdir()
        # Not the table of the builds, in which they leave hidden columns.
        self.server.run_sql(
            "DROP TABLE IF EXISTS ledger.away; CREATE TABLE ledger.away (PRIMARY KEY (id), KEY (c)) SELECT * FROM ledger.big;"
            f"FLUSH TABLES ledger.away FOR EXPORT;\n\\! cp ledger/away.ibd ledger/away.cfg {files}\nUNLOCK TABLES"
        )
        expected = self.server.query(_BIG_SUM.format("away"))
        middle = 0
        for images in (0, 1, 200, 600):
            self.server.run_sql("CREATE TABLE ledger.came LIKE ledger.away; ALTER TABLE ledger.came DISCARD TABLESPACE")
            self.bring(files)
            killed = self.killed_while("ALTER TABLE ledger.came IMPORT TABLESPACE", images)
            middle += killed
            self.go_on(self.mode)
            self.after_import(files, expected, killed)
        self.expect(middle > 1, f"{self.mode}: imports were done before the kill")
        stack.progress(f"  {self.mode}: killed {middle} times in the middle of an import")

    def bring(self, files: Path) -> None:
        """The exported files to where IMPORT looks for them."""
        for suffix in ("ibd", "cfg"):
            shutil.copyfile(files / f"away.{suffix}", self.server.datadir / "ledger" / f"came.{suffix}")

    def after_import(self, files: Path, expected: list[list[str]], killed: bool) -> None:
        """Of a server that was killed."""
        try:
            found = self.server.query(_BIG_SUM.format("came"))
        except mysql.SqlError as missing:
            self.expect(killed, f"an import that was acknowledged is gone: {missing}")
            self.expect("ledger/came" in str(missing) or "came" in str(missing), f"{missing}")
            self.bring(files)
            self.server.run_sql("ALTER TABLE ledger.came IMPORT TABLESPACE")
            found = self.server.query(_BIG_SUM.format("came"))
        self.expect(found == expected, f"{self.mode}: imported {found} instead of {expected}")
        answer = self.server.query("CHECK TABLE ledger.came")[-1][-1]
        self.expect(answer == "OK", f"CHECK TABLE ledger.came: {answer}")
        self.go_on(self.mode)
        found = self.server.query(_BIG_SUM.format("came"))
        self.expect(found == expected, f"{self.mode}: after another kill {found} instead of {expected}")
        self.server.run_sql("DROP TABLE ledger.came")

    # ---- changes that wait

    def metric(self, name: str) -> int:
        """Of information_schema.innodb_metrics, since the start."""
        return int(self.server.scalar(f"SELECT count FROM information_schema.innodb_metrics WHERE name = '{name}'"))

    def buffered(self) -> None:
        """Changes of secondary indexes whose pages are not read for it: the next server has them, and merges them."""
        setting = self.server.scalar("SELECT @@innodb_change_buffering")
        self.expect(setting == "all", f"{self.mode}: innodb_change_buffering is {setting}, not MySQL's default")
        for number in (1, 2, 3):
            self.go_on(self.mode, _SLOW_MERGES)
            expected, pages = self.killed_while_buffering()
            self.go_on(self.mode, _SLOW_MERGES)
            found = self.server.query(_SCATTERED_SUM), self.server.query(_SCATTERED_BY_INDEX)
            self.expect(found == (expected, expected), f"{self.mode}, kill {number}: {expected} committed, {found} found")
            merges = self.metric("ibuf_merges")
            self.expect(merges > 0, f"{self.mode}, kill {number}: no change came over in the change buffer")
            answer = self.server.query("CHECK TABLE ledger.scattered")[-1][-1]
            self.expect(answer == "OK", f"CHECK TABLE ledger.scattered: {answer}")
            stack.progress(f"  {self.mode}: killed with {pages} pages of buffered changes, then {merges} pages merged")

    def killed_while_buffering(self) -> tuple[list[list[str]], int]:
        """When committed changes wait and those of an open transaction come: what is committed, and the buffer's pages."""
        expected: list[list[str]] = []
        pages, part = 0, 0
        while pages < _CHANGE_PAGES and part < 12:
            self.server.run_sql(_SCATTER.format(part))
            expected, pages = self.server.query(_SCATTERED_SUM), self.metric("ibuf_size")
            part += 1
        changing = Statement(self.server, f"BEGIN; {_SCATTER.format(part)}; SELECT SLEEP(600)").begin()
        before, deadline = self.metric("ibuf_merges"), time.monotonic() + 10
        while self.metric("ibuf_merges") == before and time.monotonic() < deadline:
            time.sleep(0.01)
        self.server.kill9()
        changing.thread.join(30)
        self.expect(pages >= _CHANGE_PAGES, f"{self.mode}: hardly a change waits: {pages} pages, so this check is blind")
        return expected, pages
