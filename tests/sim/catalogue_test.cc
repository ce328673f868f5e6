// SPDX-License-Identifier: MIT
//
// The checkers of what is in no page see what is wrong, and the models' redo says what they claim.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "common/innodb/mtr_assembler.h"
#include "common/innodb/redo_record.h"
#include "sim/oracle/table_counters.h"
#include "sim/oracle/tablespaces.h"
#include "sim/oracle/time_map.h"
#include "sim/workload/model_server.h"

namespace redoubt::sim {
namespace {

using innodb::TableDynamicMeta;

class Facts : public FactTruth {
 public:
  std::vector<RedoFact> FactsUpTo(Lsn lsn) const override {
    std::vector<RedoFact> until;
    for (const RedoFact& fact : all) {
      if (fact.end <= lsn) {
        until.push_back(fact);
      }
    }
    return until;
  }
  std::vector<RedoFact> all;
};

RedoFact Counter(uint64_t end, uint64_t version, uint64_t value) {
  RedoFact fact;
  fact.kind = RedoFact::Kind::kCounter;
  fact.end = Lsn(end);
  fact.table = 7;
  fact.version = version;
  fact.value = value;
  return fact;
}

Bytes CounterRecord(uint64_t version, uint64_t value) {
  TableDynamicMeta meta;
  meta.table_id = 7;
  meta.version = version;
  meta.auto_increment = value;
  Bytes records;
  EncodeTableDynamicMeta(meta, &records);
  return records;
}

size_t CounterFindings(const Facts& facts, uint64_t lsn, const Bytes& records) {
  Findings findings;
  TableCounters checker(&findings, &facts);
  checker.Check(Lsn(lsn), records, 1);
  return findings.all().size();
}

// A counter of its LSN passes; one that went back, is from the future, was logged late, or belongs
// to a table that was emptied since does not.
TEST(TableCounters, TakesTheCounterOfTheLsnOnly) {
  Facts facts;
  facts.all = {Counter(100, 0, 5), Counter(200, 0, uint64_t{1} << 40), Counter(300, 0, 6),
               Counter(400, 1, 2)};
  EXPECT_EQ(CounterFindings(facts, 199, CounterRecord(0, 5)), 0U);
  EXPECT_EQ(CounterFindings(facts, 200, CounterRecord(0, uint64_t{1} << 40)), 0U);
  EXPECT_EQ(CounterFindings(facts, 300, CounterRecord(0, uint64_t{1} << 40)), 0U);
  EXPECT_EQ(CounterFindings(facts, 400, CounterRecord(1, 2)), 0U);
  EXPECT_EQ(CounterFindings(facts, 199, CounterRecord(0, uint64_t{1} << 40)), 1U);
  EXPECT_EQ(CounterFindings(facts, 200, CounterRecord(0, 5)), 1U);
  EXPECT_EQ(CounterFindings(facts, 300, CounterRecord(0, 6)), 1U);
  EXPECT_EQ(CounterFindings(facts, 400, CounterRecord(0, 6)), 1U);
  EXPECT_EQ(CounterFindings(facts, 400, Bytes{1, 2, 3}), 1U);
  Findings findings;
  TableCounters checker(&findings, &facts);
  checker.Check(Lsn(100), {}, 0);
  EXPECT_EQ(findings.all().size(), 1U) << "a counter that is forgotten";
}

size_t SpaceFindings(const Facts& facts, uint64_t lsn, const Tablespaces::Listed& listed) {
  Findings findings;
  Tablespaces(&findings, &facts).CheckList(Lsn(lsn), listed);
  return findings.all().size();
}

// Each property of a tablespace counts, and whether it is there at all.
TEST(Tablespaces, KnowsWhatWasThereAtAnLsn) {
  Facts facts;
  const SpaceId space(9);
  const auto add = [&](uint64_t end, RedoFact::Kind kind, const char* path, uint64_t value) {
    RedoFact fact;
    fact.end = Lsn(end);
    fact.kind = kind;
    fact.space = space;
    fact.path = path;
    fact.value = value;
    facts.all.push_back(fact);
  };
  add(100, RedoFact::Kind::kCreate, "a", 0);
  add(110, RedoFact::Kind::kSize, "", 4);
  add(120, RedoFact::Kind::kRename, "b", 0);
  add(130, RedoFact::Kind::kDrop, "", 0);
  add(140, RedoFact::Kind::kCreate, "c", 0);
  EXPECT_EQ(SpaceFindings(facts, 99, {}), 0U);
  EXPECT_EQ(SpaceFindings(facts, 115, {{space, {"a", 4, 0, Lsn(100)}}}), 0U);
  EXPECT_EQ(SpaceFindings(facts, 129, {{space, {"b", 4, 0, Lsn(100)}}}), 0U);
  EXPECT_EQ(SpaceFindings(facts, 130, {}), 0U);
  EXPECT_EQ(SpaceFindings(facts, 140, {{space, {"c", 0, 0, Lsn(140)}}}), 0U);
  EXPECT_EQ(SpaceFindings(facts, 115, {}), 1U);
  EXPECT_EQ(SpaceFindings(facts, 130, {{space, {"b", 4, 0, Lsn(100)}}}), 1U);
  EXPECT_EQ(SpaceFindings(facts, 115, {{space, {"b", 4, 0, Lsn(100)}}}), 1U);
  EXPECT_EQ(SpaceFindings(facts, 115, {{space, {"a", 3, 0, Lsn(100)}}}), 1U);
  EXPECT_EQ(SpaceFindings(facts, 140, {{space, {"c", 0, 0, Lsn(100)}}}), 1U);
  Findings findings;
  Tablespaces pages(&findings, &facts);
  pages.CheckPage({space, PageNo(3)}, Lsn(115), true);
  pages.CheckPage({space, PageNo(4)}, Lsn(115), false);
  EXPECT_TRUE(findings.empty());
  pages.CheckPage({space, PageNo(4)}, Lsn(115), true);
  pages.CheckPage({space, PageNo(3)}, Lsn(115), false);
  pages.CheckPage({space, PageNo(3)}, Lsn(131), true);
  EXPECT_EQ(findings.all().size(), 3U);
}

size_t TimeFindings(const TimeMap::Answer& answer) {
  constexpr int64_t kSecond = 1'000'000'000;
  Findings findings;
  TimeMap times(&findings);
  times.EpochBegun(Epoch(1), Lsn(100));
  const auto chunk = [&](uint64_t start, uint64_t end, int64_t second) {
    const LsnRange range{Lsn(start), Lsn(end)};
    times.Offered(range, second * kSecond);
    times.Taken(Epoch(1), range, second * kSecond);
  };
  chunk(100, 200, 10);
  chunk(200, 300, 20);
  chunk(300, 400, 15);  // the clock was put back
  times.Acknowledged(Epoch(1), Lsn(400));
  times.Check(answer);
  return findings.all().size();
}

// An LSN of another time, one from behind the asked time, and one that is older than it has to be.
TEST(TimeMap, ComparesWithTheStampsOfTheWriter) {
  constexpr int64_t kSecond = 1'000'000'000;
  TimeMap::Answer answer;
  answer.asked = 22 * kSecond;
  answer.applied_before = Lsn(400);
  answer.lsn = Lsn(300);
  answer.sample = 20 * kSecond;
  EXPECT_EQ(TimeFindings(answer), 0U);
  answer.lsn = Lsn(301);
  EXPECT_EQ(TimeFindings(answer), 1U) << "the log did not end there then";
  answer.lsn = Lsn(300);
  answer.sample = 20 * kSecond + kSecond / 2;
  EXPECT_EQ(TimeFindings(answer), 0U) << "chunks of half a second may have been joined";
  ++answer.sample;
  EXPECT_EQ(TimeFindings(answer), 1U) << "no chunks of more than that";
  answer.lsn = Lsn(200);
  answer.sample = 10 * kSecond;
  EXPECT_EQ(TimeFindings(answer), 1U) << "a newer one was applied";
  answer.applied_before = Lsn(250);
  EXPECT_EQ(TimeFindings(answer), 0U) << "the newer ones were not applied yet";
  answer.asked = 9 * kSecond;
  EXPECT_EQ(TimeFindings(answer), 1U) << "it is later than what was asked for";
  answer.before_all = true;
  EXPECT_EQ(TimeFindings(answer), 0U);
  answer.asked = 12 * kSecond;
  EXPECT_EQ(TimeFindings(answer), 1U) << "something is known";
}

// A writer that does not know yet that it was replaced is told what it had taken; the log has gone
// on elsewhere meanwhile.
TEST(TimeMap, ForgetsWhatANewWriterCutsOff) {
  Findings findings;
  TimeMap times(&findings);
  times.EpochBegun(Epoch(1), Lsn(100));
  times.Taken(Epoch(1), {Lsn(100), Lsn(200)}, 10);
  times.Taken(Epoch(1), {Lsn(200), Lsn(300)}, 20);
  times.EpochBegun(Epoch(2), Lsn(200));
  times.Taken(Epoch(1), {Lsn(300), Lsn(400)}, 30);
  times.Taken(Epoch(2), {Lsn(200), Lsn(350)}, 40);
  times.Acknowledged(Epoch(1), Lsn(400));
  times.Acknowledged(Epoch(2), Lsn(350));
  const std::vector<std::pair<int64_t, Lsn>> durable{{10, Lsn(200)}, {40, Lsn(350)}};
  EXPECT_EQ(times.durable(), durable);
}

// What the model says that its redo says is what common/innodb reads in it.
TEST(ModelServer, RedoSaysWhatTheModelSaysOfTables) {
  RandomRoot root(5);
  PageHistory history(4096);
  ModelServer server(ModelServerOptions{4096, 2, 10, 4, Lsn(8204)}, &root, &history);
  server.Produce(300'000);
  std::vector<RedoFact> read;
  innodb::MtrAssembler assembler{Lsn(8204)};
  const auto sink = [&](const innodb::MtrView& mtr) -> Status {
    for (const innodb::RedoRecord& record : mtr.records) {
      RedoFact fact;
      fact.end = mtr.end_lsn;
      fact.space = record.page.space;
      if (record.type == innodb::RedoType::kTableDynamicMeta) {
        REDOUBT_ASSIGN_OR_RETURN(const TableDynamicMeta meta,
                                 innodb::ParseTableDynamicMeta(record.body));
        fact.table = meta.table_id;
        fact.version = meta.version;
        const bool counter = meta.kind == TableDynamicMeta::Kind::kAutoIncrement;
        fact.kind = counter ? RedoFact::Kind::kCounter : RedoFact::Kind::kCorruptedIndex;
        fact.value = counter ? meta.auto_increment : meta.corrupted_indexes.at(0).index_id;
        fact.space = counter ? SpaceId() : meta.corrupted_indexes.at(0).space;
      } else if (record.type == innodb::RedoType::kFileCreate) {
        REDOUBT_ASSIGN_OR_RETURN(const innodb::FileCreate create,
                                 innodb::ParseFileCreate(record.body));
        fact.kind = RedoFact::Kind::kCreate;
        fact.path = create.path;
        fact.flags = create.space_flags;
      } else if (record.type == innodb::RedoType::kFileRename) {
        REDOUBT_ASSIGN_OR_RETURN(const innodb::FileRename rename,
                                 innodb::ParseFileRename(record.body));
        fact.kind = RedoFact::Kind::kRename;
        fact.path = rename.new_path;
      } else if (record.type == innodb::RedoType::kFileDelete) {
        fact.kind = RedoFact::Kind::kDrop;
      } else if (record.type == innodb::RedoType::kFileExtend) {
        REDOUBT_ASSIGN_OR_RETURN(const innodb::FileExtend extend,
                                 innodb::ParseFileExtend(record.body));
        fact.kind = RedoFact::Kind::kSize;
        fact.value = (extend.offset_bytes + extend.size_bytes) / 4096;
      } else {
        continue;
      }
      read.push_back(fact);
    }
    return Status::Ok();
  };
  const Status fed = assembler.Feed(server.Payload({server.begin_lsn(), server.end_lsn()}), sink);
  ASSERT_TRUE(fed.ok()) << fed.ToString();
  std::set<RedoFact::Kind> kinds;
  size_t next = 0;
  for (const RedoFact& fact : server.FactsUpTo(server.end_lsn())) {
    const bool page_zero =
        fact.kind == RedoFact::Kind::kSize && (next == read.size() || read[next].end != fact.end);
    if (page_zero) {
      continue;  // FSP_SIZE, a write like any other
    }
    ASSERT_LT(next, read.size());
    const RedoFact& same = read[next++];
    EXPECT_EQ(fact.kind, same.kind);
    EXPECT_EQ(fact.end, same.end);
    EXPECT_EQ(fact.table, same.table);
    EXPECT_EQ(fact.version, same.version);
    EXPECT_EQ(fact.value, same.value);
    EXPECT_EQ(fact.space, same.space);
    EXPECT_EQ(fact.path, same.path);
    EXPECT_EQ(fact.flags, same.flags);
    kinds.insert(fact.kind);
  }
  EXPECT_EQ(next, read.size());
  EXPECT_EQ(kinds.size(), 6U) << "every kind occurs";
}

}  // namespace
}  // namespace redoubt::sim
