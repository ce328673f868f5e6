// SPDX-License-Identifier: MIT
//
// The `simulate` command: runs scenarios, one seed or many, and says what failed and how to see it
// again.

#include <CLI/CLI.hpp>
#include <iostream>

#include "sim/cluster/plants.h"
#include "sim/command/commands.h"

namespace {

using redoubt::sim::CorpusCommand;
using redoubt::sim::DeterminismCommand;
using redoubt::sim::RunCommand;
using redoubt::sim::ShrinkCommand;
using redoubt::sim::SwarmCommand;
using redoubt::sim::TraceCommand;

constexpr char kFooter[] =
    "Examples:\n"
    "  simulate run scenarios/smoke/smoke.textproto --seed 7 --trace -\n"
    "  simulate swarm --scenario scenarios/smoke/smoke.textproto --seeds 200 --jobs 2\n"
    "  simulate replay build/capsules/smoke-7.capsule --trace -\n"
    "  simulate replay scenarios/smoke/smoke.textproto --seed 7\n"
    "  simulate shrink build/capsules/smoke-7.capsule --budget 2m\n"
    "  simulate check-determinism scenarios/smoke/smoke.textproto --seed 7\n"
    "  simulate run scenarios/smoke/smoke.textproto --seed 7 --trace 7.trace\n"
    "  simulate trace 7.trace --format html -o 7.html\n"
    "  simulate trace 7.trace --node server --since 12s --grep epoch\n"
    "  simulate diff 7.trace other.trace\n"
    "  simulate swarm --scenarios scenarios --budget 5m -j 2 --seed-base COMMIT --json out.jsonl\n"
    "  simulate probes --history out.jsonl\n"
    "  simulate corpus add build/capsules/smoke-7-small.capsule\n"
    "  simulate corpus run\n"
    "  simulate list\n"
    "Exit codes: 0 pass, 10 safety, 11 liveness, 12 crash, 13 nondeterminism, 14 idle, 20 the "
    "harness, 124 time limit, 125 skip (--bisect).";

// Shown by --help of one subcommand.
struct Examples {
  const char* subcommand;
  const char* lines;
};
constexpr Examples kExamples[] = {
    {"run",
     "  simulate run scenarios/smoke/smoke.textproto --seed 7\n"
     "  simulate run scenarios/smoke/smoke.textproto --seed 7 --set workload.spaces=1\n"
     "  simulate run scenarios/smoke/smoke.textproto --seed 7 --trace full\n"
     "  simulate run scenarios/smoke/smoke.textproto --seed 7 --trace 7.trace\n"
     "  git bisect run simulate run scenarios/smoke/smoke.textproto --seed 7 --bisect"},
    {"replay",
     "  simulate replay build/capsules/smoke-7.capsule\n"
     "  simulate replay build/capsules/smoke-7.capsule --trace 7.trace --trace-full"},
    {"shrink",
     "  simulate shrink build/capsules/smoke-7.capsule --budget 2m\n"
     "  simulate shrink build/capsules/smoke-7.capsule --output small.capsule"},
    {"swarm",
     "  simulate swarm --scenario scenarios/smoke/smoke.textproto --seeds 200 -j 2\n"
     "  simulate swarm --scenarios scenarios --budget 5m -j 2 --seed-base COMMIT --json out.jsonl"},
    {"check-determinism",
     "  simulate check-determinism scenarios/smoke/smoke.textproto --seed 7 --seeds 3"},
    {"trace",
     "  simulate trace 7.trace --node server --since 12s --grep epoch\n"
     "  simulate trace 7.trace --format lines\n"
     "  simulate trace 7.trace --format html -o 7.html"},
    {"diff", "  simulate diff 7.trace other.trace"},
    {"probes", "  simulate probes\n  simulate probes --history out.jsonl"},
    {"corpus",
     "  simulate corpus run\n"
     "  simulate corpus add build/capsules/smoke-7-small.capsule\n"
     "  simulate corpus add scenarios/smoke/smoke.textproto --seed 7"},
    {"list", "  simulate list\n  simulate list scenarios/smoke"},
};

constexpr char kLinesHelp[] =
    "\nA line for each change of state:\n"
    "  seconds, nodes, node, r(ole) and epo(ch), LSN, commit, applied, on disk, dirty, what\n"
    "nodes has a place for the run and for each node: a letter where it happened, . up, - down.\n"
    "  S start   R ready      K kill -9     X power cut    C crash image   Z paused\n"
    "  F fault   D disk error P promised an epoch          E began an epoch\n"
    "  W a writer has its epoch    A acknowledged, applied (twice a second at most)\n"
    "  i w e a line of the node's log    = phase of the run    ! violation\n"
    "r: L log, P pages, A both, W writer, C compute, R reader, - not working.\n"
    "LSN: the furthest one; commit, applied, on disk: so far behind it, = not at all, . has none.\n"
    "dirty: file operations that a power cut may take back.";

void AddExamples(CLI::App* app) {
  for (const Examples& examples : kExamples) {
    const std::string subcommand = examples.subcommand;
    const bool shows_lines = subcommand == "run" || subcommand == "replay" || subcommand == "trace";
    app->get_subcommand(subcommand)
        ->footer(std::string("Examples:\n") + examples.lines +
                 (shows_lines ? std::string(kLinesHelp) : ""));
  }
}

void AddRun(CLI::App* app, RunCommand* command) {
  app->add_option("file", command->file, "scenario (*.textproto) or capsule (*.capsule)")
      ->required();
  app->add_option("--seed", command->seed, "seed of a scenario")->capture_default_str();
  app->add_option("--set", command->set,
                  "FIELD.FIELD=VALUE of the scenario, e.g. workload.spaces=3");
  app->add_option("--trace", command->trace_file,
                  "write the trace file here; - shows the last events, full shows all");
  app->add_flag("--trace-full", command->trace_full, "keep every event, resumes included");
  app->add_option("--history", command->history_file,
                  "write what every client of a compute asked for and was told, as JSON lines");
  app->add_option("--plant", command->plant, "switch on a planted bug (see list)");
  app->add_option("--capsule-dir", command->capsule_directory, "where a failure is written down")
      ->capture_default_str();
  app->add_option("--seconds-max", command->seconds_max, "limit of wall time")
      ->capture_default_str();
  app->add_flag("--bisect", command->bisect, "exit 125 when the run says nothing, for git bisect");
  app->add_flag("--in-process", command->in_process, "no child process, for debuggers");
  app->add_flag("-q,--quiet", command->quiet, "not a line for each change of state");
  app->add_flag("--hash-only", command->hash_only, "print the trace hash and the exit code only");
}

void AddSwarm(CLI::App* app, SwarmCommand* command) {
  auto* one = app->add_option("--scenario", command->scenario, "one scenario file");
  auto* all = app->add_option("--scenarios", command->directory, "all scenarios below this");
  one->excludes(all);
  app->add_option("--seeds", command->seeds, "how many, of one scenario")->capture_default_str();
  app->add_option("--budget", command->budget, "wall time of --scenarios: 90s, 5m")
      ->capture_default_str();
  app->add_option("--seed-base", command->seed_base, "the first: a number, or a commit")
      ->capture_default_str();
  app->add_option("-j,--jobs", command->jobs, "processes")->capture_default_str();
  app->add_option("--double-run-every", command->double_run_every,
                  "run every n-th seed twice and compare; 0 never")
      ->capture_default_str();
  app->add_option("--seed-seconds-max", command->seed_seconds_max, "time limit of one seed")
      ->capture_default_str();
  app->add_flag("--stop-at-failure", command->stop_at_failure, "stop at the first failing seed");
  app->add_option("--capsule-dir", command->capsule_directory, "where failures are written down")
      ->capture_default_str();
  app->add_option("--json", command->json_file, "write one JSON line a seed here");
  app->add_option("--plant", command->plant, "switch on a planted bug (see list)");
}

void AddTrace(CLI::App* app, TraceCommand* command) {
  app->add_option("file", command->file, "trace file")->required();
  app->add_option("--format", command->format,
                  "ascii: every event; lines: changes of state, as run shows them; "
                  "jsonl, html, perfetto")
      ->check(CLI::IsMember({"ascii", "lines", "jsonl", "html", "perfetto"}))
      ->capture_default_str();
  app->add_option("--node", command->node, "only this node's events");
  app->add_option("--since", command->since, "only from this virtual time on: 12s, 1500ms");
  app->add_option("--grep", command->grep, "only events whose line contains this, in any case");
  app->add_option("-o,--output", command->output, "default: standard output");
}

bool KnownPlant(const std::string& name) {
  if (redoubt::sim::IsKnownPlant(name)) {
    return true;
  }
  std::cerr << "no planted bug is called " << name << "; simulate list shows them\n";
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs the real page server and client in a simulated world.");
  app.footer(kFooter);
  app.require_subcommand(1);

  RunCommand run;
  SwarmCommand swarm;
  DeterminismCommand determinism;
  std::string directory = "scenarios";
  CLI::App* run_app = app.add_subcommand("run", "one seed of a scenario");
  AddRun(run_app, &run);
  RunCommand replay;
  CLI::App* replay_app =
      app.add_subcommand("replay", "a capsule, or one seed of a scenario, again");
  AddRun(replay_app, &replay);
  ShrinkCommand shrink;
  CLI::App* shrink_app =
      app.add_subcommand("shrink", "make a capsule smaller while it fails in the same way");
  shrink_app->add_option("capsule", shrink.capsule, "capsule file")->required();
  shrink_app->add_option("--budget", shrink.budget, "wall time: 90s, 2m")->capture_default_str();
  shrink_app->add_option("--output", shrink.output, "the smaller capsule; default: beside, -small");
  shrink_app->add_option("--run-seconds-max", shrink.run_seconds_max, "wall time of one try")
      ->capture_default_str();
  CLI::App* swarm_app = app.add_subcommand("swarm", "many seeds of a scenario");
  AddSwarm(swarm_app, &swarm);
  CLI::App* determinism_app =
      app.add_subcommand("check-determinism", "the same seed in four ways; equal trace hashes?");
  determinism_app->add_option("scenario", determinism.scenario, "scenario file")->required();
  determinism_app->add_option("--seed", determinism.seed, "first seed")->capture_default_str();
  determinism_app->add_option("--seeds", determinism.seeds, "how many")->capture_default_str();
  TraceCommand trace;
  CLI::App* trace_app = app.add_subcommand("trace", "shows a trace file that run --trace wrote");
  AddTrace(trace_app, &trace);
  std::string diff_a;
  std::string diff_b;
  CLI::App* diff_app = app.add_subcommand("diff", "where two trace files part");
  diff_app->add_option("a", diff_a, "trace file")->required();
  diff_app->add_option("b", diff_b, "trace file")->required();
  std::string history;
  CLI::App* probes_app = app.add_subcommand("probes", "branches that runs ought to reach");
  probes_app->add_option("--history", history, "file of swarm --json lines: which were reached");
  CorpusCommand corpus;
  CLI::App* corpus_app = app.add_subcommand("corpus", "stored capsules and once-failed seeds");
  corpus_app->require_subcommand(1);
  corpus_app->add_option("--directory", corpus.directory, "where they are")->capture_default_str();
  CLI::App* corpus_run_app = corpus_app->add_subcommand("run", "all of them; they must pass now");
  corpus_run_app
      ->add_option("--capsule-dir", corpus.capsule_directory, "where a failure is written down")
      ->capture_default_str();
  CLI::App* corpus_add_app = corpus_app->add_subcommand("add", "a capsule, or a scenario's seed");
  corpus_add_app->add_option("file", corpus.file, "capsule or scenario")->required();
  corpus_add_app->add_option("--seed", corpus.seed, "of the scenario")->capture_default_str();
  corpus_add_app->add_option("--set", corpus.set, "FIELD.FIELD=VALUE of the scenario");
  CLI::App* list_app = app.add_subcommand("list", "scenarios and planted bugs");
  list_app->add_option("directory", directory, "where to look")->capture_default_str();

  AddExamples(&app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : redoubt::sim::CodeOf(redoubt::sim::Outcome::kHarnessError);
  }
  if (!KnownPlant(run.plant) || !KnownPlant(replay.plant) || !KnownPlant(swarm.plant)) {
    return redoubt::sim::CodeOf(redoubt::sim::Outcome::kHarnessError);
  }
  if (run_app->parsed()) {
    return redoubt::sim::RunOnce(run);
  }
  if (replay_app->parsed()) {
    return redoubt::sim::RunOnce(replay);
  }
  if (shrink_app->parsed()) {
    return redoubt::sim::ShrinkCapsule(shrink);
  }
  if (swarm_app->parsed()) {
    return swarm.directory.empty() ? redoubt::sim::RunSwarm(swarm)
                                   : redoubt::sim::RunSwarmOfDirectory(swarm);
  }
  if (determinism_app->parsed()) {
    return redoubt::sim::CheckDeterminism(determinism);
  }
  if (trace_app->parsed()) {
    return redoubt::sim::ShowTrace(trace);
  }
  if (diff_app->parsed()) {
    return redoubt::sim::DiffTraces(diff_a, diff_b);
  }
  if (probes_app->parsed()) {
    return redoubt::sim::ShowProbes(history);
  }
  if (corpus_run_app->parsed()) {
    return redoubt::sim::RunCorpus(corpus);
  }
  if (corpus_add_app->parsed()) {
    return redoubt::sim::AddToCorpus(corpus);
  }
  return redoubt::sim::ListScenarios(directory);
}
