// SPDX-License-Identifier: MIT
#include "sim/cluster/fault_engine.h"

#include <algorithm>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kSlowPpm = 300'000;
constexpr uint32_t kStallPpm = 200'000;

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
  for (const proto::ScheduledFault& fault : resolved_->schedule) {
    streams_.emplace_back(&world_->random(), "fault-target", fault.draw());
  }
  for (size_t i = 0; i < streams_.size(); ++i) {
    const proto::ScheduledFault& fault = resolved_->schedule[i];
    Later(FireTimeNs(fault), [this, &fault, i] {
      fired_count_ +=
          Fire(fault.kind(), fault.duration_ms() * kMs, fault.size(), &streams_[i]) ? 1 : 0;
    });
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

bool FaultEngine::PowerAtOperation(uint64_t operations, uint64_t duration_ns) {
  const NodeId server = cast_->server;
  const uint64_t target = world_->DiskOf(server).op_count() + std::max<uint64_t>(operations, 1);
  world_->DiskOf(server).SetObserver(
      [this, server, target, duration_ns](FileOp, std::string_view path, uint64_t op_no) {
        if (op_no == target && !calm_) {
          world_->Record(server, TraceKind::kFault, op_no, 0, "power cut at " + std::string(path));
          KillFor(server, KillKind::kPower, duration_ns);
          ++fired_count_;
        }
      });
  return false;  // counts when it happens
}

bool FaultEngine::OneWay(uint64_t duration_ns, SeededStream* stream) {
  const uint64_t others = world_->node_count() - 1;
  auto other = static_cast<NodeId>(stream->Below(others));
  other += other >= cast_->server ? 1 : 0;
  const bool to_server = stream->Below(2) == 0;
  const NodeId from = to_server ? other : cast_->server;
  const NodeId to = to_server ? cast_->server : other;
  world_->net().SetLinkBlocked(from, to, true);
  Later(duration_ns, [this, from, to] { world_->net().SetLinkBlocked(from, to, false); });
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

bool FaultEngine::Fire(proto::FaultKind kind, uint64_t duration_ns, uint64_t size,
                       SeededStream* stream) {
  const NodeId server = cast_->server;
  world_->Record(kWorldNode, TraceKind::kFault, duration_ns / kMs, size,
                 proto::FaultKind_Name(kind));
  switch (kind) {
    case proto::SERVER_POWER:
      return KillFor(server, KillKind::kPower, duration_ns);
    case proto::SERVER_KILL:
      return KillFor(server, KillKind::kProcess, duration_ns);
    case proto::TAILER_KILL:
      return KillFor(cast_->tailers.front(), KillKind::kProcess, duration_ns);
    case proto::READER_KILL:
      return !cast_->readers.empty() &&
             KillFor(cast_->readers[stream->Below(cast_->readers.size())], KillKind::kProcess,
                     duration_ns);
    case proto::CONNECTION_LOSS:
      return world_->net().BreakOne(false, stream);
    case proto::HALF_OPEN:
      return world_->net().BreakOne(true, stream);
    case proto::PARTITION:
      world_->net().Isolate(server, true);
      Later(duration_ns, [this, server] { world_->net().Isolate(server, false); });
      return true;
    case proto::ONE_WAY_PARTITION:
      return OneWay(duration_ns, stream);
    case proto::SLOW_NETWORK:
      world_->net().SetSlow(kSlowPpm, static_cast<int64_t>(std::max<uint64_t>(size, 1) * kMs));
      Later(duration_ns, [this] { world_->net().SetSlow(0, 0); });
      return true;
    case proto::SYNC_STALL:
      world_->DiskOf(server).options().sync_stall_ppm = kStallPpm;
      world_->DiskOf(server).options().sync_stall_ns =
          static_cast<int64_t>(std::max<uint64_t>(size, 1) * kMs);
      Later(duration_ns, [this, server] { world_->DiskOf(server).options().sync_stall_ppm = 0; });
      return true;
    case proto::SERVER_PAUSE:
      world_->PauseNode(server, world_->now_ns() + static_cast<int64_t>(duration_ns));
      return world_->IsUp(server);
    case proto::SERVER_POWER_AT_OP:
      return PowerAtOperation(size, duration_ns);
    case proto::TAKE_OVER:
      return TakeOver(duration_ns);
    case proto::CLOCK_STEP: {
      const auto range = static_cast<int64_t>(std::max<uint64_t>(size, 1));
      const auto seconds = static_cast<int64_t>(stream->Below(static_cast<uint64_t>(2 * range)));
      world_->SetWallOffset(server, (seconds - range) * kSecond);
      return true;
    }
    case proto::SYNC_ERROR:
      world_->DiskOf(server).FailNext(FileOp::kSync, "", StatusCode::kIoError, 1);
      return true;
    default:
      return false;
  }
}

void FaultEngine::CalmDown() {
  calm_ = true;
  world_->DiskOf(cast_->server).SetObserver(nullptr);
  world_->DiskOf(cast_->server).options().sync_stall_ppm = 0;
  world_->net().SetSlow(0, 0);
  world_->net().HealAll();
  for (size_t i = 1; i < cast_->tailers.size(); ++i) {
    world_->KillNode(cast_->tailers[i], KillKind::kProcess, CrashPolicy::kAll);
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
