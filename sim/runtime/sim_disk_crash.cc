// SPDX-License-Identifier: MIT
//
// What a power cut leaves of a SimDisk.
//
// Names: the journal survives up to a point (none, all, or a seeded prefix), as journaling file
// systems do. Data: per file, independent of other files except under kPrefix, since page caches
// are written back in any order. A synced operation always survives; it is not pending any more.

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "sim/runtime/sim_disk.h"

namespace redoubt::sim {
namespace {

constexpr InodeId kRoot = 1;
constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kSectorBytes = 512;
constexpr uint32_t kHalf = 500'000;

}  // namespace

std::string_view CrashPolicyName(CrashPolicy policy) {
  switch (policy) {
    case CrashPolicy::kSeeded:
      return "seeded";
    case CrashPolicy::kClean:
      return "clean";
    case CrashPolicy::kAll:
      return "all";
    case CrashPolicy::kPrefix:
      return "prefix";
    case CrashPolicy::kBlocks:
      return "blocks";
    case CrashPolicy::kTorn:
      return "torn";
    case CrashPolicy::kLostNames:
      return "lost-names";
  }
  return "unknown";
}

// The write cut into units at multiples of `unit` in the file; each survives or not by itself.
void SimDisk::CrashPieces(const DataOp& op, uint64_t unit, bool torn, Inode* inode,
                          CrashReport* report) {
  bool any = false;
  uint64_t done = 0;
  while (done < op.bytes.size()) {
    const uint64_t at = op.offset + done;
    const uint64_t count = std::min<uint64_t>(unit - at % unit, op.bytes.size() - done);
    DataOp piece{op.seq, false, at,
                 Bytes(op.bytes.begin() + static_cast<ptrdiff_t>(done),
                       op.bytes.begin() + static_cast<ptrdiff_t>(done + count))};
    done += count;
    if (!crashes_.Chance(kHalf)) {
      continue;
    }
    any = true;
    const uint64_t fate = torn ? crashes_.Below(16) : 15;
    if (fate == 0) {
      std::fill(piece.bytes.begin(), piece.bytes.end(), uint8_t{0});
    } else if (fate == 1) {
      for (uint8_t& byte : piece.bytes) {
        byte = static_cast<uint8_t>(crashes_.Next());
      }
    }
    ApplyDurable(piece, inode);
  }
  report->survived_count += any ? 1 : 0;
}

void SimDisk::CrashData(CrashPolicy policy, uint64_t cut_seq, Inode* inode, CrashReport* report) {
  report->pending_count += inode->pending.size();
  for (const DataOp& op : inode->pending) {
    bool whole = false;
    switch (policy) {
      case CrashPolicy::kClean:
        break;
      case CrashPolicy::kAll:
      case CrashPolicy::kLostNames:
        whole = true;
        break;
      case CrashPolicy::kPrefix:
        whole = op.seq < cut_seq;
        break;
      case CrashPolicy::kBlocks:
      case CrashPolicy::kTorn:
        if (op.truncate) {
          whole = crashes_.Chance(kHalf);
        } else {
          CrashPieces(op, policy == CrashPolicy::kTorn ? kSectorBytes : kBlockBytes,
                      policy == CrashPolicy::kTorn, inode, report);
        }
        break;
      case CrashPolicy::kSeeded:
        REDOUBT_CHECK(policy != CrashPolicy::kSeeded);
        break;
    }
    if (whole) {
      ++report->survived_count;
      ApplyDurable(op, inode);
    }
  }
  if (!inode->pending.empty() || inode->lost_writes) {
    inode->content = inode->durable;
  }
  inode->pending.clear();
  inode->lost_writes = false;
}

void SimDisk::CrashNames(CrashPolicy policy, uint64_t cut_seq, CrashReport* report) {
  report->pending_count += journal_.size();
  size_t survivors = 0;
  switch (policy) {
    case CrashPolicy::kClean:
    case CrashPolicy::kLostNames:
    case CrashPolicy::kSeeded:
      break;
    case CrashPolicy::kAll:
      survivors = journal_.size();
      break;
    case CrashPolicy::kPrefix:
      while (survivors < journal_.size() && journal_[survivors].seq < cut_seq) {
        ++survivors;
      }
      break;
    case CrashPolicy::kBlocks:
    case CrashPolicy::kTorn:
      survivors = journal_.empty() ? 0 : crashes_.Below(journal_.size() + 1);
      break;
  }
  for (size_t i = 0; i < survivors; ++i) {
    ApplyDurable(journal_[i]);
  }
  report->survived_count += survivors;
  journal_.clear();
}

void SimDisk::Freeze() {
  if (!frozen_.has_value()) {
    frozen_ = Frozen{inodes_, journal_, armed_, damage_log_};
  }
}

void SimDisk::Thaw() {
  if (!frozen_.has_value()) {
    return;
  }
  for (const auto& [id, inode] : inodes_) {
    REDOUBT_CHECK(inode.open_count == 0);
  }
  inodes_ = std::move(frozen_->inodes);
  journal_ = std::move(frozen_->journal);
  armed_ = std::move(frozen_->armed);
  damage_log_ = std::move(frozen_->damage_log);
  frozen_.reset();
  for (auto& [id, inode] : inodes_) {
    inode.open_count = 0;
  }
  RecountUsed();
}

SimDisk::CrashReport SimDisk::Crash(CrashPolicy policy) {
  constexpr std::array<CrashPolicy, 6> kChoices{CrashPolicy::kClean,  CrashPolicy::kAll,
                                                CrashPolicy::kPrefix, CrashPolicy::kBlocks,
                                                CrashPolicy::kTorn,   CrashPolicy::kLostNames};
  CrashReport report;
  report.policy = policy;
  if (policy == CrashPolicy::kSeeded && options_.torn_crashes_only) {
    report.policy = crashes_.Below(2) == 0 ? CrashPolicy::kBlocks : CrashPolicy::kTorn;
  } else if (policy == CrashPolicy::kSeeded) {
    report.policy = kChoices[crashes_.Below(kChoices.size())];
  }
  uint64_t cut_seq = 0;
  if (report.policy == CrashPolicy::kPrefix) {
    uint64_t first = next_seq_;
    for (const auto& [id, inode] : inodes_) {
      first = inode.pending.empty() ? first : std::min(first, inode.pending.front().seq);
    }
    first = journal_.empty() ? first : std::min(first, journal_.front().seq);
    cut_seq = crashes_.Between(first, next_seq_);
  }
  for (auto& [id, inode] : inodes_) {
    REDOUBT_CHECK(inode.open_count == 0);
    CrashData(report.policy, cut_seq, &inode, &report);
  }
  CrashNames(report.policy, cut_seq, &report);
  for (auto& [id, inode] : inodes_) {
    inode.entries = inode.durable_entries;
  }
  CollectGarbage();
  RecountUsed();
  return report;
}

// Removes inodes that no name leads to, now or after any crash, and that nobody has open.
void SimDisk::CollectGarbage() {
  std::map<InodeId, bool> reachable;
  std::vector<InodeId> todo{kRoot};
  // Journaled names may still come back; so may the directories that they are edits of.
  for (const NameOp& op : journal_) {
    for (const NameEdit& edit : op.edits) {
      todo.push_back(edit.directory);
      todo.push_back(edit.inode == 0 ? kRoot : edit.inode);
    }
  }
  while (!todo.empty()) {
    const InodeId id = todo.back();
    todo.pop_back();
    if (std::exchange(reachable[id], true)) {
      continue;
    }
    const Inode& inode = Get(id);
    for (const auto& [name, child] : inode.entries) {
      todo.push_back(child);
    }
    for (const auto& [name, child] : inode.durable_entries) {
      todo.push_back(child);
    }
  }
  std::erase_if(inodes_, [&](const auto& item) {
    const bool kept = item.second.open_count > 0 || reachable[item.first];
    if (!kept) {
      used_bytes_ -= item.second.content.size();
    }
    return !kept;
  });
}

void SimDisk::RecountUsed() {
  used_bytes_ = 0;
  for (const auto& [id, inode] : inodes_) {
    used_bytes_ += inode.content.size();
  }
}

}  // namespace redoubt::sim
