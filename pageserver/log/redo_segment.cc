// SPDX-License-Identifier: MIT
#include "pageserver/log/redo_segment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

constexpr size_t kSegmentCrcOffset = kSegmentHeaderBytes - 4;
constexpr size_t kReasonOffset = 50;
constexpr std::string_view kSegmentSuffix = ".redo";

// The lengths and LSNs of a record that a writer of ours could have written.
bool Plausible(const RecordHeader& header) {
  if (header.payload_bytes > kRecordPayloadBytesMax || header.range.end < header.range.start ||
      !innodb::IsDataLsn(header.range.start) || !innodb::IsDataLsn(header.range.end)) {
    return false;
  }
  return header.payload_bytes == innodb::PayloadBytes(header.range);
}

// `rest`: the header from behind the crc32c on.
uint32_t RecordCrc(const RecordOwner& owner, ByteView rest) {
  if (owner.version == kSegmentVersionOldest) {
    return Crc32c(rest);
  }
  std::array<uint8_t, 8> uid;
  StoreBe64(uid.data(), owner.volume_uid);
  return Crc32cExtend(Crc32c(uid), rest);
}

}  // namespace

void EncodeSegmentHeader(const SegmentHeader& header, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kSegmentHeaderBytes);
  REDOUBT_CHECK(header.version >= kSegmentVersionOldest);
  REDOUBT_CHECK(header.version <= kSegmentVersion);
  std::fill(out.begin(), out.end(), uint8_t{0});
  uint8_t* const p = out.data();
  StoreBe64(p, kSegmentMagic);
  StoreBe32(p + 8, header.version);
  StoreBe32(p + 12, header.volume.value());
  StoreBe64(p + 16, header.volume_uid);
  StoreBe64(p + 24, header.sequence);
  StoreBe64(p + 32, header.previous_end.value());
  StoreBe64(p + 40, header.start.value());
  const size_t reason_bytes = std::min(header.reason.size(), kSegmentReasonBytesMax);
  StoreBe16(p + 48, static_cast<uint16_t>(reason_bytes));
  std::copy_n(header.reason.begin(), reason_bytes, p + kReasonOffset);
  StoreBe32(p + kSegmentCrcOffset, Crc32c(out.first(kSegmentCrcOffset)));
}

Result<SegmentHeader> DecodeSegmentHeader(ByteView bytes) {
  if (bytes.size() < kSegmentHeaderBytes) {
    return Corruption("the segment header is cut short");
  }
  const uint8_t* const p = bytes.data();
  if (LoadBe64(p) != kSegmentMagic) {
    return Corruption("not a redo segment (wrong magic)");
  }
  if (LoadBe32(p + kSegmentCrcOffset) != Crc32c(bytes.first(kSegmentCrcOffset))) {
    return Corruption("the segment header's checksum is wrong");
  }
  SegmentHeader header;
  header.version = LoadBe32(p + 8);
  if (header.version < kSegmentVersionOldest || header.version > kSegmentVersion) {
    return Unsupported("redo segment version " + std::to_string(header.version) +
                       ", this server reads versions " + std::to_string(kSegmentVersionOldest) +
                       " to " + std::to_string(kSegmentVersion) +
                       ": use the server version that wrote it");
  }
  header.volume = VolumeId(LoadBe32(p + 12));
  header.volume_uid = LoadBe64(p + 16);
  header.sequence = LoadBe64(p + 24);
  header.previous_end = Lsn(LoadBe64(p + 32));
  header.start = Lsn(LoadBe64(p + 40));
  const size_t reason_bytes = LoadBe16(p + 48);
  if (reason_bytes > kSegmentReasonBytesMax || header.previous_end > header.start ||
      !innodb::IsDataLsn(header.start)) {
    return Corruption("the segment header holds impossible values");
  }
  header.reason = std::string(AsText(bytes.subspan(kReasonOffset, reason_bytes)));
  return header;
}

void EncodeRecordHeader(const RecordHeader& header, const RecordOwner& owner, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kRecordHeaderBytes);
  REDOUBT_CHECK(Plausible(header));
  uint8_t* const p = out.data();
  StoreBe32(p, kRecordMagic);
  StoreBe64(p + 8, owner.sequence);
  StoreBe64(p + 16, header.epoch.value());
  StoreBe64(p + 24, header.range.start.value());
  StoreBe64(p + 32, header.range.end.value());
  StoreBe64(p + 40, header.first_mtr_lsn.value());
  StoreBe64(p + 48, static_cast<uint64_t>(header.source_time_unix_ns));
  StoreBe64(p + 56, header.durable_end.value());
  StoreBe64(p + 64, header.commit.value());
  StoreBe32(p + 72, header.payload_bytes);
  StoreBe32(p + 76, header.payload_crc32c);
  StoreBe32(p + 4, RecordCrc(owner, out.subspan(8)));
}

std::optional<RecordHeader> DecodeRecordHeader(ByteView bytes, const RecordOwner& owner) {
  REDOUBT_CHECK(bytes.size() == kRecordHeaderBytes);
  const uint8_t* const p = bytes.data();
  if (LoadBe32(p) != kRecordMagic || LoadBe64(p + 8) != owner.sequence ||
      LoadBe32(p + 4) != RecordCrc(owner, bytes.subspan(8))) {
    return std::nullopt;
  }
  RecordHeader header;
  header.epoch = Epoch(LoadBe64(p + 16));
  header.range = {Lsn(LoadBe64(p + 24)), Lsn(LoadBe64(p + 32))};
  header.first_mtr_lsn = Lsn(LoadBe64(p + 40));
  header.source_time_unix_ns = static_cast<int64_t>(LoadBe64(p + 48));
  header.durable_end = Lsn(LoadBe64(p + 56));
  header.commit = Lsn(LoadBe64(p + 64));
  header.payload_bytes = LoadBe32(p + 72);
  header.payload_crc32c = LoadBe32(p + 76);
  if (!Plausible(header)) {
    return std::nullopt;
  }
  return header;
}

std::string FormatSegmentName(const SegmentName& name) {
  char text[64];
  std::snprintf(text, sizeof text, "%08llu-%llu.redo",
                static_cast<unsigned long long>(name.sequence),
                static_cast<unsigned long long>(name.start.value()));
  return text;
}

std::optional<SegmentName> ParseSegmentName(std::string_view file_name) {
  const size_t dash = file_name.find('-');
  if (!file_name.ends_with(kSegmentSuffix) || dash == std::string_view::npos) {
    return std::nullopt;
  }
  const char* const end = file_name.data() + file_name.size() - kSegmentSuffix.size();
  SegmentName name;
  uint64_t start = 0;
  const auto sequence_read =
      std::from_chars(file_name.data(), file_name.data() + dash, name.sequence);
  const auto start_read = std::from_chars(file_name.data() + dash + 1, end, start);
  if (sequence_read.ec != std::errc() || sequence_read.ptr != file_name.data() + dash ||
      start_read.ec != std::errc() || start_read.ptr != end) {
    return std::nullopt;
  }
  name.start = Lsn(start);
  return FormatSegmentName(name) == file_name ? std::optional(name) : std::nullopt;
}

std::string PlaceInSegment(const std::string& path, uint64_t offset) {
  return path + " at offset " + std::to_string(offset);
}

RedoChunk HeadOf(const RedoChunk& chunk, Lsn lsn) {
  REDOUBT_CHECK(chunk.range.start < lsn && lsn < chunk.range.end);
  REDOUBT_CHECK(innodb::IsDataLsn(lsn));
  const size_t bytes = innodb::PayloadBytes({chunk.range.start, lsn});
  RedoChunk head;
  head.epoch = chunk.epoch;
  head.range = {chunk.range.start, lsn};
  head.first_mtr_lsn = chunk.first_mtr_lsn < lsn ? chunk.first_mtr_lsn : Lsn{};
  head.source_time_unix_ns = chunk.source_time_unix_ns;
  Bytes payload(chunk.payload->begin(), chunk.payload->begin() + static_cast<ptrdiff_t>(bytes));
  head.payload_crc32c = Crc32c(payload);
  head.payload = std::make_shared<const Bytes>(std::move(payload));
  return head;
}

}  // namespace redoubt
