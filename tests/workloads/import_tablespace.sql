-- DISCARD and IMPORT TABLESPACE. The client runs in the data directory and copies the files itself.
DROP DATABASE IF EXISTS w_import;
CREATE DATABASE w_import;
USE w_import;
SET SESSION cte_max_recursion_depth = 1000000;
CREATE TABLE source (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(200), KEY (k));
INSERT INTO source (k, v) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 4000) SELECT CRC32(n) % 100000, REPEAT('i', n % 190) FROM seq;
CREATE TABLE target LIKE source;
INSERT INTO target SELECT * FROM source WHERE id < 500;
ALTER TABLE target DISCARD TABLESPACE;
FLUSH TABLES source FOR EXPORT;
system cp w_import/source.ibd w_import/target.ibd && cp w_import/source.cfg w_import/target.cfg
UNLOCK TABLES;
ALTER TABLE target IMPORT TABLESPACE;
UPDATE target SET k = id, v = CONCAT(LEFT(v, 100), 'after') WHERE id % 3 = 0;
DELETE FROM target WHERE id % 7 = 0;
INSERT INTO target (k, v) SELECT k, v FROM source LIMIT 700;
