// SPDX-License-Identifier: MIT
//
// The deterministic world: many nodes in one thread on one virtual clock. Owns the event queue, the
// network, every node's disk, and the programs that run on the nodes.
//
// A node is a machine with a name, a disk and clocks. Starting it makes a new incarnation: a
// Runtime bundle and a program built on it. Killing it marks the incarnation dead, so that every
// event which is still on its way to it is dropped and all its handles are inert, and then destroys
// its tasks and its program; destructors run, but cannot reach the world any more.
//
// Time stands still while a coroutine runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/runtime/runtime.h"
#include "common/runtime/task.h"
#include "sim/runtime/event_queue.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/sim_clock.h"
#include "sim/runtime/sim_disk.h"
#include "sim/runtime/sim_net.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

// What a node runs. Built by the factory given to StartNode, destroyed when the node is killed
// (after the frames of its tasks).
class NodeProgram {
 public:
  virtual ~NodeProgram() = default;
  // Spawned once. The node stays up when it returns.
  virtual Task<void> Run() = 0;
  // Ends everything that the program does, and gives back what it holds. At most once.
  virtual Task<void> Stop() { co_return; }
  // Adds what it knows of its state. Changes nothing; asked at any time.
  virtual void Describe(NodeState*) const {}
};
using ProgramFactory = std::function<std::unique_ptr<NodeProgram>(Runtime*)>;

enum class KillKind : uint8_t {
  kProcess,  // kill -9: the page cache survives, peers see their connections end
  kPower,    // the machine goes: unsynced writes are at the crash policy's mercy, peers see silence
};

struct SimOptions {
  uint64_t seed = 1;
  // Every resume is delayed with this probability, by at most this much.
  uint32_t resume_jitter_ppm = 0;
  int64_t resume_jitter_ns_max = 200'000;
  // What work on the blocking executor costs.
  int64_t blocking_ns_min = 2'000;
  int64_t blocking_ns_mean = 20'000;
  // Every machine's monotonic clock starts somewhere below.
  int64_t clock_origin_ns_max = 0;
  NetOptions net;
  DiskOptions disk;
};

class SimWorld {
 public:
  // `trace` outlives the world.
  SimWorld(const SimOptions& options, Trace* trace);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  // --- Nodes. Names are the host part of addresses.
  NodeId AddNode(std::string name);
  // The node must be down.
  void StartNode(NodeId node, const ProgramFactory& factory);
  // At once, or, when called from code of the node itself, right after the present event. The
  // node's disk becomes the crash image that `policy` makes of it (kPower only). No effect on a
  // node that is down.
  void KillNode(NodeId node, KillKind kind, CrashPolicy policy);
  // The node's events wait until then: a stopped virtual machine.
  void PauseNode(NodeId node, int64_t until_ns);
  // Asks the node's program to stop; it has when TaskCountOf is 0. The node stays up.
  void StopProgram(NodeId node);
  size_t TaskCountOf(NodeId node) const;
  // Resumes of the node that are to come.
  size_t TimerCountOf(NodeId node) const;
  bool IsUp(NodeId node) const;
  bool IsPowered(NodeId node) const;  // a killed process leaves the machine powered
  uint32_t IncarnationOf(NodeId node) const;
  bool IsAlive(NodeId node, uint32_t incarnation) const;
  // True from a KillNode by the node's own code to the end of the present event.
  bool IsBeingKilled(NodeId node) const;
  // Whose code runs now; kWorldNode between events and in the world's own.
  NodeId running_node() const { return current_node_; }
  std::string_view NameOf(NodeId node) const;
  size_t node_count() const { return nodes_.size(); }
  // kNoNode when there is none of this name.
  static constexpr NodeId kNoNode = 0xFFFFFFFE;
  NodeId FindNode(std::string_view name) const;
  SimDisk& DiskOf(NodeId node);
  // The program of the present incarnation; null when down.
  NodeProgram* ProgramOf(NodeId node);
  // Nanoseconds that the node's wall clock is ahead of the world's, now.
  void SetWallOffset(NodeId node, int64_t offset_ns);
  // From now on both clocks of the node gain so many seconds in a million, or lose them. At most
  // SimClock::kDriftPpmMax either way.
  void SetClockDrift(NodeId node, int64_t ppm);
  // The machines' disks change places. Both must be without power, or never have been started.
  void SwapDisks(NodeId a, NodeId b);
  // The planted bugs of the nodes that are started from now on; null: none. Outlives the world.
  void SetFaultPoints(FaultPoints* fault_points) { fault_points_ = fault_points; }
  FaultPoints* fault_points() const { return fault_points_; }
  // Called with every line that a node logs: crash-at-event triggers.
  using LogObserver = std::function<void(NodeId, std::string_view line)>;
  void SetLogObserver(LogObserver observer) { log_observer_ = std::move(observer); }

  // --- Running.
  int64_t now_ns() const { return queue_.now_ns(); }
  // `callback` runs at `when` (or now, if that is past), as the world.
  void At(int64_t when_ns, std::function<void()> callback);
  // Runs until `done` says so (asked after each event; may be empty), the time is up, the event
  // limit is reached, or nothing is left to do (then the time moves to `until_ns`).
  enum class StopReason : uint8_t { kDone, kTimeUp, kEventLimit };
  StopReason RunUntil(int64_t until_ns, const std::function<bool()>& done, uint64_t event_limit);
  uint64_t executed_count() const { return executed_count_; }

  // --- For the parts of the world.
  SimNet& net() { return *net_; }
  Trace& trace() { return *trace_; }
  RandomRoot& random() { return random_; }
  const SimOptions& options() const { return options_; }
  uint64_t current_seq() const { return current_seq_; }
  // `local_due_ns`: not before the node's clock shows it; 0: whatever it shows.
  EventQueue::EventId PushHandle(NodeId node, uint32_t incarnation, int64_t when_ns,
                                 int64_t local_due_ns, std::coroutine_handle<> handle);
  void Logged(NodeId node, std::string line);
  bool Cancel(EventQueue::EventId id) { return queue_.Cancel(id); }
  bool CancelResume(NodeId node, uint32_t incarnation, std::coroutine_handle<> handle) {
    return queue_.CancelResume(node, incarnation, handle);
  }
  void Record(NodeId node, TraceKind kind, uint64_t a, uint64_t b, std::string text = {});

 private:
  struct Node;
  struct Incarnation;
  struct PendingKill {
    NodeId node;
    KillKind kind;
    CrashPolicy policy;
  };

  void Execute(EventQueue::Event* event);
  // Not yet: the node is paused, or its clock has become slower.
  bool Postpone(EventQueue::Event* event);
  void KillNow(const PendingKill& kill);
  NodeState StateOf(NodeId node) const;
  uint32_t DrawTie() { return static_cast<uint32_t>(ties_.Next()); }

  SimOptions options_;
  Trace* trace_;
  RandomRoot random_;
  SeededStream ties_;
  SeededStream callback_ties_;  // of their own: a fault more or less leaves the resumes' order
  SeededStream jitter_;
  EventQueue queue_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<SimNet> net_;
  std::vector<PendingKill> pending_kills_;
  LogObserver log_observer_;
  FaultPoints* fault_points_ = nullptr;
  uint64_t executed_count_ = 0;
  uint64_t current_seq_ = 0;
  NodeId current_node_ = kWorldNode;
};

}  // namespace redoubt::sim
