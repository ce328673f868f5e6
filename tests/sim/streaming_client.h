// SPDX-License-Identifier: MIT
//
// A page server and a client that streams redo to it and reads it back, as programs of simulated
// machines, for tests of what faults do to them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/sync.h"
#include "pageserver/server.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"
#include "tests/support/page_server_program.h"

namespace redoubt::sim {

inline constexpr char kAddress[] = "server:7000";
inline constexpr Duration kAppendEvery = std::chrono::milliseconds(20);

// What the client was told.
struct Seen {
  int appends_wanted = 4000;
  std::string trouble;  // of the call that ended the client early
  Status problem;       // what the writer is trying again, if anything
  Epoch epoch;
  Lsn acknowledged;
  bool streamed = false;
  Bytes sent;
  Lsn log_begin;  // what lies below the pages hold
  Bytes log;      // as the server has it, from there
};

inline Task<void> Serve(Runtime* runtime,
                        uint64_t log_segment_bytes = VolumeRegistryOptions().log_segment_bytes) {
  PageServerOptions options = InMemoryPageServer(kAddress);
  options.volumes.log_segment_bytes = log_segment_bytes;
  return RunPageServer(runtime, std::move(options));
}

inline TimePoint In(Runtime* runtime, int seconds) {
  return runtime->scheduler->Now() + std::chrono::seconds(seconds);
}

inline Task<Status> MakeVolume(Runtime* runtime) {
  co_await runtime->scheduler->Sleep(std::chrono::milliseconds(100));
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::VolumeCreateRequest create;
  create.set_name("v");
  create.set_page_size(16384);
  const auto created = co_await client.VolumeCreate(std::move(create), In(runtime, 5));
  co_await channel.Close();
  co_return created.status();
}

inline Task<Status> Stream(Runtime* runtime, Seen* seen, LogWriter* writer) {
  std::string reason = "test";
  Status status = co_await writer->StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 5));
  RedoMaker redo;
  for (int i = 0; i < seen->appends_wanted && status.ok(); ++i) {
    RedoAppend append = i == 0 ? redo.AppendInit(3) : redo.AppendWrite(3, static_cast<uint64_t>(i));
    seen->sent.insert(seen->sent.end(), append.payload->begin(), append.payload->end());
    status = co_await writer->Append(std::move(append), In(runtime, 5));
    seen->acknowledged = writer->acknowledged();
    seen->problem = writer->last_problem();
    co_await runtime->scheduler->Sleep(kAppendEvery);
  }
  if (status.ok()) {
    status = co_await writer->WaitAcknowledged(redo.end(), In(runtime, 300));
  }
  co_return status;
}

inline Task<Status> ReadBack(Runtime* runtime, Seen* seen, VolumeId volume) {
  ReconnectingChannel channel(runtime, kAddress, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::LogStatusRequest status_request;
  status_request.set_volume_id(volume.value());
  const auto state = co_await client.LogStatus(std::move(status_request), In(runtime, 5));
  Status status = state.status();
  if (status.ok()) {
    seen->log_begin = Lsn(state->begin_lsn());
  }
  const Lsn end = innodb::AdvanceLsn(RedoMaker::kStart, seen->sent.size());
  while (status.ok() && innodb::AdvanceLsn(seen->log_begin, seen->log.size()) < end) {
    proto::LogReadRequest request;
    request.set_volume_id(volume.value());
    request.set_start_lsn(innodb::AdvanceLsn(seen->log_begin, seen->log.size()).value());
    request.set_bytes_max(1 << 20);
    request.set_deadline_ms(1000);
    const auto answer = co_await client.LogRead(std::move(request), In(runtime, 5));
    status = answer.status();
    if (status.ok() && answer->payload.empty()) {
      status = Unavailable("the log ends after " + std::to_string(seen->log.size()) + " bytes");
    }
    if (status.ok()) {
      seen->log.insert(seen->log.end(), answer->payload.begin(), answer->payload.end());
    }
  }
  co_await channel.Close();
  co_return status;
}

// Streams, waits until old connections have nothing on the wire any more, reads back.
inline Task<void> WriteLog(Runtime* runtime, Seen* seen) {
  Status status = co_await MakeVolume(runtime);
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{kAddress};
  LogWriter writer(runtime, std::move(addresses), std::move(options));
  if (status.ok()) {
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 5));
    status = position.status();
  }
  if (status.ok()) {
    status = co_await Stream(runtime, seen, &writer);
    seen->epoch = writer.epoch();
  }
  co_await writer.Stop();
  seen->streamed = status.ok();
  if (status.ok()) {
    // Time for everything that an old connection may still have on the wire.
    co_await runtime->scheduler->Sleep(std::chrono::seconds(200));
    status = co_await ReadBack(runtime, seen, writer.volume());
  }
  seen->trouble = status.ok() ? "" : status.ToString();
}

}  // namespace redoubt::sim
