-- REDUNDANT and COMPACT tables under inserts, updates that move rows, deletes, merges, rollbacks.
DROP DATABASE IF EXISTS w_old_formats;
CREATE DATABASE w_old_formats;
USE w_old_formats;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE redundant (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT, s VARCHAR(300), u CHAR(30) CHARACTER SET utf8mb4, d DATETIME(3), f DOUBLE,
  KEY (k), KEY (s(60)), UNIQUE KEY (u, id)
) ROW_FORMAT=REDUNDANT;
CREATE TABLE compact LIKE redundant;
ALTER TABLE compact ROW_FORMAT=COMPACT;
CREATE TABLE redundant_no_key (a INT, b VARCHAR(50), c TEXT) ROW_FORMAT=REDUNDANT;

DELIMITER //
CREATE PROCEDURE fill(first_n INT, row_count INT)
BEGIN
  INSERT INTO redundant (k, s, u, d, f)
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT IF(n % 10 = 0, NULL, CRC32(n) % 5000), REPEAT(CHAR(97 + n % 26), n % 200), LEFT(CONCAT('ü', LEFT(SHA2(n, 256), 32)), n % 30), NOW(3), n / 3 FROM seq;
  INSERT INTO compact (k, s, u, d, f)
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT IF(n % 10 = 0, NULL, CRC32(n) % 5000), REPEAT(CHAR(97 + n % 26), n % 200), LEFT(CONCAT('ü', LEFT(SHA2(n, 256), 32)), n % 30), NOW(3), n / 3 FROM seq;
  INSERT INTO redundant_no_key
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT n, IF(n % 3, LEFT(SHA2(n, 256), 32), NULL), IF(n % 50, 'small', REPEAT('T', 12000)) FROM seq;
END//
CREATE PROCEDURE churn(round INT)
BEGIN
  UPDATE redundant SET s = REPEAT(CHAR(65 + round), 280), k = k + 7 WHERE id % 6 = round % 6;
  UPDATE compact SET s = REPEAT(CHAR(65 + round), 280), k = k + 7 WHERE id % 6 = round % 6;
  UPDATE redundant SET s = NULL, u = NULL WHERE id % 8 = round % 8;
  UPDATE compact SET s = NULL, u = NULL WHERE id % 8 = round % 8;
  START TRANSACTION;
  UPDATE redundant SET u = UPPER(u), f = NULL WHERE id % 3 = round % 3;
  DELETE FROM compact WHERE id % 4 = round % 4;
  INSERT INTO redundant (k, s) SELECT k, s FROM redundant LIMIT 800;
  UPDATE redundant_no_key SET c = REPEAT('U', 9000), b = 'moved' WHERE a % 40 = round;
  ROLLBACK;
  UPDATE redundant SET id = -id WHERE id % 31 = round;
  DELETE FROM redundant WHERE id % 7 = round % 7;
  DELETE FROM compact WHERE id % 7 = round % 7;
  UPDATE redundant_no_key SET b = IF(b IS NULL, 'set', NULL), a = -a WHERE a % 5 = round % 5;
  DELETE FROM redundant_no_key WHERE a % 6 = round;
  CALL fill(20000 * (round + 1), 1500);
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE round INT DEFAULT 0;
  CALL fill(1, 8000);
  WHILE round < 5 DO
    CALL churn(round);
    SET round = round + 1;
  END WHILE;
  DELETE FROM redundant WHERE id % 40;
  DELETE FROM compact WHERE id % 40;
END//
DELIMITER ;
CALL run();
