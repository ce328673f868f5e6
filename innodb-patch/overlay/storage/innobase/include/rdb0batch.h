/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file include/rdb0batch.h
 Reads that wait at the same time leave together. */

#ifndef rdb0batch_h
#define rdb0batch_h

#include <condition_variable>
#include <memory>

#include "rdb0ps.h"
#include "redoubt_client.h"

namespace rdb {

/** Those that leave together. */
struct Read_batch;

/** One page that is asked for. */
struct Page_read {
  Page_read(const page_id_t &page_id, void *buf, lsn_t not_modified_since);

  lsn_t not_modified_since;
  /** Set for an asynchronous read; otherwise a thread waits for `done`. */
  std::unique_ptr<File_read> file_read;
  bool done = false;
  std::condition_variable finished;
  /** Answer: code, message. */
  redoubt_page_read raw{};
  std::shared_ptr<Read_batch> batch;
};

/** Starts the threads: one that takes answers in and hands them on, and
innodb_pageserver_read_threads that complete asynchronous reads. Does nothing when
they run. */
void start_read_threads();

/** Nothing may be asked for any more, and nothing be under way. */
void stop_read_threads();

/** Asks for a page and waits for the answer, at most read_timeout_ms.
@return code, which read.raw.message explains */
int read_and_wait(Page_read &read);

/** Asks for a page; `file_read` is set. finish() is called when there is an answer.
@param[in]  read  the page
@param[in]  wait  more will come, send_reads() behind the last */
void read_later(std::unique_ptr<Page_read> read, bool wait);

/** Called by a thread that may do everything in InnoDB; in rdb0read.cc. */
void finish(std::unique_ptr<Page_read> read);

}  // namespace rdb

#endif /* rdb0batch_h */
