// SPDX-License-Identifier: MIT
//
// Goal: two epoch histories say exactly how far two logs are the same, and the way in which epochs
// begin never takes committed redo away. Method: a brute-force model in which a log is a row of
// cells that know who wrote them, with several writers alive at once, members that hear of them in
// any order or not at all, and a comparison of cells after each step.
#include "pageserver/log/epoch_history.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"

namespace redoubt {
namespace {

// One byte of redo: unique by who wrote it and where.
struct Cell {
  Epoch epoch;
  size_t position;
  bool ends_mtr;
  friend bool operator==(const Cell&, const Cell&) = default;
};
using Cells = std::vector<Cell>;

struct Member {
  Epoch promised;
  EpochHistory history;
  Cells log;
  size_t commit = 0;  // as it was told
  Lsn end() const { return Lsn(log.size()); }
  bool Begun(Epoch epoch) const { return !history.empty() && history.back().epoch == epoch; }
};

struct Writer {
  Epoch epoch;
  size_t cut = 0;
  EpochHistory history;
  Cells log;
  std::vector<size_t> acknowledged;  // by member; counts from the epoch's begin there
};

size_t CommonCells(const Cells& a, const Cells& b) {
  const auto parted = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(parted.first - a.begin());
}

// The last end of a whole mtr in the first `count` cells.
size_t WholeMtrs(const Cells& log, size_t count) {
  while (count > 0 && !log[count - 1].ends_mtr) {
    --count;
  }
  return count;
}

class Model {
 public:
  Model(size_t member_count, uint64_t seed) : members_(member_count), seed_(seed) {}

  void Step() {
    const size_t kind = Below(25);
    if (kind < 1) {
      StartWriter();
    } else if (kind < 10) {
      BeginEpoch();
    } else if (kind < 19) {
      Replicate();
    } else {
      Append();
    }
  }
  size_t committed() const { return committed_.size(); }

 private:
  size_t Majority() const { return members_.size() / 2 + 1; }
  // Drawn from a seed and not one by one from RapidCheck, which would keep a tree of shrinks for
  // each of thousands of choices.
  size_t Below(size_t bound) { return HashMix(seed_, ++drawn_) % bound; }
  template <typename T>
  size_t AnyOf(const std::vector<T>& items) {
    return Below(items.size());
  }

  // Any, old ones too; the newest more often.
  Writer& AnyWriter() {
    const size_t back = std::min(Below(4) * Below(3), writers_.size() - 1);
    return writers_[writers_.size() - 1 - back];
  }

  // Promises of a majority, the best log of it, and the history that leads there.
  void StartWriter() {
    std::set<size_t> majority;
    while (majority.size() < Majority()) {
      majority.insert(AnyOf(members_));
    }
    Writer writer;
    for (const size_t m : majority) {
      writer.epoch = std::max(writer.epoch, members_[m].promised);
    }
    writer.epoch = Epoch(writer.epoch.value() + 1);
    size_t donor = *majority.begin();
    for (const size_t m : majority) {
      members_[m].promised = writer.epoch;
      if (Rank(members_[m]) > Rank(members_[donor])) {
        donor = m;
      }
    }
    const Member& best = members_[donor];
    RC_ASSERT(best.log.size() >= committed_.size());
    RC_ASSERT(CommonCells(best.log, committed_) == committed_.size());
    writer.cut = WholeMtrs(best.log, best.log.size());
    RC_ASSERT(writer.cut >= committed_.size());
    writer.log.assign(best.log.begin(), best.log.begin() + static_cast<ptrdiff_t>(writer.cut));
    for (const EpochBegin& begin : best.history) {
      if (begin.start <= Lsn(writer.cut)) {
        writer.history.push_back(begin);
      }
    }
    writer.history.push_back({writer.epoch, Lsn(writer.cut)});
    writer.acknowledged.resize(members_.size());
    writers_.push_back(std::move(writer));
  }
  static std::pair<Epoch, size_t> Rank(const Member& member) {
    return {LogEpochOf(member.history, member.end()), member.log.size()};
  }

  // One writer's EPOCH_START reaches one member, which may promise only now.
  void BeginEpoch() {
    if (writers_.empty()) {
      return;
    }
    Writer& writer = AnyWriter();
    const size_t m = AnyOf(members_);
    Member& member = members_[m];
    if (member.promised > writer.epoch || member.Begun(writer.epoch)) {
      return;
    }
    member.promised = writer.epoch;
    const size_t same = CommonCells(member.log, writer.log);
    const auto agreed = AgreedEnd(member.history, member.end(), writer.history);
    RC_ASSERT(agreed.ok());
    // The model's writer may have appended since; the cut is where its history ends.
    const size_t kept = std::min(agreed->value_or(Lsn{}).value(), writer.cut);
    RC_ASSERT(kept == std::min(same, writer.cut));
    // Not all committed cells that it happens to hold, but all that it was told of.
    RC_ASSERT(kept >= member.commit);
    member.log.resize(kept);
    member.history = writer.history;
    Acknowledge(&writer, m);
  }

  void Append() {
    if (writers_.empty()) {
      return;
    }
    Writer& writer = AnyWriter();
    if (CommitOf(writer) < writer.cut) {
      return;  // does not stand yet
    }
    const size_t count = 1 + Below(4);
    for (size_t i = 0; i < count; ++i) {
      writer.log.push_back({writer.epoch, writer.log.size(), Below(3) > 0});
    }
  }

  // Back-fill and stream alike.
  void Replicate() {
    if (writers_.empty()) {
      return;
    }
    Writer& writer = AnyWriter();
    const size_t m = AnyOf(members_);
    Member& member = members_[m];
    if (member.promised != writer.epoch || !member.Begun(writer.epoch)) {
      return;
    }
    const size_t missing = writer.log.size() - member.log.size();
    const size_t count = Below(missing + 1);
    const auto from = writer.log.begin() + static_cast<ptrdiff_t>(member.log.size());
    member.log.insert(member.log.end(), from, from + static_cast<ptrdiff_t>(count));
    Acknowledge(&writer, m);
    const size_t told = CommitOf(writer);
    if (told >= writer.cut) {
      member.commit = std::max(member.commit, std::min(told, member.log.size()));
    }
  }

  void Acknowledge(Writer* writer, size_t m) {
    writer->acknowledged[m] = members_[m].log.size();
    const size_t commit = CommitOf(*writer);
    if (commit < writer->cut || commit <= committed_.size()) {
      return;
    }
    RC_ASSERT(CommonCells(writer->log, committed_) == committed_.size());
    committed_.assign(writer->log.begin(), writer->log.begin() + static_cast<ptrdiff_t>(commit));
  }
  // What a majority has acknowledged, back to the end of a whole mtr: anything else may be cut off
  // by a writer that has promises already, while this one still collects acknowledgements.
  size_t CommitOf(const Writer& writer) const {
    std::vector<size_t> ends = writer.acknowledged;
    std::sort(ends.rbegin(), ends.rend());
    return WholeMtrs(writer.log, ends[Majority() - 1]);
  }

  std::vector<Member> members_;
  uint64_t seed_;
  uint64_t drawn_ = 0;
  std::vector<Writer> writers_;
  Cells committed_;
};

TEST(EpochHistory, AgreesExactlyAsFarAsTheCellsDoAndLosesNothingCommitted) {
  size_t runs_with_commits = 0;
  EXPECT_TRUE(rc::check([&] {
    const size_t member_count = *rc::gen::element<size_t>(1, 3, 3, 5);
    const size_t steps = *rc::gen::inRange<size_t>(100, 3000);
    Model model(member_count, *rc::gen::arbitrary<uint64_t>());
    for (size_t step = 0; step < steps; ++step) {
      model.Step();
    }
    runs_with_commits += model.committed() > 0 ? 1 : 0;
  }));
  EXPECT_GT(runs_with_commits, 50U) << "the model hardly commits anything";
}

EpochHistory Entries(std::vector<std::pair<uint64_t, uint64_t>> entries) {
  EpochHistory history;
  for (const auto& [epoch, start] : entries) {
    history.push_back({Epoch(epoch), Lsn(start)});
  }
  return history;
}

TEST(EpochHistory, EndsAtTheNearerEndOfTheLastSharedEpoch) {
  const EpochHistory own = Entries({{1, 0}, {5, 100}, {6, 150}});
  EXPECT_EQ(*AgreedEnd(own, Lsn(180), Entries({{1, 0}, {5, 100}, {7, 170}})), Lsn(150));
  EXPECT_EQ(*AgreedEnd(own, Lsn(180), Entries({{1, 0}, {5, 100}, {7, 140}})), Lsn(140));
  EXPECT_EQ(*AgreedEnd(own, Lsn(120), Entries({{1, 0}, {5, 100}, {7, 140}})), Lsn(120))
      << "an entry may start above the end of a log that is back-filled";
  EXPECT_EQ(*AgreedEnd(own, Lsn(180), Entries({{1, 0}, {5, 100}, {6, 150}, {8, 300}})), Lsn(180));
  EXPECT_EQ(*AgreedEnd(own, Lsn(180), Entries({{2, 0}, {3, 50}})), std::nullopt);
  EXPECT_EQ(*AgreedEnd({}, Lsn(0), Entries({{2, 0}})), std::nullopt);
}

TEST(EpochHistory, ForgottenOldEntriesDoNotPartTwoHistories) {
  const EpochHistory whole = Entries({{1, 0}, {2, 10}, {3, 20}, {4, 30}});
  const EpochHistory other = Entries({{3, 20}, {4, 30}, {9, 70}});
  EXPECT_EQ(*AgreedEnd(whole, Lsn(50), other), Lsn(50));
  const EpochHistory longer = Entries({{1, 0}, {2, 10}, {3, 20}, {9, 70}});
  EXPECT_EQ(*AgreedEnd(Entries({{2, 10}, {3, 20}, {4, 40}}), Lsn(50), longer), Lsn(40));
}

TEST(EpochHistory, RefusesHistoriesThatCannotBothBeTrue) {
  const EpochHistory own = Entries({{1, 0}, {3, 50}, {5, 100}});
  EXPECT_EQ(AgreedEnd(own, Lsn(120), Entries({{1, 0}, {3, 60}, {7, 90}})).status().code(),
            StatusCode::kCorruption);
  EXPECT_EQ(AgreedEnd(own, Lsn(120), Entries({{1, 0}, {4, 60}, {5, 100}})).status().code(),
            StatusCode::kCorruption);
  EXPECT_EQ(AgreedEnd(own, Lsn(120), Entries({{2, 0}, {3, 50}, {7, 90}})).status().code(),
            StatusCode::kCorruption)
      << "epoch 1 lies before epoch 2, which this side would not have forgotten alone";
  EXPECT_EQ(CheckHistory(Entries({{2, 8204}, {2, 8204}})).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckHistory(Entries({{2, 8204}, {3, 0}})).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckHistory(Entries({{2, 8192}})).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckHistory(Entries({{2, 0}, {3, 8204}, {4, 8204}})).ok());
}

}  // namespace
}  // namespace redoubt
