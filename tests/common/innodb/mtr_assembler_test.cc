// SPDX-License-Identifier: MIT
#include "common/innodb/mtr_assembler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "common/innodb/log_block.h"
#include "tests/common/innodb/rapidcheck_gtest.h"
#include "tests/common/innodb/redo_samples.h"

namespace redoubt::innodb {
namespace {

using namespace test;  // NOLINT: builders

struct SeenRecord {
  RedoType type;
  PageId page;
  Lsn start_lsn;
  std::string body;
  bool operator==(const SeenRecord&) const = default;
};
struct SeenMtr {
  Lsn start;
  Lsn end;
  std::vector<SeenRecord> records;
  std::string bytes;
  bool operator==(const SeenMtr&) const = default;
};

class Collector {
 public:
  Status operator()(const MtrView& mtr) {
    SeenMtr seen{mtr.start_lsn, mtr.end_lsn, {}, std::string(AsText(mtr.bytes))};
    for (const RedoRecord& record : mtr.records) {
      seen.records.push_back(
          {record.type, record.page, record.start_lsn, std::string(AsText(record.body))});
    }
    mtrs.push_back(std::move(seen));
    return Status::Ok();
  }
  std::vector<SeenMtr> mtrs;
};

// A stream of mtrs: single records, groups, dummy runs, and now and then a group larger than a
// block.
rc::Gen<Bytes> AnyStream() {
  static const std::vector<Bytes> kRecords = SampleRecords();
  return rc::gen::exec([] {
    Bytes stream;
    const int groups = *rc::gen::inRange(1, 30);
    for (int g = 0; g < groups; ++g) {
      const int shape = *rc::gen::inRange(0, 10);
      Bytes group;
      if (shape == 0) {
        group.assign(*rc::gen::inRange<size_t>(1, 600), 32);
        group.push_back(31);
      } else if (shape < 5) {
        group = Single(*rc::gen::elementOf(kRecords));
      } else {
        const int count = *rc::gen::inRange(2, shape == 9 ? 300 : 8);
        std::vector<Bytes> records;
        for (int i = 0; i < count; ++i) {
          records.push_back(*rc::gen::elementOf(kRecords));
        }
        group = Multi(records);
      }
      stream.insert(stream.end(), group.begin(), group.end());
    }
    return stream;
  });
}

TEST(MtrAssembler, ArbitraryCutsGiveWhatTheUncutStreamGives) {
  CheckProperty([] {
    const Bytes stream = *AnyStream();
    const Lsn start = ToLsn(Sn(*rc::gen::inRange<uint64_t>(8000, 1'000'000)));
    Collector whole;
    MtrAssembler uncut(start);
    RC_ASSERT(uncut.Feed(stream, whole).ok());
    RC_ASSERT(uncut.end_lsn() == AdvanceLsn(start, stream.size()));
    RC_ASSERT(uncut.tail_bytes() == 0U);

    Collector pieces;
    MtrAssembler cut(start);
    const size_t largest = *rc::gen::element<size_t>(1, 7, 496, 5000);
    for (size_t at = 0; at < stream.size();) {
      const size_t length = std::min(stream.size() - at, *rc::gen::inRange<size_t>(1, largest + 1));
      // A copy that dies after the call: bodies must not point into it later.
      const Bytes piece(stream.begin() + static_cast<ptrdiff_t>(at),
                        stream.begin() + static_cast<ptrdiff_t>(at + length));
      RC_ASSERT(cut.Feed(piece, pieces).ok());
      at += length;
      RC_ASSERT(cut.fed_lsn() == AdvanceLsn(start, at));
      RC_ASSERT(ToSn(cut.fed_lsn()).value() - ToSn(cut.end_lsn()).value() == cut.tail_bytes());
    }
    RC_ASSERT(pieces.mtrs == whole.mtrs);
    RC_ASSERT(cut.end_lsn() == uncut.end_lsn());
  });
}

TEST(MtrAssembler, AnUnfinishedMtrIsNotShownAndNotCounted) {
  const Bytes first = Single(Record(RedoType::kWrite1, kTestPage, Body().U16(1).C32(1).bytes()));
  const Bytes second = Multi(SampleRecords());
  Bytes stream = first;
  stream.insert(stream.end(), second.begin(), second.end() - 1);  // all but the end mark
  Collector seen;
  MtrAssembler assembler(Lsn(8204));
  ASSERT_TRUE(assembler.Feed(stream, seen).ok());
  EXPECT_EQ(seen.mtrs.size(), 1U);
  EXPECT_EQ(assembler.end_lsn(), AdvanceLsn(Lsn(8204), first.size()));
  EXPECT_EQ(assembler.tail_bytes(), second.size() - 1);
  ASSERT_TRUE(assembler.Feed(Bytes{31}, seen).ok());
  ASSERT_EQ(seen.mtrs.size(), 2U);
  EXPECT_EQ(seen.mtrs[1].records.size(), SampleRecords().size());
}

TEST(MtrAssembler, LsnsSkipTheFramesBetweenBlocks) {
  // A group that begins at the last payload byte of a block: its second record starts in the next
  // block.
  const Bytes record = Record(RedoType::kWrite1, kTestPage, Body().U16(1).C32(1).bytes());
  ASSERT_EQ(record.size(), 6U);
  Collector seen;
  MtrAssembler assembler(Lsn(8192 + 507));
  ASSERT_TRUE(assembler.Feed(Multi({record, record}), seen).ok());
  EXPECT_EQ(seen.mtrs[0].start.value(), 8699U);
  EXPECT_EQ(seen.mtrs[0].records[0].start_lsn.value(), 8699U);
  EXPECT_EQ(seen.mtrs[0].records[1].start_lsn.value(), 8704U + 12 + 5);
  EXPECT_EQ(seen.mtrs[0].end.value(), 8704U + 12 + 12);
}

TEST(MtrAssembler, DummyRunsAdvanceSilentlyAndADummyInsideAGroupIsNothing) {
  Bytes stream(4096, 32);
  stream.push_back(31);
  const Bytes record = Record(RedoType::kWrite1, kTestPage, Body().U16(1).C32(1).bytes());
  const Bytes group = Multi({record, Bytes{32}, record});
  stream.insert(stream.end(), group.begin(), group.end());
  Collector seen;
  MtrAssembler assembler(Lsn(8204));
  ASSERT_TRUE(assembler.Feed(stream, seen).ok());
  ASSERT_EQ(seen.mtrs.size(), 1U);
  EXPECT_EQ(seen.mtrs[0].records.size(), 2U);
  EXPECT_EQ(seen.mtrs[0].start, AdvanceLsn(Lsn(8204), 4097));
}

TEST(MtrAssembler, StopsLoudlyAtCorruptionAndStaysStopped) {
  const Bytes record = Record(RedoType::kWrite1, kTestPage, Body().U16(1).C32(1).bytes());
  Bytes bad = Multi({record, Single(record)});
  Collector seen;
  MtrAssembler assembler(Lsn(8204));
  const Status status = assembler.Feed(bad, seen);
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  EXPECT_NE(status.message().find("type 1 (MLOG_1BYTE) of page 5:17 at LSN 8210"),
            std::string::npos)
      << status.message();
  EXPECT_TRUE(seen.mtrs.empty());
  EXPECT_EQ(assembler.Feed(Single(record), seen).code(), StatusCode::kCorruption);
  assembler.Reset(Lsn(9228));
  EXPECT_TRUE(assembler.Feed(Single(record), seen).ok());
  EXPECT_EQ(seen.mtrs.size(), 1U);
}

TEST(MtrAssembler, ACutInsideANumberIsNoVerdict) {
  // Found by redo_record_fuzz, minimised: an update in place whose only field is NULL, the length
  // 2^32 - 1 written in three bytes, where a server writes two (FB FF). While its first byte was
  // alone it read as 0xFFFE0000, a field longer than any page.
  const Bytes record = {0xC6, 0x00, 0x04, 0x01, 0x00, 0x29, 0x00, 0xFD, 0xFF,
                        0xFF, 0xED, 0x25, 0x9E, 0x09, 0x09, 0x09, 0x09, 0x09,
                        0xFD, 0xFF, 0xFF, 0xED, 0x01, 0x09, 0xFD, 0xFF, 0xFF};
  for (size_t step = 1; step <= record.size(); ++step) {
    Collector seen;
    MtrAssembler assembler(Lsn(8204));
    for (size_t at = 0; at < record.size(); at += step) {
      const size_t length = std::min(step, record.size() - at);
      ASSERT_TRUE(assembler.Feed(ByteView(record).subspan(at, length), seen).ok()) << step;
    }
    ASSERT_EQ(seen.mtrs.size(), 1U) << step;
    EXPECT_EQ(seen.mtrs[0].records[0].type, RedoType::kUpdateInPlace);
    EXPECT_EQ(seen.mtrs[0].bytes, AsText(record)) << step;
  }
}

TEST(MtrAssembler, ASinkThatRefusesStopsTheFeed) {
  const Bytes record = Single(Record(RedoType::kWrite1, kTestPage, Body().U16(1).C32(1).bytes()));
  Bytes stream = record;
  stream.insert(stream.end(), record.begin(), record.end());
  MtrAssembler assembler(Lsn(8204));
  int calls = 0;
  const Status status = assembler.Feed(stream, [&](const MtrView&) {
    ++calls;
    return Unsupported("no");
  });
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(assembler.end_lsn(), AdvanceLsn(Lsn(8204), record.size()));
}

TEST(LogBlocks, BlockAndMtrFramingTogetherAreLossless) {
  // Goal: payload cut into blocks and read back, whatever the start offset, gives the same mtrs.
  CheckProperty([] {
    const Bytes stream = *AnyStream();
    const Lsn start = ToLsn(Sn(*rc::gen::inRange<uint64_t>(8000, 9000)));
    Collector direct;
    MtrAssembler uncut(start);
    RC_ASSERT(uncut.Feed(stream, direct).ok());

    Collector blocks;
    MtrAssembler assembler(start);
    Lsn block_lsn = AlignToBlock(start);
    size_t lead = start.value() - block_lsn.value() - kLogBlockHeaderBytes;
    for (size_t at = 0; at < stream.size();) {
      const size_t length = std::min(stream.size() - at, kLogBlockPayloadBytes - lead);
      Bytes payload(lead, 0xEE);
      payload.insert(payload.end(), stream.begin() + static_cast<ptrdiff_t>(at),
                     stream.begin() + static_cast<ptrdiff_t>(at + length));
      Bytes block(kLogBlockBytes);
      WriteLogBlock(block_lsn, payload, 0, block);
      const LogBlockCheck check = CheckLogBlock(block, block_lsn);
      RC_ASSERT(check.valid());
      RC_ASSERT(assembler.Feed(check.payload.subspan(lead), blocks).ok());
      at += length;
      lead = 0;
      block_lsn = Lsn(block_lsn.value() + kLogBlockBytes);
    }
    RC_ASSERT(blocks.mtrs == direct.mtrs);
  });
}

}  // namespace
}  // namespace redoubt::innodb
