-- Every statement here builds B-trees in bulk; see index_builds.sql.
USE w_index_builds;
SET SESSION lock_wait_timeout = 60;
ALTER TABLE a ADD KEY by_k (k), ADD KEY by_s (s), ALGORITHM=INPLACE;
ALTER TABLE b ADD KEY by_s (s), ALGORITHM=INPLACE;
ALTER TABLE a ADD COLUMN extra INT NOT NULL DEFAULT 5 FIRST, ALGORITHM=INPLACE;
ALTER TABLE a ADD FULLTEXT KEY words (body);
OPTIMIZE TABLE b;
ALTER TABLE c ADD KEY by_both (s(30), k), ADD KEY by_k (k DESC);
ALTER TABLE p ADD KEY by_s (s);
ALTER TABLE a DROP KEY by_k, ADD KEY by_ks (k, s);
ALTER TABLE c FORCE, ALGORITHM=INPLACE;
ALTER TABLE c ROW_FORMAT=DYNAMIC;
ALTER TABLE b ENGINE=InnoDB;
ALTER TABLE p OPTIMIZE PARTITION p1;
ALTER TABLE p REBUILD PARTITION p2;
CREATE INDEX by_expression ON c ((k % 100));
CREATE TABLE dup (id INT PRIMARY KEY, v INT);
INSERT INTO dup SELECT id, id % 5000 FROM c;
CREATE TABLE copied AS SELECT * FROM c;
ALTER TABLE copied ADD PRIMARY KEY (id);
OPTIMIZE TABLE a;
DROP INDEX by_s ON b;
-- Not on b: the server itself reports duplicates that are none while deletes of the same rows are rolled back.
ALTER TABLE copied ADD UNIQUE KEY by_id_s (id, s), ALGORITHM=INPLACE;
ALTER TABLE b ADD KEY by_s_id (s, id), ALGORITHM=INPLACE;
