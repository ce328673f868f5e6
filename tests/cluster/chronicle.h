// SPDX-License-Identifier: MIT
//
// What clients of a real cluster were told, in one append-only file outside of the cluster. All
// processes write to it, one write(2) a line with O_APPEND, before anything counts; so it survives
// kill -9 of any of them, and its order is that of what happened. At the end the simulator's
// checkers read it (Judge).
//
// Grammar: KIND WHO NUMBER NUMBER NUMBER NUMBER NUMBER TEXT, one event a line. See Kind for which
// numbers mean what; a last line that was cut off by a kill is left out.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/types.h"
#include "sim/oracle/acknowledged_redo.h"
#include "sim/oracle/epoch_fence.h"
#include "sim/oracle/findings.h"
#include "sim/oracle/lsn_order.h"

namespace redoubt::cluster {

enum class Kind : uint8_t {
  kStarting,      // a writer asks for an epoch
  kPromised,      // epoch, end of the log
  kAcknowledged,  // epoch, LSN: end of the last mtr that is durable
  kRefused,       // epoch: its writer is fenced
  kAsked,         // ticket: a request is about to be sent
  kPositions,     // ticket, horizon, persisted, applied, commit; text: the server
  kPagesChecked,  // count
  kFinding,       // text: "C2 what"
  kRestarted,     // text: the server, which is dead now and has not begun again
};

struct Entry {
  Kind kind = Kind::kStarting;
  std::string who;
  std::array<uint64_t, 5> numbers{};
  std::string text;
};

std::string ToLine(const Entry& event);
// False: no such line.
bool ParseLine(std::string_view line, Entry* event);

class Chronicle {
 public:
  // `who`: this process's name, without blanks.
  Chronicle(const std::string& path, std::string who);
  Chronicle(const Chronicle&) = delete;
  Chronicle& operator=(const Chronicle&) = delete;
  ~Chronicle();

  // In the file when it returns (the page cache: a process may be killed then, not the machine).
  void Add(Kind kind, std::array<uint64_t, 5> numbers = {}, std::string text = {});
  // A number for the next request, noted as kAsked.
  uint64_t Ask();

  static std::vector<Entry> Read(const std::string& path);

 private:
  int fd_;
  std::string who_;
  uint64_t tickets_ = 0;
};

// The events through C1, C4 and C5, in the order of the file.
class Judge {
 public:
  explicit Judge(sim::Findings* findings)
      : findings_(findings), redo_(findings), fence_(findings) {}

  void Hear(const Entry& event);

  const sim::AcknowledgedRedo& redo() const { return redo_; }
  const sim::EpochFence& fence() const { return fence_; }
  uint64_t pages_checked() const { return pages_checked_; }
  // In one line.
  std::string Summary() const;

 private:
  struct Server {
    explicit Server(sim::Findings* findings) : order(findings, /*learns_commit=*/true) {}
    sim::LsnOrder order;
    uint32_t life = 0;
  };
  struct Ticket {
    uint32_t life = 0;
    uint64_t order = 0;
  };
  using Tickets = std::map<std::string, Ticket>;  // by server
  Server& ServerOf(const std::string& name);
  void HearPositions(const Entry& event);
  void HearFinding(const std::string& text);

  sim::Findings* findings_;
  sim::AcknowledgedRedo redo_;
  sim::EpochFence fence_;
  std::map<std::string, Server> servers_;
  std::map<std::string, Lsn> acknowledged_at_start_;  // by writer
  std::map<std::pair<std::string, uint64_t>, Tickets> asked_;
  uint64_t pages_checked_ = 0;
  uint64_t observations_ = 0;
};

}  // namespace redoubt::cluster
