-- Tablespaces come, move and go: create, rename, truncate and drop of tables and schemas, general tablespaces, system tablespace.
DROP DATABASE IF EXISTS w_ddl_churn;
DROP DATABASE IF EXISTS w_ddl_other;
CREATE DATABASE w_ddl_churn;
CREATE DATABASE w_ddl_other;
USE w_ddl_churn;
SET SESSION cte_max_recursion_depth = 1000000;
CREATE TABLESPACE w_general ADD DATAFILE 'w_general.ibd';
CREATE TABLESPACE w_short ADD DATAFILE 'w_short.ibd' AUTOEXTEND_SIZE = 4M;

DELIMITER //
CREATE PROCEDURE run_statement(statement_text TEXT)
BEGIN
  SET @statement_text = statement_text;
  PREPARE s FROM @statement_text;
  EXECUTE s;
  DEALLOCATE PREPARE s;
END//
CREATE PROCEDURE fill(t VARCHAR(128), row_count INT)
  CALL run_statement(CONCAT('INSERT INTO ', t, ' (v) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < ', row_count,
                            ') SELECT REPEAT(CHAR(97 + n % 26), n % 200) FROM seq'))//
CREATE PROCEDURE churn(round INT)
BEGIN
  DECLARE t VARCHAR(64) DEFAULT CONCAT('t', round);
  CALL run_statement(CONCAT('CREATE TABLE ', t, ' (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(250), KEY (v(20)))',
                            ELT(round % 4 + 1, '', ' TABLESPACE w_general', ' TABLESPACE innodb_system', ' ROW_FORMAT=REDUNDANT')));
  CALL fill(t, 600);
  IF round % 3 = 0 THEN
    CALL run_statement(CONCAT('RENAME TABLE ', t, ' TO w_ddl_other.moved', round));
    CALL fill(CONCAT('w_ddl_other.moved', round), 300);
  ELSEIF round % 3 = 1 THEN
    CALL run_statement(CONCAT('TRUNCATE TABLE ', t));
    CALL fill(t, 200);
    CALL run_statement(CONCAT('RENAME TABLE ', t, ' TO x, x TO renamed', round));
  ELSE
    CALL run_statement(CONCAT('CREATE TABLE like_', t, ' LIKE ', t));
    CALL run_statement(CONCAT('DROP TABLE ', t));
  END IF;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE round INT DEFAULT 0;
  WHILE round < 24 DO
    CALL churn(round);
    SET round = round + 1;
  END WHILE;
END//
DELIMITER ;
CALL run();
CREATE TABLE in_short (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(250)) TABLESPACE w_short;
CALL fill('in_short', 3000);
ALTER TABLE in_short TABLESPACE = innodb_file_per_table;
ALTER TABLE in_short TABLESPACE = w_general;
DROP TABLESPACE w_short;
ALTER TABLESPACE w_general RENAME TO w_general_renamed;
CREATE TABLE grows (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(250)) AUTOEXTEND_SIZE = 4M;
CALL fill('grows', 4000);
ALTER TABLE grows AUTO_INCREMENT = 50000;
INSERT INTO grows (v) VALUES ('counter');
CREATE TEMPORARY TABLE scratch (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(250));
CALL fill('scratch', 1000);
CREATE TABLE after_scratch (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(250), FULLTEXT KEY (v));
CALL fill('after_scratch', 500);
TRUNCATE TABLE after_scratch;
DROP TEMPORARY TABLE scratch;
DROP DATABASE w_ddl_other;
CREATE DATABASE w_ddl_other;
CREATE TABLE w_ddl_other.last AS SELECT * FROM grows;
