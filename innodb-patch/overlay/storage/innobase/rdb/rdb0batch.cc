/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0batch.cc
 Reads that wait at the same time leave together.

 A read leaves at once while few requests are under way; otherwise it waits until one
 has been answered and leaves with all that wait then. Read-ahead says when it has
 asked for its last page (send_reads) and leaves as one request, unless it fills one
 before, or somebody who waits takes it along.

 Who takes answers in does nothing else, above all nothing in InnoDB: completing a
 page may need other pages (the change buffer's), and their answers must come in
 meanwhile. */

#include "rdb0batch.h"

#include <deque>
#include <mutex>
#include <vector>

#include "os0thread-create.h"
#include "rdb0link.h"
#include "srv0srv.h"
#include "ut0ut.h"

namespace rdb {

/** So many requests are under way before reads wait for each other. */
static constexpr size_t BATCHES_MAX = 4;
/** Who waits for an answer looks so often whether it is to stop, or whether reads
were forgotten that nobody sent. */
static constexpr uint32_t LOOK_MS = 50;

struct Read_batch {
  size_t left;
};

/** Never destroyed: threads may still wait here when a server exits whose start has
failed. */
struct Queues {
  /** Guards everything here; held for moments only. */
  std::mutex mutex;
  std::deque<Page_read *> waiting;
  size_t batches_under_way = 0;
  std::deque<std::unique_ptr<Page_read>> answered;
  std::condition_variable answer_came;
  bool running = false;
  std::vector<IB_thread> threads;
};
static Queues &queues = *new Queues;
/** Something is in queues.waiting; read without the mutex. */
static std::atomic<bool> some_wait{false};

using Lock = std::unique_lock<std::mutex>;

Page_read::Page_read(const page_id_t &page_id, void *buf, lsn_t lsn)
    : not_modified_since(lsn) {
  raw.space = page_id.space();
  raw.page_no = page_id.page_no();
  raw.buffer = buf;
  raw.tag = this;
}

/** The read has its answer. Called with the mutex. */
static void hand_out(Page_read *read) {
  if (--read->batch->left == 0) {
    --queues.batches_under_way;
  }
  if (read->file_read) {
    queues.answered.emplace_back(read);
    queues.answer_came.notify_one();
  } else {
    read->done = true;
    /* With the mutex: the read is gone when its thread has seen that. */
    read->finished.notify_one();
  }
}

/** Sends a batch: as of all that is acknowledged, and said to be unchanged since the
newest change of any of them. */
static void send(const std::vector<Page_read *> &reads) {
  redoubt_writer_status status{};
  redoubt_writer_get_status(link.writer, &status);
  std::vector<redoubt_page_read *> raws;
  lsn_t changed = 0;
  for (Page_read *read : reads) {
    raws.push_back(&read->raw);
    changed = std::max(changed, read->not_modified_since);
  }
  redoubt_error error{};
  const int code = redoubt_reader_submit(
      link.reader, raws.data(), raws.size(), std::max(status.commit_lsn, changed),
      changed, static_cast<uint32_t>(settings.read_timeout_ms), &error);
  if (code == REDOUBT_OK) {
    return;
  }
  const Lock lock(queues.mutex);
  for (Page_read *read : reads) {
    read->raw.code = code;
    hand_out(read);
  }
}

/** Sends what waits, as far as not too much is under way. */
static void send_waiting() {
  while (true) {
    std::vector<Page_read *> reads;
    {
      const Lock lock(queues.mutex);
      if (queues.waiting.empty() || queues.batches_under_way >= BATCHES_MAX) {
        return;
      }
      const size_t count = std::min<size_t>(queues.waiting.size(), settings.prefetch_batch);
      reads.assign(queues.waiting.begin(), queues.waiting.begin() + count);
      queues.waiting.erase(queues.waiting.begin(), queues.waiting.begin() + count);
      some_wait.store(!queues.waiting.empty());
      auto batch = std::make_shared<Read_batch>(Read_batch{count});
      for (Page_read *read : reads) {
        read->batch = batch;
      }
      ++queues.batches_under_way;
    }
    ++counters.read_batches;
    counters.read_batch_pages += reads.size();
    send(reads);
  }
}

void send_queued_reads() {
  if (some_wait.load()) {
    send_waiting();
  }
}

/** @return reads that wait now */
static size_t add(Page_read *read) {
  const Lock lock(queues.mutex);
  queues.waiting.push_back(read);
  some_wait.store(true);
  return queues.waiting.size();
}

int read_and_wait(Page_read &read) {
  add(&read);
  send_waiting();
  Lock lock(queues.mutex);
  read.finished.wait(lock, [&read] { return read.done; });
  return read.raw.code;
}

void read_later(std::unique_ptr<Page_read> read, bool wait) {
  if (add(read.release()) >= settings.prefetch_batch || !wait) {
    send_waiting();
  }
}

/* ---- threads */

static bool is_running() {
  const Lock lock(queues.mutex);
  return queues.running;
}

static void receive() {
  redoubt_page_read *done[64];
  while (is_running()) {
    size_t count = 0;
    if (redoubt_reader_next(link.reader, done, UT_ARR_SIZE(done), &count, LOOK_MS) ==
        REDOUBT_OK) {
      const Lock lock(queues.mutex);
      for (size_t i = 0; i < count; ++i) {
        hand_out(static_cast<Page_read *>(done[i]->tag));
      }
    }
    send_queued_reads();
  }
}

static void finish_reads() {
  Lock lock(queues.mutex);
  while (true) {
    queues.answer_came.wait(lock, [] { return !queues.answered.empty() || !queues.running; });
    if (queues.answered.empty()) {
      return;
    }
    std::unique_ptr<Page_read> read = std::move(queues.answered.front());
    queues.answered.pop_front();
    lock.unlock();
    finish(std::move(read));
    lock.lock();
  }
}

void start_read_threads() {
  {
    const Lock lock(queues.mutex);
    if (queues.running) {
      return;
    }
    queues.running = true;
  }
  queues.threads.push_back(os_thread_create(PSI_NOT_INSTRUMENTED, 0, receive));
  for (size_t i = 1; i <= settings.read_threads; ++i) {
    queues.threads.push_back(os_thread_create(PSI_NOT_INSTRUMENTED, i, finish_reads));
  }
  for (IB_thread &thread : queues.threads) {
    thread.start();
  }
}

void stop_read_threads() {
  {
    const Lock lock(queues.mutex);
    if (!queues.running) {
      return;
    }
    ut_a(queues.waiting.empty() && queues.answered.empty() && queues.batches_under_way == 0);
    queues.running = false;
  }
  queues.answer_came.notify_all();
  for (IB_thread &thread : queues.threads) {
    thread.join();
  }
  queues.threads.clear();
}

}  // namespace rdb
