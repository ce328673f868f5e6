// SPDX-License-Identifier: MIT
//
// A redo file of #innodb_redo: its name, its four leading blocks, and a builder of a whole log set
// by hand (what a restored data directory starts from).
//
//   0 file header | 512 checkpoint block 1 | 1024 encryption block | 1536 checkpoint block 2 |
//   2048 data blocks ... ; byte of LSN x = 2048 + (x - start_lsn)
//
// Format: README.md, "Redo file". Format number 6 = every server since 8.0.30.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/log_block.h"

namespace redoubt::innodb {

inline constexpr char kLogDirectoryName[] = "#innodb_redo";
inline constexpr uint32_t kLogFormat = 6;
inline constexpr size_t kLogCheckpoint1Offset = 512;
inline constexpr size_t kLogEncryptionOffset = 1024;
inline constexpr size_t kLogCheckpoint2Offset = 1536;
inline constexpr size_t kLogFileHeaderBytes = 2048;

enum LogFileFlag : uint32_t {
  kLogNoLogging = 1U << 0,       // ALTER INSTANCE DISABLE INNODB REDO_LOG is in force
  kLogCrashUnsafe = 1U << 1,     // the data directory cannot be recovered
  kLogNotInitialized = 1U << 2,  // initialisation did not finish
  kLogFileFull = 1U << 3,        // a successor file exists
};

struct LogFileHeader {
  uint32_t format = kLogFormat;
  uint32_t log_uuid = 0;
  Lsn start_lsn;  // of the first data block; multiple of 512
  std::string creator;
  uint32_t flags = 0;  // LogFileFlag
};

// `block`: the first 512 bytes of a file. kCorruption: checksum, or a start_lsn that is no block
// start; kUnsupported: a format other than 6, named.
Result<LogFileHeader> ParseLogFileHeader(ByteView block);
// `out`: exactly 512 bytes. A creator longer than 31 bytes is cut.
void WriteLogFileHeader(const LogFileHeader& header, MutableByteView out);

// `block`: 512 bytes. The checkpoint LSN, Lsn(0) = none; kCorruption: checksum.
Result<Lsn> ParseLogCheckpoint(ByteView block);
void WriteLogCheckpoint(Lsn checkpoint_lsn, MutableByteView out);

struct LogEncryption {
  uint32_t master_key_id = 0;
  std::string server_uuid;
};
// `block`: the 512 bytes at 1024. nullopt = the redo is not encrypted (all zero); otherwise the
// block says encrypted, and Redoubt can say which key it would need but does not decrypt.
// kCorruption: neither zero nor an encryption info.
Result<std::optional<LogEncryption>> ParseLogEncryption(ByteView block);

struct LogFileLead {
  LogFileHeader header;
  // The higher of the two valid checkpoints; Lsn(0) = none. Not yet tested against the file's
  // range.
  Lsn checkpoint_lsn;
  std::optional<LogEncryption> encryption;
};
// `lead`: the first 2048 bytes of a file. Both checkpoint blocks bad counts as "none".
Result<LogFileLead> ParseLogFileLead(ByteView lead);

constexpr uint64_t LogFileOffset(Lsn file_start_lsn, Lsn lsn) {
  return kLogFileHeaderBytes + (lsn.value() - file_start_lsn.value());
}
// One past the last LSN of a file of `file_bytes` bytes.
constexpr Lsn LogFileEndLsn(Lsn file_start_lsn, uint64_t file_bytes) {
  return Lsn(file_start_lsn.value() + file_bytes - kLogFileHeaderBytes);
}

struct LogFileName {
  uint64_t id = 0;
  bool spare = false;  // "_tmp": content has no meaning
  friend bool operator==(const LogFileName&, const LogFileName&) = default;
};
// "#ib_redo12" or "#ib_redo12_tmp".
std::string FormatLogFileName(const LogFileName& name);
// nullopt for any other name (no padding, no sign, fits 64 bits).
std::optional<LogFileName> ParseLogFileName(std::string_view name);

struct LogSetOptions {
  uint32_t log_uuid = 1;
  std::string creator = "Redoubt";
  // Size of the one file: a multiple of the server's page size, and large enough for the records.
  size_t file_bytes = size_t{4} << 20;
};
// The bytes of an `#ib_redo0` for a data directory whose pages are complete as of `complete_lsn`.
// `records`: whole mtrs (EncodeTableDynamicMeta), laid into data blocks from the first block
// boundary at or after complete_lsn. A stock server starts on it, applies the records and logs on
// from there. kInvalidArgument: records do not fit or are not whole mtrs. Verified on MySQL 9.7.4.
Result<Bytes> BuildLogSet(Lsn complete_lsn, ByteView records, const LogSetOptions& options);

}  // namespace redoubt::innodb
