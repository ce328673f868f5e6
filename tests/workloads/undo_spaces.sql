-- Undo tablespaces: created, filled by long transactions, truncated, made inactive, dropped.
DROP DATABASE IF EXISTS w_undo_spaces;
CREATE DATABASE w_undo_spaces;
USE w_undo_spaces;
SET SESSION cte_max_recursion_depth = 1000000;
SET GLOBAL innodb_purge_rseg_truncate_frequency = 1;

CREATE UNDO TABLESPACE w_undo_a ADD DATAFILE 'w_undo_a.ibu';
CREATE UNDO TABLESPACE w_undo_b ADD DATAFILE 'w_undo_b.ibu';
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(400), KEY (k));

DELIMITER //
CREATE PROCEDURE load_undo(round INT)
BEGIN
  INSERT INTO t (k, v)
  WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 6000) SELECT n + round, REPEAT(CHAR(97 + round), 200) FROM seq;
  UPDATE t SET v = REPEAT(CHAR(65 + round), 350), k = k + 1;
  DELETE FROM t WHERE id % 3 = round % 3;
  START TRANSACTION;
  UPDATE t SET v = 'x', k = -k;
  ROLLBACK;
END//
-- Waits until an undo tablespace has been emptied and truncated after it was made inactive.
CREATE PROCEDURE wait_empty(space_name VARCHAR(64))
BEGIN
  DECLARE tries INT DEFAULT 0;
  WHILE tries < 600 AND NOT EXISTS (SELECT 1 FROM information_schema.innodb_tablespaces WHERE name = space_name AND state = 'empty') DO
    DO SLEEP(0.05);
    SET tries = tries + 1;
  END WHILE;
END//
DELIMITER ;
CALL load_undo(0);
ALTER UNDO TABLESPACE innodb_undo_001 SET INACTIVE;
CALL load_undo(1);
CALL wait_empty('innodb_undo_001');
ALTER UNDO TABLESPACE innodb_undo_001 SET ACTIVE;
CALL load_undo(2);
ALTER UNDO TABLESPACE w_undo_a SET INACTIVE;
CALL wait_empty('w_undo_a');
DROP UNDO TABLESPACE w_undo_a;
CALL load_undo(3);
ALTER UNDO TABLESPACE w_undo_b SET INACTIVE;
CALL wait_empty('w_undo_b');
ALTER UNDO TABLESPACE w_undo_b SET ACTIVE;
CREATE UNDO TABLESPACE w_undo_c ADD DATAFILE 'w_undo_c.ibu';
CALL load_undo(4);
ALTER UNDO TABLESPACE innodb_undo_002 SET INACTIVE;
CALL wait_empty('innodb_undo_002');
ALTER UNDO TABLESPACE innodb_undo_002 SET ACTIVE;
CALL load_undo(5);
SET GLOBAL innodb_purge_rseg_truncate_frequency = DEFAULT;
