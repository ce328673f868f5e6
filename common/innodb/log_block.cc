// SPDX-License-Identifier: MIT
//
// Order of the checks matters: number and epoch are tested before the checksum, because a recycled
// block is intact and only its number tells its age; and an encrypted block's checksum cannot be
// read.
#include "common/innodb/log_block.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt::innodb {
namespace {

constexpr uint64_t kBlocksPerEpoch = uint64_t{1} << 30;
constexpr uint32_t kBlockNoMask = 0x7FFFFFFF;
constexpr uint16_t kEncryptedBit = 0x8000;
constexpr size_t kChecksumOffset = kLogBlockBytes - kLogBlockTrailerBytes;

uint32_t BlockNoOf(Lsn block_lsn) {
  return static_cast<uint32_t>(1 + block_lsn.value() / kLogBlockBytes % kBlocksPerEpoch);
}
uint32_t EpochOf(Lsn block_lsn) {
  return static_cast<uint32_t>(1 + block_lsn.value() / kLogBlockBytes / kBlocksPerEpoch);
}

bool SaneLengths(const LogBlockHeader& header) {
  const size_t length = header.data_length;
  const bool full = length == kLogBlockBytes;
  if (!full && (length < kLogBlockHeaderBytes || length >= kChecksumOffset)) {
    return false;
  }
  const size_t first = header.first_rec_group;
  return first == 0 ||
         (first >= kLogBlockHeaderBytes && first <= std::min(length, kChecksumOffset));
}

}  // namespace

Lsn LogBlockHeader::block_lsn() const {
  if (block_no == 0 || epoch == 0) {
    return Lsn(0);
  }
  return Lsn((uint64_t{epoch - 1} * kBlocksPerEpoch + (block_no - 1)) * kLogBlockBytes);
}

LogBlockHeader DecodeLogBlockHeader(ByteView block) {
  REDOUBT_CHECK(block.size() >= kLogBlockHeaderBytes);
  LogBlockHeader header;
  header.block_no = LoadBe32(block.data()) & kBlockNoMask;
  const uint16_t length = LoadBe16(block.data() + 4);
  header.encrypted = (length & kEncryptedBit) != 0;
  header.data_length = static_cast<uint16_t>(length & ~kEncryptedBit);
  header.first_rec_group = LoadBe16(block.data() + 6);
  header.epoch = LoadBe32(block.data() + 8);
  return header;
}

std::string_view LogBlockStateName(LogBlockState state) {
  switch (state) {
    case LogBlockState::kFull:
      return "full";
    case LogBlockState::kPartial:
      return "partial";
    case LogBlockState::kBlank:
      return "blank";
    case LogBlockState::kStale:
      return "stale";
    case LogBlockState::kFuture:
      return "future";
    case LogBlockState::kEncrypted:
      return "encrypted";
    case LogBlockState::kBadChecksum:
      return "bad checksum";
    case LogBlockState::kMalformed:
      return "malformed";
  }
  return "unknown";
}

LogBlockCheck CheckLogBlock(ByteView block, Lsn expected_block_lsn) {
  REDOUBT_CHECK(block.size() == kLogBlockBytes);
  REDOUBT_CHECK(expected_block_lsn.value() % kLogBlockBytes == 0);
  LogBlockCheck check;
  check.header = DecodeLogBlockHeader(block);
  if (LoadBe64(block.data()) == 0 && check.header.epoch == 0) {
    check.state = LogBlockState::kBlank;
    return check;
  }
  const bool expected = check.header.block_no == BlockNoOf(expected_block_lsn) &&
                        check.header.epoch == EpochOf(expected_block_lsn);
  const uint32_t stored = LoadBe32(block.data() + kChecksumOffset);
  const bool crc_good = stored == Crc32c(block.first(kChecksumOffset));
  check.unchecked = !crc_good && !check.header.encrypted && stored == kNoLogChecksum;
  if (!check.header.encrypted && !crc_good && !check.unchecked) {
    check.state = LogBlockState::kBadChecksum;
  } else if (!expected) {
    check.state = check.header.block_lsn() < expected_block_lsn ? LogBlockState::kStale
                                                                : LogBlockState::kFuture;
  } else if (check.header.encrypted) {
    check.state = LogBlockState::kEncrypted;
  } else if (!SaneLengths(check.header)) {
    check.state = LogBlockState::kMalformed;
  } else {
    const bool full = check.header.data_length == kLogBlockBytes;
    check.state = full ? LogBlockState::kFull : LogBlockState::kPartial;
    const size_t end = full ? kChecksumOffset : check.header.data_length;
    check.payload = block.subspan(kLogBlockHeaderBytes, end - kLogBlockHeaderBytes);
  }
  return check;
}

void WriteLogBlock(Lsn block_lsn, ByteView payload, uint16_t first_rec_group, MutableByteView out) {
  REDOUBT_CHECK(out.size() == kLogBlockBytes);
  REDOUBT_CHECK(block_lsn.value() % kLogBlockBytes == 0);
  REDOUBT_CHECK(payload.size() <= kLogBlockPayloadBytes);
  const size_t used = kLogBlockHeaderBytes + payload.size();
  REDOUBT_CHECK(first_rec_group == 0 ||
                (first_rec_group >= kLogBlockHeaderBytes && first_rec_group <= used));
  StoreBe32(out.data(), BlockNoOf(block_lsn));
  StoreBe16(out.data() + 4,
            static_cast<uint16_t>(payload.size() == kLogBlockPayloadBytes ? kLogBlockBytes : used));
  StoreBe16(out.data() + 6, first_rec_group);
  StoreBe32(out.data() + 8, EpochOf(block_lsn));
  std::copy(payload.begin(), payload.end(), out.begin() + kLogBlockHeaderBytes);
  std::fill(out.begin() + static_cast<ptrdiff_t>(used), out.end(), uint8_t{0});
  StoreBe32(out.data() + kChecksumOffset, Crc32c(out.first(kChecksumOffset)));
}

}  // namespace redoubt::innodb
