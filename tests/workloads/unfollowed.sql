-- Tablespaces that Redoubt does not follow: they are to be named as unsupported, and all others go on being followed.
DROP DATABASE IF EXISTS w_unfollowed;
CREATE DATABASE w_unfollowed;
USE w_unfollowed;
SET SESSION cte_max_recursion_depth = 100000;

CREATE TABLE ordinary (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), KEY (v));
CREATE TABLE zipped (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), KEY (v)) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4;
CREATE TABLE squeezed (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), KEY (v)) COMPRESSION='zlib';
INSERT INTO ordinary (v) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 5000) SELECT REPEAT(CHAR(97 + n % 26), n % 190) FROM seq;
INSERT INTO zipped (v) SELECT v FROM ordinary;
INSERT INTO squeezed (v) SELECT v FROM ordinary;
UPDATE zipped SET v = CONCAT(LEFT(v, 100), id) WHERE id % 3 = 0;
UPDATE squeezed SET v = CONCAT(LEFT(v, 100), id) WHERE id % 3 = 0;
UPDATE ordinary SET v = CONCAT(LEFT(v, 100), id) WHERE id % 3 = 0;
DELETE FROM zipped WHERE id % 4 = 0;
DELETE FROM squeezed WHERE id % 4 = 0;
DELETE FROM ordinary WHERE id % 4 = 0;
ALTER TABLE ordinary ADD KEY again (v, id);
