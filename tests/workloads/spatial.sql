-- R-trees: spatial indexes of DYNAMIC and REDUNDANT tables, with splits, moves, deletes, rollbacks, and one added later.
DROP DATABASE IF EXISTS w_spatial;
CREATE DATABASE w_spatial;
USE w_spatial;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE places (id INT AUTO_INCREMENT PRIMARY KEY, at POINT NOT NULL SRID 0, name VARCHAR(80), SPATIAL KEY (at));
CREATE TABLE places_redundant (id INT AUTO_INCREMENT PRIMARY KEY, at POINT NOT NULL SRID 0, name VARCHAR(80), SPATIAL KEY (at)) ROW_FORMAT=REDUNDANT;
CREATE TABLE areas (id INT AUTO_INCREMENT PRIMARY KEY, shape POLYGON NOT NULL SRID 0);

INSERT INTO places (at, name)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 16000)
SELECT POINT(CRC32(n) % 10000, CRC32(CONCAT('y', n)) % 10000), LEFT(SHA2(n, 256), 32) FROM seq;
INSERT INTO places_redundant (at, name) SELECT at, name FROM places WHERE id <= 9000;
INSERT INTO areas (shape)
WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 2500)
SELECT ST_GeomFromText(CONCAT('POLYGON((', n, ' 0,', n, ' ', n % 50 + 1, ',', n + 5, ' ', n % 50 + 1, ',', n + 5, ' 0,', n, ' 0))')) FROM seq;
UPDATE places SET at = POINT(ST_X(at) + 5000, ST_Y(at) / 2) WHERE id % 3 = 0;
UPDATE places_redundant SET at = POINT(ST_X(at) / 3, ST_Y(at) + 77) WHERE id % 4 = 0;
START TRANSACTION;
DELETE FROM places WHERE id % 5 = 0;
INSERT INTO places (at, name) SELECT POINT(id, id), 'gone' FROM places LIMIT 900;
UPDATE places_redundant SET at = POINT(1, id) WHERE id % 2;
ROLLBACK;
DELETE FROM places WHERE ST_X(at) < 3000;
DELETE FROM places_redundant WHERE id % 3;
ALTER TABLE areas ADD SPATIAL KEY (shape);
UPDATE areas SET shape = ST_GeomFromText(CONCAT('POLYGON((0 0,0 ', id, ',', id, ' ', id, ',', id, ' 0,0 0))')) WHERE id % 4 = 0;
DELETE FROM areas WHERE id % 6 = 0;
INSERT INTO places (at, name) SELECT POINT(id * 3 % 1000, id * 7 % 1000), name FROM places LIMIT 1500;
