-- Foreign keys: cascades of several levels, SET NULL, a self reference, refused statements, rollbacks.
DROP DATABASE IF EXISTS w_foreign_keys;
CREATE DATABASE w_foreign_keys;
USE w_foreign_keys;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE parent (id INT PRIMARY KEY, v VARCHAR(50));
CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, pad VARCHAR(200), KEY (parent_id),
  FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (id INT AUTO_INCREMENT PRIMARY KEY, child_id INT, v TEXT, FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE loose (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE) ROW_FORMAT=REDUNDANT;
CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE RESTRICT);

INSERT INTO parent WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 1500) SELECT n, LEFT(SHA2(n, 256), 32) FROM seq;
INSERT INTO child WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 12000) SELECT n, 1 + n % 1500, REPEAT('c', n % 180) FROM seq;
INSERT INTO grandchild (child_id, v) SELECT 1 + id % 12000, REPEAT('g', id % 90) FROM child;
INSERT INTO loose SELECT id, 1 + id % 1500 FROM child WHERE id <= 2000;
INSERT INTO tree VALUES (1, NULL);
INSERT INTO tree WITH RECURSIVE seq(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM seq WHERE n < 2000) SELECT n, n DIV 4 + IF(n < 4, 1, 0) FROM seq;

UPDATE parent SET id = id + 10000 WHERE id % 7 = 0;
DELETE FROM parent WHERE id % 11 = 0;
START TRANSACTION;
DELETE FROM parent WHERE id % 2 = 0;
UPDATE parent SET id = id + 20000;
ROLLBACK;
INSERT IGNORE INTO child VALUES (900001, 123456789, 'refused'), (900002, 1, 'kept');
DELETE IGNORE FROM tree WHERE id % 5 = 0;
DELETE FROM tree WHERE id > 1000;
UPDATE child SET id = id + 50000 WHERE id % 9 = 0;
DELETE FROM child WHERE id % 10 = 3;
ALTER TABLE loose DROP FOREIGN KEY loose_ibfk_1;
DELETE FROM parent WHERE id % 3 = 0;
