-- What lives in mysql.ibd (run once per server: accounts are not dropped): accounts, roles, grants, routines, triggers, events, views, histograms, stored statistics.
DROP DATABASE IF EXISTS w_users_routines;
CREATE DATABASE w_users_routines;
USE w_users_routines;

CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT, w VARCHAR(40));
CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(100));
DELIMITER //
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2//
CREATE TRIGGER t_insert AFTER INSERT ON t FOR EACH ROW INSERT INTO audit (what) VALUES (CONCAT('insert ', NEW.id))//
CREATE TRIGGER t_update BEFORE UPDATE ON t FOR EACH ROW SET NEW.w = CONCAT('u', twice(NEW.v))//
CREATE EVENT w_event ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01' DO DELETE FROM audit//
CREATE PROCEDURE run_text(statement TEXT)
BEGIN
  SET @statement = statement;
  PREPARE prepared FROM @statement;
  EXECUTE prepared;
  DEALLOCATE PREPARE prepared;
END//
-- Ten users from a number on with grants to them and to roles, and views. Statements about roles cannot be prepared.
CREATE PROCEDURE accounts(base INT)
BEGIN
  DECLARE n INT DEFAULT base;
  WHILE n < base + 10 DO
    CALL run_text(CONCAT('CREATE USER w_user', n, '@localhost IDENTIFIED BY ''password', n, ''''));
    CALL run_text(CONCAT('GRANT SELECT, INSERT ON w_users_routines.* TO w_role', n));
    CALL run_text(CONCAT('GRANT UPDATE (v) ON w_users_routines.t TO w_user', n, '@localhost'));
    IF n % 10 % 3 = 0 THEN
      CALL run_text(CONCAT('CREATE VIEW view', n, ' AS SELECT id, v + ', n, ' AS v FROM t'));
    END IF;
    SET n = n + 1;
  END WHILE;
  CALL run_text(CONCAT('ALTER USER w_user', base, '@localhost ACCOUNT LOCK COMMENT ''locked'''));
  CALL run_text(CONCAT('DROP VIEW view', base));
END//
DELIMITER ;
CREATE ROLE w_role0, w_role1, w_role2, w_role3, w_role4, w_role5, w_role6, w_role7, w_role8, w_role9, w_role10, w_role11, w_role12, w_role13, w_role14, w_role15, w_role16, w_role17, w_role18, w_role19, w_role20, w_role21, w_role22, w_role23, w_role24, w_role25, w_role26, w_role27, w_role28, w_role29, w_role30, w_role31, w_role32, w_role33, w_role34, w_role35, w_role36, w_role37, w_role38, w_role39;
CALL accounts(0);
GRANT w_role0, w_role4, w_role8 TO w_user0@localhost, w_user1@localhost, w_user4@localhost, w_user5@localhost, w_user8@localhost, w_user9@localhost;
DROP USER w_user1@localhost, w_user4@localhost, w_user7@localhost;
DROP ROLE w_role3;
CALL accounts(10);
GRANT w_role10, w_role14, w_role18 TO w_user10@localhost, w_user11@localhost, w_user14@localhost, w_user15@localhost, w_user18@localhost, w_user19@localhost;
DROP USER w_user11@localhost, w_user14@localhost, w_user17@localhost;
DROP ROLE w_role13;
CALL accounts(20);
GRANT w_role20, w_role24, w_role28 TO w_user20@localhost, w_user21@localhost, w_user24@localhost, w_user25@localhost, w_user28@localhost, w_user29@localhost;
DROP USER w_user21@localhost, w_user24@localhost, w_user27@localhost;
DROP ROLE w_role23;
CALL accounts(30);
GRANT w_role30, w_role34, w_role38 TO w_user30@localhost, w_user31@localhost, w_user34@localhost, w_user35@localhost, w_user38@localhost, w_user39@localhost;
DROP USER w_user31@localhost, w_user34@localhost, w_user37@localhost;
DROP ROLE w_role33;
INSERT INTO t (v, w) WITH RECURSIVE seq(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 900) SELECT n, LEFT(SHA2(n, 256), 32) FROM seq;
UPDATE t SET v = v + 1 WHERE id % 2;
ANALYZE TABLE t;
ANALYZE TABLE t UPDATE HISTOGRAM ON v, w WITH 16 BUCKETS;
DROP TRIGGER t_update;
ALTER EVENT w_event RENAME TO w_event_renamed;
ALTER TABLE t COMMENT 'changed', RENAME COLUMN w TO w2;
SET PERSIST max_connections = 160;
RESET PERSIST max_connections;
DROP FUNCTION twice;
CREATE ROLE w_all;
GRANT ALL ON *.* TO w_all;
SET DEFAULT ROLE ALL TO w_user0@localhost;
