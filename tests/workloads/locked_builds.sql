-- Index builds that are not online: they write pages without redo and leave no MLOG_INDEX_LOAD either. The server writes
-- that record only for online builds (LOCK=NONE) and for table rebuilds.
DROP DATABASE IF EXISTS w_locked_builds;
CREATE DATABASE w_locked_builds;
USE w_locked_builds;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE shared_lock (id INT AUTO_INCREMENT PRIMARY KEY, k INT, s VARCHAR(120), body TEXT);
INSERT INTO shared_lock (k, s, body)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 12000)
SELECT CRC32(n) % 100000, LEFT(SHA2(n, 256), 40), CONCAT_WS(' ', 'common', CONCAT('word', n % 300), LEFT(SHA2(n, 256), 20)) FROM seq;
CREATE TABLE exclusive_lock LIKE shared_lock;
INSERT INTO exclusive_lock SELECT * FROM shared_lock;
CREATE TABLE functional LIKE shared_lock;
INSERT INTO functional SELECT * FROM shared_lock;
CREATE TABLE untouched LIKE shared_lock;
INSERT INTO untouched SELECT * FROM shared_lock;

ALTER TABLE shared_lock ADD KEY by_k (k), ADD KEY by_s (s), ALGORITHM=INPLACE, LOCK=SHARED;
UPDATE shared_lock SET k = k + 1, s = LEFT(s, 10) WHERE id % 5 = 0;
ALTER TABLE exclusive_lock ADD UNIQUE KEY by_s (s, id), ALGORITHM=INPLACE, LOCK=EXCLUSIVE;
DELETE FROM exclusive_lock WHERE id % 3 = 0;
ALTER TABLE exclusive_lock FORCE, ALGORITHM=INPLACE, LOCK=SHARED;
INSERT INTO exclusive_lock (k, s, body) SELECT k, s, body FROM shared_lock WHERE id < 2000;
CREATE INDEX by_expression ON functional ((k % 100), s);
UPDATE functional SET k = k * 3 WHERE id % 4 = 0;
ALTER TABLE functional ADD COLUMN v INT AS (k + 1) VIRTUAL, ADD KEY by_v (v);
ALTER TABLE shared_lock ADD FULLTEXT KEY first_words (body);
ALTER TABLE shared_lock ADD FULLTEXT KEY second_words (s, body);
INSERT INTO shared_lock (k, s, body) SELECT k, s, 'fresh words' FROM functional WHERE id < 500;
-- Nothing writes to these pages again.
ALTER TABLE untouched ADD KEY by_s (s), ADD KEY by_k (k), LOCK=SHARED;
