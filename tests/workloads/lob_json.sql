-- Externally stored columns: whole and partial updates of large JSON, BLOB growth and removal, prefix indexes on them.
DROP DATABASE IF EXISTS w_lob_json;
CREATE DATABASE w_lob_json;
USE w_lob_json;
SET SESSION cte_max_recursion_depth = 100000;

CREATE TABLE docs (id INT PRIMARY KEY, doc JSON, note VARCHAR(100)) ROW_FORMAT=DYNAMIC;
CREATE TABLE blobs (id INT AUTO_INCREMENT PRIMARY KEY, b1 LONGBLOB, b2 MEDIUMTEXT CHARACTER SET latin1, k INT, KEY (b2(100)), KEY (k))
  ROW_FORMAT=DYNAMIC;
CREATE TABLE blobs_compact LIKE blobs;
ALTER TABLE blobs_compact ROW_FORMAT=COMPACT;
CREATE TABLE blobs_redundant LIKE blobs;
ALTER TABLE blobs_redundant ROW_FORMAT=REDUNDANT;

DELIMITER //
CREATE PROCEDURE fill_docs(row_count INT)
BEGIN
  INSERT INTO docs
  WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < row_count)
  SELECT n, JSON_OBJECT('a', REPEAT(CHAR(97 + n % 26), 3000 + CRC32(n) % 30000), 'n', n,
                        'list', JSON_ARRAY(n, n + 1, REPEAT('q', 500)), 'b', REPEAT('0', 9000)), LEFT(SHA2(n, 256), 32) FROM seq;
END//
CREATE PROCEDURE fill_blobs(row_count INT, seed INT)
BEGIN
  INSERT INTO blobs (b1, b2, k)
  WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < row_count)
  SELECT IF(n % 9 = 0, NULL, REPEAT(UNHEX(LEFT(SHA2(CONCAT(n, seed), 256), 32)), CRC32(CONCAT(n, seed)) % 6000)),
         REPEAT(CHAR(65 + n % 26), CRC32(CONCAT('t', n, seed)) % 40000), n FROM seq;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE i INT DEFAULT 0;
  CALL fill_docs(350);
  -- In place: same length or shorter. Binary diffs of an external JSON make index entries with versions.
  WHILE i < 6 DO
    UPDATE docs SET doc = JSON_REPLACE(doc, '$.b', REPEAT(i, 9000 - i)) WHERE id % 3 = i % 3;
    UPDATE docs SET doc = JSON_SET(doc, '$.n', i * id, '$.list[1]', i) WHERE id % 4 = i % 4;
    UPDATE docs SET doc = JSON_REMOVE(doc, '$.list[2]') WHERE id % 20 = i;
    START TRANSACTION;
    UPDATE docs SET doc = JSON_REPLACE(doc, '$.b', REPEAT('r', 8000)) WHERE id % 5 = i % 5;
    UPDATE docs SET doc = JSON_INSERT(doc, CONCAT('$.grow', i), REPEAT('g', 20000)) WHERE id % 7 = i;
    ROLLBACK;
    UPDATE docs SET doc = JSON_INSERT(doc, CONCAT('$.grow', i), REPEAT('g', 12000)) WHERE id % 11 = i;
    SET i = i + 1;
  END WHILE;
  DELETE FROM docs WHERE id % 5 = 0;

  CALL fill_blobs(200, 1);
  INSERT INTO blobs_compact SELECT * FROM blobs;
  INSERT INTO blobs_redundant SELECT * FROM blobs;
  UPDATE blobs SET b2 = CONCAT('pre', b2), b1 = NULL WHERE id % 3 = 0;
  UPDATE blobs_compact SET b2 = CONCAT('pre', b2), b1 = LEFT(b1, 20) WHERE id % 3 = 1;
  UPDATE blobs_redundant SET b2 = LEFT(b2, 50), b1 = CONCAT(b1, b1) WHERE id % 3 = 2;
  START TRANSACTION;
  UPDATE blobs SET b1 = REPEAT('u', 70000);
  DELETE FROM blobs_compact;
  UPDATE blobs_redundant SET b2 = REPEAT('v', 30000), k = k + 1;
  ROLLBACK;
  DELETE FROM blobs WHERE id % 2;
  DELETE FROM blobs_compact WHERE id % 3 = 0;
  UPDATE blobs_redundant SET id = id + 1000 WHERE id % 4 = 0;
  CALL fill_blobs(60, 2);
END//
DELIMITER ;
CALL run();
