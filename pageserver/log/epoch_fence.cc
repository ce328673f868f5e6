// SPDX-License-Identifier: MIT
#include "pageserver/log/epoch_fence.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "pageserver/log/durable_files.h"

namespace redoubt {
namespace {

constexpr uint64_t kFenceMagic = 0x5244425445504F43;  // "RDBTEPOC"
constexpr uint32_t kFenceVersion = 1;
constexpr size_t kFenceBytesMax = 1 << 20;
// Old epochs that no retained redo can belong to any more are forgotten beyond this many.
constexpr size_t kHistoryMax = 1024;
constexpr char kFenceName[] = "epoch";

}  // namespace

EpochFence::EpochFence(Runtime* runtime, std::string directory, uint64_t volume_uid)
    : runtime_(runtime), directory_(std::move(directory)), volume_uid_(volume_uid) {}

Task<Status> EpochFence::Open() {
  const std::string path = directory_ + "/" + kFenceName;
  const Result<Bytes> bytes = co_await ReadWholeFile(runtime_->files, path, kFenceBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) {
    co_return Status::Ok();
  }
  if (!bytes.ok()) {
    co_return bytes.status();
  }
  const Status decoded = Decode(*bytes);
  co_return decoded.WithContext("epoch file " + path);
}

Task<Status> EpochFence::Promise(Epoch epoch, Lsn start) {
  REDOUBT_CHECK(epoch > promised_);
  REDOUBT_CHECK(history_.empty() || start >= history_.back().start);
  promised_ = epoch;
  history_.push_back({epoch, start});
  if (history_.size() > kHistoryMax) {
    history_.erase(history_.begin());
  }
  Bytes bytes = Encode();
  std::string name = kFenceName;
  const Status replaced =
      co_await ReplaceFile(runtime_->files, directory_, std::move(name), std::move(bytes));
  co_return replaced;
}

Bytes EpochFence::Encode() const {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.U64(kFenceMagic);
  writer.U32(kFenceVersion);
  writer.U64(volume_uid_);
  writer.U64(promised_.value());
  writer.U32(static_cast<uint32_t>(history_.size()));
  for (const EpochBegin& begin : history_) {
    writer.U64(begin.epoch.value());
    writer.U64(begin.start.value());
  }
  writer.U32(Crc32c(bytes));
  return bytes;
}

Status EpochFence::Decode(ByteView bytes) {
  if (bytes.size() < 4 ||
      LoadBe32(bytes.data() + bytes.size() - 4) != Crc32c(bytes.first(bytes.size() - 4))) {
    return Corruption("wrong checksum: what this server promised is not known");
  }
  ByteReader reader(bytes.first(bytes.size() - 4));
  const uint64_t magic = reader.U64();
  const uint32_t version = reader.U32();
  if (magic != kFenceMagic || version != kFenceVersion) {
    return Unsupported("not an epoch file of version " + std::to_string(kFenceVersion));
  }
  if (reader.U64() != volume_uid_) {
    return Unsupported("it belongs to another volume: is this the disk of another server?");
  }
  promised_ = Epoch(reader.U64());
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const Epoch epoch(reader.U64());
    history_.push_back({epoch, Lsn(reader.U64())});
  }
  return reader.AtEnd() ? Status::Ok() : Corruption("impossible length");
}

}  // namespace redoubt
