// SPDX-License-Identifier: MIT
//
// Recordings of real redo: what is played is what the server did, and whoever gives other pages at
// the end is found out.
#include "sim/workload/recorded_server.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "common/innodb/page_format.h"
#include "sim/cluster/explicit_scenario.h"
#include "sim/cluster/scenario_check.h"
#include "sim/cluster/scenario_run.h"
#include "tests/support/temporary_directory.h"

namespace redoubt::sim {
namespace {

constexpr char kShop[] = "tests/data/shop_16k.recording";

std::unique_ptr<const LoadedRecording> Shop() {
  Result<std::unique_ptr<const LoadedRecording>> loaded = LoadRecording(kShop);
  REDOUBT_CHECK(loaded.ok());
  return std::move(*loaded);
}

struct Played {
  explicit Played(std::unique_ptr<const LoadedRecording> recording)
      : history(recording->content.page_size()), server(std::move(recording), &history) {}
  PageHistory history;
  RecordedServer server;
};

// In pieces of any size, with the server's own LSNs; the reference apply ends at the server's own
// pages.
TEST(RecordedServer, PlaysAllAndEndsAtTheServersPages) {
  Played played(Shop());
  const proto::Recording& recording = played.server.recording();
  EXPECT_EQ(played.server.begin_lsn(), Lsn(recording.begin_lsn()));
  EXPECT_EQ(played.server.end_lsn(), played.server.begin_lsn());
  Lsn before = played.server.begin_lsn();
  for (size_t piece = 1; played.server.end_lsn() < played.server.recorded_end(); piece += 97) {
    played.server.Produce(piece);
    EXPECT_GE(played.server.end_lsn(), before);
    before = played.server.end_lsn();
  }
  played.server.Finish();
  const LsnRange all{played.server.begin_lsn(), played.server.end_lsn()};
  EXPECT_EQ(AsText(played.server.Payload(all)), recording.payload());
  EXPECT_GT(played.server.mtr_count(), 10'000U);

  Findings findings;
  FinalPages pages(&findings);
  played.server.TellFinalPages(&pages);
  const std::vector<PageId> known = played.server.KnownPages();
  EXPECT_EQ(std::set<PageId>(known.begin(), known.end()).size(), known.size());
  EXPECT_GE(known.size(), static_cast<size_t>(recording.final_pages_size()));
  for (const PageId id : known) {
    pages.Check(id, all.end, played.history.At(id, all.end).image);
  }
  pages.EndRound();
  EXPECT_TRUE(findings.empty()) << findings.all().front().what;
  EXPECT_EQ(pages.checked_count(), static_cast<uint64_t>(recording.final_pages_size()));
}

// Older tablespaces begin with their base images; a dropped one is gone from its drop on.
TEST(RecordedServer, KnowsTheBaseAndWhatWasDropped) {
  Played played(Shop());
  ASSERT_FALSE(played.server.base_pages().empty());
  ASSERT_FALSE(played.server.base_spaces().empty());
  for (const BasePage& page : played.server.base_pages()) {
    const PageHistory::Version version = played.history.At(page.page, played.server.begin_lsn());
    EXPECT_EQ(version.page_lsn, page.lsn);
    EXPECT_TRUE(innodb::ComparePages(version.image, page.image, page.page).equal());
  }
  played.server.Finish();
  std::set<SpaceId> final_spaces;
  for (const proto::RecordedPage& page : played.server.recording().final_pages()) {
    final_spaces.insert(SpaceId(page.space_id()));
  }
  uint64_t dropped = 0;
  for (const PageId id : played.server.KnownPages()) {
    if (!final_spaces.contains(id.space)) {
      ++dropped;
      EXPECT_EQ(played.history.At(id, played.server.end_lsn()).page_lsn, Lsn());
    }
  }
  EXPECT_GT(dropped, 5U);
}

TEST(FinalPages, SeesAWrongByteAndAMissingPageAndMasksTheStamp) {
  Bytes own(4096, 7);
  Bytes mine = own;
  const PageId id{SpaceId(5), PageNo(3)};
  Findings findings;
  FinalPages pages(&findings);
  pages.SetEnd(Lsn(1000));
  pages.Add(id, own);
  innodb::SetPageLsn(MutableByteView(mine), Lsn(999));
  pages.Check(id, Lsn(1000), mine);
  pages.EndRound();
  EXPECT_TRUE(findings.empty());
  mine[200] ^= 1;
  pages.Check(id, Lsn(900), mine);  // not the end
  pages.Check(PageId{SpaceId(5), PageNo(4)}, Lsn(1000), mine);
  EXPECT_TRUE(findings.empty());
  pages.EndRound();  // nothing was compared in this round
  EXPECT_EQ(findings.all().size(), 1U);
  pages.Check(id, Lsn(1000), mine);
  ASSERT_EQ(findings.all().size(), 2U);
  EXPECT_NE(findings.all().back().what.find("byte 200"), std::string::npos);
}

TEST(LoadRecording, SaysWhatIsWrong) {
  EXPECT_EQ(LoadRecording("tests/data/none.recording").status().code(), StatusCode::kNotFound);
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/damaged.recording";
  std::ofstream(path, std::ios::binary) << "no recording";
  EXPECT_EQ(LoadRecording(path).status().code(), StatusCode::kCorruption);
}

constexpr char kReplay[] = R"(
name: "replay"
topology { tailers: 1 readers: 1 }
workload {
  recorded_redo: "tests/data/shop_16k.recording" redo_bytes_per_s { min: 600000 }
  chunk_bytes_max { min: 50000 } read_interval_ms { min: 20 } page_batch_bytes { min: 100000 }
  log_segment_bytes { min: 200000 } log_tail_bytes { min: 100000 } page_cache_bytes { min: 500000 }
}
network { latency_us_mean { min: 100 } }
disk { sync_us_mean { min: 500 } }
schedule { kind: SERVER_POWER at_ms: 1000 duration_ms: 100 }
phases { chaos_ms: 3000 calm_ms_max: 60000 }
limits { events: 5000000 }
)";

TEST(RecordedServer, IsPlayedThroughTheCluster) {
  const Result<proto::Scenario> scenario = ParseScenario(kReplay);
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  RunOptions options;
  const RunReport report = RunScenario(*scenario, options);
  EXPECT_EQ(report.outcome, Outcome::kPass) << report.reason;
  EXPECT_GT(report.mtr_count, 10'000U);
  // The final pages at least twice.
  EXPECT_GT(report.work.pages_checked, 700U);
}

// An explicit scenario, hence a capsule, names the file that it was made with.
TEST(RecordedServer, AnotherFileOfTheSameNameIsRefused) {
  const Result<proto::Scenario> scenario = ParseScenario(kReplay);
  ASSERT_TRUE(scenario.ok());
  proto::Scenario one = Explicit(*scenario, 1);
  EXPECT_NE(one.workload().recorded_redo_crc32c(), 0U);
  EXPECT_TRUE(ParseScenario(one.DebugString()).ok());
  one.mutable_workload()->set_recorded_redo_crc32c(1);
  EXPECT_EQ(ParseScenario(one.DebugString()).status().code(), StatusCode::kInvalidArgument);
  one.mutable_workload()->set_recorded_redo("none.recording");
  EXPECT_EQ(ParseScenario(one.DebugString()).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace redoubt::sim
