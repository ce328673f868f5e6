// SPDX-License-Identifier: MIT
//
// A volume on a page server, as pagectl sees it: found by name, at an LSN that was checked against
// what the server can read, with reads repeated when the connection is lost.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/ctl/volume_reader.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/channel.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct ServerOptions {
  std::string volume;
  // Of one request, repetitions included.
  Duration timeout = std::chrono::seconds(30);
};

class ServerReader final : public VolumeReader {
 public:
  // `runtime` and `channel` outlive the reader.
  ServerReader(Runtime* runtime, Channel* channel, ServerOptions options);

  // Finds the volume. To be called first.
  Task<Status> Open();
  // Chooses the LSN: `lsn` itself, waiting until it is applied, or the newest applied.
  // kBelowHorizon and kDeadlineExceeded name the wanted LSN and what there is.
  Task<Status> ReadAt(std::optional<Lsn> lsn);
  // Chooses the highest LSN that was the log's end at or before the moment.
  Task<Status> ReadAtTime(int64_t time_unix_ns);

  // After ReadAtTime: when the log was seen to end at read_lsn(). 0 otherwise.
  int64_t sample_time_unix_ns() const { return sample_time_unix_ns_; }
  const proto::VolumeState& state() const { return state_; }
  VolumeClient& client() { return client_; }
  TimePoint Deadline() const { return runtime_->scheduler->Now() + options_.timeout; }

  uint32_t page_size() const override { return state_.page_size(); }
  Lsn read_lsn() const override { return read_lsn_; }
  Task<Result<std::vector<SpaceFile>>> Spaces() override;
  Task<Result<PageBatch>> Scan(SpaceId space, PageNo first, uint32_t pages_max) override;
  Task<Result<std::vector<SideFileCopy>>> SideFiles() override;
  Task<Result<Bytes>> DynamicMeta() override;

 private:
  // False: the error is final or time is up. Otherwise waits a moment: the call may be repeated.
  Task<bool> MayRetry(StatusCode code, TimePoint deadline);

  Runtime* runtime_;
  VolumeClient client_;
  ServerOptions options_;
  proto::VolumeState state_;
  Lsn read_lsn_;
  int64_t sample_time_unix_ns_ = 0;
};

// "./db/t.ibd" and so on as the server lists them, temporary spaces left out.
std::vector<SpaceFile> ToSpaceFiles(const proto::SpaceListResponse& answer);

}  // namespace redoubt::ctl
