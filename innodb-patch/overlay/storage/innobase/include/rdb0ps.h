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
#include "log0types.h"

class THD;
struct SHOW_VAR;

namespace rdb {

/** innodb_pageserver_mode. */
enum Mode : ulong {
  /** Nothing. */
  OFF,
  /** Redo goes to the log servers as well as to the local files. */
  STREAM,
  /** Pages come from the page servers; they are still written to local files,
  which are read when the page servers do not answer. */
  READ
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
};
extern Settings settings;

/** The mode that is in force; set once, by check_settings(). */
extern Mode mode;

inline bool streams_redo() { return mode >= STREAM; }

/** @name Start and stop */
/** @{ */

/** Looks at all settings before InnoDB starts: forces those that a mode cannot
live with, says so, and puts the mode in force.
@return false if the server must not start; the error log names the variable */
bool check_settings();

/** First thing when data files are opened: connects and takes an epoch, so that
no other server can go on writing the volume.
@return false if the server must not start */
bool boot();

/** SHOW STATUS LIKE 'Innodb_pageserver%'. */
int show_status(THD *thd, SHOW_VAR *var, char *buffer);
/** @} */

/** @name Redo */
/** @{ */

/** Sends what the log servers lack of the local log, and makes ready to send what
is written from now on. Called before the log threads start. */
void wal_start(log_t &log);

/** Waits for everything that was sent and disconnects. Called after the log
threads have ended. */
void wal_stop(log_t &log);

/** Hands over [from, to), which was written to the local log. Copies; blocks while
too much of what was handed over is not acknowledged. One caller at a time (the
owner of the writer mutex).
@param[in]  from    end of what was handed over before
@param[in]  to      end of what is handed over now, in blocks or a part of one
@param[in]  blocks  log blocks from the one that holds `from` on, headers and
                    checksums in place */
void wal_append(lsn_t from, lsn_t to, const byte *blocks);

/** Waits until more than `flushed` is on a majority of the log servers; does not
wait with innodb_pageserver_wal_sync=OFF.
@param[in]  flushed  as far as it is known to be there
@param[in]  up_to    end of what was handed over
@param[in]  all      wait for all of it
@return an LSN above `flushed`, at most `up_to`, at which a wal_append ended */
lsn_t wal_wait(lsn_t flushed, lsn_t up_to, bool all);
/** @} */

/** @name Pages */
/** @{ */

/** Pages of this tablespace are to be had from the page servers now. Not before
the log threads have started: recovery reads local files. */
bool reads_from_server(space_id_t space);

/** Reads a page as of everything that is flushed.
@param[in]   page_id  the page
@param[out]  buf      len bytes
@param[in]   len      size of the page
@return false: to be read from the local file */
bool read(const page_id_t &page_id, void *buf, ulint len);
/** @} */

/** @name What would go past the redo */
/** @{ */

/** Of an operation whose pages are not in the redo log.
@return true in modes that cannot allow it, after sending the client an error
that names `what` */
bool forbids(const char *what);

inline bool forbids_unlogged_builds() { return streams_redo(); }

/** Why an index is not built in place. */
extern const char *const UNLOGGED_BUILD;
/** @} */

}  // namespace rdb

#endif /* rdb0ps_h */
