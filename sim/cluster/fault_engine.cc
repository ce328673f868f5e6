// SPDX-License-Identifier: MIT
#include "sim/cluster/fault_engine.h"

#include <algorithm>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr std::string_view kReadyLine = "ready at ";

uint64_t AtLeastOne(uint64_t value) { return std::max<uint64_t>(value, 1); }

}  // namespace

FaultEngine::FaultEngine(SimWorld* world, const Cast* cast, const ResolvedScenario* resolved)
    : world_(world), cast_(cast), resolved_(resolved) {}

void FaultEngine::Later(uint64_t delay_ns, std::function<void()> action) {
  world_->At(world_->now_ns() + static_cast<int64_t>(delay_ns), [this, action = std::move(action)] {
    if (!calm_) {
      action();
    }
  });
}

void FaultEngine::Begin() {
  healthy_disk_ = disk().options();
  WatchServerDisk();
  WatchServerLog();
  for (const proto::ScheduledFault& fault : resolved_->schedule) {
    streams_.emplace_back(&world_->random(), "fault-target", fault.draw());
  }
  for (size_t i = 0; i < streams_.size(); ++i) {
    const proto::ScheduledFault& fault = resolved_->schedule[i];
    Later(FireTimeNs(fault), [this, &fault, i] {
      Fire(Shot{fault.kind(), fault.duration_ms() * kMs, fault.size(), fault.text(), &streams_[i]});
    });
  }
}

void FaultEngine::Fire(const Shot& shot) {
  world_->Record(kWorldNode, TraceKind::kFault, shot.duration_ns / kMs, shot.size,
                 proto::FaultKind_Name(shot.kind));
  const bool fired =
      FireNode(shot) || FireDisk(shot) || FireDamage(shot) || FireNetwork(shot) || FireClock(shot);
  fired_count_ += fired ? 1 : 0;
}

bool FaultEngine::FireNode(const Shot& shot) {
  const NodeId server = cast_->server;
  switch (shot.kind) {
    case proto::SERVER_POWER:
      return KillFor(server, KillKind::kPower, shot.duration_ns);
    case proto::SERVER_KILL:
      return KillFor(server, KillKind::kProcess, shot.duration_ns);
    case proto::TAILER_KILL:
      return KillFor(cast_->tailers.front(), KillKind::kProcess, shot.duration_ns);
    case proto::READER_KILL:
      return !cast_->readers.empty() &&
             KillFor(cast_->readers[shot.stream->Below(cast_->readers.size())], KillKind::kProcess,
                     shot.duration_ns);
    case proto::SERVER_PAUSE:
      world_->PauseNode(server, world_->now_ns() + static_cast<int64_t>(shot.duration_ns));
      return world_->IsUp(server);
    case proto::NODE_PAUSE: {
      const NodeId node = AnyNode(shot.stream);
      world_->PauseNode(node, world_->now_ns() + static_cast<int64_t>(shot.duration_ns));
      return world_->IsUp(node);
    }
    case proto::SERVER_POWER_AT_OP:
      triggers_.push_back({disk().op_count() + AtLeastOne(shot.size), {}, false, shot});
      return false;  // counts when it happens
    case proto::SERVER_POWER_AT_EVENT:
      triggers_.push_back({0, shot.text, false, shot});
      return false;
    case proto::SERVER_POWER_IN_RECOVERY:
      if (!world_->IsUp(server)) {
        return false;
      }
      CutInRecovery(shot);
      return true;
    case proto::TAKE_OVER:
      return TakeOver(shot.duration_ns);
    default:
      return false;
  }
}

bool FaultEngine::KillFor(NodeId node, KillKind kind, uint64_t duration_ns) {
  if (!world_->IsUp(node)) {
    return false;
  }
  world_->KillNode(node, kind, CrashPolicy::kSeeded);
  Later(duration_ns, [this, node] {
    if (!world_->IsUp(node)) {
      cast_->start(node);
    }
  });
  return true;
}

bool FaultEngine::TakeOver(uint64_t duration_ns) {
  const NodeId second = cast_->tailers.at(1);
  if (world_->IsUp(second)) {
    return false;
  }
  cast_->start(second);
  Later(duration_ns,
        [this, second] { world_->KillNode(second, KillKind::kProcess, CrashPolicy::kAll); });
  return true;
}

// The power goes; when the server has started again, a trigger waits for one of its first file
// operations, and pulling that leads back here.
void FaultEngine::CutInRecovery(const Shot& shot) {
  world_->KillNode(cast_->server, KillKind::kPower, CrashPolicy::kSeeded);
  Later(shot.duration_ns, [this, shot] {
    if (world_->IsUp(cast_->server)) {
      return;
    }
    const uint64_t after = shot.stream->Between(1, AtLeastOne(shot.size));
    triggers_.push_back({disk().op_count() + after, {}, true, shot});
    cast_->start(cast_->server);
  });
}

void FaultEngine::Pull(const Trigger& trigger, std::string_view why) {
  const bool ready = ready_incarnation_ == world_->IncarnationOf(cast_->server);
  if (calm_ || !world_->IsUp(cast_->server) || (trigger.in_recovery && ready)) {
    return;
  }
  world_->Record(cast_->server, TraceKind::kFault, trigger.op_no, 0,
                 "power cut at " + std::string(why));
  ++fired_count_;
  if (trigger.in_recovery) {
    CutInRecovery(trigger.shot);
  } else {
    KillFor(cast_->server, KillKind::kPower, trigger.shot.duration_ns);
  }
}

void FaultEngine::WatchServerDisk() {
  disk().SetObserver([this](FileOp, std::string_view path, uint64_t op_no) {
    for (size_t i = 0; i < triggers_.size(); ++i) {
      if (triggers_[i].op_no == op_no) {
        const Trigger trigger = triggers_[i];
        triggers_.erase(triggers_.begin() + static_cast<ptrdiff_t>(i));
        Pull(trigger, path);
        return;
      }
    }
  });
}

void FaultEngine::WatchServerLog() {
  world_->SetLogObserver([this](NodeId node, std::string_view line) {
    if (node != cast_->server) {
      return;
    }
    if (line.find(kReadyLine) != line.npos) {
      ready_incarnation_ = world_->IncarnationOf(node);
    }
    for (size_t i = 0; i < triggers_.size(); ++i) {
      if (!triggers_[i].text.empty() && line.find(triggers_[i].text) != line.npos) {
        const Trigger trigger = triggers_[i];
        triggers_.erase(triggers_.begin() + static_cast<ptrdiff_t>(i));
        Pull(trigger, line);
        return;
      }
    }
  });
}

NodeId FaultEngine::AnyNode(SeededStream* stream) const {
  std::vector<NodeId> nodes = cast_->readers;
  nodes.push_back(cast_->server);
  nodes.push_back(cast_->tailers.front());
  return nodes[stream->Below(nodes.size())];
}

void FaultEngine::CalmDown() {
  calm_ = true;
  triggers_.clear();
  disk().SetObserver(nullptr);
  world_->SetLogObserver(nullptr);
  disk().options() = healthy_disk_;
  disk().ClearFaults();
  world_->net().SetSlow(0, 0);
  world_->net().HealAll();
  for (NodeId node = 0; node < world_->node_count(); ++node) {
    world_->SetClockDrift(node, 0);
  }
  for (size_t i = 1; i < cast_->tailers.size(); ++i) {
    world_->KillNode(cast_->tailers[i], KillKind::kProcess, CrashPolicy::kAll);
  }
  if (disk().error_count() > disk_errors_over_) {
    world_->KillNode(cast_->server, KillKind::kPower, CrashPolicy::kSeeded);
  }
  std::vector<NodeId> wanted = cast_->readers;
  wanted.push_back(cast_->server);
  wanted.push_back(cast_->tailers.front());
  for (const NodeId node : wanted) {
    if (!world_->IsUp(node)) {
      cast_->start(node);
    }
  }
}

}  // namespace redoubt::sim
