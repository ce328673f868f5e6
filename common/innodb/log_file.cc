// SPDX-License-Identifier: MIT
#include "common/innodb/log_file.h"

#include <algorithm>
#include <charconv>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/page_format.h"
#include "common/innodb/redo_parser.h"

namespace redoubt::innodb {
namespace {

constexpr size_t kStartLsnOffset = 8;
constexpr size_t kCreatorOffset = 16;
constexpr size_t kCreatorBytes = 32;
constexpr size_t kFlagsOffset = 48;
constexpr size_t kCheckpointLsnOffset = 8;
constexpr size_t kChecksumOffset = kLogBlockBytes - 4;
constexpr size_t kEncryptionInfoOffset = 48;
constexpr std::string_view kNamePrefix = "#ib_redo";
constexpr std::string_view kSpareSuffix = "_tmp";

bool ChecksumGood(ByteView block) {
  return LoadBe32(block.data() + kChecksumOffset) == Crc32c(block.first(kChecksumOffset));
}
void WriteChecksum(MutableByteView block) {
  StoreBe32(block.data() + kChecksumOffset, Crc32c(block.first(kChecksumOffset)));
}

}  // namespace

Result<LogFileHeader> ParseLogFileHeader(ByteView block) {
  REDOUBT_CHECK(block.size() == kLogBlockBytes);
  LogFileHeader header;
  header.format = LoadBe32(block.data());
  if (!ChecksumGood(block)) {
    return Corruption("redo file header: checksum mismatch");
  }
  if (header.format != kLogFormat) {
    return Unsupported("redo file format " + std::to_string(header.format) +
                       "; only format 6 (MySQL 8.0.30 and later) can be read");
  }
  header.log_uuid = LoadBe32(block.data() + 4);
  header.start_lsn = Lsn(LoadBe64(block.data() + kStartLsnOffset));
  const std::string_view creator = AsText(block.subspan(kCreatorOffset, kCreatorBytes));
  header.creator = std::string(creator.substr(0, std::min(creator.find('\0'), creator.size())));
  header.flags = LoadBe32(block.data() + kFlagsOffset);
  if (header.start_lsn.value() % kLogBlockBytes != 0) {
    return Corruption("redo file header: start LSN " + std::to_string(header.start_lsn.value()) +
                      " is not a multiple of 512");
  }
  return header;
}

void WriteLogFileHeader(const LogFileHeader& header, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kLogBlockBytes);
  REDOUBT_CHECK(header.start_lsn.value() % kLogBlockBytes == 0);
  std::fill(out.begin(), out.end(), uint8_t{0});
  StoreBe32(out.data(), header.format);
  StoreBe32(out.data() + 4, header.log_uuid);
  StoreBe64(out.data() + kStartLsnOffset, header.start_lsn.value());
  const size_t length = std::min(header.creator.size(), kCreatorBytes - 1);
  std::copy_n(header.creator.begin(), length, out.begin() + kCreatorOffset);
  StoreBe32(out.data() + kFlagsOffset, header.flags);
  WriteChecksum(out);
}

Result<Lsn> ParseLogCheckpoint(ByteView block) {
  REDOUBT_CHECK(block.size() == kLogBlockBytes);
  if (!ChecksumGood(block)) {
    return Corruption("redo checkpoint block: checksum mismatch");
  }
  return Lsn(LoadBe64(block.data() + kCheckpointLsnOffset));
}

void WriteLogCheckpoint(Lsn checkpoint_lsn, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kLogBlockBytes);
  std::fill(out.begin(), out.end(), uint8_t{0});
  StoreBe64(out.data() + kCheckpointLsnOffset, checkpoint_lsn.value());
  WriteChecksum(out);
}

Result<std::optional<LogEncryption>> ParseLogEncryption(ByteView block) {
  REDOUBT_CHECK(block.size() == kLogBlockBytes);
  if (IsZero(block)) {
    return std::optional<LogEncryption>();
  }
  const ByteView info = block.subspan(kEncryptionInfoOffset);
  if (AsText(info.first(3)) != "lCC") {
    return Corruption("redo encryption block: neither zero nor an encryption info");
  }
  LogEncryption encryption;
  encryption.master_key_id = LoadBe32(info.data() + 3);
  encryption.server_uuid = std::string(AsText(info.subspan(7, 36)));
  return std::optional<LogEncryption>(encryption);
}

Result<LogFileLead> ParseLogFileLead(ByteView lead) {
  REDOUBT_CHECK(lead.size() == kLogFileHeaderBytes);
  LogFileLead result;
  REDOUBT_ASSIGN_OR_RETURN(result.header, ParseLogFileHeader(lead.first(kLogBlockBytes)));
  for (const size_t offset : {kLogCheckpoint1Offset, kLogCheckpoint2Offset}) {
    const Result<Lsn> checkpoint = ParseLogCheckpoint(lead.subspan(offset, kLogBlockBytes));
    if (checkpoint.ok()) {
      result.checkpoint_lsn = std::max(result.checkpoint_lsn, *checkpoint);
    }
  }
  REDOUBT_ASSIGN_OR_RETURN(result.encryption,
                           ParseLogEncryption(lead.subspan(kLogEncryptionOffset, kLogBlockBytes)));
  return result;
}

std::string FormatLogFileName(const LogFileName& name) {
  std::string text(kNamePrefix);
  text += std::to_string(name.id);
  if (name.spare) {
    text += kSpareSuffix;
  }
  return text;
}

std::optional<LogFileName> ParseLogFileName(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) {
    return std::nullopt;
  }
  name.remove_prefix(kNamePrefix.size());
  LogFileName parsed;
  if (name.ends_with(kSpareSuffix)) {
    parsed.spare = true;
    name.remove_suffix(kSpareSuffix.size());
  }
  if (name.empty() || (name.size() > 1 && name[0] == '0')) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), parsed.id);
  if (error != std::errc() || end != name.data() + name.size()) {
    return std::nullopt;
  }
  return parsed;
}

namespace {

// The offset of the first group that starts at or after `from`, or records.size().
// `groups`: ascending group starts.
uint16_t FirstGroupInBlock(const std::vector<size_t>& groups, size_t from, size_t to) {
  const auto it = std::lower_bound(groups.begin(), groups.end(), from);
  return it == groups.end() || *it >= to
             ? uint16_t{0}
             : static_cast<uint16_t>(kLogBlockHeaderBytes + (*it - from));
}

Result<std::vector<size_t>> GroupStarts(ByteView records) {
  std::vector<size_t> starts;
  bool inside = false;
  for (size_t at = 0; at < records.size();) {
    const ParsedRecord parsed = ParseRecord(records.subspan(at));
    if (parsed.outcome != ParseOutcome::kComplete || (inside && parsed.single)) {
      return InvalidArgument("log set: byte " + std::to_string(at) + " is no whole redo record");
    }
    if (!inside) {
      starts.push_back(at);
    }
    inside = !parsed.single && parsed.type != RedoType::kMultiRecordEnd &&
             (inside || parsed.type != RedoType::kDummy);
    at += parsed.length;
  }
  if (inside) {
    return InvalidArgument("log set: the last mtr is not whole");
  }
  return starts;
}

}  // namespace

Result<Bytes> BuildLogSet(Lsn complete_lsn, ByteView records, const LogSetOptions& options) {
  REDOUBT_ASSIGN_OR_RETURN(const std::vector<size_t> groups, GroupStarts(records));
  const size_t block_count = records.size() / kLogBlockPayloadBytes + 1;
  if (options.file_bytes % kMinPageBytes != 0 ||
      options.file_bytes < kLogFileHeaderBytes + block_count * kLogBlockBytes) {
    return InvalidArgument("log set: a file of " + std::to_string(options.file_bytes) +
                           " bytes does not hold " + std::to_string(records.size()) +
                           " bytes of records, or is no multiple of 4096");
  }
  const Lsn base = AlignToBlock(Lsn(complete_lsn.value() + kLogBlockBytes - 1));
  Bytes file(options.file_bytes, 0);
  const MutableByteView out(file);
  WriteLogFileHeader({kLogFormat, options.log_uuid, base, options.creator, 0},
                     out.first(kLogBlockBytes));
  const Lsn checkpoint(base.value() + kLogBlockHeaderBytes);
  WriteLogCheckpoint(checkpoint, out.subspan(kLogCheckpoint1Offset, kLogBlockBytes));
  WriteLogCheckpoint(checkpoint, out.subspan(kLogCheckpoint2Offset, kLogBlockBytes));
  for (size_t i = 0; i < block_count; ++i) {
    const size_t from = i * kLogBlockPayloadBytes;
    const size_t to = std::min(records.size(), from + kLogBlockPayloadBytes);
    // An empty last block still says where the next mtr will start, as a server's own does.
    const uint16_t first = from == to ? static_cast<uint16_t>(kLogBlockHeaderBytes)
                                      : FirstGroupInBlock(groups, from, to);
    WriteLogBlock(Lsn(base.value() + i * kLogBlockBytes), records.subspan(from, to - from), first,
                  out.subspan(kLogFileHeaderBytes + i * kLogBlockBytes, kLogBlockBytes));
  }
  return file;
}

}  // namespace redoubt::innodb
