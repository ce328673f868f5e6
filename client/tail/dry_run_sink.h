// SPDX-License-Identifier: MIT
//
// A VolumeSink that keeps nothing: it says what would be sent. What `redotail --dry-run` uses, to
// see whether a server can be followed and at what rate.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/tail/volume_sink.h"
#include "common/runtime/runtime.h"

namespace redoubt::tail {

class DryRunSink final : public VolumeSink {
 public:
  explicit DryRunSink(Runtime* runtime);

  Task<Result<Lsn>> Open(SourceIdentity identity) override;
  Task<Result<proto::VolumeState>> Look() override;
  Task<Result<std::vector<proto::SpaceInfo>>> Spaces() override;
  Task<Status> StartAt(Lsn start, std::string reason) override;
  Task<Status> Append(RedoAppend chunk) override;
  Lsn acknowledged() const override { return end_; }
  Lsn next_lsn() const override { return end_; }
  Status failure() const override { return {}; }
  Task<Status> Compare(RedoAppend chunk) override;
  Task<Status> PutImages(ImageBatch batch) override;
  Task<Status> PutSpaces(std::vector<proto::SpaceEvent> events) override;
  Task<Status> PutSideFile(SideFileContent file, Lsn lsn) override;
  Task<Status> SetHorizon(Lsn horizon) override;
  void Interrupt() override {}
  Task<void> Close() override;

 private:
  Runtime* runtime_;
  Lsn begin_;
  Lsn end_;
  Lsn horizon_;
  uint64_t chunk_count_ = 0;
  uint64_t payload_bytes_ = 0;
  uint64_t image_count_ = 0;
  uint64_t side_file_count_ = 0;
  std::map<uint32_t, proto::SpaceInfo> spaces_;
};

}  // namespace redoubt::tail
