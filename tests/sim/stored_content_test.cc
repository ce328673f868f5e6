// SPDX-License-Identifier: MIT
//
// C6 is shown stores that kept what they must, and stores that did not.
#include "sim/oracle/stored_content.h"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::sim {
namespace {

constexpr uint8_t kFamily = 3;
using Change = StoredContent::Change;

std::vector<Change> Put(std::string key, std::string value, bool history = false) {
  return {{Change::Kind::kPut, kFamily, history, std::move(key), std::move(value)}};
}

// A store that was opened empty, got a = 1 and flushed it, and then b = 2 and c = 3.
struct Store {
  Store() {
    content.Opened({});
    content.Written(content.WriteBegins(Put("a", "1")));
    content.Flushed(content.FlushBegins());
    content.Written(content.WriteBegins(Put("b", "2")));
    content.Written(content.WriteBegins(Put("c", "3")));
  }
  // Whether it may hold this after a restart.
  bool Accepts(const std::map<std::string, std::string>& entries) {
    StoredContent::Content all;
    for (const auto& [key, value] : entries) {
      all[{kFamily, key}] = value;
    }
    content.Opened(std::move(all));
    return findings.empty();
  }
  Findings findings;
  StoredContent content{&findings, "store"};
};

TEST(StoredContent, AcceptsEveryPrefixThatHasWhatWasFlushed) {
  EXPECT_TRUE(Store().Accepts({{"a", "1"}}));
  EXPECT_TRUE(Store().Accepts({{"a", "1"}, {"b", "2"}}));
  EXPECT_TRUE(Store().Accepts({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
}

TEST(StoredContent, SeesWhatIsNoPrefix) {
  EXPECT_FALSE(Store().Accepts({}));                                               // lost
  EXPECT_FALSE(Store().Accepts({{"a", "1"}, {"c", "3"}}));                         // out of order
  EXPECT_FALSE(Store().Accepts({{"a", "1"}, {"b", "3"}}));                         // another value
  EXPECT_FALSE(Store().Accepts({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", ""}}));  // too much
}

TEST(StoredContent, SeesAStoreThatGoesOnAfterAnError) {
  Store store;
  store.content.WentOnAfterError();
  EXPECT_FALSE(store.findings.empty());
}

// What survived one crash without a flush may be gone after the next; what was dropped stays so.
TEST(StoredContent, GoesOnFromWhatSurvived) {
  Store kept;
  EXPECT_TRUE(kept.Accepts({{"a", "1"}, {"b", "2"}}));
  EXPECT_TRUE(kept.Accepts({{"a", "1"}}));
  EXPECT_FALSE(kept.Accepts({{"a", "1"}, {"b", "2"}}));
  Store flushed;
  EXPECT_TRUE(flushed.Accepts({{"a", "1"}, {"b", "2"}}));
  flushed.content.Flushed(flushed.content.FlushBegins());
  EXPECT_FALSE(flushed.Accepts({{"a", "1"}}));
}

// An unanswered write may be there or not, a refused one may not, and neither is covered by a flush
// that began before its answer.
TEST(StoredContent, KnowsWhichWritesCount) {
  Store open;
  open.content.WriteBegins(Put("d", "4"));
  open.content.Flushed(open.content.FlushBegins());
  EXPECT_TRUE(open.Accepts({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}));
  EXPECT_TRUE(open.Accepts({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  Store refused;
  refused.content.Refused(refused.content.WriteBegins(Put("d", "4")));
  EXPECT_FALSE(refused.Accepts({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}));
}

TEST(StoredContent, DeletesAsTheStoreDoes) {
  Store store;
  std::vector<Change> changes = Put("d", "4");
  changes.push_back({Change::Kind::kDeleteRange, kFamily, false, "a", "c"});
  changes.push_back({Change::Kind::kDelete, kFamily, false, "d", ""});
  store.content.Written(store.content.WriteBegins(changes));
  store.content.Flushed(store.content.FlushBegins());
  EXPECT_TRUE(store.Accepts({{"c", "3"}}));
}

TEST(StoredContent, HistoryIsOnlyAddedTo) {
  const std::vector<std::vector<Change>> wrong = {
      Put("h", "other", true),
      {{Change::Kind::kDelete, kFamily, true, "h", ""}},
      {{Change::Kind::kDeleteRange, kFamily, true, "g", "i"}},
  };
  for (const std::vector<Change>& changes : wrong) {
    Store store;
    store.content.Written(store.content.WriteBegins(Put("h", "mtr", true)));
    store.content.Written(store.content.WriteBegins(Put("h", "mtr", true)));  // again the same
    EXPECT_TRUE(store.findings.empty());
    store.content.Written(store.content.WriteBegins(changes));
    EXPECT_EQ(store.findings.all().size(), 1U);
  }
}

TEST(StoredContent, KnowsNothingOfAnExchangedDisk) {
  Store store;
  store.content.Forget();
  EXPECT_TRUE(store.Accepts({{"z", "9"}}));
  EXPECT_FALSE(store.Accepts({}));
  // What it had is no history that what is written now could contradict.
  Store again;
  again.content.Written(again.content.WriteBegins(Put("d", "4", /*history=*/true)));
  again.content.Forget();
  EXPECT_EQ(again.content.Durable(kFamily, "a"), nullptr);
  again.content.Written(again.content.WriteBegins(Put("d", "5", /*history=*/true)));
  EXPECT_TRUE(again.findings.empty());
  again.content.Written(again.content.WriteBegins(Put("d", "6", /*history=*/true)));
  EXPECT_FALSE(again.findings.empty());
}

}  // namespace
}  // namespace redoubt::sim
