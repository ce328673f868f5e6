// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_world.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/task_group.h"
#include "sim/runtime/host_guard.h"
#include "sim/runtime/sim_file_system.h"
#include "sim/runtime/sim_network.h"
#include "sim/runtime/sim_node.h"

namespace redoubt::sim {

struct SimWorld::Incarnation {
  Incarnation(NodeIdentity self, SimWorld* world, const SimClock* clock)
      : scheduler(self, clock),
        network(self, &scheduler, &world->net()),
        files(self, &scheduler, &world->DiskOf(self.node)),
        blocking(self, &scheduler),
        wall_clock(self, clock),
        random(self),
        log(self),
        runtime{&scheduler,  &network, &files, &blocking,
                &wall_clock, &random,  &log,   world->fault_points()} {}
  Incarnation(const Incarnation&) = delete;
  Incarnation& operator=(const Incarnation&) = delete;
  ~Incarnation() {
    scope.reset();  // the frames borrow from the program
    program.reset();
  }

  SimScheduler scheduler;
  SimNetwork network;
  SimFileSystem files;
  SimBlockingExecutor blocking;
  SimWallClock wall_clock;
  SimRandom random;
  SimEventLog log;
  Runtime runtime;
  std::unique_ptr<NodeProgram> program;
  std::unique_ptr<TaskGroup> scope;
};

struct SimWorld::Node {
  Node(std::string node_name, int64_t clock_origin_ns)
      : name(std::move(node_name)), clock(clock_origin_ns) {}
  std::string name;
  std::unique_ptr<SimDisk> disk;
  SimClock clock;
  int64_t paused_until_ns = 0;
  uint32_t incarnation_count = 0;
  bool powered = false;
  std::unique_ptr<Incarnation> incarnation;  // null: down
};

SimWorld::SimWorld(const SimOptions& options, Trace* trace)
    : options_(options),
      trace_(trace),
      random_(options.seed),
      ties_(&random_, "schedule", 0),
      callback_ties_(&random_, "schedule", 1),
      jitter_(&random_, "resume-jitter", 0),
      net_(std::make_unique<SimNet>(this, options.net)) {}

SimWorld::~SimWorld() {
  // As in a kill: first nothing reaches the world any more, then everything goes.
  for (const std::unique_ptr<Node>& node : nodes_) {
    const std::unique_ptr<Incarnation> dying = std::move(node->incarnation);
  }
  net_.reset();
}

NodeId SimWorld::AddNode(std::string name) {
  REDOUBT_CHECK(FindNode(name) == kNoNode);
  const auto id = static_cast<NodeId>(nodes_.size());
  SeededStream origin(&random_, "clock-origin", id);
  const auto bound = static_cast<uint64_t>(options_.clock_origin_ns_max);
  const uint64_t origin_ns = bound == 0 ? 0 : origin.Below(bound);
  auto node = std::make_unique<Node>(std::move(name), static_cast<int64_t>(origin_ns));
  node->disk = std::make_unique<SimDisk>(options_.disk, &random_, id);
  nodes_.push_back(std::move(node));
  return id;
}

void SimWorld::StartNode(NodeId id, const ProgramFactory& factory) {
  REDOUBT_CHECK(id < nodes_.size());
  Node& node = *nodes_[id];
  REDOUBT_CHECK(node.incarnation == nullptr);
  node.powered = true;
  node.paused_until_ns = 0;
  const NodeIdentity self{this, id, ++node.incarnation_count};
  node.incarnation = std::make_unique<Incarnation>(self, this, &node.clock);
  Record(id, TraceKind::kNodeStart, self.incarnation, 0);
  node.incarnation->program = factory(&node.incarnation->runtime);
  node.incarnation->scope = std::make_unique<TaskGroup>(&node.incarnation->scheduler);
  node.incarnation->scope->Spawn(node.incarnation->program->Run());
}

void SimWorld::KillNode(NodeId id, KillKind kind, CrashPolicy policy) {
  REDOUBT_CHECK(id < nodes_.size());
  const PendingKill kill{id, kind, policy};
  if (current_node_ == id) {
    pending_kills_.push_back(kill);  // its frames are on the stack
  } else {
    KillNow(kill);
  }
}

void SimWorld::KillNow(const PendingKill& kill) {
  Node& node = *nodes_[kill.node];
  if (node.incarnation == nullptr) {
    return;
  }
  Record(kill.node, TraceKind::kNodeKill, static_cast<uint64_t>(kill.kind),
         static_cast<uint64_t>(kill.policy));
  std::unique_ptr<Incarnation> dying = std::move(node.incarnation);
  node.powered = kill.kind == KillKind::kProcess;
  dying.reset();
  node.disk->Thaw();
  net_->NodeDied(kill.node, kill.kind == KillKind::kPower);
  if (kill.kind == KillKind::kPower) {
    const SimDisk::CrashReport report = node.disk->Crash(kill.policy);
    Record(kill.node, TraceKind::kCrashImage, report.pending_count, report.survived_count,
           std::string(CrashPolicyName(report.policy)));
  }
}

void SimWorld::PauseNode(NodeId id, int64_t until_ns) {
  REDOUBT_CHECK(id < nodes_.size());
  nodes_[id]->paused_until_ns = std::max(nodes_[id]->paused_until_ns, until_ns);
  Record(id, TraceKind::kNodePause, static_cast<uint64_t>(until_ns), 0);
}

void SimWorld::StopProgram(NodeId id) {
  REDOUBT_CHECK(IsUp(id));
  Incarnation& incarnation = *nodes_[id]->incarnation;
  incarnation.scope->Spawn(incarnation.program->Stop());
}

size_t SimWorld::TaskCountOf(NodeId id) const {
  return IsUp(id) ? nodes_[id]->incarnation->scope->running_count() : 0;
}

size_t SimWorld::TimerCountOf(NodeId id) const {
  return IsUp(id) ? queue_.PendingCountOf(id, nodes_[id]->incarnation_count) : 0;
}

bool SimWorld::IsUp(NodeId id) const {
  return id < nodes_.size() && nodes_[id]->incarnation != nullptr;
}

bool SimWorld::IsPowered(NodeId id) const { return id < nodes_.size() && nodes_[id]->powered; }

uint32_t SimWorld::IncarnationOf(NodeId id) const {
  REDOUBT_CHECK(id < nodes_.size());
  return nodes_[id]->incarnation_count;
}

bool SimWorld::IsAlive(NodeId id, uint32_t incarnation) const {
  return IsUp(id) && nodes_[id]->incarnation_count == incarnation;
}

bool SimWorld::IsBeingKilled(NodeId id) const {
  return std::any_of(pending_kills_.begin(), pending_kills_.end(),
                     [id](const PendingKill& kill) { return kill.node == id; });
}

std::string_view SimWorld::NameOf(NodeId id) const {
  return id < nodes_.size() ? std::string_view(nodes_[id]->name) : std::string_view("world");
}

NodeId SimWorld::FindNode(std::string_view name) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->name == name) {
      return static_cast<NodeId>(i);
    }
  }
  return kNoNode;
}

SimDisk& SimWorld::DiskOf(NodeId id) {
  REDOUBT_CHECK(id < nodes_.size());
  return *nodes_[id]->disk;
}

NodeProgram* SimWorld::ProgramOf(NodeId id) {
  REDOUBT_CHECK(id < nodes_.size());
  return nodes_[id]->incarnation == nullptr ? nullptr : nodes_[id]->incarnation->program.get();
}

void SimWorld::SetWallOffset(NodeId id, int64_t offset_ns) {
  REDOUBT_CHECK(id < nodes_.size());
  nodes_[id]->clock.SetWallOffset(now_ns(), offset_ns);
}

void SimWorld::SetClockDrift(NodeId id, int64_t ppm) {
  REDOUBT_CHECK(id < nodes_.size());
  nodes_[id]->clock.SetDrift(now_ns(), ppm);
}

void SimWorld::SwapDisks(NodeId a, NodeId b) {
  REDOUBT_CHECK(a < nodes_.size() && b < nodes_.size());
  REDOUBT_CHECK(!nodes_[a]->powered && !nodes_[b]->powered);
  std::swap(nodes_[a]->disk, nodes_[b]->disk);
}

void SimWorld::Logged(NodeId node, std::string line) {
  if (log_observer_) {
    log_observer_(node, line);
  }
  Record(node, TraceKind::kLog, 0, 0, std::move(line));
}

void SimWorld::At(int64_t when_ns, std::function<void()> callback) {
  EventQueue::Event event;
  event.time_ns = std::max(when_ns, now_ns());
  event.cause_seq = current_seq_;
  event.callback = std::move(callback);
  queue_.Push(std::move(event), static_cast<uint32_t>(callback_ties_.Next()));
}

EventQueue::EventId SimWorld::PushHandle(NodeId node, uint32_t incarnation, int64_t when_ns,
                                         int64_t local_due_ns, std::coroutine_handle<> handle) {
  if (!IsAlive(node, incarnation)) {
    return 0;  // a destructor of a dying node wakes somebody: nobody is left
  }
  EventQueue::Event event;
  event.time_ns = when_ns;
  event.local_due_ns = local_due_ns;
  if (jitter_.Chance(options_.resume_jitter_ppm)) {
    event.time_ns += static_cast<int64_t>(
        jitter_.Below(static_cast<uint64_t>(options_.resume_jitter_ns_max) + 1));
  }
  event.cause_seq = current_seq_;
  event.node = node;
  event.incarnation = incarnation;
  event.handle = handle;
  return queue_.Push(std::move(event), DrawTie());
}

NodeState SimWorld::StateOf(NodeId id) const {
  NodeState state;
  const Node& node = *nodes_[id];
  state.pending_count = node.disk->pending_count();
  if (node.incarnation != nullptr && node.incarnation->program != nullptr) {
    node.incarnation->program->Describe(&state);
  }
  return state;
}

void SimWorld::Record(NodeId node, TraceKind kind, uint64_t a, uint64_t b, std::string text) {
  TraceEvent event;
  event.time_ns = now_ns();
  event.cause_seq = current_seq_;
  event.node = node;
  event.incarnation = node < nodes_.size() ? nodes_[node]->incarnation_count : 0;
  event.kind = kind;
  event.a = a;
  event.b = b;
  event.text = std::move(text);
  if (node < nodes_.size() && trace_->WantsState(kind)) {
    event.state = StateOf(node);
  }
  trace_->Record(std::move(event), random_.draw_count());
}

bool SimWorld::Postpone(EventQueue::Event* event) {
  const Node& node = *nodes_[event->node];
  int64_t until_ns = node.paused_until_ns;
  if (event->local_due_ns > node.clock.LocalNs(now_ns())) {
    until_ns = std::max(until_ns, node.clock.WorldNs(event->local_due_ns));
  }
  if (until_ns <= now_ns()) {
    return false;
  }
  event->time_ns = until_ns;
  queue_.Push(std::move(*event), DrawTie());
  return true;
}

void SimWorld::Execute(EventQueue::Event* event) {
  if (event->node != kWorldNode && !IsAlive(event->node, event->incarnation)) {
    return;
  }
  if (event->node != kWorldNode && Postpone(event)) {
    return;
  }
  ++executed_count_;
  current_seq_ = event->seq;
  current_node_ = event->node;
  if (event->node == kWorldNode) {
    Record(kWorldNode, TraceKind::kWorldEvent, event->seq, event->cause_seq);
    event->callback();
  } else {
    Record(event->node, TraceKind::kResume, event->seq, event->cause_seq);
    event->handle.resume();
  }
  current_node_ = kWorldNode;
  while (!pending_kills_.empty()) {
    const PendingKill kill = pending_kills_.front();
    pending_kills_.erase(pending_kills_.begin());
    KillNow(kill);
  }
}

SimWorld::StopReason SimWorld::RunUntil(int64_t until_ns, const std::function<bool()>& done,
                                        uint64_t event_limit) {
  REDOUBT_CHECK(current_node_ == kWorldNode);
  const HostGuard guard;
  EventQueue::Event event;
  while (executed_count_ < event_limit) {
    if (done && done()) {
      return StopReason::kDone;
    }
    if (!queue_.Pop(until_ns, &event)) {
      queue_.AdvanceTo(std::max(until_ns, now_ns()));
      return StopReason::kTimeUp;
    }
    Execute(&event);
  }
  return StopReason::kEventLimit;
}

}  // namespace redoubt::sim
