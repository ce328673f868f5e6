-- Tablespaces outside the data directory: made, altered, rebuilt, built over, truncated, imported, partitioned, dropped.
-- The server knows the directory `outside` beside its data directory.
DROP DATABASE IF EXISTS w_outside_files;
CREATE DATABASE w_outside_files;
USE w_outside_files;
SET SESSION cte_max_recursion_depth = 1000000;
SET @outside = REGEXP_REPLACE(@@datadir, '[^/]+/*$', 'outside');

DELIMITER //
CREATE PROCEDURE run(statement TEXT)
BEGIN
  SET @statement = REPLACE(statement, 'OUTSIDE', CONCAT('DATA DIRECTORY = ''', @outside, ''''));
  PREPARE prepared FROM @statement;
  EXECUTE prepared;
  DEALLOCATE PREPARE prepared;
END//
CREATE PROCEDURE fill(name VARCHAR(64), row_count INT)
BEGIN
  CALL run(CONCAT('INSERT INTO ', name, ' (k, v) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < ', row_count, ') SELECT n % 97, REPEAT(CHAR(97 + n % 26), 50 + n % 300) FROM seq'));
END//
DELIMITER ;

-- A table of its own file, changed, with an index built without redo, then truncated (a new file) and filled again.
CALL run('CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) OUTSIDE');
CALL fill('plain', 8000);
UPDATE plain SET v = REVERSE(v), k = k + 1 WHERE id % 3 = 0;
ALTER TABLE plain ADD INDEX by_k (k), ALGORITHM = INPLACE;
DELETE FROM plain WHERE id % 5 = 0;
RENAME TABLE plain TO renamed;
CALL run('CREATE TABLE emptied (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) OUTSIDE');
CALL fill('emptied', 2000);
TRUNCATE TABLE emptied;
CALL fill('emptied', 3000);
-- A rebuild keeps the directory.
ALTER TABLE emptied FORCE;
UPDATE emptied SET k = k * 2;

-- Partitions, each where it was told to be.
CALL run('CREATE TABLE parted (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1500) OUTSIDE, PARTITION p1 VALUES LESS THAN (3000), PARTITION p2 VALUES LESS THAN MAXVALUE OUTSIDE)');
CALL fill('parted', 5000);
ALTER TABLE parted DROP PARTITION p1;
UPDATE parted SET v = 'short' WHERE id % 2;

-- A general tablespace, by a path that climbs out of the data directory.
CREATE TABLESPACE w_outside_shared ADD DATAFILE '../outside/w_outside_shared.ibd';
CREATE TABLE shared_a (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) TABLESPACE w_outside_shared;
CREATE TABLE shared_b (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400), KEY (k)) TABLESPACE w_outside_shared;
CALL fill('shared_a', 4000);
CALL fill('shared_b', 4000);
DROP TABLE shared_a;

-- Discarded and imported again: pages that no redo describes, announced with the file's path.
CALL run('CREATE TABLE moved (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) OUTSIDE');
CALL fill('moved', 3000);
FLUSH TABLES moved FOR EXPORT;
system cp ../outside/w_outside_files/moved.ibd ../outside/moved.copy && cp ../outside/w_outside_files/moved.cfg ../outside/moved.cfg.copy
UNLOCK TABLES;
ALTER TABLE moved DISCARD TABLESPACE;
system mv ../outside/moved.copy ../outside/w_outside_files/moved.ibd && mv ../outside/moved.cfg.copy ../outside/w_outside_files/moved.cfg
ALTER TABLE moved IMPORT TABLESPACE;
UPDATE moved SET k = -k WHERE id % 4 = 0;

-- One that is gone at the end.
CALL run('CREATE TABLE dropped (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400)) OUTSIDE');
CALL fill('dropped', 1000);
DROP TABLE dropped;
