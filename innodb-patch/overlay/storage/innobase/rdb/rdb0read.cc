/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0read.cc
 Pages from the page servers.

 A page leaves the buffer pool only when its newest change is flushed, and flushed
 means that a majority has it. So a page as of the commit LSN, the end of the last
 whole mtr that a majority has, is never older than the one that left. Where nobody
 waits for majorities, a page that is newer is read from the local file, which has it.

 That LSN is also remembered for each page when it turns clean, and a read says that
 the page has not changed since: a page server that has applied so far need not
 apply the rest first. */

#include <string.h>
#include <chrono>
#include <thread>

#include "buf0buf.h"
#include "fsp0fsp.h"
#include "rdb0batch.h"
#include "rdb0link.h"
#include "rdb0ps.h"
#include "srv0srv.h"
#include "ut0log.h"

namespace rdb {

using Clock = std::chrono::steady_clock;

/** After page servers did not answer, local files are read for so long. */
static constexpr auto LOCAL_FOR = std::chrono::seconds(5);
static constexpr auto WARN_EVERY = std::chrono::minutes(1);

static std::atomic<bool> reading{false};
static std::atomic<int> under_way{0};
static std::atomic<Clock::rep> local_until{0};
static std::atomic<Clock::rep> warned_at{0};

static Clock::rep now() { return Clock::now().time_since_epoch().count(); }

/** Pages that are not in the buffer pool when reading begins have no change behind
it. */
static std::atomic<lsn_t> unchanged_since{0};

void begin_reads(lsn_t lsn) {
  if (link.reader == nullptr) {
    return;
  }
  unchanged_since.store(lsn);
  start_read_threads();
  reading.store(true);
}

void end_reads() {
  reading.store(false);
  while (under_way.load() != 0) {
    send_queued_reads();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop_read_threads();
}

/** While a page is waited for other threads wait with latches held, which must not
look like a deadlock. */
class ReadPatience {
 public:
  ReadPatience() = default;
  ~ReadPatience() {
    if (m_extended) {
      srv_fatal_semaphore_wait_extend.fetch_sub(1);
    }
  }
  ReadPatience(const ReadPatience &) = delete;
  ReadPatience &operator=(const ReadPatience &) = delete;

  /** After each read that failed. */
  void lasts(const page_id_t &page_id, const redoubt_error &error) {
    if (!m_extended) {
      srv_fatal_semaphore_wait_extend.fetch_add(1);
      m_extended = true;
    }
    if (Clock::now() - m_said > SAY_EVERY) {
      ib::warn(ER_IB_MSG_540)
          << "Page " << page_id
          << " cannot be read from Redoubt's page servers, trying again: "
          << error.message;
      m_said = Clock::now();
    }
    if (error.code != REDOUBT_DEADLINE_EXCEEDED) {
      std::this_thread::sleep_for(PAUSE);
    }
  }

 private:
  static constexpr auto SAY_EVERY = std::chrono::seconds(5);
  static constexpr auto PAUSE = std::chrono::milliseconds(200);
  Clock::time_point m_said{};
  bool m_extended = false;
};

bool reads_from_server(space_id_t space) {
  return reading.load() && !fsp_is_system_temporary(space);
}

static void note_failure(const page_id_t &page_id, int code, const char *why) {
  ++counters.read_fallbacks;
  if (code == REDOUBT_UNAVAILABLE || code == REDOUBT_DEADLINE_EXCEEDED) {
    local_until.store(now() + Clock::duration(LOCAL_FOR).count());
  }
  Clock::rep last = warned_at.load();
  if ((last == 0 || now() - last > Clock::duration(WARN_EVERY).count()) &&
      warned_at.compare_exchange_strong(last, now())) {
    ib::warn(ER_IB_MSG_540) << "Page " << page_id
                            << " is read from the local file, as "
                            << counters.read_fallbacks.load()
                            << " pages were so far: " << redoubt_code_name(code)
                            << ": " << why;
  }
}

static uint64_t us_since(Clock::time_point began) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began)
          .count());
}

/* ---- up to where pages have changed */

/** Up to where pages have changed that left the buffer pool; one for all pages that
share a slot. One that is too high makes a read wait for more than it needs. */
static constexpr size_t SLOTS = 1 << 16;
static std::atomic<lsn_t> last_changed[SLOTS];

static std::atomic<lsn_t> &slot_of(const page_id_t &page_id) {
  return last_changed[page_id.hash() % SLOTS];
}

static lsn_t changed_at(const page_id_t &page_id) {
  return std::max(unchanged_since.load(), slot_of(page_id).load());
}

bool notes_and_drops(const buf_page_t *bpage) {
  if (fsp_is_system_temporary(bpage->id.space())) {
    return false;
  }
  while (keeps_pages() && is_fenced()) {
    /* Its log is not flushed at all. The server ends in a moment. */
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::atomic<lsn_t> &slot = slot_of(bpage->id);
  const lsn_t newest = bpage->get_newest_lsn();
  lsn_t known = slot.load();
  while (newest > known && !slot.compare_exchange_weak(known, newest)) {
  }
  if (!keeps_pages() || is_local(bpage)) {
    return false;
  }
  const bool dropped = bpage->id.page_no() != 0;
  ++(dropped ? counters.pages_not_written : counters.page0_writes);
  return dropped;
}

/* ---- one page, now */

static int read_once(const page_id_t &page_id, void *buf, ulint len,
                     redoubt_error *error) {
  const auto began = Clock::now();
  Page_read page(page_id, buf, changed_at(page_id));
  const int code = read_and_wait(page);
  if (code == REDOUBT_OK) {
    ++counters.reads_sync;
    counters.read_bytes += len;
  } else {
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s", page.raw.message);
  }
  const uint64_t us = us_since(began);
  counters.read_wait_us += us;
  counters.read_waits.note(us);
  return code;
}

/* ---- pages that are nowhere else */

/** Reads until it is there: InnoDB has no answer to a page that cannot be read. */
static void read_patiently(const page_id_t &page_id, void *buf, ulint len) {
  redoubt_error error{};
  ReadPatience patience;
  while (true) {
    const int code = read_once(page_id, buf, len, &error);
    if (code == REDOUBT_OK) {
      return;
    }
    if (code == REDOUBT_NOT_FOUND) {
      /* Allocated in the local file and in no redo yet: reading ahead, mostly. */
      ++counters.reads_beyond_end;
      memset(buf, 0, len);
      return;
    }
    ++counters.read_retries;
    patience.lasts(page_id, error);
  }
}

/* ---- pages that are in local files as well */

/** Parts of a page that are stamped when it is written, and not told by redo. */
static bool is_stamp(const page_id_t &page_id, ulint at, ulint len) {
  return at < FIL_PAGE_OFFSET || at >= len - FIL_PAGE_END_LSN_OLD_CHKSUM ||
         (at >= FIL_PAGE_LSN && at < FIL_PAGE_TYPE) ||
         (page_id == page_id_t(TRX_SYS_SPACE, 0) && at >= FIL_PAGE_FILE_FLUSH_LSN &&
          at < FIL_PAGE_ARCH_LOG_NO_OR_SPACE_ID);
}

/** innodb_pageserver_read_compare. */
static void compare(const File_read &file_read) {
  const ulint len = file_read.len;
  const auto local =
      ut::make_unique_aligned<byte[]>(OS_FILE_LOG_BLOCK_SIZE, len);
  read_file(file_read, local.get());
  const byte *ours = static_cast<const byte *>(file_read.buf);
  ulint at = 0;
  while (at < len && (ours[at] == local[at] || is_stamp(file_read.page_id, at, len))) {
    ++at;
  }
  ++counters.reads_compared;
  if (at < len) {
    ++counters.reads_different;
    ib::error(ER_IB_MSG_540)
        << "Page " << file_read.page_id
        << " of the page servers is another one than in the local file from byte "
        << at << " on; page LSN " << mach_read_from_8(ours + FIL_PAGE_LSN)
        << " there, " << mach_read_from_8(local.get() + FIL_PAGE_LSN) << " here";
  }
}

/** No majority is known to have the newest change of the page. With
innodb_pageserver_wal_sync=OFF somebody else may take over without it, and what page
servers have as of that LSN is then another server's page. */
static bool is_ahead(const page_id_t &page_id) {
  redoubt_writer_status status{};
  redoubt_writer_get_status(link.writer, &status);
  return changed_at(page_id) > status.commit_lsn;
}

static bool must_stay_local(const page_id_t &page_id) {
  if (is_ahead(page_id)) {
    ++counters.reads_ahead;
    return true;
  }
  if (now() < local_until.load()) {
    ++counters.read_fallbacks;
    return true;
  }
  return false;
}

static bool read_or_fall_back(const File_read &file_read) {
  redoubt_error error{};
  const int code =
      read_once(file_read.page_id, file_read.buf, file_read.len, &error);
  if (code != REDOUBT_OK) {
    note_failure(file_read.page_id, code, error.message);
    return false;
  }
  if (settings.read_compare) {
    compare(file_read);
  }
  return true;
}

/* ---- reads of the buffer pool */

static bool read_now(const File_read &file_read) {
  if (keeps_pages()) {
    read_patiently(file_read.page_id, file_read.buf, file_read.len);
    return true;
  }
  return !must_stay_local(file_read.page_id) && read_or_fall_back(file_read);
}

static bool begin_later(const File_read &file_read) {
  const page_id_t &page_id = file_read.page_id;
  if (!keeps_pages() && must_stay_local(page_id)) {
    return false;
  }
  auto page =
      std::make_unique<Page_read>(page_id, file_read.buf, changed_at(page_id));
  page->file_read = std::make_unique<File_read>(file_read);
  ++under_way;
  read_later(std::move(page), !file_read.type.is_wake());
  return true;
}

Read read_page(const File_read &file_read, bool sync) {
  ++under_way;
  Read result = Read::LOCAL;
  if (!reading.load() || file_read.len != link.position.page_size ||
      is_local(file_read.bpage)) {
    /* Nothing to count: this is no page of a page server. */
  } else if (sync) {
    result = read_now(file_read) ? Read::DONE : Read::LOCAL;
  } else {
    result = begin_later(file_read) ? Read::UNDER_WAY : Read::LOCAL;
  }
  --under_way;
  return result;
}

void finish(std::unique_ptr<Page_read> page) {
  const File_read &file_read = *page->file_read;
  if (page->raw.code == REDOUBT_OK) {
    ++counters.reads_async;
    counters.read_bytes += file_read.len;
    if (settings.read_compare && !keeps_pages()) {
      compare(file_read);
    }
  } else if (keeps_pages()) {
    read_patiently(file_read.page_id, file_read.buf, file_read.len);
  } else {
    note_failure(file_read.page_id, page->raw.code, page->raw.message);
    read_file(file_read, file_read.buf);
  }
  complete(file_read);
  --under_way;
}

}  // namespace rdb
