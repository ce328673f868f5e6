/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file include/rdb0off.h
 What rdb0ps.h declares, for a server that is built without WITH_INNODB_PAGESERVER:
 nothing happens, and the compiler sees it. */

#ifndef rdb0off_h
#define rdb0off_h

#define RDB_STATUS_VARIABLES
#define RDB_UPDATE(type) nullptr

namespace rdb {

inline bool streams_redo() { return false; }
inline bool keeps_pages() { return false; }

inline bool check_settings() { return true; }
inline bool boot() { return true; }
inline lsn_t boot_lsn(lsn_t in_files) { return in_files; }
inline void feed_metadata() {}
inline bool needs_log_checksums() { return false; }

inline void wal_start(log_t &) {}
inline void wal_stop(log_t &) {}
inline void wal_append(lsn_t, lsn_t, const byte *) {}
inline lsn_t wal_wait(lsn_t, lsn_t up_to, bool) { return up_to; }

inline Read read(const File_read &, bool) { return Read::LOCAL; }
inline void send_reads() {}
inline bool reads_at_once(space_id_t) { return false; }
inline bool drops(const buf_page_t *) { return false; }

inline bool refuses_commit() { return false; }
inline bool forbids(const char *) { return false; }
inline bool forbids_local(const char *) { return false; }
inline bool forbids_tablespace(bool, uint64_t, const char *) { return false; }
inline void expect_temporary(const buf_page_t *) {}

inline bool wants_images(const mtr_buf_t &, const Flush_observer *) { return false; }
inline void log_images(const mtr_buf_t &, mtr_t *) {}
inline void log_imported(space_id_t) {}
inline void log_created(space_id_t) {}
inline void open_dropped(space_id_t) {}
inline dberr_t export_pages(space_id_t, trx_t *) { return DB_SUCCESS; }

}  // namespace rdb

#endif /* rdb0off_h */
