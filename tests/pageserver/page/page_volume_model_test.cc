// SPDX-License-Identifier: MIT
//
// Goal: a page read at any LSN is what the database server had (Rule 7), however redo is cut into
// chunks, batched, materialized, cached or pulled again after crashes (Rule 6). Method: the
// simulator's model server, which logs what it does and remembers every version, independent of our
// applier.
#include <gtest/gtest.h>

#include "sim/oracle/page_history.h"
#include "sim/workload/model_server.h"
#include "tests/pageserver/page/volume_world.h"

namespace redoubt {
namespace {

constexpr Lsn kBegin = innodb::ToLsn(Sn(40'000));

class ModelWorld {
 public:
  explicit ModelWorld(uint64_t seed, uint32_t page_size = 4096)
      : world(seed), root_(seed), history(page_size), server(Options(page_size), &root_, &history) {
    world.options.page_size = page_size;
  }

  // Hands what the server produced to the feed in chunks of random sizes.
  void Send() {
    while (sent_ < server.end_lsn()) {
      Random* const random = world.node.runtime()->random;
      const size_t bytes = 1 + random->Below(random->Below(4) == 0 ? 40'000 : 700);
      const LsnRange range{sent_, server.Advance(sent_, bytes)};
      time_ns += 20'000'000;
      world.feed.Append(range, server.FirstMtrIn(range), server.Payload(range), time_ns);
      sent_ = range.end;
    }
  }
  void ExpectAllPagesAt(Lsn lsn) {
    std::vector<PageId> pages = server.KnownPages();
    Result<std::vector<PageRead>> reads = world.Get(pages, lsn);
    ASSERT_TRUE(reads.ok()) << reads.status().ToString();
    ASSERT_EQ(reads->size(), pages.size());
    for (size_t i = 0; i < pages.size(); ++i) {
      ExpectPage(pages[i], lsn, (*reads)[i]);
    }
  }
  void ExpectPage(PageId page, Lsn lsn, const PageRead& read) {
    const sim::PageHistory::Version truth = history.At(page, lsn);
    if (truth.page_lsn == Lsn{}) {
      EXPECT_TRUE(read.status.ok() || read.status.code() == StatusCode::kNotFound)
          << read.status.ToString();
      EXPECT_EQ(read.image, nullptr);
      return;
    }
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
    ASSERT_NE(read.image, nullptr) << ToString(page) << " at " << lsn.value();
    EXPECT_EQ(read.page_lsn, truth.page_lsn) << ToString(page) << " at " << lsn.value();
    EXPECT_TRUE(*read.image == truth.image) << ToString(page) << " at " << lsn.value();
  }
  void ExpectRandomLsns(int count) {
    Random* const random = world.node.runtime()->random;
    const uint64_t begin = innodb::ToSn(server.begin_lsn()).value();
    const uint64_t end = innodb::ToSn(server.end_lsn()).value();
    for (int i = 0; i < count; ++i) {
      ExpectAllPagesAt(innodb::ToLsn(Sn(begin + random->Below(end - begin))));
    }
    ExpectAllPagesAt(server.end_lsn());
  }

  VolumeWorld world;

 private:
  static sim::ModelServerOptions Options(uint32_t page_size) {
    sim::ModelServerOptions options;
    options.page_size = page_size;
    options.begin_lsn = kBegin;
    return options;
  }
  sim::RandomRoot root_;
  Lsn sent_ = kBegin;

 public:
  sim::PageHistory history;
  sim::ModelServer server;
  int64_t time_ns = 1'000'000'000'000;
};

TEST(PageVolumeModel, ReadsAtAnyLsnEqualTheServersPages) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelWorld model(seed, seed % 2 == 0 ? 16384 : 4096);
    model.world.Open();
    model.server.Produce(300'000);
    model.Send();
    model.world.WaitApplied(model.server.end_lsn());
    model.ExpectRandomLsns(10);
    // Again when everything has moved to the store and was materialized.
    model.world.node.RunFor(std::chrono::seconds(3));
    model.ExpectRandomLsns(10);
    EXPECT_GT(model.world.volume->status().materialized_images, 0U);
    EXPECT_EQ(model.world.volume->status().ingest_error, "");
    model.world.Close();
  }
}

TEST(PageVolumeModel, ReadsWhileRedoArrives) {
  ModelWorld model(11);
  model.world.cache_bytes = 60'000;  // less than the pages: entries come and go
  model.world.Open();
  for (int round = 0; round < 60; ++round) {
    model.server.Produce(4'000);
    model.Send();
    model.ExpectAllPagesAt(model.server.end_lsn());
  }
  model.ExpectRandomLsns(10);
}

TEST(PageVolumeModel, CrashesLoseNothingAndRepeatNothing) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelWorld model(seed);
    model.world.Open();
    Lsn persisted_before;
    for (int life = 0; life < 5; ++life) {
      model.server.Produce(60'000);
      model.Send();
      // Anywhere: while redo is read, parsed, written, flushed, or all done.
      model.world.node.RunFor(
          std::chrono::microseconds(model.world.node.runtime()->random->Below(800'000)));
      persisted_before = model.world.volume->status().persisted;
      model.world.feed.Trim();
      model.world.CrashAndOpen(sim::CrashPolicy::kSeeded);
      EXPECT_GE(model.world.volume->status().persisted, persisted_before);
    }
    model.world.WaitApplied(model.server.end_lsn());
    EXPECT_EQ(model.world.volume->status().ingest_error, "");
    EXPECT_TRUE(model.world.volume->status().holes.empty());
    model.ExpectRandomLsns(10);
  }
}

TEST(PageVolumeModel, ScansAndVerifiesEverySpace) {
  ModelWorld model(21);
  model.world.Open();
  model.server.Produce(200'000);
  model.Send();
  model.world.WaitApplied(model.server.end_lsn());
  const Lsn lsn = model.server.Advance(kBegin, 120'000);
  Result<std::vector<SpaceState>> spaces =
      model.world.node.Await(model.world.volume->ListSpaces(lsn));
  ASSERT_TRUE(spaces.ok());
  ASSERT_FALSE(spaces->empty());
  size_t pages_seen = 0;
  for (const SpaceState& space : *spaces) {
    PageNo next;
    for (bool done = false; !done;) {
      Result<ScanOutcome> scan =
          model.world.node.Await(model.world.volume->Scan(space.space, lsn, next, 3));
      ASSERT_TRUE(scan.ok()) << scan.status().ToString();
      for (const ScannedPage& page : scan->pages) {
        model.ExpectPage({space.space, page.page_no}, lsn, page.read);
        ++pages_seen;
      }
      next = scan->next_page_no;
      done = scan->done;
    }
    const Result<VerifyOutcome> verified =
        model.world.node.Await(model.world.volume->Verify(space.space, PageNo(0), 1000));
    ASSERT_TRUE(verified.ok()) << verified.status().ToString();
    EXPECT_TRUE(verified->done);
    EXPECT_TRUE(verified->problems.empty()) << verified->problems.front().second.ToString();
    EXPECT_GT(verified->versions_checked, verified->pages_checked);
  }
  size_t truth = 0;
  for (const PageId page : model.server.KnownPages()) {
    truth += model.history.At(page, lsn).page_lsn != Lsn{} ? 1 : 0;
  }
  EXPECT_EQ(pages_seen, truth);
}

TEST(PageVolumeModel, KnowsTheLsnOfATime) {
  ModelWorld model(31);
  model.world.Open();
  model.server.Produce(100'000);
  model.Send();
  model.world.WaitApplied(model.server.end_lsn());
  model.world.node.RunFor(std::chrono::seconds(2));
  const auto newest =
      model.world.node.Await(model.world.volume->LsnAtTime(model.time_ns + 1'000'000'000));
  ASSERT_TRUE(newest.ok()) << newest.status().ToString();
  EXPECT_EQ(newest->first, model.server.end_lsn());
  EXPECT_EQ(newest->second, model.time_ns);
  const auto before = model.world.node.Await(model.world.volume->LsnAtTime(5));
  EXPECT_EQ(before.status().code(), StatusCode::kBelowHorizon);
}

}  // namespace
}  // namespace redoubt
