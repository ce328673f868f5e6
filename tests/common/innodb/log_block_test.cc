// SPDX-License-Identifier: MIT
#include "common/innodb/log_block.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "common/base/crc32c.h"
#include "tests/common/innodb/rapidcheck_gtest.h"

namespace redoubt::innodb {
namespace {

constexpr Lsn kBlock{8192 + 5 * 512};

Bytes MakeBlock(Lsn lsn, size_t payload_bytes, uint16_t first_rec_group = 12) {
  Bytes payload(payload_bytes);
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<uint8_t>(i * 7 + 1);
  }
  Bytes block(kLogBlockBytes);
  WriteLogBlock(lsn, payload, first_rec_group, block);
  return block;
}

void Reseal(Bytes* block) { StoreBe32(block->data() + 508, Crc32c(ByteView(*block).first(508))); }

LogBlockState StateOf(const Bytes& block, Lsn lsn = kBlock) {
  return CheckLogBlock(block, lsn).state;
}

TEST(Lsn, CountsFramesAndSnDoesNot) {
  // Golden: counting starts at 8192, whose first payload byte is 8204; a payload that ends at byte
  // 508 ends at byte 12 of the next block.
  EXPECT_EQ(kFirstDataLsn.value(), 8204U);
  EXPECT_EQ(ToSn(Lsn(8204)).value(), 16U * 496);
  EXPECT_EQ(AdvanceLsn(Lsn(8204), 495).value(), 8699U);
  EXPECT_EQ(AdvanceLsn(Lsn(8204), 496).value(), 8716U);
  EXPECT_EQ(AdvanceLsn(Lsn(8699), 1).value(), 8716U);
  EXPECT_FALSE(IsDataLsn(Lsn(8700)));
  EXPECT_FALSE(IsDataLsn(Lsn(8203)));
  EXPECT_TRUE(IsDataLsn(Lsn(8699)));
  EXPECT_EQ(AlignToBlock(Lsn(8699)).value(), 8192U);
  EXPECT_EQ(NextBlockData(Lsn(8204)).value(), 8716U);
  EXPECT_EQ(NextBlockData(Lsn(8699)).value(), 8716U);
  EXPECT_EQ(PayloadBytes({Lsn(8204), Lsn(8699)}), 495U);
  EXPECT_EQ(PayloadBytes({Lsn(8204), Lsn(8716)}), 496U);
}

TEST(Lsn, MapsOneToOneAndAdvancesByTheFormula) {
  CheckProperty([] {
    const uint64_t sn = *rc::gen::inRange<uint64_t>(0, uint64_t{1} << 60);
    const uint64_t length = *rc::gen::inRange<uint64_t>(0, 5000);
    const Lsn lsn = ToLsn(Sn(sn));
    RC_ASSERT(IsDataLsn(lsn));
    RC_ASSERT(ToSn(lsn).value() == sn);
    const uint64_t a = lsn.value();
    RC_ASSERT(AdvanceLsn(lsn, length).value() == a + length + (length + (a % 512 - 12)) / 496 * 16);
  });
}

TEST(LogBlock, FullAndPartialBlocksGiveTheirPayload) {
  const Bytes full = MakeBlock(kBlock, 496);
  const LogBlockCheck check = CheckLogBlock(full, kBlock);
  EXPECT_EQ(check.state, LogBlockState::kFull);
  EXPECT_EQ(check.payload.size(), 496U);
  EXPECT_EQ(check.payload.data(), full.data() + 12);
  EXPECT_EQ(check.header.data_length, 512);
  EXPECT_EQ(check.header.block_no, 1 + kBlock.value() / 512);
  EXPECT_EQ(check.header.epoch, 1U);
  EXPECT_EQ(check.header.block_lsn(), kBlock);

  const Bytes partial = MakeBlock(kBlock, 100, 0);
  EXPECT_EQ(StateOf(partial), LogBlockState::kPartial);
  EXPECT_EQ(CheckLogBlock(partial, kBlock).payload.size(), 100U);
  EXPECT_EQ(StateOf(MakeBlock(kBlock, 0)), LogBlockState::kPartial);
  EXPECT_EQ(StateOf(MakeBlock(kBlock, 495)), LogBlockState::kPartial);
}

TEST(LogBlock, BlockNumbersWrapIntoTheEpoch) {
  const Lsn lsn((uint64_t{1} << 30) * 512 * 2 + 512);
  const Bytes block = MakeBlock(lsn, 496);
  EXPECT_EQ(LoadBe32(block.data()), 2U);
  EXPECT_EQ(LoadBe32(block.data() + 8), 3U);
  EXPECT_EQ(StateOf(block, lsn), LogBlockState::kFull);
  EXPECT_EQ(StateOf(block, Lsn(512)), LogBlockState::kFuture);
  Bytes flush_bit = block;
  flush_bit[0] |= 0x80;
  Reseal(&flush_bit);
  EXPECT_EQ(StateOf(flush_bit, lsn), LogBlockState::kFull);
}

TEST(LogBlock, TellsBlankStaleFutureAndTornApart) {
  EXPECT_EQ(StateOf(Bytes(512, 0)), LogBlockState::kBlank);
  EXPECT_EQ(StateOf(MakeBlock(Lsn(kBlock.value() - 512), 496)), LogBlockState::kStale);
  EXPECT_EQ(StateOf(MakeBlock(Lsn(kBlock.value() + 512), 496)), LogBlockState::kFuture);
  const Bytes good = MakeBlock(kBlock, 300);
  for (size_t at = 0; at < 512; ++at) {
    Bytes torn = good;
    torn[at] ^= 0x40;
    const LogBlockState state = StateOf(torn);
    // Byte 4's bit 0x40 and the rest all change the checksum; nothing may pass as valid.
    EXPECT_FALSE(state == LogBlockState::kFull || state == LogBlockState::kPartial) << at;
  }
  // Half of the sector from an older version of the same block.
  Bytes mixed = MakeBlock(kBlock, 496);
  std::copy(good.begin() + 256, good.end(), mixed.begin() + 256);
  EXPECT_EQ(StateOf(mixed), LogBlockState::kBadChecksum);
}

TEST(LogBlock, ChecksumConstantIsAcceptedOnlyForTheExpectedBlock) {
  Bytes block = MakeBlock(kBlock, 496);
  StoreBe32(block.data() + 508, kNoLogChecksum);
  const LogBlockCheck check = CheckLogBlock(block, kBlock);
  EXPECT_EQ(check.state, LogBlockState::kFull);
  EXPECT_TRUE(check.unchecked);
  EXPECT_EQ(StateOf(block, Lsn(kBlock.value() + 512)), LogBlockState::kStale);
  EXPECT_EQ(StateOf(block, Lsn(kBlock.value() - 512)), LogBlockState::kFuture);
}

TEST(LogBlock, EncryptedBlocksAreNamedAndTheirStaleOnesToo) {
  Bytes block = MakeBlock(kBlock, 496);
  block[4] |= 0x80;  // payload and trailer are cipher text: the checksum means nothing
  EXPECT_EQ(StateOf(block), LogBlockState::kEncrypted);
  EXPECT_TRUE(CheckLogBlock(block, kBlock).payload.empty());
  EXPECT_EQ(StateOf(block, Lsn(kBlock.value() + 512)), LogBlockState::kStale);
}

TEST(LogBlock, ImpossibleLengthsAreMalformedNotPartial) {
  for (const unsigned length : {0U, 11U, 508U, 509U, 511U, 513U, 0x7FFFU}) {
    Bytes block = MakeBlock(kBlock, 100);
    StoreBe16(block.data() + 4, static_cast<uint16_t>(length));
    Reseal(&block);
    EXPECT_EQ(StateOf(block), LogBlockState::kMalformed) << length;
  }
  for (const unsigned first : {1U, 11U, 113U, 512U}) {
    Bytes block = MakeBlock(kBlock, 100);
    StoreBe16(block.data() + 6, static_cast<uint16_t>(first));
    Reseal(&block);
    EXPECT_EQ(StateOf(block), LogBlockState::kMalformed) << first;
  }
  // A group that will start right behind the data is legal: the server writes it ahead.
  Bytes ahead = MakeBlock(kBlock, 100);
  StoreBe16(ahead.data() + 6, 112);
  Reseal(&ahead);
  EXPECT_EQ(StateOf(ahead), LogBlockState::kPartial);
}

}  // namespace
}  // namespace redoubt::innodb
