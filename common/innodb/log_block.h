// SPDX-License-Identifier: MIT
//
// One redo log block: 512 bytes of which 496 are payload, and the LSN <-> SN arithmetic that the
// framing implies. For readers of redo files, the log role and builders of redo files.
//
//   0   u32 block number, bit 31 reserved     = 1 + (block_lsn / 512) mod 2^30
//   4   u16 data length, bit 15 = encrypted   = 512 if filled, else 12 .. 507
//   6   u16 first_rec_group                   = offset of the first mtr that starts here, 0 = none
//   8   u32 epoch                             = 1 + (block_lsn / 512) div 2^30
//   12  496 bytes of payload
//   508 u32 CRC-32C of bytes 0 .. 507, or the constant 0xDEADBEEF (innodb_log_checksums=OFF)
//
// A data LSN lies inside a payload: 12 <= lsn mod 512 < 508. Starts and ends of mtrs and page LSNs
// are data LSNs; an mtr that ends with its block's last payload byte ends at byte 12 of the next.
//
// Format: README.md, "Log block".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/types.h"

namespace redoubt::innodb {

inline constexpr size_t kLogBlockBytes = 512;
inline constexpr size_t kLogBlockHeaderBytes = 12;
inline constexpr size_t kLogBlockTrailerBytes = 4;
inline constexpr size_t kLogBlockPayloadBytes =
    kLogBlockBytes - kLogBlockHeaderBytes - kLogBlockTrailerBytes;
static_assert(kLogBlockPayloadBytes == 496);
inline constexpr uint32_t kNoLogChecksum = 0xDEADBEEF;
// Where a new server starts counting, and the first LSN that carries a payload byte.
inline constexpr Lsn kLogStartLsn{8192};
inline constexpr Lsn kFirstDataLsn{kLogStartLsn.value() + kLogBlockHeaderBytes};

// 12 <= lsn mod 512 < 508.
constexpr bool IsDataLsn(Lsn lsn) {
  const uint64_t offset = lsn.value() % kLogBlockBytes;
  return kLogBlockHeaderBytes <= offset && offset < kLogBlockBytes - kLogBlockTrailerBytes;
}
// The start of the block that contains `lsn`.
constexpr Lsn AlignToBlock(Lsn lsn) { return Lsn(lsn.value() - lsn.value() % kLogBlockBytes); }
// Requires IsDataLsn(lsn); checked in debug use by callers. Inverse of ToLsn.
constexpr Sn ToSn(Lsn lsn) {
  return Sn(lsn.value() / kLogBlockBytes * kLogBlockPayloadBytes + lsn.value() % kLogBlockBytes -
            kLogBlockHeaderBytes);
}
// Always a data LSN.
constexpr Lsn ToLsn(Sn sn) {
  return Lsn(sn.value() / kLogBlockPayloadBytes * kLogBlockBytes +
             sn.value() % kLogBlockPayloadBytes + kLogBlockHeaderBytes);
}
// Bytes of payload in `range`, whose ends are data LSNs.
constexpr size_t PayloadBytes(LsnRange range) {
  return ToSn(range.end).value() - ToSn(range.start).value();
}
// The first data LSN of the block behind the one that contains `lsn`.
constexpr Lsn NextBlockData(Lsn lsn) {
  return Lsn(AlignToBlock(lsn).value() + kLogBlockBytes + kLogBlockHeaderBytes);
}
// The data LSN `payload_bytes` bytes of payload after the data LSN `data_lsn`.
constexpr Lsn AdvanceLsn(Lsn data_lsn, size_t payload_bytes) {
  return ToLsn(Sn(ToSn(data_lsn).value() + payload_bytes));
}

struct LogBlockHeader {
  uint32_t block_no = 0;  // bit 31 removed
  bool encrypted = false;
  uint16_t data_length = 0;  // encryption bit removed
  uint16_t first_rec_group = 0;
  uint32_t epoch = 0;

  // The block start that number and epoch name; Lsn(0) for a number or epoch of 0.
  Lsn block_lsn() const;
};
// `block`: at least 12 bytes.
LogBlockHeader DecodeLogBlockHeader(ByteView block);

enum class LogBlockState : uint8_t {
  kFull,         // valid, 496 bytes of payload
  kPartial,      // valid, the log's last block: will be written again as it fills
  kBlank,        // header all zero: never written
  kStale,        // an older block of a recycled file: the log ends before it
  kFuture,       // a younger block than expected: the file was recycled under the reader
  kEncrypted,    // right number and epoch, payload encrypted
  kBadChecksum,  // torn, corrupt, or read while it was written
  kMalformed,    // checksum good, but lengths that no server writes
};
std::string_view LogBlockStateName(LogBlockState state);

struct LogBlockCheck {
  LogBlockState state = LogBlockState::kBadChecksum;
  LogBlockHeader header;
  // Payload bytes 12 .. min(data_length, 508), borrowed from the block; empty unless valid().
  ByteView payload;
  // The block carries 0xDEADBEEF: only number and epoch vouch for it.
  bool unchecked = false;

  bool valid() const { return state == LogBlockState::kFull || state == LogBlockState::kPartial; }
};
// Checks the block that should start at `expected_block_lsn` (a multiple of 512).
// `block`: exactly 512 bytes, borrowed by the answer's payload.
LogBlockCheck CheckLogBlock(ByteView block, Lsn expected_block_lsn);

// Writes the block starting at `block_lsn`: header, payload (at most 496 bytes; the rest becomes
// zero) and CRC. `first_rec_group`: as above, 0 or 12 .. 12 + payload size. `out`: exactly 512
// bytes.
void WriteLogBlock(Lsn block_lsn, ByteView payload, uint16_t first_rec_group, MutableByteView out);

}  // namespace redoubt::innodb
