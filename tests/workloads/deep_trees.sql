-- Wide keys make deep trees; deleting from both ends merges non-leaf pages. Case-only updates of collated keys. Worth its
-- while with 4 KiB pages.
DROP DATABASE IF EXISTS w_deep_trees;
CREATE DATABASE w_deep_trees;
USE w_deep_trees;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE deep (a VARCHAR(180) CHARACTER SET latin1 NOT NULL, b INT NOT NULL, v VARCHAR(200), PRIMARY KEY (a), KEY (v(150), b)) CHARSET=latin1;
CREATE TABLE deep_redundant LIKE deep;
ALTER TABLE deep_redundant ROW_FORMAT=REDUNDANT;
CREATE TABLE cased (id INT PRIMARY KEY, s VARCHAR(60) COLLATE utf8mb4_0900_ai_ci, u VARCHAR(60) GENERATED ALWAYS AS (CONCAT(s, '!')) VIRTUAL, KEY (s), KEY (u));

INSERT INTO deep WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 15000)
SELECT CONCAT(REPEAT(LEFT(SHA2(n, 256), 32), 4), LPAD(n, 8, '0')), n, REPEAT(CHAR(97 + n % 26), 100 + n % 60) FROM seq;
INSERT INTO deep_redundant SELECT * FROM deep WHERE b <= 5000;
INSERT INTO cased (id, s) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 3000) SELECT n, CONCAT('Ab', LEFT(SHA2(n % 700, 256), 32)) FROM seq;

UPDATE cased SET s = UPPER(s) WHERE id % 2;
UPDATE cased SET s = LOWER(s) WHERE id % 3 = 0;
DELETE FROM deep ORDER BY a LIMIT 6000;
DELETE FROM deep_redundant ORDER BY a DESC LIMIT 2200;
DELETE FROM deep ORDER BY a DESC LIMIT 6000;
DELETE FROM deep_redundant ORDER BY a LIMIT 2200;
START TRANSACTION;
DELETE FROM deep;
ROLLBACK;
INSERT INTO deep SELECT CONCAT('0', LEFT(a, 150)), b + 1, v FROM deep_redundant;
DELETE FROM deep WHERE b % 3;
