// SPDX-License-Identifier: MIT
//
// C9: what the clients of a bank know, kept outside the system. A transfer moves an amount between
// two accounts and leaves a row under its number. A client is told that it is committed, or that it
// was rolled back, or nothing at all.
//
// Whoever has recovered the database, and has begun nothing yet, shows its contents:
//   - what was acknowledged is there, once; what was rolled back, or never begun, is not
//   - what has no answer is there wholly or not at all, and stays as it was found first
//   - each account holds its opening balance and what the transfers that are there did to it
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/findings.h"

namespace redoubt::sim {

struct Transfer {
  uint16_t from = 0;
  uint16_t to = 0;
  uint32_t amount = 0;

  // As its row holds it.
  uint64_t Encode() const {
    return static_cast<uint64_t>(from) << 48 | static_cast<uint64_t>(to) << 32 | amount;
  }
};

// All rows, in the order in which a scan finds them.
struct BankContents {
  std::vector<std::pair<uint32_t, uint64_t>> accounts;   // number, balance
  std::vector<std::pair<uint32_t, uint64_t>> transfers;  // number, Transfer::Encode()
};

class Ledger {
 public:
  // Accounts are numbered from 0. `findings` outlives it.
  Ledger(Findings* findings, uint32_t account_count, uint64_t opening_balance)
      : findings_(findings), account_count_(account_count), opening_balance_(opening_balance) {}

  // A client asks a server of `epoch` for a transfer, now. Its number, from 1.
  uint32_t Begin(uint64_t client, Epoch epoch, Transfer transfer, int64_t now_ns);
  // What the client was told. At most one of these for each transfer.
  void Acknowledged(uint32_t id, int64_t now_ns);
  void RolledBack(uint32_t id, int64_t now_ns);
  void Unknown(uint32_t id, int64_t now_ns);

  // What a server of `reader` found, with no transfer of its own under way.
  void CheckContents(Epoch reader, const BankContents& contents, int64_t now_ns);
  // One row, as a server of `reader` sees it, which may have transfers under way.
  void CheckRow(Epoch reader, uint32_t id, std::optional<uint64_t> row);
  // A transfer that a server of `reader` must have; 0: none, or `draw` chose badly.
  uint32_t PickAcknowledged(Epoch reader, uint64_t draw) const;

  uint32_t begun_count() const { return static_cast<uint32_t>(notes_.size()); }
  uint32_t acknowledged_count() const { return acknowledged_count_; }
  uint32_t unknown_count() const { return begun_count() - answered_count_; }
  uint32_t check_count() const { return check_count_; }
  uint32_t account_count() const { return account_count_; }
  uint64_t opening_balance() const { return opening_balance_; }
  // One JSON object a line: every transfer with invocation, return and result; every full read.
  std::string HistoryJson() const;

 private:
  enum class Answer : uint8_t { kNone, kAcknowledged, kRolledBack, kUnknown };
  enum class Fate : uint8_t { kOpen, kThere, kGone };
  struct Note {
    uint64_t client = 0;
    Epoch epoch;
    Transfer transfer;
    int64_t begun_ns = 0;
    int64_t answered_ns = 0;
    Answer answer = Answer::kNone;
    Fate fate = Fate::kOpen;
  };

  Note& NoteOf(uint32_t id);
  // Judges one transfer; `row` empty: not there.
  void Judge(Epoch reader, uint32_t id, std::optional<uint64_t> row, bool settled);
  void CheckBalances(const BankContents& contents);

  Findings* findings_;
  uint32_t account_count_;
  uint64_t opening_balance_;
  std::vector<Note> notes_;  // [id - 1]
  uint32_t acknowledged_count_ = 0;
  uint32_t answered_count_ = 0;
  uint32_t check_count_ = 0;
  std::string reads_json_;
};

}  // namespace redoubt::sim
