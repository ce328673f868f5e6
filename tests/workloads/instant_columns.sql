-- Instant ADD/DROP COLUMN: many row versions in tables of three formats, with DML between every two of them.
DROP DATABASE IF EXISTS w_instant_columns;
CREATE DATABASE w_instant_columns;
USE w_instant_columns;
SET SESSION cte_max_recursion_depth = 100000;

DELIMITER //
CREATE PROCEDURE run_statement(statement_text TEXT)
BEGIN
  SET @statement_text = statement_text;
  PREPARE s FROM @statement_text;
  EXECUTE s;
  DEALLOCATE PREPARE s;
END//
CREATE PROCEDURE make_table(t VARCHAR(64), key_clause VARCHAR(200), format VARCHAR(20))
BEGIN
  CALL run_statement(CONCAT('CREATE TABLE ', t, ' (id INT NOT NULL', ', s VARCHAR(50) NOT NULL, a INT, b VARCHAR(300), c CHAR(10) DEFAULT ''cc''',
                            key_clause, ', KEY by_a (a)) CHARSET=utf8mb4 ROW_FORMAT=', format));
  CALL run_statement(CONCAT('INSERT INTO ', t, ' (id, s, a, b) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 300) ',
                            'SELECT n, LEFT(SHA2(n, 256), 32), n % 20, REPEAT(''b'', n % 100) FROM seq'));
END//
CREATE PROCEDURE dml(t VARCHAR(64), round INT)
BEGIN
  START TRANSACTION;
  CALL run_statement(CONCAT('INSERT INTO ', t, ' (id, s, a, b) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 60) ',
                            'SELECT ', 1000 * (round + 1), ' + n, LEFT(SHA2(', round, ' + n, 256), 32), n % 20, REPEAT(''c'', n) FROM seq'));
  CALL run_statement(CONCAT('UPDATE ', t, ' SET b = CONCAT(LEFT(b, 80), ''+', round, ''') WHERE id % 7 = ', round % 7));
  CALL run_statement(CONCAT('UPDATE ', t, ' SET a = a + 1 WHERE id % 5 = ', round % 5));
  COMMIT;
  START TRANSACTION;
  CALL run_statement(CONCAT('UPDATE ', t, ' SET b = REPEAT(''R'', 250) WHERE id % 6 = ', round % 6));
  CALL run_statement(CONCAT('DELETE FROM ', t, ' WHERE id % 9 = ', round % 9));
  ROLLBACK;
  CALL run_statement(CONCAT('DELETE FROM ', t, ' WHERE id % 13 = ', round % 13));
END//
CREATE PROCEDURE versions(t VARCHAR(64))
BEGIN
  DECLARE round INT DEFAULT 0;
  WHILE round < 14 DO
    CALL run_statement(CONCAT('ALTER TABLE ', t, ' ADD COLUMN n', round, ' INT DEFAULT ', round, IF(round % 3 = 0, ' FIRST', IF(round % 3 = 1, ' AFTER a', '')), ', ALGORITHM=INSTANT'));
    CALL dml(t, round);
    CALL run_statement(CONCAT('UPDATE ', t, ' SET n', round, ' = IF(id % 2, NULL, id) WHERE id % 4 = ', round % 4));
    CALL run_statement(CONCAT('ALTER TABLE ', t, ' ADD COLUMN v', round, ' VARCHAR(', 20 + round * 30, ') ', IF(round % 2, 'NOT NULL DEFAULT ''vv''', 'NULL'), ', ALGORITHM=INSTANT'));
    CALL run_statement(CONCAT('UPDATE ', t, ' SET v', round, ' = REPEAT(''v'', id % ', 20 + round * 30, ') WHERE id % 3 = ', round % 3));
    IF round % 2 = 1 THEN
      CALL run_statement(CONCAT('ALTER TABLE ', t, ' DROP COLUMN n', round - 1, ', ALGORITHM=INSTANT'));
      CALL dml(t, 20 + round);
      CALL run_statement(CONCAT('ALTER TABLE ', t, ' DROP COLUMN v', round, ', ADD COLUMN w', round, ' BIGINT NOT NULL DEFAULT 7, ALGORITHM=INSTANT'));
      CALL dml(t, 40 + round);
    END IF;
    SET round = round + 1;
  END WHILE;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE i INT DEFAULT 0;
  DECLARE t VARCHAR(64);
  WHILE i < 9 DO
    SET t = CONCAT('t', i);
    CALL make_table(t, ELT(i DIV 3 + 1, ', PRIMARY KEY (id)', ', PRIMARY KEY (s(10), id)', ''), ELT(i % 3 + 1, 'REDUNDANT', 'COMPACT', 'DYNAMIC'));
    CALL versions(t);
    SET i = i + 1;
  END WHILE;
END//
DELIMITER ;
CALL run();
