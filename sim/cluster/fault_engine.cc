// SPDX-License-Identifier: MIT
#include "sim/cluster/fault_engine.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "sim/cluster/explicit_scenario.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr std::string_view kReadyLine = "ready at ";
constexpr uint64_t kStopLookNs = 5 * kMs;
// An operator's patience before kill -9.
constexpr uint64_t kStopNsMax = 5'000 * kMs;

uint64_t AtLeastOne(uint64_t value) { return std::max<uint64_t>(value, 1); }

// Of any file.
proto::Trigger NthFileOp(uint64_t n) {
  proto::Trigger trigger;
  trigger.set_file_path("/");
  trigger.set_count(static_cast<uint32_t>(AtLeastOne(n)));
  return trigger;
}

bool HitsAServer(proto::FaultKind kind) {
  switch (kind) {
    case proto::SERVER_POWER:
    case proto::SERVER_KILL:
    case proto::SERVER_PAUSE:
    case proto::SERVER_POWER_AT_OP:
    case proto::SERVER_POWER_AT_EVENT:
    case proto::SERVER_POWER_IN_RECOVERY:
    case proto::UPGRADE:
    case proto::DOWNGRADE:
    case proto::CONFIG_CHANGE:
    case proto::SYNC_STALL:
    case proto::SLOW_SYNC:
    case proto::SYNC_ERROR:
    case proto::DISK_FULL:
    case proto::DISK_STALL:
    case proto::DISK_THROTTLE:
    case proto::SERVER_WIPE:
    case proto::DISK_SWAP:
    case proto::LATENT_SECTOR:
    case proto::BIT_ROT:
    case proto::LOST_WRITE:
    case proto::MISDIRECTED_WRITE:
    case proto::PARTITION:
    case proto::ONE_WAY_PARTITION:
    case proto::SLOW_LINK:
    case proto::CONNECT_REFUSED:
    case proto::CONNECT_HANGS:
      return true;
    default:
      return false;
  }
}

CrashPolicy PolicyOf(proto::CrashImage image) {
  switch (image) {
    case proto::IMAGE_CLEAN:
      return CrashPolicy::kClean;
    case proto::IMAGE_ALL:
      return CrashPolicy::kAll;
    case proto::IMAGE_PREFIX:
      return CrashPolicy::kPrefix;
    case proto::IMAGE_BLOCKS:
      return CrashPolicy::kBlocks;
    case proto::IMAGE_TORN:
      return CrashPolicy::kTorn;
    case proto::IMAGE_LOST_NAMES:
      return CrashPolicy::kLostNames;
    default:
      return CrashPolicy::kSeeded;
  }
}

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
  healthy_disk_ = disk(cast_->Servers().front()).options();
  for (const NodeId server : cast_->Servers()) {
    WatchDisk(server);
  }
  WatchLogs();
  if (cast_->LogServers().size() > 1) {
    budget_.emplace(cast_->LogServers());
    WatchHurt();
  }
  for (const proto::ScheduledFault& fault : resolved_->schedule) {
    streams_.emplace_back(&world_->random(), "fault-target", fault.draw());
  }
  for (size_t i = 0; i < streams_.size(); ++i) {
    const proto::ScheduledFault& fault = resolved_->schedule[i];
    Later(FireTimeNs(fault), [this, &fault, i] {
      Shot shot = ShotOf(fault, &streams_[i]);
      fault.has_trigger() ? Arm(fault.trigger(), std::move(shot)) : Fire(std::move(shot));
    });
  }
}

FaultEngine::Shot FaultEngine::ShotOf(const proto::ScheduledFault& fault, SeededStream* stream) {
  Shot shot;
  shot.kind = fault.kind();
  shot.duration_ns = fault.duration_ms() * kMs;
  shot.size = fault.size();
  shot.text = fault.text();
  shot.stream = stream;
  shot.target = fault.target();
  shot.node_no = fault.node();
  shot.peer = fault.peer();
  shot.peer_no = fault.peer_node();
  shot.image = PolicyOf(fault.image());
  return shot;
}

void FaultEngine::Arm(const proto::Trigger& trigger, Shot shot) {
  // Never inside of what is seen: the node goes on for as long as it does not wait.
  const uint64_t delay_ns = trigger.delay_us() * 1000;
  std::vector<NodeId> nodes = Numbered(trigger.at(), trigger.at_node());
  if (nodes.empty() && trigger.at() != proto::TARGET_ANY) {
    return;  // there are not so many
  }
  triggers_.Wait(trigger, std::move(nodes),
                 [this, delay_ns, shot = std::move(shot)](NodeId where, std::string_view seen) {
                   Shot there = shot;
                   there.there = where;
                   Later(delay_ns, [this, there = std::move(there), why = std::string(seen)] {
                     Fire(there, why);
                   });
                 });
}

std::vector<NodeId> FaultEngine::NodesOf(proto::FaultTarget target,
                                         std::vector<NodeId> usual) const {
  switch (target) {
    case proto::TARGET_LOG:
      return cast_->LogServers();
    case proto::TARGET_PAGE:
      return cast_->PageServers();
    case proto::TARGET_READER:
      return cast_->Readers();
    case proto::TARGET_WRITER:
      return cast_->Writers();
    default:
      return usual;
  }
}

std::vector<NodeId> FaultEngine::Numbered(proto::FaultTarget target, uint32_t number) const {
  const std::vector<NodeId> nodes = NodesOf(target, {});
  if (number == 0 || nodes.empty()) {
    return nodes;
  }
  return number <= nodes.size() ? std::vector<NodeId>{nodes[number - 1]} : std::vector<NodeId>{};
}

NodeId FaultEngine::Pick(const Shot& shot, std::vector<NodeId> usual) const {
  std::vector<NodeId> nodes = NodesOf(shot.target, std::move(usual));
  if (shot.node_no > 0) {
    return shot.node_no <= nodes.size() ? nodes[shot.node_no - 1] : kWorldNode;
  }
  if (std::find(nodes.begin(), nodes.end(), shot.there) != nodes.end()) {
    return shot.there;
  }
  if (shot.target == proto::TARGET_WRITER) {
    std::erase_if(nodes, [this](NodeId node) { return !world_->IsUp(node); });
  }
  if (nodes.empty()) {
    return kWorldNode;
  }
  return nodes.size() == 1 ? nodes.front() : nodes[shot.stream->Below(nodes.size())];
}

void FaultEngine::Fire(Shot shot, std::string_view why) {
  if (HitsAServer(shot.kind)) {
    shot.server = Pick(shot, cast_->Servers());
  }
  const NodeId shown = cast_->Servers().size() > 1 ? shot.server : kWorldNode;
  world_->Record(
      shown, TraceKind::kFault, shot.duration_ns / kMs, shot.size,
      proto::FaultKind_Name(shot.kind) + (why.empty() ? "" : " at: ") + std::string(why));
  const bool fired =
      FireNode(shot) || FireDisk(shot) || FireDamage(shot) || FireNetwork(shot) || FireClock(shot);
  fired_count_ += fired ? 1 : 0;
}

bool FaultEngine::FireNode(const Shot& shot) {
  switch (shot.kind) {
    case proto::SERVER_POWER:
      return KillFor(shot.server, KillKind::kPower, shot.duration_ns, shot.image);
    case proto::SERVER_KILL:
      return KillFor(shot.server, KillKind::kProcess, shot.duration_ns);
    case proto::TAILER_KILL:
      return KillFor(Pick(shot, {cast_->Writers().front()}), KillKind::kProcess, shot.duration_ns);
    case proto::READER_KILL:
      return !cast_->Readers().empty() &&
             KillFor(cast_->Readers()[shot.stream->Below(cast_->Readers().size())],
                     KillKind::kProcess, shot.duration_ns);
    case proto::SERVER_PAUSE:
      return PauseFor(shot.server, shot.duration_ns);
    case proto::NODE_PAUSE:
      return PauseFor(AnyNode(shot), shot.duration_ns);
    case proto::SERVER_POWER_AT_OP:
      CutAt(NthFileOp(shot.size), shot, /*in_recovery=*/false);
      return false;  // counts when it happens
    case proto::SERVER_POWER_AT_EVENT: {
      proto::Trigger line;
      line.set_log_text(shot.text);
      CutAt(std::move(line), shot, /*in_recovery=*/false);
      return false;
    }
    case proto::SERVER_POWER_IN_RECOVERY:
      if (!world_->IsUp(shot.server)) {
        return false;
      }
      CutInRecovery(shot);
      return true;
    case proto::UPGRADE:
    case proto::DOWNGRADE: {
      const bool fired = Restart(shot);
      if (fired) {
        const bool back = shot.kind == proto::DOWNGRADE;
        cast_->set_log_format(shot.server, back ? resolved_->run.log_format : 0);
      }
      return fired;
    }
    case proto::CONFIG_CHANGE: {
      const uint64_t factor = shot.stream->Between(1, AtLeastOne(shot.size));
      const bool larger = shot.stream->Below(2) == 0;
      const bool fired = Restart(shot);
      if (fired) {
        cast_->configure(shot.server, larger ? 100 * factor : std::max<uint64_t>(100 / factor, 1));
      }
      return fired;
    }
    case proto::WRITER_KILL_IN_RECOVERY:
      return KillInRecovery(shot, Pick(shot, {cast_->Writers().front()}));
    case proto::TAKE_OVER:
      return TakeOver(shot);
    default:
      return false;
  }
}

bool FaultEngine::PauseFor(NodeId node, uint64_t duration_ns) {
  if (node == kWorldNode) {
    return false;
  }
  world_->PauseNode(node, world_->now_ns() + static_cast<int64_t>(duration_ns));
  return world_->IsUp(node);
}

bool FaultEngine::KillFor(NodeId node, KillKind kind, uint64_t duration_ns, CrashPolicy image) {
  if (!world_->IsUp(node)) {
    return false;
  }
  world_->KillNode(node, kind, image);
  Later(duration_ns, [this, node] {
    if (!world_->IsUp(node)) {
      cast_->Start(node);
    }
  });
  return true;
}

bool FaultEngine::Restart(const Shot& shot) {
  const NodeId server = shot.server;
  if (!world_->IsUp(server) || ready_incarnations_[server] != world_->IncarnationOf(server)) {
    return false;
  }
  ready_incarnations_[server] = 0;
  world_->StopProgram(server);
  const auto give_up_ns = world_->now_ns() + static_cast<int64_t>(kStopNsMax);
  FinishRestart(server, world_->IncarnationOf(server), shot.duration_ns, give_up_ns);
  return true;
}

void FaultEngine::FinishRestart(NodeId server, uint32_t incarnation, uint64_t duration_ns,
                                int64_t give_up_ns) {
  if (!world_->IsAlive(server, incarnation)) {
    return;  // it crashed meanwhile
  }
  if (world_->TaskCountOf(server) > 0 && world_->now_ns() < give_up_ns) {
    Later(kStopLookNs, [this, server, incarnation, duration_ns, give_up_ns] {
      FinishRestart(server, incarnation, duration_ns, give_up_ns);
    });
    return;
  }
  KillFor(server, KillKind::kProcess, duration_ns);
}

bool FaultEngine::TakeOver(const Shot& shot) {
  const NodeId second = cast_->Writers().at(shot.node_no == 0 ? 1 : shot.node_no - 1);
  if (world_->IsUp(second)) {
    return false;
  }
  cast_->Start(second);
  Later(shot.duration_ns,
        [this, second] { world_->KillNode(second, KillKind::kProcess, CrashPolicy::kAll); });
  return true;
}

// The power goes; when the server has started again, a trigger waits for one of its first file
// operations, and pulling that leads back here.
void FaultEngine::CutInRecovery(const Shot& shot) {
  world_->KillNode(shot.server, KillKind::kPower, shot.image);
  Later(shot.duration_ns, [this, shot] {
    if (world_->IsUp(shot.server)) {
      return;
    }
    const uint64_t after = shot.stream->Between(1, AtLeastOne(shot.size));
    CutAt(NthFileOp(after), shot, /*in_recovery=*/true);
    cast_->Start(shot.server);
  });
}

bool FaultEngine::KillInRecovery(const Shot& shot, NodeId writer) {
  if (writer == kWorldNode || !world_->IsUp(writer)) {
    return false;
  }
  world_->KillNode(writer, KillKind::kProcess, CrashPolicy::kAll);
  Later(shot.duration_ns, [this, shot, writer] {
    if (world_->IsUp(writer)) {
      return;
    }
    cast_->Start(writer);
    const uint32_t incarnation = world_->IncarnationOf(writer);
    const uint64_t after_ns = shot.stream->Between(1, AtLeastOne(shot.size)) * kMs;
    Later(after_ns, [this, shot, writer, incarnation] {
      const bool same = world_->IncarnationOf(writer) == incarnation;
      // Not for ever, or nothing would get done.
      const bool again = shot.stream->Below(4) > 0;
      if (same && again && ready_incarnations_[writer] != incarnation) {
        world_->Record(writer, TraceKind::kFault, 0, 0, "killed in recovery");
        KillInRecovery(shot, writer);
      }
    });
  });
  return true;
}

void FaultEngine::CutAt(proto::Trigger moment, const Shot& shot, bool in_recovery) {
  const NodeId server = shot.server;
  triggers_.Wait(
      std::move(moment), {server}, [this, server, shot, in_recovery](NodeId, std::string_view why) {
        const bool ready = ready_incarnations_[server] == world_->IncarnationOf(server);
        if (calm_ || !world_->IsUp(server) || (in_recovery && ready)) {
          return;
        }
        world_->Record(server, TraceKind::kFault, 0, 0, "power cut at " + std::string(why));
        ++fired_count_;
        if (in_recovery) {
          CutInRecovery(shot);
        } else {
          KillFor(server, KillKind::kPower, shot.duration_ns);
        }
      });
}

void FaultEngine::WatchDisk(NodeId server) {
  disk(server).SetObserver([this, server](FileOp op, std::string_view path, uint64_t) {
    triggers_.SawFileOp(server, FileOpName(op), path);
  });
}

void FaultEngine::WatchLogs() {
  world_->SetLogObserver([this](NodeId node, std::string_view line) {
    if (line.find(kReadyLine) != line.npos) {
      ready_incarnations_[node] = world_->IncarnationOf(node);
    }
    triggers_.SawLine(node, line);
  });
  world_->net().SetArrivalObserver(
      [this](NodeId to, ByteView segment) { triggers_.SawSegment(to, segment); });
}

NodeId FaultEngine::AnyNode(const Shot& shot) const {
  return Pick(shot, cast_->Standing(/*readers_last=*/false));
}

void FaultEngine::CalmDown() {
  calm_ = true;
  triggers_.Clear();
  world_->SetLogObserver(nullptr);
  world_->net().SetArrivalObserver(nullptr);
  for (const NodeId server : cast_->Servers()) {
    disk(server).SetObserver(nullptr);
    disk(server).options() = healthy_disk_;
    disk(server).ClearFaults();
  }
  world_->net().SetSlow(0, 0);
  world_->net().HealAll();
  for (NodeId node = 0; node < world_->node_count(); ++node) {
    world_->SetClockDrift(node, 0);
  }
  // Who was asked to stop and is still about it.
  for (const NodeId server : cast_->Servers()) {
    const auto ready = ready_incarnations_.find(server);
    if (ready != ready_incarnations_.end() && ready->second == 0) {
      world_->KillNode(server, KillKind::kProcess, CrashPolicy::kSeeded);
    }
  }
  const std::vector<NodeId> writers = cast_->Writers();
  for (size_t i = 1; i < writers.size(); ++i) {
    world_->KillNode(writers[i], KillKind::kProcess, CrashPolicy::kAll);
  }
  const std::set<NodeId> damaged = std::exchange(damaged_disks_, {});
  for (const NodeId server : damaged) {
    world_->KillNode(server, KillKind::kPower, CrashPolicy::kSeeded);
    disk(server).Wipe();
    cast_->install(server);
  }
  for (const NodeId server : cast_->Servers()) {
    if (disk(server).error_count() > disk_errors_over_[server]) {
      world_->KillNode(server, KillKind::kPower, CrashPolicy::kSeeded);
    }
  }
  for (const NodeId node : cast_->Standing(/*readers_last=*/false)) {
    if (!world_->IsUp(node)) {
      cast_->Start(node);
    }
  }
}

}  // namespace redoubt::sim
