// SPDX-License-Identifier: MIT
//
// VolumeSink over the native protocol: a LogWriter for the redo, a channel of its own for the rest,
// so that page images never delay redo.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/tail/volume_sink.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt::tail {

struct RemoteSinkOptions {
  std::string address;  // host:port
  // All log servers of the volume; empty: `address` is its only one.
  std::vector<std::string> log_servers;
  std::string volume;
  size_t window_bytes = 16 << 20;
};

class RemoteSink final : public VolumeSink {
 public:
  RemoteSink(Runtime* runtime, RemoteSinkOptions options);
  ~RemoteSink() override;

  Task<Result<Lsn>> Open(SourceIdentity identity) override;
  Task<Result<proto::VolumeState>> Look() override;
  Task<Result<std::vector<proto::SpaceInfo>>> Spaces() override;
  Task<Status> StartAt(Lsn start, std::string reason) override;
  Task<Status> Append(RedoAppend chunk) override;
  Lsn acknowledged() const override;
  Lsn next_lsn() const override;
  Status failure() const override;
  Task<Status> Compare(RedoAppend chunk) override;
  Task<Status> PutImages(ImageBatch batch) override;
  Task<Status> PutSpaces(std::vector<proto::SpaceEvent> events) override;
  Task<Status> PutSideFile(SideFileContent file, Lsn lsn) override;
  Task<Status> SetHorizon(Lsn horizon) override;
  void Interrupt() override { closing_.Set(); }
  Task<void> Close() override;

 private:
  Task<Status> CheckVolume(SourceIdentity identity);
  Task<Status> PutSomeSpaces(const std::vector<proto::SpaceEvent>* events, size_t begin,
                             size_t end);
  Task<void> CloseWriter();
  TimePoint Deadline() const;
  // Whether the error of a request sent under `epoch` may pass by itself; waits before the next
  // attempt.
  Task<bool> MayTryAgain(Status status, const char* what, int attempt, Epoch epoch);

  Runtime* runtime_;
  RemoteSinkOptions options_;
  ReconnectingChannel channel_;
  VolumeClient client_;
  std::unique_ptr<LogWriter> writer_;
  LogPosition position_;  // of the last Open: volume and epoch that everything is sent under
  Event closing_;
};

}  // namespace redoubt::tail
