// SPDX-License-Identifier: MIT
#include "sim/cluster/settings.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <string_view>

#include "common/innodb/log_block.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;

// Keeps the first message of the text parser.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) {
      text = "line " + std::to_string(line + 1) + ", column " + std::to_string(column + 1) + ": " +
             message;
    }
  }
  std::string text;
};

Status CheckRange(const proto::Range& range, uint64_t low, uint64_t high, std::string_view name) {
  const uint64_t max = range.max() == 0 ? range.min() : range.max();
  if (range.min() < low || max > high || range.min() > max) {
    return InvalidArgument(std::string(name) + " must lie within " + std::to_string(low) + " .. " +
                           std::to_string(high));
  }
  return Status::Ok();
}

Status CheckScenario(const proto::Scenario& scenario) {
  const proto::Workload& load = scenario.workload();
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_size_log2(), 12, 16, "page_size_log2"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.spaces(), 1, 1000, "spaces"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.pages_per_space(), 2, 10'000, "pages_per_space"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.redo_bytes_per_s(), 1, 100'000'000, "redo_bytes_per_s"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.chunk_bytes_max(), 1, 8 << 20, "chunk_bytes_max"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.read_interval_ms(), 1, 3'600'000, "read_interval_ms"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_batch_bytes(), 1, 1 << 30, "page_batch_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.log_segment_bytes(), 4096, 1 << 30, "log_segment_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.log_tail_bytes(), 1, 1 << 30, "log_tail_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_cache_bytes(), 1, 1 << 30, "page_cache_bytes"));
  if (scenario.topology().tailers() < 1 || scenario.topology().tailers() > 8 ||
      scenario.topology().readers() > 64) {
    return InvalidArgument("topology: 1 to 8 tailers, at most 64 readers");
  }
  if (scenario.phases().chaos_ms() == 0 || scenario.phases().calm_ms_max() == 0) {
    return InvalidArgument("phases: chaos_ms and calm_ms_max are needed");
  }
  for (const proto::SwarmFault& fault : scenario.swarm()) {
    if (fault.kind() == proto::FAULT_UNKNOWN || fault.interval_ms().min() == 0) {
      return InvalidArgument("swarm: a fault needs a kind and an interval");
    }
    if (fault.kind() == proto::TAKE_OVER && scenario.topology().tailers() < 2) {
      return InvalidArgument("swarm: TAKE_OVER needs a second tailer");
    }
  }
  return Status::Ok();
}

}  // namespace

Result<proto::Scenario> ParseScenario(const std::string& text) {
  proto::Scenario scenario;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &scenario)) {
    return InvalidArgument(error.text);
  }
  REDOUBT_RETURN_IF_ERROR(CheckScenario(scenario));
  return scenario;
}

uint64_t DrawRange(const proto::Range& range, SeededStream* stream) {
  return range.max() <= range.min() ? range.min() : stream->Between(range.min(), range.max());
}

ResolvedScenario Resolve(const proto::Scenario& scenario, uint64_t seed) {
  RandomRoot root(seed);
  SeededStream config(&root, "config", 0);
  ResolvedScenario resolved;
  RunSettings& run = resolved.run;
  const proto::Workload& load = scenario.workload();
  const auto draw = [&](const char* name, const proto::Range& range) {
    const uint64_t value = DrawRange(range, &config);
    resolved.description += std::string(name) + '=' + std::to_string(value) + ' ';
    return value;
  };
  run.page_size = 1U << draw("page_size_log2", load.page_size_log2());
  run.spaces = static_cast<uint32_t>(draw("spaces", load.spaces()));
  run.pages_per_space = static_cast<uint32_t>(draw("pages_per_space", load.pages_per_space()));
  run.redo_bytes_per_s = draw("redo_bytes_per_s", load.redo_bytes_per_s());
  run.chunk_bytes_max = draw("chunk_bytes_max", load.chunk_bytes_max());
  run.read_interval_ns =
      static_cast<int64_t>(draw("read_interval_ms", load.read_interval_ms()) * kMs);
  run.page_batch_bytes = draw("page_batch_bytes", load.page_batch_bytes());
  run.log_segment_bytes = draw("log_segment_bytes", load.log_segment_bytes());
  run.log_tail_bytes = draw("log_tail_bytes", load.log_tail_bytes());
  run.page_cache_bytes = draw("page_cache_bytes", load.page_cache_bytes());
  run.begin_lsn = innodb::ToLsn(
      Sn(config.Between(innodb::ToSn(innodb::kFirstDataLsn).value(), uint64_t{1} << 34)));
  SimOptions& sim = resolved.sim;
  sim.seed = seed;
  sim.resume_jitter_ppm = static_cast<uint32_t>(config.Below(3) * 5'000);
  sim.net.latency_ns_mean =
      static_cast<int64_t>(draw("latency_us_mean", scenario.network().latency_us_mean()) * 1000);
  sim.disk.sync_ns_mean =
      static_cast<int64_t>(draw("sync_us_mean", scenario.disk().sync_us_mean()) * 1000);
  resolved.description += "faults=";
  for (const proto::SwarmFault& fault : scenario.swarm()) {
    SeededStream stream(&root, "fault-config", static_cast<uint64_t>(fault.kind()));
    ResolvedFault one;
    one.kind = fault.kind();
    one.enabled = stream.Below(100) < fault.enable_percent();
    one.interval_ns_mean = DrawRange(fault.interval_ms(), &stream) * kMs;
    one.duration_ms = fault.duration_ms();
    one.size = fault.size();
    if (one.enabled) {
      resolved.description += proto::FaultKind_Name(one.kind) + ',';
    }
    resolved.swarm.push_back(one);
  }
  return resolved;
}

}  // namespace redoubt::sim
