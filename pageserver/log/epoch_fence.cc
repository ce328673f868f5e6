// SPDX-License-Identifier: MIT
#include "pageserver/log/epoch_fence.h"

#include <cstddef>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/runtime/fault_point.h"
#include "pageserver/log/durable_files.h"

namespace redoubt {
namespace {

constexpr uint64_t kFenceMagic = 0x5244425445504F43;  // "RDBTEPOC"
constexpr uint32_t kFenceVersion = 2;
constexpr size_t kFenceBytesMax = 1 << 20;
static_assert(64 + kEpochHistoryMax * 16 <= kFenceBytesMax);
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

Task<Status> EpochFence::Promise(Epoch epoch) {
  REDOUBT_CHECK(epoch > promised_);
  promised_ = epoch;
  if (REDOUBT_PLANTED(runtime_, promise_not_synced)) {
    co_return Status::Ok();
  }
  co_return co_await Write(&history_, member_count_);
}

Task<Status> EpochFence::Begin(EpochHistory history, uint32_t member_count) {
  REDOUBT_CHECK(!history.empty() && history.back().epoch == promised_);
  REDOUBT_CHECK(member_count > 0);
  if (history.size() > kEpochHistoryMax) {
    history.erase(history.begin(), history.end() - static_cast<ptrdiff_t>(kEpochHistoryMax));
  }
  Status written;
  if (!REDOUBT_PLANTED(runtime_, history_in_memory_only)) {
    written = co_await Write(&history, member_count);
  }
  if (written.ok()) {
    history_ = std::move(history);
    member_count_ = member_count;
  }
  co_return written;
}

Task<Status> EpochFence::Write(const EpochHistory* history, uint32_t member_count) {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.U64(kFenceMagic);
  writer.U32(kFenceVersion);
  writer.U64(volume_uid_);
  writer.U64(promised_.value());
  writer.U32(member_count);
  writer.U32(static_cast<uint32_t>(history->size()));
  for (const EpochBegin& begin : *history) {
    writer.U64(begin.epoch.value());
    writer.U64(begin.start.value());
  }
  writer.U32(Crc32c(bytes));
  std::string name = kFenceName;
  return ReplaceFile(runtime_->files, directory_, std::move(name), std::move(bytes));
}

Status EpochFence::Decode(ByteView bytes) {
  if (bytes.size() < 4 ||
      LoadBe32(bytes.data() + bytes.size() - 4) != Crc32c(bytes.first(bytes.size() - 4))) {
    return Corruption("wrong checksum: what this server promised is not known");
  }
  ByteReader reader(bytes.first(bytes.size() - 4));
  const uint64_t magic = reader.U64();
  const uint32_t version = reader.U32();
  if (magic != kFenceMagic) {
    return Corruption("not an epoch file (wrong magic)");
  }
  if (version != kFenceVersion) {
    return Unsupported("it has version " + std::to_string(version) +
                       ", this server reads version " + std::to_string(kFenceVersion) +
                       ": use the server version that wrote it");
  }
  if (reader.U64() != volume_uid_) {
    return Unsupported("it belongs to another volume: is this the disk of another server?");
  }
  promised_ = Epoch(reader.U64());
  member_count_ = reader.U32();
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const Epoch epoch(reader.U64());
    history_.push_back({epoch, Lsn(reader.U64())});
  }
  if (!reader.AtEnd()) {
    return Corruption("impossible length");
  }
  const Status ascending = CheckHistory(history_);
  if (!ascending.ok() || begun() > promised_ || (member_count_ == 0) != history_.empty()) {
    return Corruption("impossible values: " + ascending.message());
  }
  return Status::Ok();
}

}  // namespace redoubt
