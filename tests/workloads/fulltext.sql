-- FULLTEXT indexes: rows added before and after the index, deletes, optimisation of the index, dropping it again.
DROP DATABASE IF EXISTS w_fulltext;
CREATE DATABASE w_fulltext;
USE w_fulltext;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE articles (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(200), body TEXT, FULLTEXT KEY words (title, body));
CREATE TABLE later (id INT AUTO_INCREMENT PRIMARY KEY, body TEXT) ROW_FORMAT=COMPACT;

DELIMITER //
CREATE PROCEDURE fill(first_n INT, row_count INT)
BEGIN
  DECLARE n INT DEFAULT first_n;
  WHILE n < first_n + row_count DO
    INSERT INTO articles (title, body)
    VALUES (CONCAT('word', n % 100, ' title', n), CONCAT_WS(' ', 'common', CONCAT('alpha', n % 37), CONCAT('beta', n % 113), LEFT(SHA2(n, 256), 32), LEFT(SHA2(n + 1, 256), 32), REPEAT('gamma ', n % 9)));
    SET n = n + 1;
  END WHILE;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE batch INT DEFAULT 0;
  WHILE batch < 30 DO
    START TRANSACTION;
    CALL fill(batch * 200, 200);
    COMMIT;
    UPDATE articles SET body = CONCAT(body, ' changed', batch) WHERE id % 13 = batch;
    DELETE FROM articles WHERE id % 17 = batch;
    SET batch = batch + 1;
  END WHILE;
  START TRANSACTION;
  CALL fill(50000, 300);
  ROLLBACK;
END//
DELIMITER ;
CALL run();
INSERT INTO later (body) SELECT body FROM articles;
ALTER TABLE later ADD FULLTEXT KEY words (body);
INSERT INTO later (body) SELECT body FROM articles LIMIT 300;
DELETE FROM later WHERE id % 5 = 0;
SET GLOBAL innodb_optimize_fulltext_only = ON;
OPTIMIZE TABLE articles;
SET GLOBAL innodb_optimize_fulltext_only = OFF;
ALTER TABLE articles ADD FULLTEXT KEY by_title (title);
ALTER TABLE articles DROP KEY words;
SELECT COUNT(*) FROM later WHERE MATCH (body) AGAINST ('common');
