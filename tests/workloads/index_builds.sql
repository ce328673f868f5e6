-- Sorted index builds, which write pages without redo. This file makes the tables; index_builds.ddl.sql builds and
-- rebuilds while index_builds.dml.sql changes the same tables.
DROP DATABASE IF EXISTS w_index_builds;
CREATE DATABASE w_index_builds;
USE w_index_builds;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, k INT, s VARCHAR(120), body TEXT, doc LONGTEXT);
INSERT INTO a (k, s, body, doc)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 20000)
SELECT CRC32(n) % 100000, LEFT(SHA2(n, 256), 40), CONCAT_WS(' ', 'common', CONCAT('word', n % 300), LEFT(SHA2(n, 256), 32)), IF(n % 100, NULL, REPEAT('L', 30000)) FROM seq;
CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY, k INT, s VARCHAR(120)) ROW_FORMAT=REDUNDANT;
INSERT INTO b (k, s) SELECT k, s FROM a;
CREATE TABLE c (id INT NOT NULL, k INT, s VARCHAR(120), PRIMARY KEY (id)) ROW_FORMAT=COMPACT;
INSERT INTO c SELECT id, k, s FROM a;
CREATE TABLE p (id INT NOT NULL PRIMARY KEY, k INT, s VARCHAR(120)) PARTITION BY HASH (id) PARTITIONS 4;
INSERT INTO p SELECT id, k, s FROM a;

DELIMITER //
CREATE PROCEDURE dml(round_count INT)
BEGIN
  DECLARE n INT DEFAULT 0;
  -- A deadlock with the builds: the transaction was rolled back, and the next statements go on.
  DECLARE CONTINUE HANDLER FOR 1213 ROLLBACK;
  WHILE n < round_count DO
    START TRANSACTION;
    UPDATE a SET k = n, s = LEFT(SHA2(n, 256), 32) WHERE id BETWEEN CRC32(n) % 20000 AND CRC32(n) % 20000 + 20;
    INSERT INTO a (k, s, body, doc) VALUES (n, LEFT(SHA2(n, 256), 32), CONCAT('fresh word', n % 50), IF(n % 20, NULL, REPEAT('D', 20000)));
    DELETE FROM b WHERE id BETWEEN CRC32(n) % 20000 AND CRC32(n) % 20000 + 3;
    INSERT INTO b (k, s) VALUES (n, LEFT(SHA2(n, 256), 40));
    IF n % 10 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    UPDATE c SET k = k + 1, s = CONCAT(LEFT(s, 20), n) WHERE id = 1 + CRC32(CONCAT('c', n)) % 20000;
    DELETE FROM p WHERE id = 1 + CRC32(CONCAT('p', n)) % 20000;
    INSERT IGNORE INTO p VALUES (30000 + n, n, LEFT(SHA2(n, 256), 32));
    SET n = n + 1;
  END WHILE;
END//
DELIMITER ;
