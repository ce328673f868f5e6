# SPDX-License-Identifier: MIT
"""What the runs of compute_test.py have in common."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))

import mysql  # noqa: E402
import stack  # noqa: E402
from compute_servers import VOLUME, PatchedServer, Servers  # noqa: E402

_ALL_TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND "
    "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
)
SMALL_POOL = "--innodb-buffer-pool-size=8M"
# Sorted index builds: trees of more than two levels, a rebuild with LOBs, FULLTEXT's auxiliary tables, a build that fails.
_BUILDS = """
SET SESSION cte_max_recursion_depth = 30000;
CREATE TABLE ledger.built (id INT PRIMARY KEY, k INT, c VARCHAR(200), t TEXT, b LONGBLOB);
INSERT INTO ledger.built WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 20000)
    SELECT n, n * 7919 % 20011, REPEAT(SHA2(n, 256), 3), CONCAT('row ', n, ' of ', SHA2(n % 500, 256)),
        IF(n % 100 = 0, REPEAT(SHA2(n, 256), 750), NULL) FROM seq;
ALTER TABLE ledger.built ADD INDEX (k), ADD INDEX (c), ALGORITHM=INPLACE, LOCK=NONE;
ALTER TABLE ledger.built ADD COLUMN more INT NOT NULL DEFAULT 3 FIRST, ALGORITHM=INPLACE;
OPTIMIZE TABLE ledger.built;
ALTER TABLE ledger.built ADD FULLTEXT INDEX (t), ALGORITHM=INPLACE;
UPDATE ledger.built SET k = k + 1, c = REPEAT(SHA2(k, 256), 2) WHERE id % 50 = 0;
"""
_MOVE = r"""
CREATE TABLE ledger.away (id INT PRIMARY KEY, c VARCHAR(200), b LONGBLOB, KEY (c)) SELECT id, c, b FROM ledger.built;
CREATE TABLE ledger.came LIKE ledger.away;
ALTER TABLE ledger.came DISCARD TABLESPACE;
FLUSH TABLES ledger.away FOR EXPORT;
\! cd {datadir}/ledger && cp away.ibd came.ibd && cp away.cfg came.cfg
UNLOCK TABLES;
ALTER TABLE ledger.came IMPORT TABLESPACE;
UPDATE ledger.came SET c = REPEAT('c', 150) WHERE id % 70 = 0;
INSERT INTO ledger.came SELECT id + 100000, c, b FROM ledger.away WHERE id < 500;
"""
_FAILING_BUILD = "ALTER TABLE ledger.built ADD UNIQUE INDEX (more), ALGORITHM=INPLACE"


class Check:
    """What the runs of the modes have in common."""

    mode = ""

    def __init__(self, work_dir: Path, programs: Path, count: int, seconds: float) -> None:
        self.server = PatchedServer(work_dir / "mysql", programs)
        self.programs = programs
        self.usurper = PatchedServer(work_dir / "usurper", programs)
        self.servers = Servers(work_dir, count)
        self.seconds = seconds
        self.problems: list[str] = []
        self.running = ExitStack()

    def expect(self, good: bool, text: str) -> None:
        """Notes a problem unless `good`."""
        if not good:
            self.problems.append(text)
            stack.progress(f"  NOT: {text}")

    def start(self, *more: str) -> None:
        """mysqld in the mode."""
        self.server.start(*self.servers.arguments(self.mode), *more)

    def seed(self) -> None:
        """Servers with a volume that holds a database."""
        for server in self.servers.all:
            server.start()
        self.server.initialize()
        self.server.start()
        self.server.prepare()
        self.server.stop()
        stack.progress("a cold copy goes into the volume")
        self.servers.seed(self.server.datadir)

    def run(self) -> None:
        """The steps."""
        raise NotImplementedError

    def stop_and_compare(self, when: str) -> None:
        """A clean stop; then each page of the files against the volume."""
        self.server.stop()
        lsn = self.flush_lsn()
        self.servers.wait_applied(lsn)
        result = self.servers.ctl.compare(VOLUME, self.server.datadir)
        compared, unequal = int(result["pages_compared"]), int(result["pages_unequal"])
        stack.progress(f"  {when}: {compared} pages compared at LSN {lsn}, {unequal} unequal")
        self.expect(
            compared > 1000 and unequal == 0, f"{when}: {unequal} of {compared} pages: {result.get('unequal')!s:.600}"
        )

    def build_in_place(self) -> None:
        """ALTER TABLE with ALGORITHM=INPLACE: what is built without redo elsewhere is logged as page images."""
        before = int(self.server.pageserver_status()["page_images"])
        self.server.run_sql(_BUILDS)
        status = self.server.pageserver_status()
        images = int(status["page_images"]) - before
        stack.progress(f"  built in place: {images} page images, {status['page_image_bytes']} bytes since the start")
        self.expect(images > 1000, f"built in place with {images} page images")
        try:
            self.server.run_sql(_FAILING_BUILD)
            self.expect(False, f"accepted: {_FAILING_BUILD}")
        except mysql.SqlError as refusal:
            self.expect("Duplicate entry" in str(refusal), f"{_FAILING_BUILD}: {refusal}")
        found = self.server.scalar("SELECT COUNT(*) FROM ledger.built WHERE MATCH (t) AGAINST (SHA2(7, 256))")
        self.expect(found == "40", f"FULLTEXT finds {found} rows")

    def move_in_a_file(self) -> None:
        """FLUSH TABLES ... FOR EXPORT and IMPORT TABLESPACE: the file has all pages, and then the volume has."""
        self.server.run_sql(_MOVE.format(datadir=self.server.datadir))
        same = self.server.scalar(
            "SELECT COUNT(*) FROM ledger.away JOIN ledger.came USING (id) WHERE (away.c = came.c OR id % 70 = 0) AND "
            "away.b <=> came.b"
        )
        self.expect(same == "20000", f"{same} rows of an exported and imported table are as they were")

    def check_tables(self, server: mysql.Server | None = None) -> None:
        """CHECK TABLE of all, indexes included; on another server than the one of the mode."""
        server = server or self.server
        for database, table in server.query(_ALL_TABLES):
            answer = server.query(f"CHECK TABLE `{database}`.`{table}`")[-1][-1]
            self.expect(answer == "OK", f"CHECK TABLE {database}.{table}: {answer}")

    def flush_lsn(self) -> int:
        """Where the server was shut down, as ibdata1 says."""
        with open(self.server.datadir / "ibdata1", "rb") as file:
            file.seek(26)
            return int.from_bytes(file.read(8), "big")
