-- Changes the tables while their indexes are built; see index_builds.sql.
USE w_index_builds;
CALL dml(3000);
