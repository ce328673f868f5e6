// SPDX-License-Identifier: MIT
//
// Goal: whatever several writers, alive at once, do to three real log volumes by the start
// protocol, through power cuts, nothing committed is lost or changed, and no reader ever sees
// anything else. Method: random steps; the test plays all writers and remembers every committed
// byte. An mtr is kMtrBytes long, so that everybody knows where whole ones end.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/pageserver/log/log_world.h"

namespace redoubt {
namespace {

constexpr size_t kMembers = 3;
constexpr size_t kMajority = 2;
constexpr size_t kMtrBytes = 100;

size_t CountOf(Lsn lsn) {
  return lsn <= kStart ? 0 : innodb::ToSn(lsn).value() - innodb::ToSn(kStart).value();
}
Lsn LsnOf(size_t count) { return innodb::AdvanceLsn(kStart, count); }
size_t WholeMtrs(size_t count) { return count - count % kMtrBytes; }

struct Writer {
  Epoch epoch;
  Lsn start;  // 0: the log had not begun
  EpochHistory history;
  Bytes log;  // from kStart on
  std::vector<size_t> acknowledged = std::vector<size_t>(kMembers);
  std::vector<bool> begun = std::vector<bool>(kMembers);

  size_t commit() const {
    std::vector<size_t> counts;
    for (size_t m = 0; m < kMembers; ++m) {
      counts.push_back(begun[m] ? acknowledged[m] : 0);
    }
    std::sort(counts.rbegin(), counts.rend());
    return WholeMtrs(counts[kMajority - 1]);
  }
  // What it may tell; the begin of the log is not committed before something behind it is.
  Lsn told() const { return stands() && commit() > 0 ? LsnOf(commit()) : Lsn{}; }
  bool stands() const {
    size_t ready = 0;
    for (size_t m = 0; m < kMembers; ++m) {
      ready += begun[m] && acknowledged[m] >= CountOf(start) ? 1 : 0;
    }
    return ready >= kMajority;
  }
};

class ReplicaModel {
 public:
  explicit ReplicaModel(uint64_t seed) : node_(seed), seed_(seed) { Open(); }
  ~ReplicaModel() { members_.clear(); }

  void Step() {
    const size_t kind = Below(40);
    if (kind < 2) {
      StartWriter();
    } else if (kind < 3) {
      Crash();
    } else if (writers_.empty()) {
      return;
    } else if (kind < 14) {
      BeginEpoch(&AnyWriter(), Below(kMembers));
    } else if (kind < 30) {
      Replicate(&AnyWriter(), Below(kMembers));
    } else if (kind < 37) {
      Extend(&AnyWriter());
    } else {
      ReadFeed(Below(kMembers));
    }
  }
  size_t committed() const { return committed_.size(); }
  size_t cuts() const { return cuts_; }

 private:
  size_t Below(size_t bound) { return HashMix(seed_, ++drawn_) % bound; }
  Writer& AnyWriter() {
    const size_t back = std::min(Below(3) * Below(3), writers_.size() - 1);
    return writers_[writers_.size() - 1 - back];
  }
  void Open() {
    members_.clear();
    for (size_t m = 0; m < kMembers; ++m) {
      LogVolumeOptions options = SmallOptions();
      options.store.directory = "/data/log/" + std::to_string(m);
      options.store.segment_bytes_max = 2 << 10;
      options.store.space_ahead_bytes = seed_ % 4 * 500;
      options.tail_bytes_max = 2 << 10;
      members_.push_back(std::make_unique<LogVolume>(node_.runtime(), std::move(options)));
      const Status started = node_.Await(members_.back()->Start());
      ASSERT_TRUE(started.ok()) << started.ToString();
    }
  }
  void Crash() {
    node_.RunFor(std::chrono::microseconds(Below(3000)));
    members_.clear();
    node_.Kill(sim::CrashPolicy::kSeeded);
    node_.Start();
    Open();
  }

  void StartWriter() {
    const size_t left_out = Below(kMembers);
    Writer writer;
    for (size_t m = 0; m < kMembers; ++m) {
      if (m != left_out) {
        writer.epoch = std::max(writer.epoch, members_[m]->status().epoch);
      }
    }
    writer.epoch = Epoch(writer.epoch.value() + 1);
    PreparedEpoch donor;
    size_t donor_member = 0;
    for (size_t m = 0; m < kMembers; ++m) {
      if (m == left_out) {
        continue;
      }
      const Result<PreparedEpoch> prepared = node_.Await(members_[m]->Prepare(writer.epoch));
      ASSERT_TRUE(prepared.ok()) << prepared.status().ToString();
      if (donor.epoch == Epoch{} || Rank(*prepared) > Rank(donor)) {
        donor = *prepared;
        donor_member = m;
      }
    }
    const size_t whole = WholeMtrs(CountOf(donor.end));
    ASSERT_GE(whole, committed_.size()) << "the donor lacks committed redo";
    writer.start = donor.end == Lsn{} ? Lsn{} : LsnOf(whole);
    if (donor.end > kStart) {
      const Result<FeedBatch> batch =
          node_.Await(members_[donor_member]->ReadForWriter(writer.epoch, donor.begin, 1 << 30));
      ASSERT_TRUE(batch.ok()) << batch.status().ToString();
      for (const RedoChunk& chunk : batch->chunks) {
        writer.log.insert(writer.log.end(), chunk.payload->begin(), chunk.payload->end());
      }
      ASSERT_EQ(writer.log.size(), CountOf(donor.end));
      writer.log.resize(whole);
    }
    ASSERT_TRUE(std::equal(committed_.begin(), committed_.end(), writer.log.begin()));
    for (const EpochBegin& entry : donor.history) {
      if (entry.start <= writer.start) {
        writer.history.push_back(entry);
      }
    }
    writer.history.push_back({writer.epoch, writer.start});
    writers_.push_back(std::move(writer));
  }
  static std::pair<Epoch, Lsn> Rank(const PreparedEpoch& prepared) {
    return {LogEpochOf(prepared.history, prepared.end), prepared.end};
  }

  void BeginEpoch(Writer* writer, size_t m) {
    LogVolume* member = members_[m].get();
    if (member->status().epoch < writer->epoch) {  // late
      ASSERT_TRUE(node_.Await(member->Prepare(writer->epoch)).ok());
    }
    const Lsn before = member->status().end;
    EpochStartIn begin;
    begin.epoch = writer->epoch;
    begin.start = writer->start;
    begin.history = writer->history;
    begin.member_count = kMembers;
    const Result<Lsn> begun = node_.Await(member->BeginEpoch(std::move(begin)));
    if (member->status().epoch > writer->epoch) {
      ASSERT_EQ(begun.status().code(), StatusCode::kStaleEpoch);
      return;
    }
    ASSERT_TRUE(begun.ok()) << begun.status().ToString();
    cuts_ += *begun < before ? 1 : 0;
    writer->begun[m] = true;
    Acknowledge(writer, m, CountOf(*begun));
  }

  void Replicate(Writer* writer, size_t m) {
    LogVolume* member = members_[m].get();
    if (!writer->begun[m]) {
      return;
    }
    const bool stale = member->status().epoch > writer->epoch;
    Lsn end = member->status().end;
    if (end == Lsn{}) {
      const Status begun = node_.Await(member->StartAt(writer->epoch, kStart, "test", false));
      ASSERT_EQ(begun.ok(), !stale) << begun.ToString();
      end = kStart;
    }
    const size_t from = CountOf(end);
    const size_t left = writer->log.size() > from ? writer->log.size() - from : 0;
    const size_t bytes = std::min<size_t>(left, 1 + Below(700));
    if (bytes == 0) {
      return;
    }
    RedoChunk chunk;
    chunk.epoch = writer->epoch;
    chunk.range = {end, innodb::AdvanceLsn(end, bytes)};
    const size_t next_mtr = from + (kMtrBytes - from % kMtrBytes) % kMtrBytes;
    chunk.first_mtr_lsn = next_mtr < from + bytes ? LsnOf(next_mtr) : Lsn{};
    const auto first = writer->log.begin() + static_cast<ptrdiff_t>(from);
    Bytes payload(first, first + static_cast<ptrdiff_t>(bytes));
    chunk.payload_crc32c = Crc32c(payload);
    chunk.payload = std::make_shared<const Bytes>(std::move(payload));
    auto ticket = member->BeginAppend(std::move(chunk), {writer->told()});
    const AppendOutcome outcome = node_.Await(member->FinishAppend(std::move(ticket)));
    if (stale) {
      ASSERT_EQ(outcome.status.code(), StatusCode::kStaleEpoch) << outcome.status.ToString();
      return;
    }
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
    Acknowledge(writer, m, from + bytes);
    if (Below(3) == 0) {
      ASSERT_TRUE(member->Commit(writer->epoch, {writer->told()}).ok());
    }
  }

  void Extend(Writer* writer) {
    if (!writer->stands()) {
      return;
    }
    const size_t count = 1 + Below(900);
    for (size_t i = 0; i < count; ++i) {
      writer->log.push_back(static_cast<uint8_t>(Below(256)));
    }
  }

  void Acknowledge(Writer* writer, size_t m, size_t count) {
    writer->acknowledged[m] = std::max(writer->acknowledged[m], count);
    const size_t commit = writer->commit();
    if (!writer->stands() || commit <= committed_.size()) {
      return;
    }
    ASSERT_TRUE(std::equal(committed_.begin(), committed_.end(), writer->log.begin()))
        << "two writers committed different redo";
    committed_.assign(writer->log.begin(), writer->log.begin() + static_cast<ptrdiff_t>(commit));
  }

  void ReadFeed(size_t m) {
    LogVolume* member = members_[m].get();
    ASSERT_LE(CountOf(member->status().commit), committed_.size());
    const Result<FeedBatch> batch =
        node_.Await(member->Read(kStart, 1 << 30, node_.runtime()->scheduler->Now()));
    ASSERT_TRUE(batch.ok()) << batch.status().ToString();
    Bytes seen;
    for (const RedoChunk& chunk : batch->chunks) {
      seen.insert(seen.end(), chunk.payload->begin(), chunk.payload->end());
    }
    ASSERT_LE(seen.size(), committed_.size());
    ASSERT_TRUE(std::equal(seen.begin(), seen.end(), committed_.begin()));
  }

  NodeHarness node_;
  uint64_t seed_;
  uint64_t drawn_ = 0;
  std::vector<std::unique_ptr<LogVolume>> members_;
  std::vector<Writer> writers_;
  Bytes committed_;
  size_t cuts_ = 0;
};

TEST(LogReplicaModel, SeveralWritersAndPowerCutsLoseNothingCommitted) {
  size_t committed = 0;
  size_t cuts = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ReplicaModel model(seed);
    for (int step = 0; step < 400; ++step) {
      model.Step();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "step " << step;
    }
    committed += model.committed();
    cuts += model.cuts();
  }
  EXPECT_GT(committed, 60U * 1000);
  EXPECT_GT(cuts, 60U) << "logs hardly diverge";
}

}  // namespace
}  // namespace redoubt
