-- Long transactions, big rollbacks, savepoints, XA; the last statement leaves one XA transaction prepared for ever.
CREATE DATABASE w_transactions;
USE w_transactions;
SET SESSION cte_max_recursion_depth = 1000000;

CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, k INT, v VARCHAR(300), KEY (k), KEY (v(30)));
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(60), at_row INT);

DELIMITER //
CREATE PROCEDURE fill(first_n INT, row_count INT)
  INSERT INTO t (k, v)
  WITH RECURSIVE seq(n) AS (SELECT first_n UNION ALL SELECT n + 1 FROM seq WHERE n < first_n + row_count - 1)
  SELECT CRC32(n) % 9000, REPEAT(CHAR(97 + n % 26), n % 250) FROM seq//
CREATE PROCEDURE savepoints(round INT)
BEGIN
  START TRANSACTION;
  UPDATE t SET k = k + 1 WHERE id % 10 = round % 10;
  SAVEPOINT one;
  DELETE FROM t WHERE id % 12 = round % 12;
  INSERT INTO log (what, at_row) VALUES ('lost', round);
  SAVEPOINT two;
  UPDATE t SET v = REPEAT('s', 290) WHERE id % 9 = round % 9;
  ROLLBACK TO SAVEPOINT two;
  UPDATE t SET v = CONCAT(LEFT(v, 100), round) WHERE id % 8 = round % 8;
  ROLLBACK TO SAVEPOINT one;
  INSERT INTO log (what, at_row) VALUES ('kept', round);
  UPDATE t SET k = -k WHERE id % 20 = round % 20;
  RELEASE SAVEPOINT one;
  COMMIT;
END//
CREATE PROCEDURE small_transactions(transaction_count INT)
BEGIN
  DECLARE n INT DEFAULT 0;
  WHILE n < transaction_count DO
    START TRANSACTION;
    UPDATE t SET k = n WHERE id = 1 + CRC32(n) % 15000;
    INSERT INTO log (what, at_row) VALUES ('small', n);
    IF n % 4 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    SET n = n + 1;
  END WHILE;
END//
CREATE PROCEDURE run()
BEGIN
  DECLARE round INT DEFAULT 0;
  CALL fill(1, 15000);
  START TRANSACTION;
  UPDATE t SET v = REPEAT('B', 280), k = k * 2;
  DELETE FROM t WHERE id % 2;
  CALL fill(100000, 8000);
  ROLLBACK;
  WHILE round < 6 DO
    CALL savepoints(round);
    SET round = round + 1;
  END WHILE;
  CALL small_transactions(1500);
  START TRANSACTION;
  DELETE FROM t;
  ROLLBACK;
END//
DELIMITER ;
CALL run();

XA START 'one'; UPDATE t SET k = k + 3 WHERE id < 2000; XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one';
XA START 'two'; DELETE FROM t WHERE id BETWEEN 2000 AND 5000; XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two';
XA START 'three'; INSERT INTO log (what, at_row) VALUES ('one phase', 3); XA END 'three'; XA COMMIT 'three' ONE PHASE;
CREATE TABLE held (id INT PRIMARY KEY, v VARCHAR(100), KEY (v));
INSERT INTO held WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 500) SELECT n, LEFT(SHA2(n, 256), 32) FROM seq;
XA START 'left'; UPDATE held SET v = CONCAT('prepared ', id) WHERE id % 2; INSERT INTO held VALUES (1000, 'prepared'); XA END 'left'; XA PREPARE 'left';
