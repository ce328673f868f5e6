/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0read.cc
 Pages from the page servers.

 A page leaves the buffer pool only when its newest change is flushed, and flushed
 means that a majority has it. So a page as of the commit LSN, the end of the last
 whole mtr that a majority has, is never older than the one that left.

 In modes whose pages are nowhere else that LSN is remembered when the page turns
 clean, and a read says that the page has not changed since: a page server that has
 applied so far need not apply the rest first. */

#include <string.h>
#include <chrono>
#include <thread>

#include "buf0buf.h"
#include "fsp0fsp.h"
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

void begin_reads() { reading.store(link.reader != nullptr); }

void end_reads() {
  reading.store(false);
  while (under_way.load() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
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

/** As of everything that is acknowledged.
@param[in]  not_modified_since  the page has no change behind it; 0: not known */
static int read_once(const page_id_t &page_id, void *buf, ulint len,
                     lsn_t not_modified_since, redoubt_error *error) {
  redoubt_writer_status status{};
  redoubt_writer_get_status(link.writer, &status);
  redoubt_page_read page{};
  page.space = page_id.space();
  page.page_no = page_id.page_no();
  page.buffer = buf;
  const auto began = Clock::now();
  const int code = redoubt_reader_read(
      link.reader, &page, 1, std::max(status.commit_lsn, not_modified_since),
      not_modified_since, static_cast<uint32_t>(settings.read_timeout_ms), error);
  if (code == REDOUBT_OK) {
    ++counters.reads;
    counters.read_bytes += len;
  }
  counters.read_wait_us += us_since(began);
  return code;
}

/* ---- pages that are nowhere else */

/** Up to where pages have changed that left the buffer pool; one for all pages that
share a slot. One that is too high makes a read wait for more than it needs. */
static constexpr size_t SLOTS = 1 << 16;
static std::atomic<lsn_t> last_changed[SLOTS];

static std::atomic<lsn_t> &slot_of(const page_id_t &page_id) {
  return last_changed[page_id.hash() % SLOTS];
}

bool drops(const buf_page_t *bpage) {
  if (fsp_is_system_temporary(bpage->id.space())) {
    return false;
  }
  while (is_fenced()) {
    /* Its log is not flushed at all. The server ends in a moment. */
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::atomic<lsn_t> &slot = slot_of(bpage->id);
  const lsn_t newest = bpage->get_newest_lsn();
  lsn_t known = slot.load();
  while (newest > known && !slot.compare_exchange_weak(known, newest)) {
  }
  const bool dropped = bpage->id.page_no() != 0;
  ++(dropped ? counters.pages_not_written : counters.page0_writes);
  return dropped;
}

/** Reads until it is there: InnoDB has no answer to a page that cannot be read. */
static void read_patiently(const page_id_t &page_id, void *buf, ulint len) {
  redoubt_error error{};
  ReadPatience patience;
  while (true) {
    const lsn_t changed = std::max(boot_lsn(), slot_of(page_id).load());
    const int code = read_once(page_id, buf, len, changed, &error);
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

static bool read_or_fall_back(const page_id_t &page_id, void *buf, ulint len) {
  if (now() < local_until.load()) {
    ++counters.read_fallbacks;
    return false;
  }
  redoubt_error error{};
  const int code = read_once(page_id, buf, len, 0, &error);
  if (code != REDOUBT_OK) {
    note_failure(page_id, code, error.message);
  }
  return code == REDOUBT_OK;
}

bool read(const page_id_t &page_id, void *buf, ulint len) {
  ++under_way;
  bool done = false;
  if (!reading.load() || len != link.position.page_size) {
    /* Nothing to count: this is no page of a page server. */
  } else if (keeps_pages()) {
    read_patiently(page_id, buf, len);
    done = true;
  } else {
    done = read_or_fall_back(page_id, buf, len);
  }
  --under_way;
  return done;
}

}  // namespace rdb
