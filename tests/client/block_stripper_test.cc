// SPDX-License-Identifier: MIT
//
// Goal: whatever pieces a log writer hands out, with its last block written again and again, the
// payload comes out once and in order; and blocks that do not fit are refused without effect.
// Method: a random payload, framed with WriteLogBlock and cut at random places.
#include "client/block_stripper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "common/base/hash.h"
#include "common/innodb/log_block.h"

namespace redoubt {
namespace {

using innodb::kLogBlockBytes;
using innodb::kLogBlockPayloadBytes;

constexpr Lsn kStart{8192 + 12};

// The stream from kStart on, and its blocks.
class Stream {
 public:
  explicit Stream(size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
      payload_.push_back(static_cast<uint8_t>(HashMix(3, i)));
    }
  }
  // The blocks from the one that `from` lies in up to `end`; mtrs begin at multiples of 300 bytes.
  Bytes Blocks(Lsn from, Lsn end) const {
    Bytes blocks;
    for (Lsn block = innodb::AlignToBlock(from); block < end;
         block = Lsn(block.value() + kLogBlockBytes)) {
      const size_t begin = Offset(Lsn(block.value() + 12));
      const size_t used = std::min(kLogBlockPayloadBytes, Offset(NormaliseEnd(end)) - begin);
      const size_t group = (begin + 299) / 300 * 300;
      const size_t first = group < begin + used ? 12 + group - begin : 0;
      blocks.resize(blocks.size() + kLogBlockBytes);
      innodb::WriteLogBlock(block, ByteView(payload_).subspan(begin, used),
                            static_cast<uint16_t>(first),
                            MutableByteView(blocks).last(kLogBlockBytes));
    }
    return blocks;
  }
  static size_t Offset(Lsn lsn) { return innodb::ToSn(lsn).value() - innodb::ToSn(kStart).value(); }
  static Lsn At(size_t offset) { return innodb::AdvanceLsn(kStart, offset); }
  const Bytes& payload() const { return payload_; }

 private:
  Bytes payload_;
};

// Ends that fall on a block's end are told in either way.
Lsn AsTold(Lsn end, bool end_of_block) {
  return end.value() % kLogBlockBytes == 12 && end_of_block ? Lsn(end.value() - 12) : end;
}

TEST(BlockStripper, GivesThePayloadOnceHoweverItIsCut) {
  const Stream stream(40'000);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BlockStripper stripper;
    stripper.Reset(kStart);
    Bytes got;
    uint64_t draw = 0;
    while (got.size() < stream.payload().size()) {
      const uint64_t most = HashMix(seed, ++draw) % 3 == 0 ? 3000 : 200;
      // Every tenth one fills its block exactly.
      size_t to =
          std::min<size_t>(stream.payload().size(), got.size() + 1 + HashMix(seed, ++draw) % most);
      if (HashMix(seed, ++draw) % 10 == 0) {
        to = std::min(stream.payload().size(), (to + 495) / 496 * 496);
      }
      const Lsn end = AsTold(Stream::At(to), HashMix(seed, ++draw) % 2 == 0);
      const Lsn start = innodb::AlignToBlock(stripper.next_lsn());
      const Bytes blocks = stream.Blocks(start, end);
      const Result<StrippedRedo> redo = stripper.Strip(blocks, start, end);
      ASSERT_TRUE(redo.ok()) << redo.status().ToString();
      EXPECT_EQ(redo->range, (LsnRange{Stream::At(got.size()), Stream::At(to)}));
      if (redo->first_mtr_lsn != Lsn{}) {
        EXPECT_TRUE(redo->range.Contains(redo->first_mtr_lsn));
        EXPECT_EQ(Stream::Offset(redo->first_mtr_lsn) % 300, 0U);
      }
      got.insert(got.end(), redo->payload.begin(), redo->payload.end());
      stripper.Accept(*redo);
    }
    EXPECT_EQ(got, stream.payload());
  }
}

class BlockStripperRefuses : public testing::Test {
 protected:
  // 700 bytes were accepted: one block and a part.
  void SetUp() override {
    stripper_.Reset(kStart);
    const Bytes blocks = stream_.Blocks(kStart, Stream::At(700));
    const Result<StrippedRedo> redo =
        stripper_.Strip(blocks, innodb::AlignToBlock(kStart), Stream::At(700));
    ASSERT_TRUE(redo.ok());
    stripper_.Accept(*redo);
    start_ = innodb::AlignToBlock(stripper_.next_lsn());
  }
  StatusCode Try(const Bytes& blocks, Lsn start, Lsn end) {
    return stripper_.Strip(blocks, start, end).status().code();
  }

  Stream stream_{5000};
  BlockStripper stripper_;
  Lsn start_;
};

TEST_F(BlockStripperRefuses, BlocksThatAreDamagedOrOfAnotherPlace) {
  const Lsn end = Stream::At(1500);
  const Bytes good = stream_.Blocks(start_, end);
  ASSERT_EQ(Try(good, start_, end), StatusCode::kOk);
  for (size_t at = 0; at < good.size(); at += 7) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    EXPECT_EQ(Try(bad, start_, end), StatusCode::kCorruption) << at;
  }
  Bytes swapped = good;
  std::swap_ranges(swapped.begin(), swapped.begin() + kLogBlockBytes,
                   swapped.begin() + kLogBlockBytes);
  EXPECT_EQ(Try(swapped, start_, end), StatusCode::kCorruption);
}

TEST_F(BlockStripperRefuses, OtherBytesThanThoseAccepted) {
  const Bytes first = stream_.Blocks(start_, Stream::At(800));
  Bytes changed = first;
  changed[12] ^= 1;  // accepted before; with a checksum that is right
  innodb::WriteLogBlock(start_, ByteView(changed).subspan(12, 800 - 496), 0, changed);
  EXPECT_EQ(Try(changed, start_, Stream::At(800)), StatusCode::kCorruption);
  EXPECT_EQ(Try(first, start_, Stream::At(800)), StatusCode::kOk);
}

TEST_F(BlockStripperRefuses, SizesAndPlacesThatDoNotFit) {
  const Lsn end = Stream::At(1500);
  const Bytes good = stream_.Blocks(start_, end);
  EXPECT_EQ(Try({}, start_, end), StatusCode::kInvalidArgument);
  EXPECT_EQ(Try(Bytes(good.begin(), good.end() - 1), start_, end), StatusCode::kInvalidArgument);
  EXPECT_EQ(Try(good, Lsn(start_.value() + 1), end), StatusCode::kInvalidArgument);
  EXPECT_EQ(Try(good, start_, Lsn(end.value() + 2 * kLogBlockBytes)), StatusCode::kInvalidArgument);
  EXPECT_EQ(Try(good, start_, Lsn(start_.value() + 5)), StatusCode::kInvalidArgument);
  EXPECT_EQ(Try(good, start_, Stream::At(1501)), StatusCode::kCorruption) << "the block says 1500";
  const Bytes far = stream_.Blocks(Stream::At(2000), Stream::At(2100));
  EXPECT_EQ(Try(far, innodb::AlignToBlock(Stream::At(2000)), Stream::At(2100)), StatusCode::kGap);
  const Bytes old = stream_.Blocks(start_, Stream::At(600));
  EXPECT_EQ(Try(old, start_, Stream::At(600)), StatusCode::kInvalidArgument) << "goes back";
  Bytes unchecked = good;
  StoreBe32(unchecked.data() + unchecked.size() - 4, innodb::kNoLogChecksum);
  EXPECT_EQ(Try(unchecked, start_, end), StatusCode::kUnsupported);
  BlockStripper fresh;
  EXPECT_EQ(fresh.Strip(good, start_, end).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(BlockStripperRefuses, NothingWhenTheSameIsWrittenAgain) {
  const Bytes same = stream_.Blocks(start_, Stream::At(700));
  const Result<StrippedRedo> redo = stripper_.Strip(same, start_, Stream::At(700));
  ASSERT_TRUE(redo.ok()) << redo.status().ToString();
  EXPECT_TRUE(redo->range.empty());
  EXPECT_TRUE(redo->payload.empty());
}

}  // namespace
}  // namespace redoubt
