-- Secondary index changes that miss the buffer pool. Wants a small pool and change buffering on (see ci/workloads.py).
DROP DATABASE IF EXISTS w_change_buffering;
CREATE DATABASE w_change_buffering;
USE w_change_buffering;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE dyn (id INT AUTO_INCREMENT PRIMARY KEY, a BIGINT, b BIGINT, c VARCHAR(60), d CHAR(120) DEFAULT 'pad', KEY (a), KEY (b), KEY (c), KEY (b, c));
CREATE TABLE red LIKE dyn;
ALTER TABLE red ROW_FORMAT=REDUNDANT;

DELIMITER //
CREATE PROCEDURE fill(first_n INT, row_count INT)
BEGIN
  INSERT INTO dyn (a, b, c)
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT CRC32(n), CRC32(CONCAT('b', n)), LEFT(SHA2(n, 256), 40) FROM seq;
  INSERT INTO red (a, b, c)
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT CRC32(n), CRC32(CONCAT('b', n)), IF(n % 9, LEFT(SHA2(n, 256), 40), NULL) FROM seq;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE round INT DEFAULT 0;
  WHILE round < 10 DO
    CALL fill(round * 3500, 3500);
    DELETE FROM dyn WHERE id BETWEEN round * 2500 AND round * 2500 + 700;
    UPDATE red SET a = CRC32(a), c = LEFT(SHA2(id + round, 256), 32) WHERE id BETWEEN round * 3000 AND round * 3000 + 700;
    START TRANSACTION;
    DELETE FROM red WHERE id BETWEEN round * 1000 AND round * 1000 + 500;
    UPDATE dyn SET b = b DIV 2 WHERE id BETWEEN round * 3300 AND round * 3300 + 500;
    IF round % 2 THEN ROLLBACK; ELSE COMMIT; END IF;
    SET round = round + 1;
  END WHILE;
  SELECT COUNT(DISTINCT c), MAX(b) FROM dyn FORCE INDEX (c);
END//
DELIMITER ;
CALL run();
