// SPDX-License-Identifier: MIT
//
// Right and wrong histories of a bank, drawn from seeds.
#include "sim/oracle/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "sim/runtime/seeded_stream.h"

namespace redoubt::sim {
namespace {

constexpr uint32_t kAccounts = 10;
constexpr uint64_t kOpening = 1000;
constexpr int kTransfers = 200;

// A bank in memory under two epochs, which does everything right, and the ledger's view of it.
struct Bank {
  explicit Bank(uint64_t seed) : root(seed), random(&root, "bank", 0) {
    for (uint32_t account = 0; account < kAccounts; ++account) {
      balances[account] = kOpening;
    }
    for (int i = 0; i < kTransfers; ++i) {
      Run(i < kTransfers / 2 ? Epoch(1) : Epoch(2));
    }
  }
  void Run(Epoch epoch) {
    const auto from = static_cast<uint16_t>(random.Below(kAccounts));
    const auto to = static_cast<uint16_t>((from + random.Between(1, kAccounts - 1)) % kAccounts);
    const Transfer transfer{from, to, static_cast<uint32_t>(random.Between(1, 50))};
    const int64_t now = int64_t{ledger.begun_count()} * 10;
    const uint32_t id = ledger.Begin(1, epoch, transfer, now);
    const uint64_t fate = random.Below(10);
    if (fate < 6) {
      ledger.Acknowledged(id, now + 5);
      acknowledged.push_back(id);
    } else if (fate == 6) {
      ledger.RolledBack(id, now + 5);
      rolled_back.push_back(id);
    } else if (fate == 7) {
      ledger.Unknown(id, now + 5);
    }
    if (fate < 6 || (fate > 6 && random.Below(2) == 0)) {
      Put(id, transfer);
    } else {
      missing[id] = transfer;
    }
  }
  void Put(uint32_t id, Transfer transfer) {
    rows[id] = transfer;
    balances[transfer.from] -= transfer.amount;
    balances[transfer.to] += transfer.amount;
  }
  void Remove(uint32_t id) {
    const Transfer transfer = rows[id];
    balances[transfer.from] += transfer.amount;
    balances[transfer.to] -= transfer.amount;
    rows.erase(id);
  }
  void Check() {
    BankContents contents;
    contents.accounts.assign(balances.begin(), balances.end());
    for (const auto& [id, transfer] : rows) {
      contents.transfers.emplace_back(id, transfer.Encode());
    }
    ledger.CheckContents(Epoch(3), contents, 1);
  }
  std::string First() {
    Check();
    return findings.empty() ? "" : findings.all().front().what;
  }

  RandomRoot root;
  SeededStream random;
  Findings findings;
  Ledger ledger{&findings, kAccounts, kOpening};
  std::map<uint32_t, uint64_t> balances;
  std::map<uint32_t, Transfer> rows;
  std::map<uint32_t, Transfer> missing;
  std::vector<uint32_t> acknowledged;
  std::vector<uint32_t> rolled_back;
};

// Each change to a right history has to be found, under every seed.
class LedgerSeeds : public testing::TestWithParam<uint64_t> {
 protected:
  uint32_t Any(const std::vector<uint32_t>& ids) { return ids[bank_.random.Below(ids.size())]; }
  Bank bank_{GetParam()};
};

TEST_P(LedgerSeeds, AcceptsARightHistoryAgainAndAgain) {
  EXPECT_EQ(bank_.First(), "");
  EXPECT_EQ(bank_.First(), "");
  EXPECT_GT(bank_.ledger.unknown_count(), 0U);
}

TEST_P(LedgerSeeds, SeesALostAcknowledgedTransfer) {
  bank_.Remove(Any(bank_.acknowledged));
  EXPECT_NE(bank_.First().find("is lost"), std::string::npos);
}

TEST_P(LedgerSeeds, SeesARolledBackTransfer) {
  const uint32_t id = Any(bank_.rolled_back);
  bank_.Put(id, bank_.missing[id]);
  EXPECT_NE(bank_.First().find("rollback"), std::string::npos);
}

TEST_P(LedgerSeeds, SeesAPhantom) {
  bank_.Put(kTransfers + 1, Transfer{1, 2, 3});
  EXPECT_NE(bank_.First().find("nobody ever began it"), std::string::npos);
}

TEST_P(LedgerSeeds, SeesHalfATransfer) {
  const Transfer transfer = bank_.rows[Any(bank_.acknowledged)];
  bank_.balances[bank_.random.Below(2) == 0 ? transfer.from : transfer.to] += 1;
  EXPECT_NE(bank_.First().find("in part"), std::string::npos);
}

TEST_P(LedgerSeeds, SeesATransferThatIsThereTwice) {
  const Transfer transfer = bank_.rows[Any(bank_.acknowledged)];
  bank_.balances[transfer.from] -= transfer.amount;
  bank_.balances[transfer.to] += transfer.amount;
  EXPECT_NE(bank_.First().find("in part"), std::string::npos);
}

TEST_P(LedgerSeeds, SeesAnUnansweredTransferComeAndGo) {
  ASSERT_EQ(bank_.First(), "");
  const auto open = std::find_if(bank_.missing.begin(), bank_.missing.end(), [this](const auto& m) {
    return std::count(bank_.rolled_back.begin(), bank_.rolled_back.end(), m.first) == 0;
  });
  ASSERT_NE(open, bank_.missing.end());
  bank_.Put(open->first, open->second);
  EXPECT_NE(bank_.First().find("has come back"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LedgerSeeds, testing::Range(uint64_t{1}, uint64_t{21}));

TEST(Ledger, SeesAnAcknowledgementAfterTheRecoveryThatFoundNothing) {
  Findings findings;
  Ledger ledger(&findings, 2, 10);
  const uint32_t id = ledger.Begin(1, Epoch(1), Transfer{0, 1, 5}, 0);
  ledger.CheckContents(Epoch(2), BankContents{{{0, 10}, {1, 10}}, {}}, 1);
  EXPECT_TRUE(findings.empty());
  ledger.Acknowledged(id, 2);
  EXPECT_EQ(findings.all().size(), 1U);
}

TEST(Ledger, AnOldServerNeedNotKnowWhatANewerOneDid) {
  Findings findings;
  Ledger ledger(&findings, 2, 10);
  const uint32_t id = ledger.Begin(1, Epoch(2), Transfer{0, 1, 5}, 0);
  ledger.Acknowledged(id, 1);
  EXPECT_EQ(ledger.PickAcknowledged(Epoch(1), 0), 0U);
  EXPECT_EQ(ledger.PickAcknowledged(Epoch(2), 0), id);
  ledger.CheckContents(Epoch(1), BankContents{{{0, 10}, {1, 10}}, {}}, 1);
  EXPECT_TRUE(findings.empty());
  ledger.CheckRow(Epoch(2), id, std::nullopt);
  EXPECT_EQ(findings.all().size(), 1U);
}

TEST(Ledger, WritesItsHistory) {
  Findings findings;
  Ledger ledger(&findings, 2, 10);
  const uint32_t id = ledger.Begin(7, Epoch(1), Transfer{0, 1, 15}, 100);
  ledger.Acknowledged(id, 200);
  ledger.Begin(7, Epoch(1), Transfer{0, 1, 5}, 300);
  ledger.CheckContents(Epoch(2), BankContents{{{0, uint64_t(-5)}, {1, 25}}, {{1, 0x10000000FULL}}},
                       400);
  EXPECT_EQ(
      ledger.HistoryJson(),
      "{\"type\":\"transfer\",\"id\":1,\"client\":7,\"epoch\":1,\"from\":0,\"to\":1,\"amount\":15,"
      "\"invoke_ns\":100,\"return_ns\":200,\"result\":\"ok\"}\n"
      "{\"type\":\"transfer\",\"id\":2,\"client\":7,\"epoch\":1,\"from\":0,\"to\":1,\"amount\":5,"
      "\"invoke_ns\":300,\"return_ns\":null,\"result\":\"unknown\"}\n"
      "{\"type\":\"read_all\",\"epoch\":2,\"time_ns\":400,\"transfers\":[1],\"balances\":[-5,25]}"
      "\n");
  EXPECT_TRUE(findings.empty());
}

}  // namespace
}  // namespace redoubt::sim
