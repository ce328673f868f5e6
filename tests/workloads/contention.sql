-- Several sessions change the same tables at once: waits, deadlocks, splits and merges of the same pages, purge in between.
-- This file makes the tables; contention.*.sql are the sessions. Deadlocks and timeouts are part of it.
DROP DATABASE IF EXISTS w_contention;
CREATE DATABASE w_contention;
USE w_contention;
SET SESSION cte_max_recursion_depth = 100000;

CREATE TABLE hot (id INT PRIMARY KEY, k INT, v VARCHAR(500), b BLOB, KEY (k), KEY (v(50)));
CREATE TABLE queue (id INT AUTO_INCREMENT PRIMARY KEY, state TINYINT, payload VARCHAR(300), KEY (state, id));
CREATE TABLE counts (name VARCHAR(20) PRIMARY KEY, n BIGINT) ROW_FORMAT=REDUNDANT;
INSERT INTO hot WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 4000) SELECT n, n % 400, REPEAT('h', n % 100), NULL FROM seq;
INSERT INTO counts VALUES ('a', 0), ('b', 0), ('c', 0);

DELIMITER //
CREATE PROCEDURE work(seed INT, round_count INT)
BEGIN
  DECLARE n INT DEFAULT 0;
  DECLARE low INT;
  DECLARE CONTINUE HANDLER FOR 1205, 1213, 1062 BEGIN END;
  WHILE n < round_count DO
    SET low = CRC32(CONCAT(seed, '-', n)) % 4000;
    START TRANSACTION;
    UPDATE hot SET k = k + seed, v = REPEAT(CHAR(65 + n % 26), CRC32(CONCAT(id, n)) % 480) WHERE id BETWEEN low AND low + 25;
    INSERT INTO queue (state, payload) SELECT n % 3, LEFT(v, 250) FROM hot WHERE id BETWEEN low AND low + 10;
    DELETE FROM hot WHERE id BETWEEN low + 5 AND low + 12;
    INSERT INTO hot SELECT low + 5 + n % 8, seed, REPEAT('n', n % 300), IF(n % 10, NULL, REPEAT('B', 20000));
    UPDATE counts SET n = n + 1 WHERE name = ELT(1 + n % 3, 'a', 'b', 'c');
    IF n % 7 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    START TRANSACTION;
    UPDATE queue SET state = (state + 1) % 3 WHERE state = n % 3 ORDER BY id LIMIT 20;
    DELETE FROM queue WHERE state = 2 ORDER BY id LIMIT 30;
    COMMIT;
    INSERT IGNORE INTO hot VALUES (10000 * seed + n, n, REPEAT('m', 400), NULL);
    DELETE FROM hot WHERE id = 10000 * seed + n - 50;
    SET n = n + 1;
  END WHILE;
END//
DELIMITER ;
