// SPDX-License-Identifier: MIT
#include "sim/cluster/scenario_run.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sim/cluster/fault_engine.h"
#include "sim/cluster/plants.h"
#include "sim/cluster/reader_program.h"
#include "sim/cluster/run_context.h"
#include "sim/cluster/server_program.h"
#include "sim/cluster/settings.h"
#include "sim/cluster/tailer_program.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kProduceNs = 10 * kMs;
constexpr int64_t kDownNs = 200 * kMs;

// Owns everything of one run, in the order in which it has to go.
class ScenarioRun {
 public:
  ScenarioRun(const proto::Scenario& scenario, const RunOptions& options)
      : scenario_(scenario),
        resolved_(Resolve(scenario, options.seed)),
        plants_(options.plant),
        trace_(options.keep),
        world_(resolved_.sim, &trace_),
        context_(resolved_.run, &world_.random()),
        programs_gone_(this),
        faults_(&world_, &cast_, &resolved_) {
    context_.world = &world_;
    trace_.SetObserver(options.observe);
    context_.findings.SetObserver([this](const Finding& finding) {
      world_.Record(kWorldNode, TraceKind::kViolation, 0, 0, finding.checker + ": " + finding.what);
    });
    BuildCast();
    Install();
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
  // What the server's machine has when it is new.
  void Install();
  void Start(NodeId node);
  void Produce();
  void Chaos();
  void Calm();
  bool VerifyUntil(uint64_t rounds, int64_t deadline_ns);
  RunReport Report();
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
  ProgramsGone programs_gone_;
  Cast cast_;
  NodeId verifier_ = 0;
  FaultEngine faults_;
  bool event_limit_hit_ = false;
};

void ScenarioRun::BuildCast() {
  cast_.server = world_.AddNode("server");
  context_.server = cast_.server;
  for (uint32_t i = 0; i < scenario_.topology().tailers(); ++i) {
    cast_.tailers.push_back(world_.AddNode("tailer" + std::to_string(i + 1)));
  }
  for (uint32_t i = 0; i < scenario_.topology().readers(); ++i) {
    cast_.readers.push_back(world_.AddNode("reader" + std::to_string(i + 1)));
  }
  verifier_ = world_.AddNode("verifier");
  cast_.start = [this](NodeId node) { Start(node); };
  cast_.install = [this] { Install(); };
  cast_.damaged = [this] { context_.findings.AllowLoss(); };
}

void ScenarioRun::Install() {
  SimDisk& disk = world_.DiskOf(cast_.server);
  const Status made = disk.CreateDirectories(kServerDataDir);
  REDOUBT_CHECK(made.ok());
  disk.PromoteAll();
}

void ScenarioRun::Start(NodeId node) {
  const bool is_server = node == cast_.server;
  const bool is_tailer =
      std::find(cast_.tailers.begin(), cast_.tailers.end(), node) != cast_.tailers.end();
  world_.StartNode(node, [=, this](Runtime* runtime) -> std::unique_ptr<NodeProgram> {
    if (is_server) {
      ++context_.server_starts;
      const NodeIdentity self{&world_, node, world_.IncarnationOf(node)};
      return std::make_unique<ServerProgram>(self, runtime, &context_);
    }
    if (node == verifier_) {
      return std::make_unique<VerifierProgram>(runtime, &context_, EntityOf(node));
    }
    if (is_tailer) {
      return std::make_unique<TailerProgram>(runtime, &context_, EntityOf(node));
    }
    return std::make_unique<ReaderProgram>(runtime, &context_, EntityOf(node));
  });
}

void ScenarioRun::Produce() {
  if (context_.phase != Phase::kChaos) {
    return;
  }
  context_.model.Produce(resolved_.run.redo_bytes_per_s * kProduceNs / 1'000'000'000);
  world_.At(world_.now_ns() + kProduceNs, [this] { Produce(); });
}

void ScenarioRun::Chaos() {
  Phase("chaos");
  Start(cast_.server);
  Start(cast_.tailers.front());
  for (const NodeId reader : cast_.readers) {
    Start(reader);
  }
  Produce();
  faults_.Begin();
  const auto until = static_cast<int64_t>(scenario_.phases().chaos_ms()) * kMs;
  const auto done = [this] { return !context_.findings.empty(); };
  event_limit_hit_ = world_.RunUntil(until, done, scenario_.limits().events()) ==
                     SimWorld::StopReason::kEventLimit;
}

bool ScenarioRun::VerifyUntil(uint64_t rounds, int64_t deadline_ns) {
  Start(verifier_);
  const auto done = [this, rounds] {
    return !context_.findings.empty() || context_.verify_rounds_done >= rounds;
  };
  const SimWorld::StopReason why = world_.RunUntil(deadline_ns, done, scenario_.limits().events());
  if (why == SimWorld::StopReason::kDone) {
    world_.KillNode(verifier_, KillKind::kProcess, CrashPolicy::kAll);
    return context_.findings.empty();
  }
  const bool limit = why == SimWorld::StopReason::kEventLimit;
  if (!limit && context_.findings.loss_allowed()) {
    // Nothing has to come to an end any more.
    world_.KillNode(verifier_, KillKind::kProcess, CrashPolicy::kAll);
    return true;
  }
  context_.findings.Report(
      "C8", std::string(limit ? "the event limit was hit" : "not caught up in time") +
                " in the calm phase, while " + context_.verify_stage + "; acknowledged " +
                std::to_string(context_.redo.acknowledged().value()) + " of " +
                std::to_string(context_.model.end_lsn().value()));
  return false;
}

// Everything is healed: the work must get done. Then, with nothing under way, the power goes once
// more, and what was acknowledged must still be there.
void ScenarioRun::Calm() {
  Phase("calm");
  context_.phase = Phase::kCalm;
  faults_.CalmDown();
  const auto budget = static_cast<int64_t>(scenario_.phases().calm_ms_max()) * kMs;
  if (!VerifyUntil(1, world_.now_ns() + budget)) {
    return;
  }
  Phase("last power cut");
  world_.KillNode(cast_.server, KillKind::kPower, CrashPolicy::kSeeded);
  world_.RunUntil(world_.now_ns() + kDownNs, nullptr, scenario_.limits().events());
  Start(cast_.server);
  VerifyUntil(2, world_.now_ns() + budget);
}

RunReport ScenarioRun::Report() {
  RunReport report;
  report.findings = context_.findings.all();
  report.trace_hash = trace_.hash();
  report.event_count = trace_.event_count();
  report.draw_count = world_.random().draw_count();
  report.virtual_ns = world_.now_ns();
  report.work.pages_checked = context_.content.checked_count();
  report.work.faults_fired = faults_.fired_count();
  const uint64_t acknowledged = context_.redo.acknowledged().value();
  report.work.acknowledged_bytes =
      acknowledged == 0 ? 0 : acknowledged - context_.model.begin_lsn().value();
  report.mtr_count = context_.model.mtr_count();
  report.server_starts = context_.server_starts;
  report.writer_count = context_.writer_count;
  report.reads_failed = context_.reads_failed;
  report.plant_reached = plants_.reached_count();
  report.settings = resolved_.description;
  for (NodeId node = 0; node < world_.node_count(); ++node) {
    report.node_names.emplace_back(world_.NameOf(node));
  }
  report.events = trace_.events();
  report.faults = trace_.faults();
  report.checkpoints = trace_.checkpoints();
  const proto::Expect& expect = scenario_.expect();
  const WorkDone floor{expect.acknowledged_bytes_min(), expect.reads_min(), expect.faults_min()};
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
  if (chosen.plant.empty()) {
    chosen.plant = scenario.plant();
  }
  REDOUBT_CHECK(IsKnownPlant(chosen.plant));
  ScenarioRun run(scenario, chosen);
  return run.Run();
}

}  // namespace redoubt::sim
