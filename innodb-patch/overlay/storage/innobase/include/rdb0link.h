/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file include/rdb0link.h
 What the files of rdb/ share: the connection to the servers, patience, and
 counters. */

#ifndef rdb0link_h
#define rdb0link_h

#include <atomic>
#include <chrono>
#include <string>

#include "redoubt_client.h"
#include "univ.i"

#include "log0types.h"
#include "mtr0types.h"

namespace rdb {

/** Set by connect() and disconnect(), while nothing else looks. */
struct Link {
  redoubt_client *client;
  redoubt_writer *writer;
  /** Null below mode READ. */
  redoubt_reader *reader;
  /** Where the writer's epoch began. */
  redoubt_position position;
};
extern Link link;

/** Takes an epoch; everything older is fenced from here on.
@return REDOUBT_OK, or a code that `error` explains; then nothing is open */
int connect(redoubt_error *error);

/** @return REDOUBT_OK when all redo that was handed over is on a majority */
int disconnect(redoubt_error *error);

/** How long something took: counts, in steps of a quarter of a power of two. */
class Durations {
 public:
  void note(uint64_t us) {
    m_counts[step_of(us)].fetch_add(1, std::memory_order_relaxed);
  }

  /** @return what `percent` of them did not exceed, at most a quarter too much; 0
  if there are none */
  uint64_t percentile(unsigned percent) const;

 private:
  /** Up to 2^40 us. */
  static constexpr size_t STEPS = 160;
  static size_t step_of(uint64_t us);

  std::atomic<uint64_t> m_counts[STEPS] = {};
};

struct Counters {
  std::atomic<uint64_t> quorum_waits{0};
  std::atomic<uint64_t> quorum_wait_us{0};
  std::atomic<uint64_t> quorum_wait_us_max{0};
  std::atomic<uint64_t> catch_up_bytes{0};
  std::atomic<uint64_t> reads_sync{0};
  std::atomic<uint64_t> reads_async{0};
  std::atomic<uint64_t> read_batches{0};
  std::atomic<uint64_t> read_batch_pages{0};
  std::atomic<uint64_t> reads_compared{0};
  std::atomic<uint64_t> reads_different{0};
  std::atomic<uint64_t> read_bytes{0};
  std::atomic<uint64_t> read_wait_us{0};
  Durations read_waits;
  std::atomic<uint64_t> read_fallbacks{0};
  std::atomic<uint64_t> reads_ahead{0};
  std::atomic<uint64_t> read_retries{0};
  std::atomic<uint64_t> reads_beyond_end{0};
  std::atomic<uint64_t> pages_not_written{0};
  std::atomic<uint64_t> page0_writes{0};
  std::atomic<uint64_t> images{0};
  std::atomic<uint64_t> image_bytes{0};
  std::atomic<uint64_t> forbidden_ops{0};
};
extern Counters counters;

/** Reads go to the page servers from now on, or do not any more; the latter waits
for those under way.
@param[in]  unchanged_since  pages that are not in the buffer pool now have no change
                             behind it */
void begin_reads(lsn_t unchanged_since);
void end_reads();

/** Logs a page that the mini-transaction has X-latched, as it is now. */
void log_image(byte *page, mtr_t *mtr);

/** The directory was filled by fill_directory(): its data files hold page 0. */
bool is_hollow_directory();

/** @return false, with a line in the error log, if the directory holds what is not
to be lost */
bool may_fill_directory(lsn_t end_lsn);

/** For modes that keep their files: notes the epoch that was just taken in the
directory.
@return false, with a line in the error log, if the volume went on without this
directory's files */
bool may_keep_files();

/** Puts there what a server starts from, as of `lsn`. */
bool fill_directory(lsn_t lsn);

/** A newer server has the volume. Modes that keep no pages end at once. The others
answer commits with an error for a moment, so that clients learn why, and end then;
redo goes nowhere any more, and flushed_to_disk_lsn runs on without meaning, which
is why each commit asks refuses_commit() after its wait. */
void lose_volume(const char *doing, const redoubt_error &error);

/** lose_volume() was called. */
bool is_fenced();

/** From start to stop a thread calls lose_volume() soon after the writer has failed
for good, also while nothing is written. */
void start_watch();
void stop_watch();

/** Something cannot be done for good: a newer writer has the volume, or the log
servers refuse. Nothing that this server still does may be acknowledged, so it
ends. */
[[noreturn]] void give_up(const char *doing, const redoubt_error &error);

/** One wait for the log servers. While it lasts InnoDB's other threads wait with
latches held, which must not look like a deadlock. */
class Patience {
 public:
  explicit Patience(const char *doing) : m_doing(doing) {}
  ~Patience();
  Patience(const Patience &) = delete;
  Patience &operator=(const Patience &) = delete;

  /** To be called every LOOK_MS with what is in the way: says so, and ends the
  server when innodb_pageserver_wal_timeout_ms have passed. */
  void lasts(const redoubt_error &error);

  uint64_t waited_us() const;

  static constexpr uint32_t LOOK_MS = 5000;

 private:
  const char *m_doing;
  const std::chrono::steady_clock::time_point m_began =
      std::chrono::steady_clock::now();
  bool m_extended = false;
};

}  // namespace rdb

#endif /* rdb0link_h */
