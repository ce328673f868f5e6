-- A short life of a small shop, for the recording that the simulator plays (ci/capture_redo.py): every table is created in it, and
-- row formats, secondary indexes, LOBs, page splits and merges, purge, rollback, instant columns, AUTO_INCREMENT, renames,
-- TRUNCATE and DROP all happen. Nothing in it builds an index over rows that are there: such pages are not in the redo.
DROP DATABASE IF EXISTS w_recorded_redo;
CREATE DATABASE w_recorded_redo;
USE w_recorded_redo;
SET SESSION cte_max_recursion_depth = 100000;

CREATE TABLE goods (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, price INT NOT NULL, maker CHAR(12), KEY by_name (name),
                    KEY by_price (price, maker)) CHARSET=latin1 ROW_FORMAT=DYNAMIC;
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, good INT NOT NULL, amount INT NOT NULL, note VARCHAR(200), KEY by_good (good),
                     CONSTRAINT of_good FOREIGN KEY (good) REFERENCES goods (id) ON DELETE CASCADE) CHARSET=latin1 ROW_FORMAT=COMPACT;
CREATE TABLE visits (at_no INT NOT NULL, who VARCHAR(40), page VARCHAR(120), PRIMARY KEY (at_no), KEY by_who (who))
  CHARSET=latin1 ROW_FORMAT=REDUNDANT;
CREATE TABLE papers (id INT PRIMARY KEY, body MEDIUMBLOB, doc JSON, KEY by_body (body(40))) ROW_FORMAT=DYNAMIC;
CREATE TABLE papers_old (id INT PRIMARY KEY, body MEDIUMBLOB) ROW_FORMAT=REDUNDANT;
CREATE TABLE places (id INT AUTO_INCREMENT PRIMARY KEY, at POINT NOT NULL SRID 0, SPATIAL KEY by_place (at)) ROW_FORMAT=DYNAMIC;
CREATE TABLE no_key (a INT, b VARCHAR(60)) CHARSET=latin1;
CREATE TABLE gone (id INT PRIMARY KEY, filler VARCHAR(200)) CHARSET=latin1;

DELIMITER //
-- Random order of the keys splits pages in the middle, later deletes merge them.
CREATE PROCEDURE sell(first INT, row_count INT)
BEGIN
  INSERT INTO goods (name, price, maker)
  WITH RECURSIVE seq(n) AS (SELECT first UNION ALL SELECT n + 1 FROM seq WHERE n < first + row_count - 1)
  SELECT LEFT(SHA2(n, 256), 10 + n % 40), CRC32(n) % 5000, IF(n % 7 = 0, NULL, CONCAT('maker', n % 13)) FROM seq;
  INSERT INTO orders (good, amount, note)
  WITH RECURSIVE seq(n) AS (SELECT first UNION ALL SELECT n + 1 FROM seq WHERE n < first + row_count - 1)
  SELECT goods.id, 1 + n % 5, REPEAT(CHAR(97 + n % 26), n % 150) FROM seq JOIN goods ON goods.id = n;
END//
CREATE PROCEDURE visit(first INT, row_count INT)
BEGIN
  INSERT INTO visits (at_no, who, page)
  WITH RECURSIVE seq(n) AS (SELECT first UNION ALL SELECT n + 1 FROM seq WHERE n < first + row_count - 1)
  SELECT (n * 7919) % 100003, CONCAT('user', n % 17), CONCAT('/goods/', REPEAT(n % 10, n % 90)) FROM seq;
END//
CREATE PROCEDURE wait_for_purge()
BEGIN
  DECLARE round INT DEFAULT 0;
  DECLARE left_over INT DEFAULT 1;
  WHILE left_over > 0 AND round < 50 DO
    DO SLEEP(0.1);
    SELECT `count` INTO left_over FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len';
    SET round = round + 1;
  END WHILE;
END//
DELIMITER ;

CALL sell(1, 300);
CALL visit(1, 250);
INSERT INTO papers
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 8)
SELECT n, REPEAT(CHAR(64 + n), 3000 + n * 2300), JSON_OBJECT('n', n, 'text', REPEAT('j', 9000), 'list', JSON_ARRAY(n, 'x')) FROM seq;
INSERT INTO papers_old SELECT id, REPEAT('o', 9000 + id * 900) FROM papers WHERE id % 2 = 0;
INSERT INTO places (at)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 60)
SELECT POINT(CRC32(n) % 1000, CRC32(CONCAT('y', n)) % 1000) FROM seq;
INSERT INTO no_key SELECT id, name FROM goods WHERE id < 40;
INSERT INTO gone SELECT at_no, page FROM visits WHERE at_no % 3 = 0;

UPDATE goods SET price = price + 1, name = CONCAT(name, '+') WHERE id % 6 = 0;
UPDATE orders SET note = REPEAT('z', 190) WHERE id % 11 = 0;
UPDATE visits SET who = CONCAT('guest', at_no % 5) WHERE at_no % 8 = 0;
UPDATE papers SET doc = JSON_REPLACE(doc, '$.text', REPEAT('k', 8990)) WHERE id % 2 = 1;
UPDATE papers SET body = CONCAT(body, 'more') WHERE id = 3;
DELETE FROM goods WHERE id % 9 = 0;
DELETE FROM places WHERE id % 4 = 0;

START TRANSACTION;
UPDATE goods SET price = 0, maker = 'nobody' WHERE id % 5 = 0;
INSERT INTO orders (good, amount, note) SELECT id, 99, REPEAT('r', 120) FROM goods WHERE id % 8 = 1;
DELETE FROM visits WHERE at_no % 4 = 0;
UPDATE papers SET body = REPEAT('u', 12000) WHERE id < 3;
ROLLBACK;

ALTER TABLE goods ADD COLUMN colour VARCHAR(20) DEFAULT 'grey', ALGORITHM=INSTANT;
UPDATE goods SET colour = CONCAT('colour', id % 9) WHERE id % 7 = 0;
ALTER TABLE visits ADD COLUMN seconds INT FIRST, ALGORITHM=INSTANT;
UPDATE visits SET seconds = at_no % 60 WHERE at_no % 10 = 0;
ALTER TABLE orders ADD COLUMN paid TINYINT NOT NULL DEFAULT 0, ALGORITHM=INSTANT;
CALL visit(1001, 60);
INSERT INTO orders (good, amount, paid) SELECT id, 2, 1 FROM goods WHERE id % 10 = 1;
ALTER TABLE orders DROP COLUMN paid, ALGORITHM=INSTANT;

DROP TABLE gone;
TRUNCATE TABLE no_key;
INSERT INTO no_key VALUES (1, 'one'), (2, 'two');
RENAME TABLE papers_old TO papers_kept;
DELETE FROM papers WHERE id % 4 = 0;
DELETE FROM papers_kept WHERE id % 4 = 0;
DELETE FROM visits WHERE at_no % 2 = 1;
DELETE FROM orders WHERE id BETWEEN 40 AND 220;
CALL wait_for_purge();
CALL sell(301, 80);
