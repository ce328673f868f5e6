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
DELIMITER ;
CREATE USER w_user0@localhost IDENTIFIED BY 'password0',
  w_user1@localhost IDENTIFIED BY 'password1',
  w_user2@localhost IDENTIFIED BY 'password2',
  w_user3@localhost IDENTIFIED BY 'password3',
  w_user4@localhost IDENTIFIED BY 'password4',
  w_user5@localhost IDENTIFIED BY 'password5',
  w_user6@localhost IDENTIFIED BY 'password6',
  w_user7@localhost IDENTIFIED BY 'password7',
  w_user8@localhost IDENTIFIED BY 'password8',
  w_user9@localhost IDENTIFIED BY 'password9';
CREATE ROLE w_role0, w_role1, w_role2, w_role3, w_role4, w_role5, w_role6, w_role7, w_role8, w_role9;
GRANT SELECT, INSERT ON w_users_routines.* TO w_role0, w_role1, w_role2, w_role3, w_role4, w_role5, w_role6, w_role7, w_role8, w_role9;
GRANT UPDATE (v) ON w_users_routines.t TO w_user0@localhost, w_user1@localhost, w_user2@localhost, w_user3@localhost, w_user4@localhost, w_user5@localhost, w_user6@localhost, w_user7@localhost, w_user8@localhost, w_user9@localhost;
GRANT w_role0 TO w_user0@localhost, w_user1@localhost;
GRANT w_role2 TO w_user2@localhost, w_user3@localhost;
GRANT w_role4 TO w_user4@localhost, w_user5@localhost;
GRANT w_role6 TO w_user6@localhost, w_user7@localhost;
GRANT w_role8 TO w_user8@localhost, w_user9@localhost;
CREATE VIEW view0 AS SELECT id, v + 0 AS v FROM t;
CREATE VIEW view3 AS SELECT id, v + 3 AS v FROM t;
CREATE VIEW view6 AS SELECT id, v + 6 AS v FROM t;
CREATE VIEW view9 AS SELECT id, v + 9 AS v FROM t;
ALTER USER w_user0@localhost ACCOUNT LOCK COMMENT 'locked';
DROP USER w_user1@localhost, w_user4@localhost, w_user7@localhost;
DROP VIEW view0;
DROP ROLE w_role3;
CREATE USER w_user10@localhost IDENTIFIED BY 'password10',
  w_user11@localhost IDENTIFIED BY 'password11',
  w_user12@localhost IDENTIFIED BY 'password12',
  w_user13@localhost IDENTIFIED BY 'password13',
  w_user14@localhost IDENTIFIED BY 'password14',
  w_user15@localhost IDENTIFIED BY 'password15',
  w_user16@localhost IDENTIFIED BY 'password16',
  w_user17@localhost IDENTIFIED BY 'password17',
  w_user18@localhost IDENTIFIED BY 'password18',
  w_user19@localhost IDENTIFIED BY 'password19';
CREATE ROLE w_role10, w_role11, w_role12, w_role13, w_role14, w_role15, w_role16, w_role17, w_role18, w_role19;
GRANT SELECT, INSERT ON w_users_routines.* TO w_role10, w_role11, w_role12, w_role13, w_role14, w_role15, w_role16, w_role17, w_role18, w_role19;
GRANT UPDATE (v) ON w_users_routines.t TO w_user10@localhost, w_user11@localhost, w_user12@localhost, w_user13@localhost, w_user14@localhost, w_user15@localhost, w_user16@localhost, w_user17@localhost, w_user18@localhost, w_user19@localhost;
GRANT w_role10 TO w_user10@localhost, w_user11@localhost;
GRANT w_role12 TO w_user12@localhost, w_user13@localhost;
GRANT w_role14 TO w_user14@localhost, w_user15@localhost;
GRANT w_role16 TO w_user16@localhost, w_user17@localhost;
GRANT w_role18 TO w_user18@localhost, w_user19@localhost;
CREATE VIEW view10 AS SELECT id, v + 10 AS v FROM t;
CREATE VIEW view13 AS SELECT id, v + 13 AS v FROM t;
CREATE VIEW view16 AS SELECT id, v + 16 AS v FROM t;
CREATE VIEW view19 AS SELECT id, v + 19 AS v FROM t;
ALTER USER w_user10@localhost ACCOUNT LOCK COMMENT 'locked';
DROP USER w_user11@localhost, w_user14@localhost, w_user17@localhost;
DROP VIEW view10;
DROP ROLE w_role13;
CREATE USER w_user20@localhost IDENTIFIED BY 'password20',
  w_user21@localhost IDENTIFIED BY 'password21',
  w_user22@localhost IDENTIFIED BY 'password22',
  w_user23@localhost IDENTIFIED BY 'password23',
  w_user24@localhost IDENTIFIED BY 'password24',
  w_user25@localhost IDENTIFIED BY 'password25',
  w_user26@localhost IDENTIFIED BY 'password26',
  w_user27@localhost IDENTIFIED BY 'password27',
  w_user28@localhost IDENTIFIED BY 'password28',
  w_user29@localhost IDENTIFIED BY 'password29';
CREATE ROLE w_role20, w_role21, w_role22, w_role23, w_role24, w_role25, w_role26, w_role27, w_role28, w_role29;
GRANT SELECT, INSERT ON w_users_routines.* TO w_role20, w_role21, w_role22, w_role23, w_role24, w_role25, w_role26, w_role27, w_role28, w_role29;
GRANT UPDATE (v) ON w_users_routines.t TO w_user20@localhost, w_user21@localhost, w_user22@localhost, w_user23@localhost, w_user24@localhost, w_user25@localhost, w_user26@localhost, w_user27@localhost, w_user28@localhost, w_user29@localhost;
GRANT w_role20 TO w_user20@localhost, w_user21@localhost;
GRANT w_role22 TO w_user22@localhost, w_user23@localhost;
GRANT w_role24 TO w_user24@localhost, w_user25@localhost;
GRANT w_role26 TO w_user26@localhost, w_user27@localhost;
GRANT w_role28 TO w_user28@localhost, w_user29@localhost;
CREATE VIEW view20 AS SELECT id, v + 20 AS v FROM t;
CREATE VIEW view23 AS SELECT id, v + 23 AS v FROM t;
CREATE VIEW view26 AS SELECT id, v + 26 AS v FROM t;
CREATE VIEW view29 AS SELECT id, v + 29 AS v FROM t;
ALTER USER w_user20@localhost ACCOUNT LOCK COMMENT 'locked';
DROP USER w_user21@localhost, w_user24@localhost, w_user27@localhost;
DROP VIEW view20;
DROP ROLE w_role23;
CREATE USER w_user30@localhost IDENTIFIED BY 'password30',
  w_user31@localhost IDENTIFIED BY 'password31',
  w_user32@localhost IDENTIFIED BY 'password32',
  w_user33@localhost IDENTIFIED BY 'password33',
  w_user34@localhost IDENTIFIED BY 'password34',
  w_user35@localhost IDENTIFIED BY 'password35',
  w_user36@localhost IDENTIFIED BY 'password36',
  w_user37@localhost IDENTIFIED BY 'password37',
  w_user38@localhost IDENTIFIED BY 'password38',
  w_user39@localhost IDENTIFIED BY 'password39';
CREATE ROLE w_role30, w_role31, w_role32, w_role33, w_role34, w_role35, w_role36, w_role37, w_role38, w_role39;
GRANT SELECT, INSERT ON w_users_routines.* TO w_role30, w_role31, w_role32, w_role33, w_role34, w_role35, w_role36, w_role37, w_role38, w_role39;
GRANT UPDATE (v) ON w_users_routines.t TO w_user30@localhost, w_user31@localhost, w_user32@localhost, w_user33@localhost, w_user34@localhost, w_user35@localhost, w_user36@localhost, w_user37@localhost, w_user38@localhost, w_user39@localhost;
GRANT w_role30 TO w_user30@localhost, w_user31@localhost;
GRANT w_role32 TO w_user32@localhost, w_user33@localhost;
GRANT w_role34 TO w_user34@localhost, w_user35@localhost;
GRANT w_role36 TO w_user36@localhost, w_user37@localhost;
GRANT w_role38 TO w_user38@localhost, w_user39@localhost;
CREATE VIEW view30 AS SELECT id, v + 30 AS v FROM t;
CREATE VIEW view33 AS SELECT id, v + 33 AS v FROM t;
CREATE VIEW view36 AS SELECT id, v + 36 AS v FROM t;
CREATE VIEW view39 AS SELECT id, v + 39 AS v FROM t;
ALTER USER w_user30@localhost ACCOUNT LOCK COMMENT 'locked';
DROP USER w_user31@localhost, w_user34@localhost, w_user37@localhost;
DROP VIEW view30;
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
