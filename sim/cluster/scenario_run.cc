// SPDX-License-Identifier: MIT
#include "sim/cluster/scenario_run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "sim/cluster/cast.h"
#include "sim/cluster/compute_program.h"
#include "sim/cluster/fault_engine.h"
#include "sim/cluster/knobs.h"
#include "sim/cluster/local_twins.h"
#include "sim/cluster/plants.h"
#include "sim/cluster/reader_program.h"
#include "sim/cluster/run_context.h"
#include "sim/cluster/server_program.h"
#include "sim/cluster/settings.h"
#include "sim/cluster/tailer_program.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kDownNs = 200 * kMs;
constexpr int64_t kSettleNs = 50 * kMs;
constexpr int64_t kQuietNs = 2'000 * kMs;
constexpr int64_t kLookNs = 5 * kMs;
constexpr std::string_view kFilledUpAgain = "; it is filled up again";
constexpr int64_t kStopNsMax = 60'000 * kMs;

// Owns everything of one run, in the order in which it has to go.
class ScenarioRun {
 public:
  ScenarioRun(const proto::Scenario& scenario, const RunOptions& options)
      : scenario_(scenario),
        resolved_(Resolve(scenario, options.seed)),
        plants_(options.plant),
        trace_(options.keep, scenario.limits().trace_events() == 0
                                 ? Trace::kRecentCount
                                 : scenario.limits().trace_events()),
        world_(resolved_.sim, &trace_),
        context_(resolved_.run, &world_.random()),
        twins_(&world_, &context_),
        programs_gone_(this),
        cast_(&world_),
        faults_(&world_, &cast_, &resolved_) {
    context_.world = &world_;
    trace_.SetObserver([this, observe = options.observe](const TraceEvent& event) {
      twins_.Observe(event);
      if (event.kind == TraceKind::kLog) {
        SawLine(event.text);
      }
      faults_.Observe(event);
      if (observe) {
        observe(event);
      }
    });
    context_.findings.SetObserver([this](const Finding& finding) {
      world_.Record(kWorldNode, TraceKind::kViolation, 0, 0, finding.checker + ": " + finding.what);
    });
    context_.findings.CountOnly({scenario.checkers().begin(), scenario.checkers().end()});
    BuildCast();
    if (options.begun) {
      options.begun(NodeNames());
    }
    for (const NodeId server : cast_.Servers()) {
      Install(server);
    }
    if (!options.plant.empty()) {
      world_.SetFaultPoints(&plants_);
    }
  }
  ScenarioRun(const ScenarioRun&) = delete;
  ScenarioRun& operator=(const ScenarioRun&) = delete;

  RunReport Run() {
    Chaos();
    if (context_.findings.empty()) {
      Calm();
    }
    return Report();
  }

 private:
  // The programs borrow from the context: they go first although the world is older.
  struct ProgramsGone {
    explicit ProgramsGone(ScenarioRun* owner) : run(owner) {}
    ProgramsGone(const ProgramsGone&) = delete;
    ProgramsGone& operator=(const ProgramsGone&) = delete;
    ~ProgramsGone() {
      for (NodeId node = 0; node < run->world_.node_count(); ++node) {
        run->world_.KillNode(node, KillKind::kProcess, CrashPolicy::kAll);
      }
    }
    ScenarioRun* run;
  };

  void BuildCast();
  void AddServers();
  void AddWriters();
  void AddServerGroup(std::string name, size_t count, ServerRole role);
  const ServerPlace& PlaceToRead(NodeId reader);
  bool IsWhole(NodeId server);
  bool AllRedoThere();
  // What they hold, and what they say: C1 and C4.
  void LookAtServers();
  // What a server's machine has when it is new.
  void Install(NodeId server);
  // So long from now, or the limit of the run's time.
  int64_t DeadlineNs(int64_t budget_ns) const;
  void Produce();
  void Chaos();
  void Calm();
  bool VerifyUntil(uint64_t rounds, int64_t deadline_ns);
  Holdings HoldingsOf(NodeId node);
  void StopEverything();
  // `without`: this one is left out.
  MajorityCopy::Replicas LogReplicas(NodeId without = kWorldNode);
  // A writer says which log server it has given its volume back.
  void SawLine(std::string_view line);
  // Computes: their transactions end; then one that is started last shows the database to the
  // checkers.
  bool AuditUntil(uint64_t rounds, int64_t deadline_ns);
  // `node` runs until `done`, or until something is found or the time is up: false.
  bool RunUntilDone(NodeId node, const std::function<bool()>& done, int64_t deadline_ns);
  std::vector<std::string> NodeNames() const;
  RunReport Report();
  std::string AddressOf(NodeId node) const { return std::string(world_.NameOf(node)) + ":7000"; }
  uint64_t EntityOf(NodeId node) const {
    return (static_cast<uint64_t>(node) << 32) | world_.IncarnationOf(node);
  }
  void Phase(std::string name) {
    world_.Record(kWorldNode, TraceKind::kPhase, 0, 0, std::move(name));
  }

  const proto::Scenario& scenario_;
  ResolvedScenario resolved_;
  Plants plants_;
  Trace trace_;
  SimWorld world_;
  RunContext context_;
  LocalTwins twins_;
  ProgramsGone programs_gone_;
  Cast cast_;
  NodeId verifier_ = 0;
  NodeId auditor_ = 0;
  FaultEngine faults_;
  bool event_limit_hit_ = false;
  int64_t look_again_ns_ = 0;
};

void ScenarioRun::AddServerGroup(std::string name, size_t count, ServerRole role) {
  CastGroup group;
  group.name = std::move(name);
  group.keeps_redo = role != ServerRole::kPage;
  group.serves_pages = role != ServerRole::kLog;
  group.pulls_redo = role == ServerRole::kPage;
  group.standing = count;
  group.make = [this, role](NodeId node, Runtime* runtime) {
    ++context_.server_starts;
    const NodeIdentity self{&world_, node, world_.IncarnationOf(node)};
    return std::make_unique<ServerProgram>(self, runtime, &context_, role, AddressOf(node));
  };
  const bool serves_pages = group.serves_pages;
  const bool keeps_redo = group.keeps_redo;
  const bool alone = resolved_.run.log_servers == 0;
  for (const NodeId node : cast_.AddGroup(std::move(group), count, alone)) {
    const ServerPlace place{node, AddressOf(node), serves_pages};
    if (keeps_redo) {
      context_.log_servers.push_back(place);
    }
    if (serves_pages) {
      context_.page_servers.push_back(place);
    }
  }
}

void ScenarioRun::AddServers() {
  if (resolved_.run.log_servers == 0) {
    return AddServerGroup("server", 1, ServerRole::kAll);
  }
  AddServerGroup("log", resolved_.run.log_servers, ServerRole::kLog);
  AddServerGroup("page", resolved_.run.page_servers, ServerRole::kPage);
}

const ServerPlace& ScenarioRun::PlaceToRead(NodeId reader) {
  const std::vector<ServerPlace>& places = context_.page_servers;
  SeededStream choice(&world_.random(), "place-to-read", EntityOf(reader));
  return places.size() == 1 ? places.front() : places[choice.Below(places.size())];
}

void ScenarioRun::AddWriters() {
  CastGroup writers;
  writers.writes = true;
  writers.standing = 1;
  if (!resolved_.run.computes) {
    writers.name = "tailer";
    writers.make = [this](NodeId node, Runtime* runtime) {
      return std::make_unique<TailerProgram>(runtime, &context_, EntityOf(node));
    };
    cast_.AddGroup(std::move(writers), scenario_.topology().tailers());
    return;
  }
  writers.name = "compute";
  writers.make = [this](NodeId node, Runtime* runtime) {
    return std::make_unique<ComputeProgram>(runtime, &context_, node, EntityOf(node),
                                            ComputeProgram::Duty::kServe);
  };
  cast_.AddGroup(std::move(writers), scenario_.topology().computes());
  CastGroup auditor;
  auditor.name = "auditor";
  auditor.make = [this](NodeId node, Runtime* runtime) {
    return std::make_unique<ComputeProgram>(runtime, &context_, node, EntityOf(node),
                                            ComputeProgram::Duty::kAudit);
  };
  auditor_ = cast_.AddGroup(std::move(auditor), 1, /*alone=*/true).front();
}

// The order is the nodes' numbers, by which streams of random numbers are named.
void ScenarioRun::BuildCast() {
  AddServers();
  AddWriters();
  CastGroup readers;
  readers.name = "reader";
  readers.reads = true;
  readers.standing = scenario_.topology().readers();
  readers.make = [this](NodeId node, Runtime* runtime) {
    return std::make_unique<ReaderProgram>(runtime, &context_, PlaceToRead(node), EntityOf(node));
  };
  cast_.AddGroup(std::move(readers), scenario_.topology().readers());
  CastGroup verifier;
  verifier.name = "verifier";
  verifier.make = [this](NodeId node, Runtime* runtime) {
    return std::make_unique<VerifierProgram>(runtime, &context_, EntityOf(node));
  };
  verifier_ = cast_.AddGroup(std::move(verifier), 1, /*alone=*/true).front();
  if (scenario_.topology().local_storage()) {
    twins_.Build(cast_.PageServers().front(), &cast_);
  }
  cast_.install = [this](NodeId server) { Install(server); };
  cast_.damaged = [this](NodeId server, bool within_budget) {
    context_.StoreOf(server).Forget();
    if (within_budget) {
      context_.OrderOf(server).Wiped();
      context_.horizon_set.erase(server);
      context_.damaged_servers.insert(server);
      context_.kept.Forget(std::string(world_.NameOf(server)));
    } else {
      context_.findings.AllowLoss();
    }
  };
  cast_.rots = [this](NodeId server) { context_.rotten_servers.insert(server); };
  context_.log_replicas = [this] { return LogReplicas(); };
  context_.look_at_servers = [this] { LookAtServers(); };
  cast_.all_redo_there = [this] { return AllRedoThere(); };
  cast_.configure = [this](NodeId server, uint64_t percent) {
    context_.size_percent[server] = percent;
  };
  cast_.set_log_format = [this](NodeId server, uint32_t format) {
    context_.log_formats[server] = format;
  };
  cast_.is_whole = [this](NodeId server) { return IsWhole(server); };
}

bool ScenarioRun::IsWhole(NodeId server) {
  const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(server));
  const Epoch newest = context_.NewestEpoch();
  if (program == nullptr || newest == Epoch{}) {
    return false;
  }
  const std::optional<LogVolumeStatus> log = program->LogOf(context_.settings.volume);
  return log.has_value() && log->stopped.ok() && log->epoch >= newest &&
         log->end >= context_.truth->acknowledged();
}

MajorityCopy::Replicas ScenarioRun::LogReplicas(NodeId without) {
  MajorityCopy::Replicas replicas;
  replicas.server_count = context_.log_servers.size();
  for (const ServerPlace& place : context_.log_servers) {
    if (place.node == without) {
      continue;
    }
    const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(place.node));
    const std::optional<LogVolumeStatus> log =
        program == nullptr ? std::nullopt : program->LogOf(context_.settings.volume);
    // One that lost its disk had it when it said so; it counts again from when the writer, who
    // knows of it, has made its log anew.
    const bool made_anew = log.has_value() && log->end != Lsn() &&
                           log->epoch >= context_.NewestEpoch() &&
                           !context_.rotten_servers.contains(place.node);
    if (log.has_value() && (made_anew || !context_.damaged_servers.contains(place.node))) {
      replicas.copies.push_back({log->end, log->commit, log->epoch});
    }
  }
  return replicas;
}

void ScenarioRun::SawLine(std::string_view line) {
  if (line.find(kFilledUpAgain) == line.npos) {
    return;
  }
  for (const ServerPlace& place : context_.log_servers) {
    if (line.find("log server " + place.address + " had lost") != line.npos) {
      context_.majority.MadeAnew(context_.truth->acknowledged(), LogReplicas(place.node));
    }
  }
}

void ScenarioRun::LookAtServers() {
  if (world_.now_ns() < look_again_ns_) {
    return;
  }
  look_again_ns_ = world_.now_ns() + kLookNs;
  const std::string& volume = context_.settings.volume;
  std::vector<KeptRedo::Log> logs;
  for (const ServerPlace& place : context_.log_servers) {
    const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(place.node));
    const bool lost_disk = context_.damaged_servers.contains(place.node);
    const auto log = program == nullptr || lost_disk ? std::nullopt : program->LogOf(volume);
    if (log.has_value()) {
      const bool whole = log->end > log->begin && log->end >= context_.truth->acknowledged();
      logs.push_back({std::string(world_.NameOf(place.node)), log->readable_from, log->end, whole});
    }
  }
  context_.kept.Observe(logs);
  for (const ServerPlace& place : context_.page_servers) {
    const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(place.node));
    const bool rotten = context_.rotten_servers.contains(place.node);
    const auto pages = program == nullptr || rotten ? std::nullopt : program->PagesOf(volume);
    if (pages.has_value()) {
      context_.PositionOf(place.node).Told(pages->volume, pages->persisted);
    }
  }
}

bool ScenarioRun::AllRedoThere() {
  const Lsn begin = context_.settings.begin_lsn;
  return std::all_of(
      context_.log_servers.begin(), context_.log_servers.end(), [&](const ServerPlace& place) {
        const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(place.node));
        const std::optional<LogVolumeStatus> log =
            program == nullptr ? std::nullopt : program->LogOf(context_.settings.volume);
        return log.has_value() && log->begin == begin;
      });
}

void ScenarioRun::Install(NodeId server) {
  SimDisk& disk = world_.DiskOf(server);
  const Status made = disk.CreateDirectories(kServerDataDir);
  REDOUBT_CHECK(made.ok());
  disk.PromoteAll();
  context_.StoreOf(server).Forget();
  if (context_.rotten_servers.erase(server) > 0 && cast_.GroupOf(server).pulls_redo) {
    // Whoever read from it may do so again once it has everything anew.
    context_.horizon_set.erase(server);
    context_.damaged_servers.erase(server);
  }
  context_.ran_newest_format.erase(server);
  context_.fence.Forget(world_.NameOf(server));
}

void ScenarioRun::Produce() {
  if (context_.phase != Phase::kChaos || resolved_.run.computes) {
    return;
  }
  const int64_t burst_ns = resolved_.run.burst_ns;
  context_.model.Produce(resolved_.run.redo_bytes_per_s * static_cast<uint64_t>(burst_ns) /
                         1'000'000'000);
  world_.At(world_.now_ns() + burst_ns, [this] { Produce(); });
}

int64_t ScenarioRun::DeadlineNs(int64_t budget_ns) const {
  const int64_t end_ns = world_.now_ns() + budget_ns;
  const auto limit_ns = static_cast<int64_t>(scenario_.limits().virtual_ms()) * kMs;
  return limit_ns == 0 ? end_ns : std::min(end_ns, std::max(limit_ns, world_.now_ns()));
}

void ScenarioRun::Chaos() {
  Phase("chaos");
  for (const NodeId node : cast_.Standing(/*readers_last=*/true)) {
    cast_.Start(node);
  }
  Produce();
  faults_.Begin();
  const int64_t until = DeadlineNs(static_cast<int64_t>(scenario_.phases().chaos_ms()) * kMs);
  const auto done = [this] { return !context_.findings.empty(); };
  event_limit_hit_ = world_.RunUntil(until, done, scenario_.limits().events()) ==
                     SimWorld::StopReason::kEventLimit;
}

bool ScenarioRun::RunUntilDone(NodeId node, const std::function<bool()>& done,
                               int64_t deadline_ns) {
  if (!world_.IsUp(node)) {
    cast_.Start(node);
  }
  const auto over = [this, &done] { return !context_.findings.empty() || done(); };
  const SimWorld::StopReason why = world_.RunUntil(deadline_ns, over, scenario_.limits().events());
  if (why == SimWorld::StopReason::kDone) {
    return context_.findings.empty();
  }
  const bool limit = why == SimWorld::StopReason::kEventLimit;
  if (!limit && context_.findings.loss_allowed()) {
    return false;  // nothing has to come to an end any more
  }
  context_.findings.Report(
      "C8", std::string(limit ? "the event limit was hit" : "not caught up in time") +
                " in the calm phase, while " + context_.verify_stage + "; acknowledged " +
                std::to_string(context_.truth->acknowledged().value()) + " of " +
                std::to_string(context_.truth->end_lsn().value()));
  return false;
}

bool ScenarioRun::AuditUntil(uint64_t rounds, int64_t deadline_ns) {
  context_.verify_stage = "waiting for the transactions to end";
  const NodeId compute = cast_.Writers().front();
  const bool ended = RunUntilDone(compute, [this] { return context_.drained; }, deadline_ns);
  if (!ended) {
    return false;
  }
  context_.verify_stage = "recovering in a compute that is started last";
  return RunUntilDone(
      auditor_, [this, rounds] { return context_.audits_done >= rounds; }, deadline_ns);
}

bool ScenarioRun::VerifyUntil(uint64_t rounds, int64_t deadline_ns) {
  bool verified = !resolved_.run.computes || AuditUntil(rounds, deadline_ns);
  if (verified) {
    verified = RunUntilDone(
        verifier_, [this, rounds] { return context_.verify_rounds_done >= rounds; }, deadline_ns);
    world_.KillNode(verifier_, KillKind::kProcess, CrashPolicy::kAll);
  }
  if (resolved_.run.computes) {
    // The writer that stands: without one nobody tells log servers how much is committed.
    world_.KillNode(auditor_, KillKind::kProcess, CrashPolicy::kAll);
  }
  return verified || (context_.findings.empty() && context_.findings.loss_allowed());
}

// Everything is healed: the work must get done. Then, with nothing under way, the power goes once
// more, and what was acknowledged must still be there.
void ScenarioRun::Calm() {
  Phase("calm");
  context_.phase = Phase::kCalm;
  context_.model.Finish();
  faults_.CalmDown();
  const auto budget = static_cast<int64_t>(scenario_.phases().calm_ms_max()) * kMs;
  if (!VerifyUntil(1, DeadlineNs(budget))) {
    return;
  }
  Phase("last power cut");
  for (const NodeId server : cast_.Servers()) {
    world_.KillNode(server, KillKind::kPower, CrashPolicy::kSeeded);
  }
  world_.RunUntil(world_.now_ns() + kDownNs, nullptr, scenario_.limits().events());
  for (const NodeId server : cast_.Servers()) {
    cast_.Start(server);
  }
  if (VerifyUntil(2, DeadlineNs(budget))) {
    StopEverything();
  }
}

Holdings ScenarioRun::HoldingsOf(NodeId node) {
  return Holdings{world_.net().OpenCountOf(node), world_.net().ListenerCountOf(node),
                  world_.DiskOf(node).open_count(), world_.TimerCountOf(node),
                  world_.TaskCountOf(node)};
}

// The clients go; then every server stops and must have let go of everything.
void ScenarioRun::StopEverything() {
  Phase("stopping");
  const std::vector<NodeId> servers = cast_.Servers();
  for (NodeId node = 0; node < world_.node_count(); ++node) {
    if (!cast_.GroupOf(node).is_server()) {
      world_.KillNode(node, KillKind::kProcess, CrashPolicy::kAll);
    }
  }
  world_.RunUntil(world_.now_ns() + kQuietNs, nullptr, scenario_.limits().events());
  for (const NodeId server : servers) {
    const auto* program = dynamic_cast<ServerProgram*>(world_.ProgramOf(server));
    const auto used = program == nullptr ? std::nullopt : program->CacheUsed();
    if (used.has_value()) {
      context_.leaks.Cached(std::string(world_.NameOf(server)), used->bytes, used->bytes_max);
    }
  }
  // Page servers first: they are clients of the log servers.
  for (const NodeId server : servers) {
    if (cast_.GroupOf(server).pulls_redo) {
      world_.StopProgram(server);
    }
  }
  world_.RunUntil(world_.now_ns() + kQuietNs, nullptr, scenario_.limits().events());
  for (const NodeId server : servers) {
    if (!cast_.GroupOf(server).pulls_redo) {
      context_.leaks.ClientsGone(std::string(world_.NameOf(server)), HoldingsOf(server));
      world_.StopProgram(server);
    }
  }
  const auto stopped = [&] {
    return std::none_of(servers.begin(), servers.end(),
                        [this](NodeId server) { return world_.TaskCountOf(server) > 0; });
  };
  world_.RunUntil(world_.now_ns() + kStopNsMax, stopped, scenario_.limits().events());
  // RocksDB's last file operations take their time after its call has returned.
  world_.RunUntil(world_.now_ns() + kSettleNs, nullptr, scenario_.limits().events());
  for (const NodeId server : servers) {
    context_.leaks.Stopped(std::string(world_.NameOf(server)), HoldingsOf(server));
  }
}

std::vector<std::string> ScenarioRun::NodeNames() const {
  std::vector<std::string> names;
  for (NodeId node = 0; node < world_.node_count(); ++node) {
    names.emplace_back(world_.NameOf(node));
  }
  return names;
}

RunReport ScenarioRun::Report() {
  trace_.SetObserver(nullptr);  // what is left is taking the world apart
  RunReport report;
  report.findings = context_.findings.all();
  report.trace_hash = trace_.hash();
  report.event_count = trace_.event_count();
  report.draw_count = world_.random().draw_count();
  report.virtual_ns = world_.now_ns();
  report.work.pages_checked = context_.content.checked_count();
  report.work.faults_fired = faults_.fired_count();
  const uint64_t acknowledged = context_.truth->acknowledged().value();
  report.work.acknowledged_bytes =
      acknowledged == 0 ? 0 : acknowledged - context_.truth->begin_lsn().value();
  report.work.commits = context_.ledger.acknowledged_count();
  const bool computes = resolved_.run.computes;
  report.mtr_count = computes ? context_.timeline.mtr_count() : context_.model.mtr_count();
  report.recoveries = context_.recoveries;
  report.history = computes ? context_.ledger.HistoryJson() : "";
  report.server_starts = context_.server_starts;
  report.writer_count = context_.writer_count;
  report.reads_failed = context_.reads_failed;
  report.plant_reached = plants_.reached_count();
  report.settings = resolved_.description;
  report.local_storage = twins_.Summary();
  report.node_names = NodeNames();
  report.events = trace_.events();
  report.faults = trace_.faults();
  report.checkpoints = trace_.checkpoints();
  const proto::Expect& expect = scenario_.expect();
  const WorkDone floor{expect.acknowledged_bytes_min(), expect.reads_min(), expect.faults_min(),
                       expect.commits_min()};
  const std::string missing = MissingWork(report.work, floor);
  if (!report.findings.empty()) {
    const Finding& first = report.findings.front();
    report.outcome = first.checker == "C8" ? Outcome::kLiveness : Outcome::kSafety;
    report.reason = first.checker + ": " + first.what;
  } else if (event_limit_hit_) {
    report.outcome = Outcome::kLiveness;
    report.reason = "C8: the event limit was hit in the chaos phase";
  } else if (!missing.empty()) {
    report.outcome = Outcome::kIdle;
    report.reason = "C11: " + missing;
  }
  return report;
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "PASS";
    case Outcome::kSafety:
      return "SAFETY";
    case Outcome::kLiveness:
      return "LIVENESS";
    case Outcome::kCrash:
      return "CRASH";
    case Outcome::kNondeterminism:
      return "NONDETERMINISM";
    case Outcome::kIdle:
      return "IDLE";
    case Outcome::kHarnessError:
      return "HARNESS";
    case Outcome::kTimeLimit:
      return "TIMELIMIT";
  }
  return "UNKNOWN";
}

RunReport RunScenario(const proto::Scenario& scenario, const RunOptions& options) {
  RunOptions chosen = options;
  const proto::Scenario one = WithKnobs(scenario, options.seed);
  if (chosen.plant.empty()) {
    chosen.plant = scenario.plant();
  }
  REDOUBT_CHECK(IsKnownPlant(chosen.plant));
  ScenarioRun run(one, chosen);
  return run.Run();
}

}  // namespace redoubt::sim
