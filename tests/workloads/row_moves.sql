-- Rows that grow and shrink: page splits, merges and reorganisations, rows that move, purge, rollbacks.
-- Wide indexes of every kind: NULLs, utf8mb4, prefix, descending, virtual, multi-valued, unique.
DROP DATABASE IF EXISTS w_row_moves;
CREATE DATABASE w_row_moves;
USE w_row_moves;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE wide (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  k INT,
  grow VARCHAR(600) CHARACTER SET latin1,
  name VARCHAR(120) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci,
  code CHAR(20) CHARACTER SET utf8mb4,
  amount DECIMAL(12, 3),
  tags JSON,
  upper_name VARCHAR(120) GENERATED ALWAYS AS (UPPER(name)) VIRTUAL,
  k_doubled INT GENERATED ALWAYS AS (k * 2) STORED,
  KEY by_k (k),
  KEY by_k_down (k DESC, id),
  KEY by_prefix (grow(40)),
  KEY by_name (name, code),
  KEY by_upper (upper_name),
  KEY by_doubled (k_doubled)
);
-- A multi-valued index beside wide columns would make undo records too big for a page of 4 KiB.
CREATE TABLE tagged (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  tags JSON,
  KEY by_tag ((CAST(tags->'$.t' AS UNSIGNED ARRAY)))
);
CREATE TABLE keyed (
  a VARCHAR(60) NOT NULL,
  b INT NOT NULL,
  c BINARY(16),
  filler VARCHAR(400),
  PRIMARY KEY (a, b),
  UNIQUE KEY by_c (c)
);
CREATE TABLE no_key (a INT, b VARCHAR(200), KEY (a));

DELIMITER //
CREATE PROCEDURE fill(first_id INT, row_count INT)
BEGIN
  INSERT INTO wide (k, grow, name, code, amount, tags)
  WITH RECURSIVE seq(n) AS (SELECT first_id UNION ALL SELECT n + 1 FROM seq WHERE n < first_id + row_count - 1)
  SELECT IF(n % 17 = 0, NULL, CRC32(n) % 1000),
         REPEAT(CHAR(97 + n % 26), CRC32(CONCAT('g', n)) % 120),
         IF(n % 11 = 0, NULL, CONCAT('Näme ', LEFT(SHA2(n, 256), 32), IF(n % 3 = 0, ' 日本語', ''))),
         LEFT(LEFT(SHA2(CONCAT('c', n), 256), 32), n % 20),
         n / 7,
         JSON_OBJECT('t', JSON_ARRAY(n % 5, n % 7, n % 11), 'x', n)
  FROM seq;
  INSERT INTO keyed
  WITH RECURSIVE seq(n) AS (SELECT first_id UNION ALL SELECT n + 1 FROM seq WHERE n < first_id + row_count - 1)
  SELECT LEFT(LEFT(SHA2(n, 256), 40), CRC32(n) % 40 + 1), n, UNHEX(LEFT(SHA2(n, 256), 32)), REPEAT('k', CRC32(CONCAT('k', n)) % 200) FROM seq;
  INSERT INTO tagged (tags)
  WITH RECURSIVE seq(n) AS (SELECT first_id UNION ALL SELECT n + 1 FROM seq WHERE n < first_id + row_count - 1)
  SELECT JSON_OBJECT('t', JSON_ARRAY(n % 5, n % 7, n % 11)) FROM seq;
  INSERT INTO no_key
  WITH RECURSIVE seq(n) AS (SELECT first_id UNION ALL SELECT n + 1 FROM seq WHERE n < first_id + row_count - 1)
  SELECT IF(n % 5, n % 300, NULL), REPEAT('z', n % 150) FROM seq;
END//
-- One round of growing, shrinking, moving in the key space, deleting, undoing.
CREATE PROCEDURE churn(round INT)
BEGIN
  START TRANSACTION;
  UPDATE wide SET grow = REPEAT(CHAR(65 + round), 300 + CRC32(id) % 250) WHERE id % 7 = round % 7;
  UPDATE wide SET k = CRC32(CONCAT(id, '-', round)) % 2000 WHERE id % 5 = round % 5;
  COMMIT;
  START TRANSACTION;
  UPDATE wide SET name = IF(id % 2, UPPER(name), LOWER(name)) WHERE id % 6 = round % 6;
  UPDATE tagged SET tags = JSON_SET(tags, '$.t', JSON_ARRAY(id % 13, round)) WHERE id % 9 = round % 9;
  ROLLBACK;
  START TRANSACTION;
  UPDATE wide SET grow = LEFT(grow, 3), name = IF(id % 4, name, NULL) WHERE id % 7 = (round + 3) % 7;
  UPDATE wide SET tags = JSON_SET(tags, '$.t', JSON_ARRAY(id % 13, round)) WHERE id % 9 = round % 9;
  UPDATE tagged SET tags = JSON_SET(tags, '$.t', JSON_ARRAY(id % 13, round)) WHERE id % 9 = round % 9;
  DELETE FROM tagged WHERE id % 14 = round;
  UPDATE keyed SET a = LEFT(LEFT(SHA2(CONCAT(b, round), 256), 40), CRC32(b) % 50 + 1) WHERE b % 4 = round % 4;
  UPDATE keyed SET filler = REPEAT('L', 390) WHERE b % 10 = round % 10;
  COMMIT;
  DELETE FROM wide WHERE id % 8 = round % 8;
  DELETE FROM keyed WHERE b % 11 = round % 11;
  DELETE FROM no_key WHERE a % 9 = round % 9;
  UPDATE no_key SET b = REPEAT('y', 200 - LENGTH(b)), a = a + 1 WHERE a % 3 = round % 3;
  START TRANSACTION;
  DELETE FROM wide WHERE id % 3 = 0;
  INSERT INTO no_key SELECT id, LEFT(grow, 100) FROM wide LIMIT 1000;
  ROLLBACK;
  CALL fill(100000 * (round + 1), 1500);
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE round INT DEFAULT 0;
  CALL fill(1, 6000);
  WHILE round < 5 DO
    CALL churn(round);
    SET round = round + 1;
  END WHILE;
  -- Empty most pages from both ends, so that neighbours merge and levels fall away.
  DELETE FROM wide WHERE id < (SELECT m FROM (SELECT MAX(id) * 0.4 AS m FROM wide) AS x);
  DELETE FROM wide WHERE id > (SELECT m FROM (SELECT MAX(id) * 0.7 AS m FROM wide) AS x) AND id % 50;
  DELETE FROM keyed WHERE a < '8' OR b % 3;
  REPLACE INTO keyed SELECT a, b, UNHEX(LEFT(SHA2(CONCAT(b, 'r'), 256), 32)), filler FROM keyed WHERE b % 2;
  INSERT INTO keyed SELECT a, b, c, 'x' FROM keyed WHERE b % 5 = 0 ON DUPLICATE KEY UPDATE filler = REPEAT('d', 350);
END//
DELIMITER ;
CALL run();
