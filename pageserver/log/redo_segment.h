// SPDX-License-Identifier: MIT
//
// The bytes of a redo segment: one format, one place. A volume's log is a row of segment files
// "<sequence, 8 digits>-<start LSN>.redo"; big-endian:
//
//   header, 512 bytes
//     0 u64 magic 'RDBTREDF'   8 u32 version          12 u32 volume id     16 u64 volume uid
//    24 u64 sequence          32 u64 previous_end     40 u64 start         48 u16 reason bytes,
//    reason
//   508 u32 crc32c of bytes 0 .. 507
//   record, 80 bytes and the payload, one after the other
//     0 u32 magic 'RDR1'       4 u32 crc32c of the volume uid (8 bytes) and of bytes 8 .. 79
//     8 u64 segment sequence
//    16 u64 epoch             24 u64 start            32 u64 end           40 u64 first_mtr
//    48 i64 source time ns    56 u64 durable_end      64 u64 commit        72 u32 payload bytes
//    76 u32 payload crc32c
//
//   zeroes up to the end of the file, or nothing: space that was written ahead (redo_store.h)
//
// Version 2 has no space ahead, and its records' crc32c leaves the volume uid out. It is still
// read, and written where an older server has to be able to take over
// (RedoStoreOptions::format_version).
//
// previous_end < start is a hole that a writer declared (previous_end 0: the log begins here).
// durable_end is what was synced when the record was written: a record that claims more than what
// can be read before it proves that synced bytes were damaged, whereas without such a proof a bad
// record is the torn tail of a crash. A record with start == end carries no redo, only that claim
// (the seal of a clean stop). commit is the commit LSN that is known once the record is durable, a
// lower bound for a log whose writer has not come back yet; it is never above what is durable with
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "pageserver/log/redo_feed.h"

namespace redoubt {

inline constexpr uint64_t kSegmentMagic = 0x5244425452454446;  // "RDBTREDF"
inline constexpr uint32_t kSegmentVersion = 3;
inline constexpr uint32_t kSegmentVersionOldest = 2;
inline constexpr size_t kSegmentHeaderBytes = 512;
inline constexpr size_t kSegmentReasonBytesMax = 256;
static_assert(50 + kSegmentReasonBytesMax <= kSegmentHeaderBytes - 4);
inline constexpr uint32_t kRecordMagic = 0x52445231;  // "RDR1"
inline constexpr size_t kRecordHeaderBytes = 80;
// No record is larger: a frame's payload limit is below.
inline constexpr uint32_t kRecordPayloadBytesMax = 64 << 20;

// What a record must agree with to be one of a segment: bytes of another segment, or of another
// volume's, are none wherever they lie.
struct RecordOwner {
  uint64_t volume_uid = 0;
  uint64_t sequence = 0;
  uint32_t version = kSegmentVersion;
};

struct SegmentHeader {
  uint32_t version = kSegmentVersion;
  VolumeId volume;
  // Random per volume: tells the log of another server's volume that has the same number.
  uint64_t volume_uid = 0;
  uint64_t sequence = 0;
  Lsn previous_end;
  Lsn start;
  std::string reason;  // of the hole

  RecordOwner owner() const { return {volume_uid, sequence, version}; }
};

struct RecordHeader {
  Epoch epoch;
  LsnRange range;
  Lsn first_mtr_lsn;
  int64_t source_time_unix_ns = 0;
  Lsn durable_end;
  Lsn commit;
  uint32_t payload_bytes = 0;
  uint32_t payload_crc32c = 0;
};

// `out`: exactly kSegmentHeaderBytes. A longer reason is cut.
void EncodeSegmentHeader(const SegmentHeader& header, MutableByteView out);
// kCorruption: not a segment header or damaged. kUnsupported: a version that is not read here.
Result<SegmentHeader> DecodeSegmentHeader(ByteView bytes);

// `out`: exactly kRecordHeaderBytes.
void EncodeRecordHeader(const RecordHeader& header, const RecordOwner& owner, MutableByteView out);
// nullopt: no valid header of this segment. `bytes`: exactly kRecordHeaderBytes.
std::optional<RecordHeader> DecodeRecordHeader(ByteView bytes, const RecordOwner& owner);

struct SegmentName {
  uint64_t sequence = 0;
  Lsn start;
};
std::string FormatSegmentName(const SegmentName& name);
std::optional<SegmentName> ParseSegmentName(std::string_view file_name);
// "<path> at offset <offset>", for messages.
std::string PlaceInSegment(const std::string& path, uint64_t offset);

// The part of `chunk` below `lsn`, a data LSN inside it. It keeps the source time: the log had
// reached `lsn` by then.
RedoChunk HeadOf(const RedoChunk& chunk, Lsn lsn);

}  // namespace redoubt
