// SPDX-License-Identifier: MIT
#include "common/innodb/redo_parser.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "common/innodb/index_info.h"
#include "tests/common/innodb/rapidcheck_gtest.h"
#include "tests/common/innodb/redo_samples.h"

namespace redoubt::innodb {
namespace {

using namespace test;  // NOLINT: builders

TEST(RedoParser, FindsTheEndOfEveryTypeAndNeedsEveryByte) {
  // Goal: lengths are implicit; each body must be walked exactly. Method: a record of each type,
  // followed by other bytes, and every proper prefix of it.
  std::array<bool, kMaxRedoType + 1> seen{};
  for (const Bytes& record : SampleRecords()) {
    Bytes longer = record;
    longer.insert(longer.end(), 20, 0xAA);
    const ParsedRecord parsed = ParseRecord(longer);
    ASSERT_EQ(parsed.outcome, ParseOutcome::kComplete) << ToHex(record) << parsed.problem;
    EXPECT_EQ(parsed.length, record.size()) << ToHex(record);
    EXPECT_FALSE(parsed.single);
    seen[record[0]] = true;
    for (size_t cut = 0; cut < record.size(); ++cut) {
      // A copy of exactly that size, so that a sanitizer sees a read beyond it.
      const Bytes prefix(record.begin(), record.begin() + static_cast<ptrdiff_t>(cut));
      EXPECT_EQ(ParseRecord(prefix).outcome, ParseOutcome::kNeedMore)
          << ToHex(record) << " cut at " << cut;
    }
  }
  for (unsigned type = 0; type <= kMaxRedoType; ++type) {
    const bool mark = type == 31 || type == 32;
    EXPECT_EQ(seen[type], IsKnownRedoType(static_cast<uint8_t>(type)) && !mark) << type;
  }
}

TEST(RedoParser, GivesPageAndBody) {
  const Bytes body = Body().U16(100).C32(7).bytes();
  const Bytes record =
      Single(Record(RedoType::kWrite2, {SpaceId(0xFFFFFFFE), PageNo(0x12345)}, body));
  const ParsedRecord parsed = ParseRecord(record);
  EXPECT_TRUE(parsed.single);
  EXPECT_EQ(parsed.type, RedoType::kWrite2);
  EXPECT_EQ(parsed.page, (PageId{SpaceId(0xFFFFFFFE), PageNo(0x12345)}));
  EXPECT_EQ(ToHex(ByteView(record).subspan(parsed.body_offset)), ToHex(body));
}

TEST(RedoParser, RefusesObsoleteAndUnknownTypesByNumber) {
  for (unsigned type = 0; type < 128; ++type) {
    if (IsKnownRedoType(static_cast<uint8_t>(type))) {
      continue;
    }
    Bytes record(40, 1);
    record[0] = static_cast<uint8_t>(type);
    const ParsedRecord parsed = ParseRecord(record);
    EXPECT_EQ(parsed.outcome, ParseOutcome::kCorrupt) << type;
    const Status status = ParseError(parsed, record, Lsn(4711));
    EXPECT_EQ(status.code(), StatusCode::kCorruption);
    EXPECT_NE(status.message().find("type " + std::to_string(type) + " "), std::string::npos);
    EXPECT_NE(status.message().find("LSN 4711"), std::string::npos);
  }
  EXPECT_EQ(ParseRecord(Bytes{0x9F}).outcome, ParseOutcome::kCorrupt);
  EXPECT_EQ(ParseRecord(Bytes{0xA0}).outcome, ParseOutcome::kCorrupt);
}

TEST(RedoParser, RefusesWhatNoByteCanCure) {
  const auto outcome = [](RedoType type, const Bytes& body) {
    return ParseRecord(Record(type, kTestPage, body)).outcome;
  };
  using enum RedoType;
  EXPECT_EQ(outcome(kWrite1, Body().U16(1).C32(256).bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kWrite2, Body().U16(1).C32(65536).bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(0).U8(0).bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(2).U8(0).bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(1).U8(8).bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(1).U8(1).U16(0).U16(0).bytes()),
            ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(1).U8(1).U16(1024).U16(1).bytes()),
            ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kPageReorganize, Body().U8(1).U8(1).U16(2).U16(3).bytes()),
            ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kFileDelete, Body().U16(4).Text("abcd").bytes()), ParseOutcome::kCorrupt);
  EXPECT_EQ(outcome(kRecordInsert, Body().RedundantIndex().U16(101).C32(65536 << 1).bytes()),
            ParseOutcome::kCorrupt);
}

TEST(RedoParser, ItsAnswerIsFinal) {
  // Goal: bytes that come later never change what was said. Method: samples of every type with one
  // byte replaced by the borders of the integers' forms, and every prefix of that.
  constexpr uint8_t kBorders[] = {0x00, 0x01, 0x7F, 0x80, 0xBF, 0xC0, 0xDF, 0xE0, 0xEF,
                                  0xF0, 0xF7, 0xF8, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF};
  uint64_t corrupt = 0;
  for (const Bytes& record : SampleRecords()) {
    for (size_t at = 0; at < record.size(); ++at) {
      for (const uint8_t border : kBorders) {
        Bytes bytes = record;
        bytes[at] = border;
        bytes.insert(bytes.end(), 12, 0xFF);
        const ParsedRecord whole = ParseRecord(bytes);
        corrupt += whole.outcome == ParseOutcome::kCorrupt ? 1 : 0;
        for (size_t cut = 0; cut < bytes.size(); ++cut) {
          const ParsedRecord part = ParseRecord(ByteView(bytes).first(cut));
          if (part.outcome == ParseOutcome::kNeedMore) {
            continue;
          }
          ASSERT_EQ(part.outcome, whole.outcome) << ToHex(bytes) << " cut at " << cut;
          ASSERT_EQ(part.length, whole.length) << ToHex(bytes) << " cut at " << cut;
          ASSERT_EQ(part.problem, whole.problem) << ToHex(bytes) << " cut at " << cut;
          ASSERT_EQ(part.problem_offset, whole.problem_offset) << ToHex(bytes);
        }
      }
    }
  }
  EXPECT_GT(corrupt, 1000U);
}

TEST(RedoParser, NeverReadsBeyondItsBytes) {
  // Random bytes behind a valid type; run under a sanitizer this proves the bounds.
  CheckProperty([] {
    auto bytes = *rc::gen::container<std::vector<uint8_t>>(rc::gen::arbitrary<uint8_t>());
    if (!bytes.empty()) {
      bytes[0] = static_cast<uint8_t>(bytes[0] % (kMaxRedoType + 1));
    }
    bytes.shrink_to_fit();
    const ParsedRecord parsed = ParseRecord(bytes);
    RC_ASSERT(parsed.outcome != ParseOutcome::kComplete ||
              (parsed.body_offset <= parsed.length && parsed.length <= bytes.size()));
  });
}

TEST(RedoRecordBodies, FileOperationsDecode) {
  for (const Sample& sample : SampleBodies()) {
    if (sample.type == RedoType::kFileCreate) {
      EXPECT_EQ(ParseFileCreate(sample.body)->path, "./a/b.ib");
      EXPECT_EQ(ParseFileCreate(sample.body)->space_flags, 0x4021U);
      EXPECT_FALSE(ParseFileCreate(ByteView(sample.body).first(10)).ok());
    } else if (sample.type == RedoType::kFileRename) {
      EXPECT_EQ(ParseFileRename(sample.body)->old_path, "./a.ibd");
      EXPECT_EQ(ParseFileRename(sample.body)->new_path, "./b.ibd");
    } else if (sample.type == RedoType::kFileDelete) {
      EXPECT_EQ(ParseFileDelete(sample.body)->path, "./b.ibd");
      Bytes unterminated = sample.body;
      unterminated.back() = 'x';
      EXPECT_EQ(ParseFileDelete(unterminated).status().code(), StatusCode::kCorruption);
    } else if (sample.type == RedoType::kFileExtend) {
      EXPECT_EQ(ParseFileExtend(sample.body)->offset_bytes, uint64_t{1} << 20);
      EXPECT_EQ(ParseFileExtend(sample.body)->size_bytes, uint64_t{4} << 20);
    } else if (sample.type == RedoType::kIndexLoad) {
      EXPECT_EQ(ParseIndexLoad(sample.body)->index_id, 157U);
    }
  }
}

TEST(RedoRecordBodies, DynamicMetadataReadsBackThroughTheParser) {
  CheckProperty([] {
    TableDynamicMeta meta;
    meta.table_id = *rc::gen::arbitrary<uint64_t>();
    meta.version = *rc::gen::arbitrary<uint64_t>();
    if (*rc::gen::arbitrary<bool>()) {
      meta.auto_increment = *rc::gen::arbitrary<uint64_t>();
    } else {
      meta.kind = TableDynamicMeta::Kind::kCorruptedIndexes;
      const int count = *rc::gen::inRange(1, 256);
      for (int i = 0; i < count; ++i) {
        meta.corrupted_indexes.push_back(
            {SpaceId(static_cast<uint32_t>(i) * 77), meta.version * 3});
      }
    }
    Bytes record;
    EncodeTableDynamicMeta(meta, &record);
    const ParsedRecord parsed = ParseRecord(record);
    RC_ASSERT(parsed.outcome == ParseOutcome::kComplete);
    RC_ASSERT(parsed.single && parsed.length == record.size());
    const auto read = ParseTableDynamicMeta(ByteView(record).subspan(parsed.body_offset));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == meta);
  });
}

TEST(IndexInfo, PhysicalOrderFollowsInstantColumns) {
  // Field 2 was added in version 1 and is stored last; field 3 was dropped and keeps its old
  // place 2.
  const Bytes bytes = VersionedIndex();
  EXPECT_EQ(MeasureIndexInfo(bytes).length, bytes.size());
  IndexInfo info;
  ASSERT_EQ(info.Parse(bytes), kNoProblem);
  EXPECT_EQ(info.ToPhysical(0), 0U);
  EXPECT_EQ(info.ToPhysical(1), 1U);
  EXPECT_EQ(info.ToPhysical(2), 3U);
  EXPECT_EQ(info.ToPhysical(3), 2U);
  EXPECT_EQ(info.NullableInVersion(0), 1U);  // field 3
  EXPECT_EQ(info.NullableInVersion(1), 2U);  // and field 2
  EXPECT_EQ(info.NullableInVersion(2), 1U);  // field 2
  EXPECT_TRUE(info.clustered());
  EXPECT_EQ(info.node_fields(), 1U);
}

TEST(IndexInfo, UnlistedFieldsCloseTheGapsOfAddedOnes) {
  // Five fields; logical 1 was added instantly and lies at physical 4; the others keep their old
  // order.
  const Bytes bytes = Body()
                          .U8(1)
                          .U8(3)
                          .U16(5)
                          .U16(1)
                          .U16(0x8004)
                          .U16(4)
                          .U16(0x8006)
                          .U16(0x8007)
                          .U16(0)
                          .U16(1)
                          .U16(1)
                          .U16(0x8004)
                          .U8(1)
                          .bytes();
  IndexInfo info;
  ASSERT_EQ(info.Parse(bytes), kNoProblem);
  const uint32_t expected[] = {0, 4, 1, 2, 3};
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(info.ToPhysical(i), expected[i]) << i;
  }
}

TEST(IndexInfo, ClusteredIsGuessedAsRecoveryDoes) {
  const auto parse = [](const Bytes& bytes) {
    IndexInfo info;
    EXPECT_EQ(info.Parse(bytes), kNoProblem);
    return info;
  };
  EXPECT_FALSE(parse(Body().RedundantIndex().bytes()).clustered());
  EXPECT_TRUE(parse(RedundantVersionedIndex()).clustered());
  EXPECT_TRUE(parse(Body().CompactIndex({0x8004, 0x8006, 0x8007}, 1).bytes()).clustered());
  const IndexInfo secondary = parse(Body().CompactIndex({0, 0x8004}, 2).bytes());
  EXPECT_FALSE(secondary.clustered());
  EXPECT_EQ(secondary.node_fields(), 2U);
  EXPECT_EQ(secondary.nullable_count(), 1U);
}

TEST(IndexInfoCache, TellsIndexesApartAndNeverKeepsABadOne) {
  IndexInfoCache cache;
  Problem problem = kNoProblem;
  for (int round = 0; round < 3; ++round) {
    for (uint16_t n = 1; n < 300; ++n) {
      const Bytes bytes =
          Body().CompactIndex(std::vector<uint16_t>(n, 0x8004), 1).Text("tail").bytes();
      ByteView body(bytes);
      const IndexInfo* info = cache.Get(&body, &problem);
      ASSERT_EQ(problem, kNoProblem);
      EXPECT_EQ(info->field_count(), n);
      EXPECT_EQ(AsText(body), "tail");
    }
    const Bytes bad = Body().U8(1).U8(2).U16(2).U16(2).U16(0).U16(0).U16(0).U16(1).bytes();
    ByteView body(bad);
    EXPECT_EQ(cache.Get(&body, &problem), nullptr);
    EXPECT_NE(problem, kNoProblem);
  }
}

}  // namespace
}  // namespace redoubt::innodb
