/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0wal.cc
 Redo on its way to the log servers.

 Start: what the log servers lack of the local log is sent from its files, so that
 their log ends where this server goes on, and a majority has it before anybody is
 served. Then every write of the log writer is handed over (wal_append), and
 flushed_to_disk_lsn moves only as far as a majority has it on disk (wal_wait):
 commits, checkpoints and page writes wait for that one LSN, so they wait for the
 majority without knowing it.

 A server that was killed has at least as much in its local log as it ever sent,
 since it writes before it sends. */

#include <memory>
#include <thread>

#include "log0consumer.h"
#include "log0files_dict.h"
#include "log0files_io.h"
#include "log0log.h"
#include "log0sys.h"
#include "mtr0mtr.h"
#include "rdb0link.h"
#include "rdb0ps.h"
#include "srv0srv.h"
#include "ut0log.h"

namespace rdb {

/** So much of a redo file is read at once. */
static constexpr size_t CATCH_UP_BYTES = 1 << 20;
/** Redo files that are made anew after a clean stop begin at the next block. */
static constexpr lsn_t RECREATED_GAP_MAX =
    OS_FILE_LOG_BLOCK_SIZE + LOG_BLOCK_HDR_SIZE;

/** Keeps local redo files until a majority has what is in them. Only with
innodb_pageserver_wal_sync=OFF may that be later than the checkpoint. */
class Stream_consumer : public Log_consumer {
 public:
  const std::string &get_name() const override { return m_name; }
  lsn_t get_consumed_lsn() const override {
    redoubt_writer_status status{};
    redoubt_writer_get_status(link.writer, &status);
    return status.acknowledged_lsn;
  }
  void consumption_requested(lsn_t) override {}

 private:
  const std::string m_name{"innodb_pageserver"};
};

static Stream_consumer stream_consumer;

static void append_blocks(lsn_t block_lsn, const byte *blocks, size_t size,
                          lsn_t end_lsn) {
  redoubt_error error{};
  Patience patience("redo");
  while (redoubt_writer_append_blocks(link.writer, block_lsn, blocks, size,
                                      end_lsn, Patience::LOOK_MS,
                                      &error) != REDOUBT_OK) {
    if (error.code != REDOUBT_DEADLINE_EXCEEDED) {
      lose_volume("appending redo", error);
      return;
    }
    patience.lasts(error);
  }
}

/** The local redo file that holds a block. */
static const Log_file &file_with(log_t &log, lsn_t block) {
  const auto file = log.m_files.find(block);
  if (file == log.m_files.end()) {
    ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
        << "Redoubt's log servers need redo from LSN " << block
        << " on, which the local log does not hold any more. Put the pages of "
           "this data directory into a new volume";
  }
  return *file;
}

/** Sends [from, to) out of the local redo files; the last block out of the log
buffer, where it was cut to the end of the last whole mtr. */
static void catch_up(log_t &log, lsn_t from, lsn_t to) {
  const lsn_t last_block = ut_uint64_align_down(to, OS_FILE_LOG_BLOCK_SIZE);
  lsn_t block = ut_uint64_align_down(from, OS_FILE_LOG_BLOCK_SIZE);
  const auto buffer =
      ut::make_unique_aligned<byte[]>(OS_FILE_LOG_BLOCK_SIZE, CATCH_UP_BYTES);
  ib::info(ER_IB_MSG_540) << "Sending redo from LSN " << from << " to " << to
                          << " to Redoubt's log servers";
  while (block < last_block) {
    const Log_file &file = file_with(log, block);
    const size_t size = std::min<lsn_t>(
        CATCH_UP_BYTES, std::min(last_block, file.m_end_lsn) - block);
    auto handle = file.open(Log_file_access_mode::READ_ONLY);
    if (!handle.is_open() ||
        log_data_blocks_read(handle, file.offset(block), size, buffer.get()) !=
            DB_SUCCESS) {
      ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
          << "The local redo log cannot be read at LSN " << block;
    }
    append_blocks(block, buffer.get(), size, block + size);
    block += size;
  }
  if (to > last_block + LOG_BLOCK_HDR_SIZE) {
    append_blocks(last_block, log.buf + last_block % log.buf_size,
                  OS_FILE_LOG_BLOCK_SIZE, to);
  }
  counters.catch_up_bytes += to - from;
}

/** Until a majority has what was sent: a newer server may still cut off the rest, so
nobody is to see it. */
static void wait_for_catch_up(lsn_t to) {
  redoubt_error error{};
  Patience patience("the redo that was sent at the start");
  uint64_t reached = 0;
  while (log_translate_lsn_to_sn(reached) < log_translate_lsn_to_sn(to)) {
    const int code = redoubt_writer_wait(link.writer, reached, Patience::LOOK_MS,
                                         &reached, &error);
    if (code == REDOUBT_DEADLINE_EXCEEDED) {
      patience.lasts(error);
    } else if (code != REDOUBT_OK) {
      give_up("waiting for a majority at the start", error);
    }
  }
}

/** @return where the log servers' log ends: `there`, or a little further on when
the local log was made anew behind it after a clean stop */
static lsn_t skip_recreated(const log_t &log, lsn_t there) {
  const lsn_t block = ut_uint64_align_down(there, OS_FILE_LOG_BLOCK_SIZE);
  const lsn_t oldest = log.m_files.begin()->m_start_lsn;
  const lsn_t begin = oldest + LOG_BLOCK_HDR_SIZE;
  if (oldest <= block || begin > there + RECREATED_GAP_MAX) {
    return there;
  }
  redoubt_error error{};
  if (redoubt_writer_skip_to(link.writer, begin, REDOUBT_NO_TIMEOUT, &error) !=
      REDOUBT_OK) {
    give_up("skipping to where the local log was made anew", error);
  }
  return begin;
}

void wal_start(log_t &log) {
  if (!streams_redo()) {
    return;
  }
  redoubt_error error{};
  if (link.writer == nullptr && connect(&error) != REDOUBT_OK) {
    give_up("connecting", error);
  }
  if (mtr_t::s_logging.is_disabled()) {
    ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
        << "Redo logging is disabled. Start with innodb_pageserver_mode=OFF, "
           "ALTER INSTANCE ENABLE INNODB REDO_LOG, and put the pages into a new "
           "volume";
  }
  const lsn_t end = log.write_lsn.load();
  const lsn_t there = link.position.end_lsn;
  if (log_translate_lsn_to_sn(end) < log_translate_lsn_to_sn(there)) {
    ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
        << "Redoubt's log servers have redo up to LSN " << there
        << ", the local log ends at " << end
        << ": this data directory is older than the volume. Restore it from the "
           "volume";
  }
  const lsn_t from = skip_recreated(log, there);
  if (log_translate_lsn_to_sn(from) < log_translate_lsn_to_sn(end)) {
    catch_up(log, from, end);
    if (settings.wal_sync) {
      wait_for_catch_up(end);
    }
  }
  log_consumer_register(log, &stream_consumer);
  /* What recovery changed is in the log up to here. */
  begin_reads(keeps_pages() ? boot_lsn() : end);
  start_watch();
}

void wal_stop(log_t &log) {
  if (!streams_redo()) {
    return;
  }
  stop_watch();
  end_reads();
  log_consumer_unregister(log, &stream_consumer);
  redoubt_error error{};
  if (disconnect(&error) != REDOUBT_OK) {
    ib::warn(ER_IB_MSG_540)
        << "Redoubt's log servers may lack the last redo; the next start sends "
           "it: "
        << error.message;
  }
}

void wal_append_blocks(lsn_t from, lsn_t to, const byte *blocks) {
  if (is_fenced()) {
    return;
  }
  const lsn_t block = ut_uint64_align_down(from, OS_FILE_LOG_BLOCK_SIZE);
  const size_t size = ut_uint64_align_up(to, OS_FILE_LOG_BLOCK_SIZE) - block;
  append_blocks(block, blocks, size, to);
}

static void note_wait(uint64_t us) {
  ++counters.quorum_waits;
  counters.quorum_wait_us += us;
  /* One flusher at a time. */
  if (us > counters.quorum_wait_us_max.load()) {
    counters.quorum_wait_us_max.store(us);
  }
}

lsn_t wal_wait_majority(lsn_t flushed, lsn_t up_to, bool all) {
  if (is_fenced() || (!settings.wal_sync && !keeps_pages())) {
    return up_to;
  }
  redoubt_error error{};
  Patience patience("the redo log's flush");
  uint64_t reached = flushed;
  if (keeps_pages()) {
    /* What is written until the wait begins leaves in the same message: whoever is
    about to commit and has no processor gets one first. */
    std::this_thread::yield();
  }
  while (reached <= flushed || (all && reached < up_to)) {
    const uint64_t after = std::max<uint64_t>(reached, flushed);
    const int code = redoubt_writer_wait(link.writer, after,
                                         Patience::LOOK_MS, &reached, &error);
    if (code == REDOUBT_DEADLINE_EXCEEDED) {
      patience.lasts(error);
    } else if (code != REDOUBT_OK) {
      lose_volume("waiting for a majority", error);
      return up_to;
    }
  }
  note_wait(patience.waited_us());
  /* Behind `up_to` nothing is synced locally; where that does not matter, more may
  have been written meanwhile. The log writer hands over before it moves its LSN. */
  return std::min<lsn_t>(reached,
                         keeps_pages() ? log_sys->write_lsn.load() : up_to);
}

}  // namespace rdb
