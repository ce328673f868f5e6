/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0watch.cc
 A server that nobody writes to hears of its successor, too.

 Whoever appends redo or waits for it learns that the writer has failed for good. An
 idle server does neither, while the client library asks the log servers now and then:
 a thread looks what it has heard, so that no server goes on answering reads out of a
 volume that another one has changed. */

#include <string.h>
#include <condition_variable>
#include <mutex>

#include "os0thread-create.h"
#include "rdb0link.h"

namespace rdb {

static constexpr auto LOOK = std::chrono::milliseconds(200);

/** Never destroyed: the thread may still wait here when a server exits whose start
has failed. */
struct Watch {
  std::mutex mutex;
  std::condition_variable ending;
  bool running = false;
  IB_thread thread;
};
static Watch &watch = *new Watch;

static void look() {
  redoubt_writer_status status{};
  std::unique_lock<std::mutex> lock(watch.mutex);
  while (!watch.ending.wait_for(lock, LOOK, [] { return !watch.running; })) {
    redoubt_writer_get_status(link.writer, &status);
    if (status.failure != REDOUBT_OK) {
      redoubt_error error{};
      error.code = status.failure;
      memcpy(error.message, status.problem, sizeof error.message);
      lose_volume("looking after the log servers", error);
      return;
    }
  }
}

void start_watch() {
  watch.running = true;
  watch.thread = os_thread_create(PSI_NOT_INSTRUMENTED, 0, look);
  watch.thread.start();
}

void stop_watch() {
  {
    const std::lock_guard<std::mutex> lock(watch.mutex);
    if (!watch.running) {
      return;
    }
    watch.running = false;
  }
  watch.ending.notify_all();
  watch.thread.join();
}

}  // namespace rdb
