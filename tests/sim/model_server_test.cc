// SPDX-License-Identifier: MIT
#include "sim/workload/model_server.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "common/innodb/apply.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

struct Model {
  Model(uint64_t seed, uint32_t page_size, uint64_t begin)
      : root(seed),
        history(page_size),
        server(ModelServerOptions{page_size, 3, 20, seed % 2 == 0 ? 20U : 0U, Lsn(begin)}, &root,
               &history) {}
  RandomRoot root;
  PageHistory history;
  ModelServer server;
};

// Applies every mtr of the model's redo with common/innodb and compares each page with the model's
// own after each mtr. Two implementations from one description: a difference is an error in one of
// them.
void CompareWithApplier(uint64_t seed, uint32_t page_size, uint64_t begin) {
  Model model(seed, page_size, begin);
  model.server.Produce(200'000);
  innodb::MtrAssembler assembler{Lsn(begin)};
  innodb::PageApplier applier;
  std::map<PageId, Bytes> pages;
  uint64_t compared = 0;
  const auto sink = [&](const innodb::MtrView& mtr) -> Status {
    std::map<PageId, std::vector<innodb::RedoRecord>> by_page;
    for (const innodb::RedoRecord& record : mtr.records) {
      if (innodb::ChangesPage(record.type)) {
        by_page[record.page].push_back(record);
      }
    }
    for (const auto& [id, records] : by_page) {
      Bytes& page = pages[id];
      page.resize(page_size);
      const innodb::MtrLsns lsns{mtr.start_lsn, mtr.end_lsn};
      const Result<innodb::ApplyOutcome> outcome =
          applier.ApplyMtr(records, lsns, MutableByteView(page));
      REDOUBT_RETURN_IF_ERROR(outcome.status());
      innodb::StampPage(MutableByteView(page), mtr.end_lsn);
      const PageHistory::Version truth = model.history.At(id, mtr.end_lsn);
      ++compared;
      if (truth.page_lsn != mtr.end_lsn || truth.image != page) {
        return Corruption("page " + ToString(id) + " differs after " + Describe(records.back()));
      }
    }
    return Status::Ok();
  };
  const LsnRange all{model.server.begin_lsn(), model.server.end_lsn()};
  const Status status = assembler.Feed(model.server.Payload(all), sink);
  EXPECT_TRUE(status.ok()) << "seed " << seed << ": " << status.ToString();
  EXPECT_EQ(assembler.end_lsn(), model.server.end_lsn());
  EXPECT_EQ(compared, model.history.version_count());
  EXPECT_GT(compared, 1000U);
}

TEST(ModelServer, RedoDescribesWhatTheModelDid) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    CompareWithApplier(seed, 4096U << (seed % 5), 8204 + (seed - 1) * 53);
  }
}

// Reading back in time gives the page as it was, also across full images and patches.
TEST(PageHistory, GivesEveryVersionAndNothingBetween) {
  PageHistory history(4096);
  const PageId id{SpaceId(1), PageNo(2)};
  Bytes image(4096);
  EXPECT_EQ(history.At(id, Lsn(1000)).page_lsn, Lsn());
  for (uint64_t i = 1; i <= 100; ++i) {
    image[100 + i] = static_cast<uint8_t>(i);
    history.Record(id, Lsn(i * 10), image);
  }
  for (uint64_t lsn = 1; lsn < 1100; ++lsn) {
    const PageHistory::Version version = history.At(id, Lsn(lsn));
    const uint64_t count = std::min<uint64_t>(lsn / 10, 100);
    EXPECT_EQ(version.page_lsn, Lsn(count * 10));
    for (uint64_t i = 1; i <= 100; ++i) {
      EXPECT_EQ(version.image[100 + i], i <= count ? i : 0);
    }
  }
}

// Any cut of the log into chunks names the first mtr of each chunk correctly.
TEST(ModelServer, NamesTheFirstMtrOfAnyRange) {
  Model model(3, 4096, 8204);
  model.server.Produce(100'000);
  std::vector<Lsn> starts;
  innodb::MtrAssembler assembler(model.server.begin_lsn());
  const auto sink = [&](const innodb::MtrView& mtr) {
    starts.push_back(mtr.start_lsn);
    return Status::Ok();
  };
  const LsnRange all{model.server.begin_lsn(), model.server.end_lsn()};
  ASSERT_TRUE(assembler.Feed(model.server.Payload(all), sink).ok());
  Lsn at = model.server.begin_lsn();
  while (at < model.server.end_lsn()) {
    const LsnRange chunk{at, model.server.Advance(at, 777)};
    Lsn expected;
    for (const Lsn start : starts) {
      if (chunk.Contains(start)) {
        expected = start;
        break;
      }
    }
    EXPECT_EQ(model.server.FirstMtrIn(chunk), expected) << chunk.start.value();
    at = chunk.end;
  }
}

}  // namespace
}  // namespace redoubt::sim
