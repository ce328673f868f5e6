-- Every column type and the less usual table features: BIT, ENUM, SET, VECTOR, fractional times, collations, invisible and
-- functional columns, check constraints, descending and long keys, tables of many columns, LOAD DATA, REPLACE, multi-table statements.
DROP DATABASE IF EXISTS w_types;
CREATE DATABASE w_types;
USE w_types;
SET SESSION cte_max_recursion_depth = 100000;

CREATE TABLE every (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, f FLOAT, d DOUBLE, dec_ DECIMAL(30, 10),
  b BIT(13), e ENUM('one', 'two', 'three'), s SET('a', 'b', 'c', 'd'), y YEAR, da DATE, ti_ TIME(6), dt DATETIME(6), ts TIMESTAMP(2) NULL,
  c CHAR(60) CHARACTER SET utf8mb3, vc VARCHAR(200) CHARACTER SET utf16, bin BINARY(12), vb VARBINARY(255), tt TINYTEXT, mb MEDIUMBLOB,
  j JSON, g GEOMETRY, vec VECTOR(16), hidden INT INVISIBLE DEFAULT 5,
  gen VARCHAR(100) AS (CONCAT(e, '-', ti)) STORED, vgen INT AS (ti + si) VIRTUAL,
  KEY (e, s), KEY (dt DESC), KEY (vc(50)), KEY (vgen), UNIQUE KEY (bin, id), CHECK (ti < 120), KEY ((dec_ * 2))
);
INSERT INTO every (ti, si, mi, f, d, dec_, b, e, s, y, da, ti_, dt, ts, c, vc, bin, vb, tt, mb, j, g, vec)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 4000)
SELECT n % 100, n % 60000, -n, n / 3, n * 1e10, n / 7, n % 8000, 1 + n % 3, n % 16, 1950 + n % 150, '2001-01-01' + INTERVAL n DAY, SEC_TO_TIME(n * 7 % 80000),
       '2020-02-02 02:02:02.123456' + INTERVAL n SECOND, IF(n % 4, NULL, '2022-01-01 00:00:00' + INTERVAL n HOUR), LEFT(SHA2(n, 256), n % 60), SHA2(n, 256), LEFT(SHA2(n, 256), 12),
       REPEAT('v', n % 250), REPEAT('t', n % 200), IF(n % 40, NULL, REPEAT('M', 50000)), JSON_OBJECT('n', n), IF(n % 5, NULL, POINT(n, -n)),
       TO_VECTOR(CONCAT('[', REPEAT(CONCAT(n, ','), 15), n, ']')) FROM seq;
UPDATE every SET ti = ti + 1, vc = CONCAT(vc, 'x'), e = 1 + id % 3, hidden = id WHERE id % 3 = 0;
UPDATE every SET dt = dt + INTERVAL 1 DAY, bin = NULL, g = POINT(0, id), mb = IF(id % 9, mb, REPEAT('N', 9000)) WHERE id % 7 = 0;
REPLACE INTO every (id, ti, e, vb) SELECT id, 1, 'one', REPEAT('r', 255) FROM every WHERE id % 13 = 0;
DELETE a, b FROM every a JOIN every b ON b.id = a.id + 1 WHERE a.id % 50 = 0;
UPDATE every a JOIN every b ON b.id = a.id + 2 SET a.si = b.si, b.tt = 'joined' WHERE a.id % 11 = 0;

CREATE TABLE long_keys (a VARCHAR(700), b VARCHAR(700) CHARACTER SET latin1, n INT, KEY (a, n), KEY (b DESC), KEY (n)) CHARSET=utf8mb4;
INSERT INTO long_keys WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 2500) SELECT REPEAT(CHAR(97 + n % 26), n % 700), REPEAT(CHAR(65 + n % 26), 700 - n % 700), n FROM seq;
UPDATE long_keys SET a = REPEAT('ß', n % 600), b = UPPER(LEFT(b, 300)) WHERE n % 3 = 0;
DELETE FROM long_keys WHERE n % 4 = 1;

DELIMITER //
CREATE PROCEDURE many_columns(t VARCHAR(20), column_count INT, format VARCHAR(20))
BEGIN
  DECLARE n INT DEFAULT 0;
  SET @text = CONCAT('CREATE TABLE ', t, ' (id INT AUTO_INCREMENT PRIMARY KEY');
  WHILE n < column_count DO
    SET @text = CONCAT(@text, ', c', n, IF(n % 3 = 0, ' VARCHAR(20)', IF(n % 3 = 1, ' TINYINT', ' CHAR(3) NOT NULL DEFAULT ''ab''')));
    SET n = n + 1;
  END WHILE;
  SET @text = CONCAT(@text, ') CHARSET=latin1 ROW_FORMAT=', format);
  PREPARE s FROM @text;
  EXECUTE s;
  SET n = 0;
  WHILE n < 200 DO
    SET @text = CONCAT('INSERT INTO ', t, ' (c0, c1, c', n * 3 % column_count, ') VALUES (REPEAT(''q'', ', n % 20, '), ', n % 100, ', ''', IF(n % 3, 1, 2), ''') AS x ON DUPLICATE KEY UPDATE c1 = 1');
    SET @text = CONCAT('INSERT INTO ', t, ' (c0, c1) VALUES (REPEAT(''q'', ', n % 20, '), ', n % 100, ')');
    PREPARE s FROM @text;
    EXECUTE s;
    SET @text = CONCAT('UPDATE ', t, ' SET c', 3 * (n % (column_count DIV 3)), ' = ''grown value'' WHERE id % 9 = ', n % 9);
    PREPARE s FROM @text;
    EXECUTE s;
    SET n = n + 1;
  END WHILE;
END//
DELIMITER ;
CALL many_columns('many_dynamic', 300, 'DYNAMIC');
CALL many_columns('many_redundant', 300, 'REDUNDANT');
CALL many_columns('many_compact', 90, 'COMPACT');
DELETE FROM many_dynamic WHERE id % 2;
ALTER TABLE many_redundant ADD COLUMN late VARCHAR(10) DEFAULT 'late', ALGORITHM=INSTANT;
UPDATE many_redundant SET late = 'set' WHERE id % 5 = 0;

CREATE TABLE no_rows (id INT PRIMARY KEY);
SELECT id, ti, vb FROM every WHERE id < 2000 INTO OUTFILE 'w_types.txt' CHARACTER SET binary;
CREATE TABLE loaded (id BIGINT UNSIGNED, ti TINYINT, vb VARBINARY(255), PRIMARY KEY (id), KEY (vb));
LOAD DATA INFILE 'w_types.txt' INTO TABLE loaded CHARACTER SET binary;
system rm -f w_types.txt w_types/w_types.txt
