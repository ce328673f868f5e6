// SPDX-License-Identifier: MIT
#include "pageserver/log/reader_table.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "pageserver/log/durable_files.h"

namespace redoubt {
namespace {

constexpr uint64_t kReadersMagic = 0x5244425452454144;  // "RDBTREAD"
constexpr uint32_t kReadersVersion = 1;
constexpr size_t kReadersMax = 64;
constexpr size_t kNameCharsMax = 64;
constexpr size_t kReadersFileBytesMax = 64 << 10;
static_assert(64 + kReadersMax * (kNameCharsMax + 10) <= kReadersFileBytesMax);
constexpr char kReadersName[] = "readers";

Status CheckReaderName(const std::string& name) {
  const bool good = !name.empty() && name.size() <= kNameCharsMax &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == ':';
                    });
  return good ? Status::Ok()
              : InvalidArgument("reader name \"" + name.substr(0, kNameCharsMax) +
                                "\": 1 to 64 letters, digits, '_', '.', '-', ':' are allowed");
}

}  // namespace

ReaderTable::ReaderTable(Runtime* runtime, std::string directory, uint64_t volume_uid)
    : runtime_(runtime), directory_(std::move(directory)), volume_uid_(volume_uid) {}

Task<Status> ReaderTable::Open() {
  const std::string path = directory_ + "/" + kReadersName;
  const Result<Bytes> bytes = co_await ReadWholeFile(runtime_->files, path, kReadersFileBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) {
    co_return Status::Ok();
  }
  if (!bytes.ok()) {
    co_return bytes.status();
  }
  const Status decoded = Decode(*bytes);
  co_return decoded.WithContext("list of readers " + path);
}

Task<Status> ReaderTable::Note(std::string name, Lsn persisted) {
  const Status checked = CheckReaderName(name);
  if (!checked.ok()) {
    co_return checked;
  }
  const auto found = readers_.find(name);
  if (found == readers_.end() && readers_.size() == kReadersMax) {
    co_return ResourceExhausted("reader " + name +
                                " is one too many: " + std::to_string(kReadersMax) +
                                " page roles have read this volume's log, no more are allowed");
  }
  const bool must_write = found == readers_.end() || persisted < found->second;
  if (!must_write && persisted == found->second) {
    co_return Status::Ok();
  }
  readers_[name] = persisted;
  changed_ = true;
  if (!must_write) {
    co_return Status::Ok();
  }
  const Status written = co_await Write();
  co_return written;
}

Task<Status> ReaderTable::Forget(std::string name) {
  const auto found = readers_.find(name);
  if (found == readers_.end()) {
    co_return Status::Ok();
  }
  const Lsn persisted = found->second;
  readers_.erase(found);
  const Status written = co_await Write();
  if (!written.ok()) {
    readers_.insert({std::move(name), persisted});
  }
  co_return written;
}

Task<Status> ReaderTable::Save() {
  if (!changed_) {
    co_return Status::Ok();
  }
  const Status written = co_await Write();
  co_return written;
}

Lsn ReaderTable::lowest() const {
  REDOUBT_CHECK(!readers_.empty());
  Lsn lowest = readers_.begin()->second;
  for (const auto& [name, persisted] : readers_) {
    lowest = std::min(lowest, persisted);
  }
  return lowest;
}

Task<Status> ReaderTable::Write() {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.U64(kReadersMagic);
  writer.U32(kReadersVersion);
  writer.U64(volume_uid_);
  writer.U32(static_cast<uint32_t>(readers_.size()));
  for (const auto& [name, persisted] : readers_) {
    writer.U16(static_cast<uint16_t>(name.size()));
    writer.Append(AsBytes(name));
    writer.U64(persisted.value());
  }
  writer.U32(Crc32c(bytes));
  changed_ = false;
  std::string name = kReadersName;
  const Status written =
      co_await ReplaceFile(runtime_->files, directory_, std::move(name), std::move(bytes));
  changed_ = changed_ || !written.ok();
  co_return written;
}

Status ReaderTable::Decode(ByteView bytes) {
  if (bytes.size() < 4 ||
      LoadBe32(bytes.data() + bytes.size() - 4) != Crc32c(bytes.first(bytes.size() - 4))) {
    return Corruption("wrong checksum: which page roles still need redo is not known");
  }
  ByteReader reader(bytes.first(bytes.size() - 4));
  if (reader.U64() != kReadersMagic) {
    return Corruption("not a list of readers (wrong magic)");
  }
  const uint32_t version = reader.U32();
  if (version != kReadersVersion) {
    return Unsupported("it has version " + std::to_string(version) +
                       ", this server reads version " + std::to_string(kReadersVersion) +
                       ": use the server version that wrote it");
  }
  if (reader.U64() != volume_uid_) {
    return Unsupported("it belongs to another volume: is this the disk of another server?");
  }
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const size_t length = reader.U16();
    const std::string name(AsText(reader.Take(length)));
    readers_[name] = Lsn(reader.U64());
  }
  return reader.AtEnd() ? Status::Ok() : Corruption("impossible length");
}

}  // namespace redoubt
