// SPDX-License-Identifier: MIT
//
// What happened in a run, in order. Every event goes into a rolling 64-bit hash, the run's
// fingerprint: the same seed and build must give the same hash. Only some events are kept for
// people: none, the last few that are worth reading, or all. Faults are always kept.
//
// Never put an address, a host name or host time into an event.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::sim {

using NodeId = uint32_t;
// Events of the world itself.
inline constexpr NodeId kWorldNode = 0xFFFFFFFF;

enum class TraceKind : uint8_t {
  kResume,      // a coroutine was resumed (a: sequence number of the event)
  kWorldEvent,  // a callback of the world ran
  kNodeStart,
  kNodeKill,
  kNodePause,
  kRandomDraw,  // by a node (a: value)
  kConnect,     // a: connection, text: address or why not
  kAccept,
  kSend,     // a: connection, b: bytes
  kDeliver,  // a: connection, b: bytes
  kClose,
  kLost,
  kLink,        // partition made or healed
  kFileOp,      // a: inode or 0, b: bytes or offset, text: operation and path
  kFileFault,   // an injected error
  kCrashImage,  // a: pending operations, b: how many survived
  kBlockingWork,
  kLog,        // text: a line of the node's EventLog
  kPhase,      // text: chaos, calm, verify
  kFault,      // the fault engine did something
  kOperation,  // the workload did something
  kViolation,  // a checker found something
};
std::string_view TraceKindName(TraceKind kind);
// Of interest to a person who reads a failure.
bool IsReadable(TraceKind kind);
// A node, or the run as a whole, is in another state after it: one of the few hundred events that
// tell the story of a run (sim/trace/state_lines.h).
bool IsTransition(TraceKind kind);

// Where a node stood when one of them happened. An LSN of 0: it has none.
struct NodeState {
  char role = '-';  // L log, P pages, A both, W writer, C compute, R reads; - is not working
  uint64_t epoch = 0;
  uint64_t end_lsn = 0;     // of its log; of what a writer was given
  uint64_t commit_lsn = 0;  // of what a writer was told
  uint64_t applied_lsn = 0;
  uint64_t persisted_lsn = 0;
  uint64_t pending_count = 0;  // operations on its disk that a power cut may take back
};

struct TraceEvent {
  int64_t time_ns = 0;
  uint64_t seq = 0;        // of this event, from 1
  uint64_t cause_seq = 0;  // of the event during which its cause was scheduled
  NodeId node = kWorldNode;
  uint32_t incarnation = 0;
  TraceKind kind = TraceKind::kResume;
  uint64_t a = 0;
  uint64_t b = 0;
  std::string text;
  // No part of the hash: it follows from what happened.
  std::optional<NodeState> state = std::nullopt;
};

class Trace {
 public:
  enum class Keep { kNothing, kRecent, kEverything };
  // `recent_count`: how many events kRecent keeps; it leaves out resumes, world events and draws.
  static constexpr size_t kRecentCount = 2000;
  explicit Trace(Keep keep, size_t recent_count = kRecentCount);

  // `node_draws`: draw count of the run so far.
  void Record(TraceEvent event, uint64_t draw_count);

  // Whether events of this kind are kept, and so may carry their node's state.
  bool WantsState(TraceKind kind) const { return keep_ != Keep::kNothing && IsTransition(kind); }

  // Sees every event, whatever is kept.
  void SetObserver(std::function<void(const TraceEvent&)> observer) {
    observer_ = std::move(observer);
  }

  uint64_t hash() const { return hash_; }
  uint64_t event_count() const { return event_count_; }
  const std::deque<TraceEvent>& events() const { return events_; }
  // The last kFaultsKept events of kind kFault.
  static constexpr size_t kFaultsKept = 200;
  const std::deque<TraceEvent>& faults() const { return faults_; }
  // The hash after every kCheckpointEvents events: two runs diverged between the last equal and the
  // first unequal pair.
  static constexpr uint64_t kCheckpointEvents = 4096;
  const std::vector<uint64_t>& checkpoints() const { return checkpoints_; }

 private:
  std::function<void(const TraceEvent&)> observer_;
  Keep keep_;
  size_t recent_count_;
  uint64_t hash_ = 0x5265646F756274ULL;
  uint64_t event_count_ = 0;
  std::deque<TraceEvent> events_;
  std::deque<TraceEvent> faults_;
  std::vector<uint64_t> checkpoints_;
};

// "      12.034567 server#2 send         12 4096 text": virtual seconds, node, incarnation, kind,
// fields.
std::string FormatTraceEvent(const TraceEvent& event, std::string_view node_name);

}  // namespace redoubt::sim
