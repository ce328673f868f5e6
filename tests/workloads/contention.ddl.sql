-- The session of contention.sql that changes the tables' shape meanwhile. A DDL that does not get its lock is no failure.
USE w_contention;
SET SESSION lock_wait_timeout = 20;
DELIMITER //
CREATE PROCEDURE shapes()
BEGIN
  DECLARE n INT DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR 1205, 1213 BEGIN END;
  WHILE n < 5 DO
    ALTER TABLE queue ADD COLUMN extra INT DEFAULT 3, ALGORITHM=INSTANT;
    UPDATE queue SET extra = id WHERE id % 4 = 0;
    ALTER TABLE queue DROP COLUMN extra, ALGORITHM=INSTANT;
    ALTER TABLE hot ADD KEY by_k_v (k, v(20));
    DO SLEEP(0.1);
    ALTER TABLE hot DROP KEY by_k_v;
    SET n = n + 1;
  END WHILE;
END//
DELIMITER ;
CALL shapes();
