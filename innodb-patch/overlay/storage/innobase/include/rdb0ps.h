/* Copyright (c) 2026, the Redoubt authors.
SPDX-License-Identifier: GPL-2.0-only

This program is free software; you can redistribute it and/or modify it under
the terms of the GNU General Public License, version 2.0, as published by the
Free Software Foundation.

This program is distributed in the hope that it will be useful, but WITHOUT ANY
WARRANTY; without even the implied warranty of MERCHANTABILITY or FITNESS FOR A
PARTICULAR PURPOSE. See the GNU General Public License, version 2.0, for more
details. */

/** @file include/rdb0ps.h
 Redo in Redoubt's log servers: what the rest of InnoDB sees of it.

 One mode is chosen at start. The predicates are false in mode OFF, read one
 plain variable that never changes after start, and may be called by any
 thread. */

#ifndef rdb0ps_h
#define rdb0ps_h

#include "univ.i"

#include "buf0types.h"
#include "dyn0buf.h"
#include "log0types.h"
#include "os0file.h"
#include "trx0types.h"

class THD;
class buf_page_t;
struct mtr_t;
struct trx_t;
struct SHOW_VAR;
struct SYS_VAR;

namespace rdb {

/** A read of the buffer pool that has passed all checks of the file layer. Until it
is complete the file is pinned. */
struct File_read {
  page_id_t page_id;
  void *buf;
  /** Size of the page. */
  ulint len;
  fil_node_t *file;
  os_offset_t offset;
  IORequest type;
  buf_page_t *bpage;
};

enum class Read {
  /** To be read from the local file; with keeps_pages() only if is_local(). */
  LOCAL,
  /** The page is in the buffer. */
  DONE,
  /** complete() will be called by another thread. */
  UNDER_WAY
};

}  // namespace rdb

#ifndef WITH_INNODB_PAGESERVER
#include "rdb0off.h"
#else

/** In SHOW STATUS. */
#define RDB_STATUS_VARIABLES                                   \
  {"Innodb_pageserver", (char *)&rdb::show_status, SHOW_FUNC, \
   SHOW_SCOPE_GLOBAL},
/** The update function of a variable that some modes set. */
#define RDB_UPDATE(type) rdb::update_##type

namespace rdb {

/** innodb_pageserver_mode. */
enum Mode : ulong {
  /** Nothing. */
  OFF,
  /** Redo goes to the log servers as well as to the local files. */
  STREAM,
  /** Pages come from the page servers; they are still written to local files,
  which are read when the page servers do not answer. */
  READ,
  /** As READ, and no page but page 0 of each tablespace is written to local files:
  what a clean page was is in the page servers, and nowhere else. */
  NOWRITE,
  /** As NOWRITE in an empty directory; local redo is not written. */
  STATELESS
};

/** What innodb_pageserver_mode says; not yet looked at. */
extern ulong mode_setting;

/** The other variables innodb_pageserver_*. */
struct Settings {
  char *log_servers;
  char *page_servers;
  char *volume;
  bool wal_sync;
  ulong wal_buffer_size;
  ulong wal_timeout_ms;
  ulong read_timeout_ms;
  bool read_compare;
  ulong read_threads;
  ulong prefetch_batch;
};
extern Settings settings;

/** The mode that is in force; set once, by check_settings(). */
extern Mode mode;

inline bool streams_redo() { return mode >= STREAM; }

inline bool reads_pages() { return mode >= READ; }
inline bool keeps_pages() { return mode >= NOWRITE; }

/** @name Start and stop */
/** @{ */

/** Looks at all settings before InnoDB starts: forces those that a mode cannot
live with, says so, and puts the mode in force.
@return false if the server must not start; the error log names the variable */
bool check_settings();

/** First thing when data files are opened: connects and takes an epoch, so that
no other server can go on writing the volume. With keeps_pages() then fills the
directory: for each tablespace a sparse file with page 0, and no redo.
@return false if the server must not start */
bool boot();

/** With keeps_pages(): where the new local redo begins, and as of when the
directory was filled; never inside an mtr. */
lsn_t boot_lsn();

/** The same; what was found in the data files, in other modes. */
inline lsn_t boot_lsn(lsn_t in_files) {
  return keeps_pages() ? boot_lsn() : in_files;
}

/** With keeps_pages() hands recovery what is in no page: AUTO_INCREMENT counters and
corruption flags, as if they had been found in the redo log. From here on the start
is one after a crash for InnoDB, too: no file is taken for a tablespace's because the
dictionary says so. */
void feed_metadata();

/** An innodb_* variable that the mode has put to what it needs is SET: with
keeps_pages() it stays, with a warning. Update functions of the variables' types. */
void update_ulong(THD *thd, SYS_VAR *var, void *to, const void *from);
void update_bool(THD *thd, SYS_VAR *var, void *to, const void *from);

/** innodb_log_checksums is SET.
@return true after a warning: the log servers check what they are sent */
bool needs_log_checksums();

/** SHOW STATUS LIKE 'Innodb_pageserver%'. */
int show_status(THD *thd, SHOW_VAR *var, char *buffer);
/** @} */

/** @name Redo */
/** @{ */

/** Sends what the log servers lack of the local log, and makes ready to send what
is written from now on. Called before the log threads start, in every mode. */
void wal_start(log_t &log);

/** Waits for everything that was sent and disconnects. Called after the log
threads have ended, in every mode. */
void wal_stop(log_t &log);

/** Hands over [from, to), which was written to the local log. Copies; blocks while
too much of what was handed over is not acknowledged. One caller at a time (the
owner of the writer mutex).
@param[in]  from    end of what was handed over before
@param[in]  to      end of what is handed over now, in blocks or a part of one
@param[in]  blocks  log blocks from the one that holds `from` on, headers and
                    checksums in place */
void wal_append_blocks(lsn_t from, lsn_t to, const byte *blocks);

inline void wal_append(lsn_t from, lsn_t to, const byte *blocks) {
  if (streams_redo()) {
    wal_append_blocks(from, to, blocks);
  }
}

/** Waits until more than `flushed` is on a majority of the log servers; does not
wait with innodb_pageserver_wal_sync=OFF.
@param[in]  flushed  as far as it is known to be there
@param[in]  up_to    end of what was handed over
@param[in]  all      wait for all of it
@return an LSN above `flushed`, at most `up_to`, at which a wal_append ended */
lsn_t wal_wait_majority(lsn_t flushed, lsn_t up_to, bool all);

inline lsn_t wal_wait(lsn_t flushed, lsn_t up_to, bool all) {
  return streams_redo() ? wal_wait_majority(flushed, up_to, all) : up_to;
}
/** @} */

/** @name Pages */
/** @{ */

/** Pages of this tablespace are to be had from the page servers now. Not before
the log threads have started: recovery reads local files. */
bool reads_from_server(space_id_t space);

/** Reads a page as of everything that is flushed.
@param[in]  file_read  what is to be read
@param[in]  sync       the caller waits; otherwise never DONE */
Read read_page(const File_read &file_read, bool sync);

/** Of any I/O of the file layer: read_page() if it is a read of the buffer pool that
page servers can answer. Other readers look at the file itself. */
inline Read read(const File_read &file_read, bool sync) {
  return reads_pages() && file_read.type.is_read() && file_read.bpage != nullptr &&
                 reads_from_server(file_read.page_id.space())
             ? read_page(file_read, sync)
             : Read::LOCAL;
}

/** Asynchronous reads that were begun with DO_NOT_WAKE leave now, if they have not
yet. */
void send_queued_reads();

inline void send_reads() {
  if (reads_pages()) {
    send_queued_reads();
  }
}

/** Whoever wants to read a page of this tablespace asynchronously must wait for it: of
the system tablespace, since what completes a read may need the change buffer's pages. */
inline bool reads_at_once(space_id_t space) {
  return space == TRX_SYS_SPACE && reads_pages() && reads_from_server(space);
}
/** @} */

/** @name Of the file layer, in rdb0fil.inc */
/** @{ */

/** Reads the page from the local file into `buf`. */
void read_file(const File_read &file_read, void *buf);

/** An asynchronous read is done: unpins the file, completes the buffer pool's page. */
void complete(const File_read &file_read);
/** @} */

/** @name Pages that change */
/** @{ */

/** A dirty page is to be written, and the log is flushed up to its newest change;
the caller holds its I/O responsibility. Notes up to where the page has changed.
@return true: it counts as written, the page servers have it */
bool notes_and_drops(const buf_page_t *bpage);

inline bool drops(const buf_page_t *bpage) {
  return reads_pages() && notes_and_drops(bpage);
}
/** @} */

/** @name Another server has the volume */
/** @{ */

/** With keeps_pages(): a newer server has taken the volume over, and nothing that
waited for the log to be flushed is durable; this server ends in a moment. To be
asked after such a wait, before the client is told that it is done.
@return true after sending the client an error */
bool refuses_commit();
/** @} */

/** @name What would go past the redo */
/** @{ */

/** Of an operation whose pages are not in the redo log.
@return true in modes that cannot allow it, after sending the client an error
that names `what` */
bool forbids(const char *what);

/** The same, of an operation that needs the pages in local files. */
inline bool forbids_local(const char *what) {
  return keeps_pages() && forbids(what);
}

/** Tablespaces that a server without files of its own would not find again.
@param[in]  undo        CREATE UNDO TABLESPACE, in innodb_undo_directory
@param[in]  block_size  FILE_BLOCK_SIZE, 0: none was given
@param[in]  path        of the file
@return true after sending the client an error */
bool forbids_tablespace(bool undo, uint64_t block_size, const char *path);

/** A page was changed without redo. With keeps_pages() ends the server unless it is
one of temporary tables or is_local(): any other change would be lost with the page. */
void expect_temporary(const buf_page_t *bpage);

/** @} */

/** @name What is built without redo */
/** @{ */

/** Of a mini-transaction in mode MTR_LOG_NO_REDO that commits: it fills pages of a sorted
index build, and log_images() is to be called.
@param[in]  memo      what the mini-transaction has latched
@param[in]  observer  of the build, or nullptr */
bool wants_images(const mtr_buf_t &memo, const Flush_observer *observer);

/** Logs each page that the mini-transaction has latched, as it is now. Its mode is
MTR_LOG_ALL, and it has logged nothing yet. */
void log_images(const mtr_buf_t &memo, mtr_t *mtr);

/** The page belongs to a tablespace that is being imported: it is read from and written
to its file, and changes without redo, until log_imported(). */
bool is_local(const buf_page_t *bpage);

/** An undo tablespace is about to get its first pages: logs its creation, as other
tablespaces' creation is logged; of undo tablespaces page servers would not know the file. */
void log_created(space_id_t space);

/** The start is about to delete a tablespace that a DDL statement left behind: opens it
first, since InnoDB deletes one that is not open as a file only, which no redo says. */
void open_dropped(space_id_t space);

/** A tablespace was imported into its file: logs its creation and all its pages. The
caller holds no latch. */
void log_imported(space_id_t space);

/** FLUSH TABLES ... FOR EXPORT: with keeps_pages() puts all pages of the tablespace into
its file. Nobody changes the tablespace meanwhile. */
dberr_t export_pages(space_id_t space, trx_t *trx);
/** @} */

}  // namespace rdb

#endif /* WITH_INNODB_PAGESERVER */

#endif /* rdb0ps_h */
