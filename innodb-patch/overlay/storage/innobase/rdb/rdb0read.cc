/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0read.cc
 Pages from the page servers.

 A page leaves the buffer pool only when its newest change is flushed, and flushed
 means that a majority has it. So a page as of the commit LSN, the end of the last
 whole mtr that a majority has, is never older than the one that left. */

#include <chrono>
#include <thread>

#include "buf0types.h"
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

bool read(const page_id_t &page_id, void *buf, ulint len) {
  ++under_way;
  bool done = false;
  if (!reading.load() || len != link.position.page_size) {
    /* Nothing to count: this is no page of a page server. */
  } else if (now() < local_until.load()) {
    ++counters.read_fallbacks;
  } else {
    const auto began = Clock::now();
    redoubt_writer_status status{};
    redoubt_writer_get_status(link.writer, &status);
    redoubt_page_read page{};
    page.space = page_id.space();
    page.page_no = page_id.page_no();
    page.buffer = buf;
    redoubt_error error{};
    const int code = redoubt_reader_read(
        link.reader, &page, 1, status.commit_lsn, 0,
        static_cast<uint32_t>(settings.read_timeout_ms), &error);
    done = code == REDOUBT_OK;
    if (done) {
      ++counters.reads;
      counters.read_bytes += len;
    } else {
      note_failure(page_id, code, error.message);
    }
    counters.read_wait_us += static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() -
                                                              began)
            .count());
  }
  --under_way;
  return done;
}

}  // namespace rdb
