// SPDX-License-Identifier: MIT
#include "sim/cluster/settings.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/innodb/log_block.h"
#include "sim/cluster/explicit_scenario.h"
#include "sim/workload/model_server.h"
#include "sim/workload/recorded_server.h"
#include "sim/workload/recording.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
// Machines that were switched on up to a year ago.
constexpr int64_t kClockOriginNsMax = 365LL * 86'400 * 1'000'000'000;

// Gives each of a run's settings a line of the description, in the order in which they are asked.
class Description {
 public:
  void Add(const std::string& words) { text_ += words + ' '; }
  void Add(const std::string& name, uint64_t value) { Add(name + '=' + std::to_string(value)); }
  // The one value that an explicit scenario has for a range.
  uint64_t ValueOf(const char* name, const proto::Range& range) {
    Add(name, range.min());
    return range.min();
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

// Every seed has its own pace, so that different things overlap: redo that trickles or comes in
// gushes, work off the loop that is done at once or takes longer than a disk.
int64_t DrawBurstNs(RandomRoot* root) {
  constexpr int64_t kBurstsMs[] = {10, 10, 100, 700};
  SeededStream stream(root, "burst-config", 0);
  return kBurstsMs[stream.Below(std::size(kBurstsMs))] * 1'000'000;
}

// How often page stores are flushed beyond what they must: the time in which what is written and
// what is flushed differ.
int64_t DrawFlushNs(RandomRoot* root) {
  constexpr int64_t kIntervalsMs[] = {50, 400, 2'000, 10'000};
  SeededStream stream(root, "flush-config", 0);
  return kIntervalsMs[stream.Below(std::size(kIntervalsMs))] * 1'000'000;
}

int64_t DrawBlockingNs(RandomRoot* root) {
  constexpr int64_t kMeansUs[] = {20, 20, 300, 5000};
  SeededStream stream(root, "blocking-config", 0);
  return kMeansUs[stream.Below(std::size(kMeansUs))] * 1'000;
}

// What the load says of the model's size; what it does not say stays as it is.
void ResolveModel(const proto::Workload& load, ModelComputeOptions* compute,
                  Description* description) {
  const auto set = [description](const char* name, const proto::Range& range, auto* value) {
    using Value = std::remove_pointer_t<decltype(value)>;
    *value = range.min() == 0 ? *value : static_cast<Value>(range.min());
    description->Add(name, *value);
  };
  uint64_t think_ms = compute->think_ns / kMs;
  set("compute_clients", load.compute_clients(), &compute->bank.slot_count);
  set("accounts", load.accounts(), &compute->bank.account_count);
  set("think_ms", load.think_ms(), &think_ms);
  set("pool_pages", load.pool_pages(), &compute->pool_page_count);
  set("rows_per_page", load.rows_per_page(), &compute->bank.rows_per_page);
  set("lookup_percent", load.lookup_percent(), &compute->lookup_percent);
  compute->think_ns = think_ms * kMs;
  compute->pool_page_count =
      std::max(compute->pool_page_count, ModelCompute::PoolPagesNeeded(compute->bank.slot_count));
}

// What a scenario says of its links beyond their mean latency; nothing for most.
void ResolveLinks(const proto::Network& network, NetOptions* net, Description* description) {
  if (network.has_tail_ppm()) {
    net->tail_ppm = static_cast<uint32_t>(network.tail_ppm().min());
    net->tail_ns_mean = static_cast<int64_t>(network.tail_ms_mean().min() * kMs);
    description->Add("tail_ppm", net->tail_ppm);
    description->Add("tail_ms_mean", network.tail_ms_mean().min());
  }
  if (network.has_kib_per_s()) {
    net->bytes_per_s = network.kib_per_s().min() * 1024;
    description->Add("kib_per_s", network.kib_per_s().min());
  }
}

// Who takes part: knobs may have drawn it.
void DescribeShape(const proto::Topology& topology, Description* description) {
  if (topology.log_servers() == 0) {
    description->Add("servers", 1);
  } else {
    description->Add("log_servers", topology.log_servers());
    description->Add("page_servers", topology.page_servers());
  }
  description->Add("writers", uint64_t{topology.tailers()} + topology.computes());
  description->Add("readers", topology.readers());
}

// Who writes the redo, and what it is.
void ResolveSource(const proto::Scenario& one, RandomRoot* root, RunSettings* run,
                   Description* description) {
  const proto::Workload& load = one.workload();
  run->recorded_redo = load.recorded_redo();
  run->computes = one.topology().computes() > 0;
  if (!run->recorded_redo.empty()) {
    const std::unique_ptr<const LoadedRecording> recording = LoadKnownRecording(run->recorded_redo);
    run->page_size = recording->content.page_size();
    run->begin_lsn = Lsn(recording->content.begin_lsn());
    description->Add("recorded_redo=" + run->recorded_redo);
  } else {
    run->page_size = 1U << description->ValueOf("page_size_log2", load.page_size_log2());
    SeededStream begin(root, "begin-lsn", 0);
    run->begin_lsn = innodb::ToLsn(
        Sn(begin.Between(innodb::ToSn(innodb::kFirstDataLsn).value(), uint64_t{1} << 34)));
  }
  if (run->computes) {
    ResolveModel(load, &run->compute, description);
    run->compute_mode = static_cast<ComputeMode>(load.compute_mode());
    if (run->compute_mode != ComputeMode::kPagesOnly) {
      description->Add(proto::ComputeMode_Name(load.compute_mode()));
    }
    run->compute.bank.page_size = run->page_size;
    run->compute.chunk_bytes_max = load.chunk_bytes_max().min();
  } else {
    run->redo_bytes_per_s = description->ValueOf("redo_bytes_per_s", load.redo_bytes_per_s());
  }
  if (!run->computes && run->recorded_redo.empty()) {
    run->spaces = static_cast<uint32_t>(description->ValueOf("spaces", load.spaces()));
    run->pages_per_space =
        static_cast<uint32_t>(description->ValueOf("pages_per_space", load.pages_per_space()));
  }
  run->catalogue_every =
      static_cast<uint32_t>(description->ValueOf("catalogue_every", load.catalogue_every()));
  run->compute.catalogue_every = run->catalogue_every;
}

// The servers, and what they are given to do.
void ResolveServers(const proto::Scenario& one, RandomRoot* root, RunSettings* run,
                    Description* description) {
  const proto::Workload& load = one.workload();
  run->chunk_bytes_max = description->ValueOf("chunk_bytes_max", load.chunk_bytes_max());
  run->read_interval_ns =
      static_cast<int64_t>(description->ValueOf("read_interval_ms", load.read_interval_ms()) * kMs);
  if (load.has_impatient_percent()) {
    run->impatient_percent =
        static_cast<uint32_t>(description->ValueOf("impatient_percent", load.impatient_percent()));
  }
  if (load.has_neighbour_interval_ms()) {
    run->neighbour_interval_ns = static_cast<int64_t>(
        description->ValueOf("neighbour_interval_ms", load.neighbour_interval_ms()) * kMs);
  }
  run->page_batch_bytes = description->ValueOf("page_batch_bytes", load.page_batch_bytes());
  run->log_segment_bytes = description->ValueOf("log_segment_bytes", load.log_segment_bytes());
  run->log_tail_bytes = description->ValueOf("log_tail_bytes", load.log_tail_bytes());
  run->page_cache_bytes = description->ValueOf("page_cache_bytes", load.page_cache_bytes());
  run->page_flush_ns = DrawFlushNs(root);
  description->Add("page_flush_ms", static_cast<uint64_t>(run->page_flush_ns) / kMs);
  run->burst_ns = DrawBurstNs(root);
  description->Add("burst_ms", static_cast<uint64_t>(run->burst_ns) / kMs);
  run->log_format = one.topology().log_format();
  if (run->log_format != 0) {
    description->Add("log_format", run->log_format);
  }
  run->log_servers = one.topology().log_servers();
  run->page_servers = one.topology().page_servers();
  if (run->log_servers > 0) {
    SeededStream uid(root, "volume-uid", 0);
    run->volume_uid = uid.Between(1, uint64_t{1} << 62);
  }
  run->rocksdb_store = one.topology().rocksdb_percent() == 100;
  description->Add(run->rocksdb_store ? "store=rocksdb" : "store=memory");
}

// The world around them.
SimOptions ResolveWorld(const proto::Scenario& one, uint64_t seed, RandomRoot* root,
                        Description* description) {
  SimOptions sim;
  sim.seed = seed;
  sim.clock_origin_ns_max = kClockOriginNsMax;
  SeededStream jitter(root, "jitter-config", 0);
  sim.resume_jitter_ppm = static_cast<uint32_t>(jitter.Below(3) * 5'000);
  sim.blocking_ns_mean = DrawBlockingNs(root);
  description->Add("blocking_us", static_cast<uint64_t>(sim.blocking_ns_mean) / 1000);
  sim.net.latency_ns_mean = static_cast<int64_t>(
      description->ValueOf("latency_us_mean", one.network().latency_us_mean()) * 1000);
  ResolveLinks(one.network(), &sim.net, description);
  sim.disk.sync_ns_mean =
      static_cast<int64_t>(description->ValueOf("sync_us_mean", one.disk().sync_us_mean()) * 1000);
  sim.disk.torn_crashes_only = one.disk().torn_crashes_only();
  return sim;
}

// "faults=SERVER_POWER,PARTITION,": each kind once, by number.
std::string KindsOf(const proto::Scenario& one) {
  std::set<proto::FaultKind> kinds;
  for (const proto::ScheduledFault& fault : one.schedule()) {
    kinds.insert(fault.kind());
  }
  std::string text = "faults=";
  for (const proto::FaultKind kind : kinds) {
    text += proto::FaultKind_Name(kind) + ',';
  }
  return text;
}

}  // namespace

std::unique_ptr<FollowedServer> MakeFollowedServer(const RunSettings& settings, RandomRoot* random,
                                                   PageHistory* history) {
  if (!settings.recorded_redo.empty()) {
    return std::make_unique<RecordedServer>(LoadKnownRecording(settings.recorded_redo), history);
  }
  const ModelServerOptions options{settings.page_size, settings.spaces, settings.pages_per_space,
                                   settings.catalogue_every, settings.begin_lsn};
  return std::make_unique<ModelServer>(options, random, history);
}

ResolvedScenario Resolve(const proto::Scenario& scenario, uint64_t seed) {
  const proto::Scenario one = Explicit(scenario, seed);
  RandomRoot root(seed);
  Description description;
  ResolvedScenario resolved;
  DescribeShape(one.topology(), &description);
  ResolveSource(one, &root, &resolved.run, &description);
  ResolveServers(one, &root, &resolved.run, &description);
  resolved.sim = ResolveWorld(one, seed, &root, &description);
  resolved.beyond_budget = one.beyond_budget();
  resolved.schedule.assign(one.schedule().begin(), one.schedule().end());
  resolved.description = description.Take() + KindsOf(one);
  return resolved;
}

}  // namespace redoubt::sim
