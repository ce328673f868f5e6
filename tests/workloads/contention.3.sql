-- One of the sessions of contention.sql.
USE w_contention;
SET SESSION innodb_lock_wait_timeout = 2;
CALL work(3, 1200);
