// SPDX-License-Identifier: MIT
#include "sim/oracle/ledger.h"

#include <algorithm>

#include "common/base/check.h"

namespace redoubt::sim {
namespace {

std::string Name(uint32_t id) { return "transfer " + std::to_string(id); }

std::string List(const std::vector<std::pair<uint32_t, uint64_t>>& rows, bool values) {
  std::string text = "[";
  for (const auto& [key, value] : rows) {
    text += text.size() > 1 ? "," : "";
    // Balances are signed: an account may be overdrawn.
    text += values ? std::to_string(static_cast<int64_t>(value)) : std::to_string(key);
  }
  return text + "]";
}

}  // namespace

uint32_t Ledger::Begin(uint64_t client, Epoch epoch, Transfer transfer, int64_t now_ns) {
  REDOUBT_CHECK(transfer.from < account_count_);
  REDOUBT_CHECK(transfer.to < account_count_);
  REDOUBT_CHECK(transfer.from != transfer.to);
  notes_.push_back(Note{client, epoch, transfer, now_ns, 0, Answer::kNone, Fate::kOpen});
  return begun_count();
}

Ledger::Note& Ledger::NoteOf(uint32_t id) {
  REDOUBT_CHECK(id > 0);
  REDOUBT_CHECK(id <= notes_.size());
  return notes_[id - 1];
}

void Ledger::Acknowledged(uint32_t id, int64_t now_ns) {
  Note& note = NoteOf(id);
  REDOUBT_CHECK(note.answer == Answer::kNone);
  note.answer = Answer::kAcknowledged;
  note.answered_ns = now_ns;
  ++acknowledged_count_;
  ++answered_count_;
  if (note.fate == Fate::kGone) {
    findings_->ReportLoss("C9", Name(id) + " was acknowledged under epoch " +
                                    std::to_string(note.epoch.value()) +
                                    " after a later recovery had found that it is not there");
  }
}

void Ledger::RolledBack(uint32_t id, int64_t now_ns) {
  Note& note = NoteOf(id);
  REDOUBT_CHECK(note.answer == Answer::kNone);
  note.answer = Answer::kRolledBack;
  note.answered_ns = now_ns;
  ++answered_count_;
}

void Ledger::Unknown(uint32_t id, int64_t now_ns) {
  Note& note = NoteOf(id);
  REDOUBT_CHECK(note.answer == Answer::kNone);
  note.answer = Answer::kUnknown;
  note.answered_ns = now_ns;
}

void Ledger::Judge(Epoch reader, uint32_t id, std::optional<uint64_t> row, bool settled) {
  Note& note = NoteOf(id);
  if (row.has_value() && *row != note.transfer.Encode()) {
    findings_->Report("C9", Name(id) + " has a row that nobody wrote");
    return;
  }
  if (row.has_value() && (note.answer == Answer::kRolledBack || note.epoch > reader)) {
    findings_->Report("C9", Name(id) + " is there, but " +
                                (note.epoch > reader ? "was begun under a newer epoch"
                                                     : "its client was told of its rollback"));
    return;
  }
  if (!row.has_value() && note.epoch <= reader && note.answer == Answer::kAcknowledged) {
    findings_->ReportLoss("C9", Name(id) + " was acknowledged under epoch " +
                                    std::to_string(note.epoch.value()) +
                                    " and is lost under epoch " + std::to_string(reader.value()));
    return;
  }
  if (!settled || note.epoch > reader) {
    return;
  }
  const Fate fate = row.has_value() ? Fate::kThere : Fate::kGone;
  if (note.fate != Fate::kOpen && note.fate != fate) {
    findings_->ReportLoss("C9", Name(id) + (row.has_value() ? " has come back" : " has vanished") +
                                    " after an earlier recovery had found the contrary");
  }
  note.fate = fate;
}

void Ledger::CheckContents(Epoch reader, const BankContents& contents, int64_t now_ns) {
  ++check_count_;
  reads_json_ += "{\"type\":\"read_all\",\"epoch\":" + std::to_string(reader.value()) +
                 ",\"time_ns\":" + std::to_string(now_ns) +
                 ",\"transfers\":" + List(contents.transfers, false) +
                 ",\"balances\":" + List(contents.accounts, true) + "}\n";
  std::vector<std::optional<uint64_t>> rows(notes_.size());
  for (const auto& [id, value] : contents.transfers) {
    if (id == 0 || id > notes_.size()) {
      findings_->Report("C9", Name(id) + " is there, and nobody ever began it");
      return;
    }
    if (rows[id - 1].has_value()) {
      findings_->Report("C9", Name(id) + " is there twice");
      return;
    }
    rows[id - 1] = value;
  }
  for (uint32_t id = 1; id <= notes_.size(); ++id) {
    Judge(reader, id, rows[id - 1], true);
  }
  CheckBalances(contents);
}

void Ledger::CheckBalances(const BankContents& contents) {
  std::vector<uint64_t> expected(account_count_, opening_balance_);
  for (const auto& [id, value] : contents.transfers) {
    const auto from = static_cast<uint16_t>(value >> 48);
    const auto to = static_cast<uint16_t>(value >> 32);
    if (from >= account_count_ || to >= account_count_) {
      return;  // was reported
    }
    expected[from] -= static_cast<uint32_t>(value);
    expected[to] += static_cast<uint32_t>(value);
  }
  if (contents.accounts.size() != account_count_) {
    findings_->ReportLoss("C9", std::to_string(contents.accounts.size()) + " accounts of " +
                                    std::to_string(account_count_) + " are there");
    return;
  }
  for (uint32_t number = 0; number < account_count_; ++number) {
    const auto& [key, balance] = contents.accounts[number];
    if (key != number || balance != expected[number]) {
      findings_->Report("C9", "account " + std::to_string(key) + " holds " +
                                  std::to_string(static_cast<int64_t>(balance)) + ", account " +
                                  std::to_string(number) + " must hold " +
                                  std::to_string(static_cast<int64_t>(expected[number])) +
                                  " after the transfers that are there: one is there in part");
      return;
    }
  }
}

void Ledger::CheckRow(Epoch reader, uint32_t id, std::optional<uint64_t> row) {
  Judge(reader, id, row, false);
}

uint32_t Ledger::PickAcknowledged(Epoch reader, uint64_t draw) const {
  if (notes_.empty()) {
    return 0;
  }
  const auto index = static_cast<uint32_t>(draw % notes_.size());
  const Note& note = notes_[index];
  return note.answer == Answer::kAcknowledged && note.epoch <= reader ? index + 1 : 0;
}

std::string Ledger::HistoryJson() const {
  std::string text;
  for (uint32_t id = 1; id <= notes_.size(); ++id) {
    const Note& note = notes_[id - 1];
    const char* result = note.answer == Answer::kAcknowledged ? "ok"
                         : note.answer == Answer::kRolledBack ? "rolled_back"
                                                              : "unknown";
    const bool returned = note.answer != Answer::kNone;
    text += "{\"type\":\"transfer\",\"id\":" + std::to_string(id) +
            ",\"client\":" + std::to_string(note.client) +
            ",\"epoch\":" + std::to_string(note.epoch.value()) +
            ",\"from\":" + std::to_string(note.transfer.from) +
            ",\"to\":" + std::to_string(note.transfer.to) +
            ",\"amount\":" + std::to_string(note.transfer.amount) +
            ",\"invoke_ns\":" + std::to_string(note.begun_ns) +
            ",\"return_ns\":" + (returned ? std::to_string(note.answered_ns) : "null") +
            ",\"result\":\"" + result + "\"}\n";
  }
  return text + reads_json_;
}

}  // namespace redoubt::sim
