// SPDX-License-Identifier: MIT
//
// Goal: grouping redo by page loses, repeats and reorders nothing, wherever the stream is cut into
// payloads, pieces and batches. Method: random mtrs, laid out as a stream, compared page by page
// with what comes back from the stored values.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "common/innodb/log_block.h"
#include "pageserver/page/delta_batch.h"
#include "pageserver/page/delta_codec.h"
#include "pageserver/page/page_table.h"
#include "pageserver/page/readable_ranges.h"
#include "pageserver/page/redo_grouper.h"
#include "pageserver/page/space_event.h"
#include "pageserver/storage/keys.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt {
namespace {

constexpr Lsn kStart = innodb::ToLsn(Sn(1'000'000));

struct Change {
  Lsn start;
  Lsn end;
  std::vector<std::pair<uint8_t, Bytes>> records;
  friend bool operator==(const Change&, const Change&) = default;
};
using Changes = std::map<PageId, std::vector<Change>>;

struct Stream {
  Bytes payload;
  Changes changes;
  Lsn end = kStart;
};

PageId AnyPage() { return {SpaceId(*rc::gen::inRange(1U, 4U)), PageNo(*rc::gen::inRange(0U, 6U))}; }

// One mtr of 1 .. 6 records, some with long bodies.
void AddMtr(Stream* stream) {
  sim::MtrEncoder mtr;
  std::map<PageId, Change> changed;
  const int count = *rc::gen::inRange(1, 7);
  for (int i = 0; i < count; ++i) {
    const PageId page = AnyPage();
    Change& change = changed[page];
    if (*rc::gen::inRange(0, 8) == 0) {
      mtr.InitPage(page);
      change.records.emplace_back(59, Bytes{});
      continue;
    }
    const Bytes bytes(*rc::gen::inRange<size_t>(1, 900), static_cast<uint8_t>(i));
    mtr.WriteString(page, 200, bytes);
    Bytes body;
    ByteWriter writer(&body);
    writer.U16(200);
    writer.U16(static_cast<uint16_t>(bytes.size()));
    writer.Append(bytes);
    change.records.emplace_back(30, std::move(body));
  }
  const Bytes group = mtr.Finish();
  const Lsn end = innodb::AdvanceLsn(stream->end, group.size());
  for (auto& [page, change] : changed) {
    change.start = stream->end;
    change.end = end;
    stream->changes[page].push_back(change);
  }
  stream->payload.insert(stream->payload.end(), group.begin(), group.end());
  stream->end = end;
}

void Decode(const KvBatch& stored, Changes* changes) {
  std::string previous;
  for (const KvBatch::Operation& put : stored.operations()) {
    RC_ASSERT(put.key > previous);  // key order
    previous = put.key;
    const PageKey key = *DecodeDeltaKey(put.key);
    DeltaReader reader(key.lsn, AsBytes(put.value));
    DeltaEntry entry;
    while (reader.Next(&entry)) {
      std::vector<innodb::RedoRecord> records;
      RC_ASSERT(DecodeRecords(entry, key.page, &records).ok());
      Change change{entry.start, entry.end, {}};
      bool initializes = false;
      for (const innodb::RedoRecord& record : records) {
        change.records.emplace_back(static_cast<uint8_t>(record.type),
                                    Bytes(record.body.begin(), record.body.end()));
        initializes |= innodb::InitializesPage(record.type);
      }
      RC_ASSERT(entry.initializes == initializes);
      (*changes)[key.page].push_back(std::move(change));
    }
    RC_ASSERT(!reader.failed());
  }
}

RC_GTEST_PROP(RedoGrouping, GivesBackEveryMtrOfEveryPageInOrder, ()) {
  Stream stream;
  const int mtr_count = *rc::gen::inRange(1, 60);
  for (int i = 0; i < mtr_count; ++i) {
    AddMtr(&stream);
  }
  RedoGrouper grouper(kStart);
  auto batch = std::make_unique<DeltaBatch>(kStart);
  Changes found;
  const auto write_out = [&]() {
    KvBatch stored;
    batch->ToStore(VolumeId(1), &stored, [](PageId, size_t, bool) {});
    Decode(stored, &found);
    batch = std::make_unique<DeltaBatch>(batch->range().end);
  };
  for (size_t at = 0; at < stream.payload.size();) {
    const size_t bytes = std::min(stream.payload.size() - at, *rc::gen::inRange<size_t>(1, 4000));
    // The payload does not outlive the call.
    const Bytes payload(stream.payload.begin() + static_cast<ptrdiff_t>(at),
                        stream.payload.begin() + static_cast<ptrdiff_t>(at + bytes));
    auto piece = std::make_unique<RedoPiece>();
    // The same as one payload or as two.
    const size_t half = *rc::gen::inRange<size_t>(0, payload.size());
    const ByteView halves[] = {ByteView(payload).first(half), ByteView(payload).subspan(half)};
    RC_ASSERT(grouper.Take(halves, piece.get()).ok());
    batch->Merge(std::move(piece));
    if (*rc::gen::inRange(0, 4) == 0) {
      write_out();
    }
    at += bytes;
  }
  write_out();
  RC_ASSERT(grouper.end_lsn() == stream.end);
  RC_ASSERT(found == stream.changes);
}

RC_GTEST_PROP(PageTable, AgreesWithAMap, ()) {
  PageTable table;
  std::map<PageId, uint32_t> model;
  const int steps = *rc::gen::inRange(0, 300);
  for (int i = 0; i < steps; ++i) {
    const PageId page{SpaceId(*rc::gen::inRange(0U, 3U)), PageNo(*rc::gen::inRange(0U, 60U))};
    uint32_t& value = table.FindOrAdd(page);
    RC_ASSERT((value == PageTable::kNone) == !model.contains(page));
    value = static_cast<uint32_t>(i);
    model[page] = value;
  }
  for (const auto& [page, value] : model) {
    RC_ASSERT(table.Find(page) == value);
  }
  RC_ASSERT(table.size() == model.size());
  RC_ASSERT(table.Find({SpaceId(9), PageNo(1)}) == PageTable::kNone);
}

TEST(RedoGrouper, ARefusedMtrLeavesNothingBehind) {
  sim::MtrEncoder mtr;
  mtr.InitPage({SpaceId(1), PageNo(1)});
  Bytes payload = mtr.Finish();
  const Lsn good_end = innodb::AdvanceLsn(kStart, payload.size());
  // A group whose file record has a path without an end mark, behind a page record.
  const Bytes bad = {59, 1, 2, 35, 5, 0, 0, 6, 'a', '.', 'i', 'b', 'd', 'x', 31};
  payload.insert(payload.end(), bad.begin(), bad.end());
  RedoGrouper grouper(kStart);
  RedoPiece piece;
  const ByteView whole = payload;
  const Status status = grouper.Take({&whole, 1}, &piece);
  EXPECT_EQ(status.code(), StatusCode::kCorruption);
  // The message names the record itself, three bytes into the group.
  const Lsn record = innodb::AdvanceLsn(good_end, 3);
  EXPECT_NE(status.message().find(std::to_string(record.value())), std::string::npos)
      << status.ToString();
  EXPECT_EQ(piece.range.end, good_end);
  ASSERT_EQ(piece.runs.size(), 1U);
  EXPECT_EQ(piece.runs[0].page, (PageId{SpaceId(1), PageNo(1)}));
}

TEST(ReadableRanges, RoundTripsAndKeepsItsAnswers) {
  ReadableRanges ranges;
  EXPECT_TRUE(ranges.Check(Lsn(5)).ok());
  ranges.SetHorizon(Lsn(100));
  EXPECT_TRUE(ranges.AddHole(Lsn(200), Lsn(300)));
  EXPECT_FALSE(ranges.AddHole(Lsn(200), Lsn(300)));
  ranges.SetHorizon(Lsn(350));
  ReadableRanges copy;
  ASSERT_TRUE(copy.Decode(ranges.Encode()).ok());
  for (const ReadableRanges* each : {&ranges, &copy}) {
    EXPECT_EQ(each->Check(Lsn(99)).code(), StatusCode::kBelowHorizon);
    EXPECT_TRUE(each->Check(Lsn(200)).ok());
    EXPECT_EQ(each->Check(Lsn(201)).code(), StatusCode::kHole);
    EXPECT_EQ(each->Check(Lsn(300)).code(), StatusCode::kHole);
    EXPECT_EQ(each->Check(Lsn(320)).code(), StatusCode::kBelowHorizon);
    EXPECT_TRUE(each->Check(Lsn(350)).ok());
    EXPECT_TRUE(each->Check(Lsn(1'000'000)).ok());
    EXPECT_EQ(each->horizon(), Lsn(350));
  }
  EXPECT_FALSE(copy.Decode(Bytes{9}).ok());
}

TEST(ReadableRanges, AHorizonAnnouncedBeforeItsHoleCounts) {
  ReadableRanges ranges;
  ranges.SetHorizon(Lsn(100));
  ranges.SetHorizon(Lsn(350));
  EXPECT_TRUE(ranges.AddHole(Lsn(200), Lsn(300)));
  EXPECT_TRUE(ranges.Check(Lsn(150)).ok());
  EXPECT_EQ(ranges.Check(Lsn(250)).code(), StatusCode::kHole);
  EXPECT_TRUE(ranges.Check(Lsn(350)).ok());
}

TEST(SpaceEvent, RefusesBytesThatAreNoEvent) {
  SpaceEvent event;
  event.kind = SpaceEvent::Kind::kPresent;
  event.path = "./a.ibd";
  event.page_count = 9;
  const std::string value = EncodeSpaceEvent(event);
  const Result<SpaceEvent> back = DecodeSpaceEvent(value, event.lsn, event.seq);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, event);
  EXPECT_FALSE(DecodeSpaceEvent(value.substr(1), Lsn{}, 0).ok());
  EXPECT_FALSE(DecodeSpaceEvent("", Lsn{}, 0).ok());
}

}  // namespace
}  // namespace redoubt
