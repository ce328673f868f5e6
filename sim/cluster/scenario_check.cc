// SPDX-License-Identifier: MIT
#include "sim/cluster/scenario_check.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "pageserver/log/redo_segment.h"
#include "sim/cluster/knobs.h"
#include "sim/cluster/text_message.h"
#include "sim/cluster/trigger_list.h"
#include "sim/oracle/findings.h"
#include "sim/runtime/sim_clock.h"
#include "sim/workload/recording.h"

namespace redoubt::sim {
namespace {

Status CheckRange(const proto::Range& range, uint64_t low, uint64_t high, std::string_view name) {
  const uint64_t max = range.max() == 0 ? range.min() : range.max();
  if (range.min() < low || max > high || range.min() > max) {
    return InvalidArgument(std::string(name) + " must lie within " + std::to_string(low) + " .. " +
                           std::to_string(high));
  }
  return Status::Ok();
}

bool TakesSyncedBytes(proto::FaultKind kind) {
  switch (kind) {
    case proto::SERVER_WIPE:
    case proto::DISK_SWAP:
    case proto::LATENT_SECTOR:
    case proto::BIT_ROT:
    case proto::LOST_WRITE:
    case proto::MISDIRECTED_WRITE:
      return true;
    default:
      return false;
  }
}

// Whether the others still have what one of several log servers, or a page server, loses. A log
// server must be able to tell that it has lost something: the last write before a power cut that
// never reached the medium looks like one that was never made. (Bit rot strikes redo that is proven
// to have been synced, sim/cluster/fault_engine_damage.cc.) A page server is built from the log.
bool OthersHaveACopy(const proto::Topology& topology, proto::FaultKind kind,
                     proto::FaultTarget target, std::string_view text) {
  switch (kind) {
    case proto::SERVER_WIPE:
    case proto::LATENT_SECTOR:
      return topology.log_servers() > 1 &&
             (target == proto::TARGET_LOG || target == proto::TARGET_PAGE);
    case proto::DISK_SWAP:
      return topology.log_servers() > 1 && target == proto::TARGET_LOG;
    case proto::BIT_ROT:
      return topology.log_servers() > 1 &&
             (target == proto::TARGET_PAGE || (target == proto::TARGET_LOG && text == ".redo"));
    case proto::LOST_WRITE:
    case proto::MISDIRECTED_WRITE:
      return topology.log_servers() > 1 && target == proto::TARGET_PAGE;
    default:
      return false;
  }
}

Status CheckTarget(const proto::Topology& topology, const std::string& name,
                   proto::FaultTarget target) {
  const bool nobody = (target == proto::TARGET_LOG && topology.log_servers() == 0) ||
                      (target == proto::TARGET_PAGE && topology.page_servers() == 0) ||
                      (target == proto::TARGET_READER && topology.readers() == 0);
  return nobody ? InvalidArgument(name + ": the topology has nobody for " +
                                  proto::FaultTarget_Name(target))
                : Status::Ok();
}

Status CheckTopology(const proto::Topology& topology) {
  const uint32_t writers = topology.tailers() + topology.computes();
  if (writers < 1 || writers > 8 || topology.readers() > 64) {
    return InvalidArgument("topology: 1 to 8 tailers or computes, at most 64 readers");
  }
  if (topology.tailers() > 0 && topology.computes() > 0) {
    return InvalidArgument("topology: tailers or computes, not both");
  }
  if (topology.rocksdb_percent() > 100) {
    return InvalidArgument("topology: rocksdb_percent is at most 100");
  }
  const uint32_t logs = topology.log_servers();
  if (logs != 0 && logs != 3 && logs != 5) {
    return InvalidArgument("topology: log_servers is 0 (one server with every role), 3 or 5");
  }
  if (topology.page_servers() > 8 || (logs == 0 && topology.page_servers() > 0)) {
    return InvalidArgument("topology: at most 8 page_servers, and they need log_servers");
  }
  if (topology.log_format() != 0 &&
      (topology.log_format() < kSegmentVersionOldest || topology.log_format() > kSegmentVersion)) {
    return InvalidArgument("topology: log_format lies within " +
                           std::to_string(kSegmentVersionOldest) + " .. " +
                           std::to_string(kSegmentVersion));
  }
  if (logs > 0 && topology.readers() > 0 && topology.page_servers() == 0) {
    return InvalidArgument("topology: readers need page_servers");
  }
  return Status::Ok();
}

Status CheckNetwork(const proto::Network& network) {
  if (network.has_tail_ppm() != network.has_tail_ms_mean()) {
    return InvalidArgument("network: tail_ppm and tail_ms_mean need each other");
  }
  if (network.has_tail_ppm()) {
    REDOUBT_RETURN_IF_ERROR(CheckRange(network.tail_ppm(), 0, 1'000'000, "tail_ppm"));
    REDOUBT_RETURN_IF_ERROR(CheckRange(network.tail_ms_mean(), 1, 60'000, "tail_ms_mean"));
  }
  return network.has_kib_per_s() ? CheckRange(network.kib_per_s(), 16, 10'000'000, "kib_per_s")
                                 : Status::Ok();
}

Status CheckFault(const proto::Scenario& scenario, proto::FaultKind kind, uint64_t size_max,
                  const std::string& text, proto::FaultTarget target) {
  const std::string name = proto::FaultKind_Name(kind);
  if (kind == proto::FAULT_UNKNOWN) {
    return InvalidArgument("a fault needs a kind");
  }
  const proto::Topology& topology = scenario.topology();
  if (kind == proto::TAKE_OVER && topology.tailers() + topology.computes() < 2) {
    return InvalidArgument("TAKE_OVER needs a second tailer or compute");
  }
  if (kind == proto::WRITER_KILL_IN_RECOVERY && topology.computes() == 0) {
    return InvalidArgument(name + " needs a compute");
  }
  if (kind == proto::DOWNGRADE && topology.log_format() == 0) {
    return InvalidArgument(name + " needs topology.log_format, the older version's");
  }
  if (kind == proto::SERVER_POWER_AT_EVENT && text.empty()) {
    return InvalidArgument(name + " needs a text");
  }
  if (kind == proto::CLOCK_DRIFT && size_max > SimClock::kDriftPpmMax) {
    return InvalidArgument(name + ": size is at most " + std::to_string(SimClock::kDriftPpmMax));
  }
  if (TakesSyncedBytes(kind) && !scenario.beyond_budget() &&
      !OthersHaveACopy(scenario.topology(), kind, target, text)) {
    return InvalidArgument(name + " damages the only copy: the scenario needs beyond_budget");
  }
  return CheckTarget(scenario.topology(), name, target);
}

// What a swarm's fault and a scheduled one have in common.
template <typename Fault>
Status CheckFaultOf(const proto::Scenario& scenario, const Fault& fault, uint64_t size_max) {
  REDOUBT_RETURN_IF_ERROR(
      CheckFault(scenario, fault.kind(), size_max, fault.text(), fault.target()));
  if (!fault.has_trigger()) {
    return Status::Ok();
  }
  REDOUBT_RETURN_IF_ERROR(CheckTrigger(fault.trigger()));
  return CheckTarget(scenario.topology(), "a trigger", fault.trigger().at());
}

Status CheckScheduled(const proto::Scenario& scenario, const proto::ScheduledFault& fault) {
  REDOUBT_RETURN_IF_ERROR(CheckFaultOf(scenario, fault, fault.size()));
  if (fault.peer() != proto::TARGET_ANY && fault.kind() != proto::PARTITION) {
    return InvalidArgument(proto::FaultKind_Name(fault.kind()) + " has no peer");
  }
  if (fault.every_ms() != 0 && scenario.phases().chaos_ms() / fault.every_ms() >= kSwarmFaultsMax) {
    return InvalidArgument(proto::FaultKind_Name(fault.kind()) + ": every_ms gives more than " +
                           std::to_string(kSwarmFaultsMax) + " faults");
  }
  return CheckTarget(scenario.topology(), "a peer", fault.peer());
}

Status CheckSequence(const proto::Scenario& scenario, const proto::FaultSequence& sequence) {
  if (sequence.name().empty() || sequence.steps().empty() || sequence.interval_ms().min() == 0) {
    return InvalidArgument("a sequence needs a name, steps and an interval");
  }
  for (const proto::FaultStep& step : sequence.steps()) {
    const proto::ScheduledFault& fault = step.fault();
    REDOUBT_RETURN_IF_ERROR(CheckScheduled(scenario, fault));
    if (fault.at_ms() != 0 || fault.duration_ms() != 0 || fault.draw() != 0 ||
        fault.every_ms() != 0) {
      return InvalidArgument("sequence " + sequence.name() +
                             ": times of a fault are its step's, after_ms and duration_ms");
    }
  }
  return Status::Ok();
}

Status CheckCheckers(const proto::Scenario& scenario) {
  for (const std::string& name : scenario.checkers()) {
    if (std::find(kCheckerNames.begin(), kCheckerNames.end(), name) == kCheckerNames.end()) {
      return InvalidArgument("checkers: none is called " + name + "; there are C1 to C10");
    }
  }
  return Status::Ok();
}

// What is played must be there, and be what an explicit scenario was made with.
Status CheckRecording(const proto::Workload& load) {
  const Result<std::unique_ptr<const LoadedRecording>> recording =
      LoadRecording(load.recorded_redo());
  if (!recording.ok()) {
    return recording.status();
  }
  const uint32_t expected = load.recorded_redo_crc32c();
  if (expected != 0 && expected != (*recording)->file_crc32c) {
    return InvalidArgument("recording " + load.recorded_redo() +
                           " is not the file that this run was made with");
  }
  return Status::Ok();
}

// Where the redo comes from.
Status CheckSource(const proto::Scenario& scenario) {
  const proto::Workload& load = scenario.workload();
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.catalogue_every(), 0, 100'000, "catalogue_every"));
  const bool tables = load.catalogue_every().min() != 0 || load.catalogue_every().max() != 0;
  if (tables && scenario.topology().local_storage()) {
    return InvalidArgument("topology: local_storage knows no tables: no catalogue_every");
  }
  if (!load.recorded_redo().empty()) {
    if (tables) {
      return InvalidArgument("recorded_redo is what it is: no catalogue_every");
    }
    if (scenario.topology().computes() > 0) {
      return InvalidArgument("recorded_redo has a server of its own: no computes");
    }
    REDOUBT_RETURN_IF_ERROR(
        CheckRange(load.redo_bytes_per_s(), 1, 100'000'000, "redo_bytes_per_s"));
    return CheckRecording(load);
  }
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_size_log2(), 12, 16, "page_size_log2"));
  if (scenario.topology().computes() > 0) {
    if (scenario.topology().local_storage()) {
      return InvalidArgument(
          "topology: local_storage follows a server that writes redo: no computes");
    }
    REDOUBT_RETURN_IF_ERROR(CheckRange(load.compute_clients(), 0, 16, "compute_clients"));
    if (!proto::ComputeMode_IsValid(load.compute_mode())) {
      return InvalidArgument("compute_mode: unknown number");
    }
    REDOUBT_RETURN_IF_ERROR(CheckRange(load.accounts(), 0, 2000, "accounts"));
    REDOUBT_RETURN_IF_ERROR(CheckRange(load.think_ms(), 0, 60'000, "think_ms"));
    REDOUBT_RETURN_IF_ERROR(CheckRange(load.pool_pages(), 0, 100'000, "pool_pages"));
    REDOUBT_RETURN_IF_ERROR(CheckRange(load.lookup_percent(), 0, 100, "lookup_percent"));
    return CheckRange(load.rows_per_page(), 0, 64, "rows_per_page");
  }
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.spaces(), 1, 1000, "spaces"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.pages_per_space(), 2, 10'000, "pages_per_space"));
  return CheckRange(load.redo_bytes_per_s(), 1, 100'000'000, "redo_bytes_per_s");
}

}  // namespace

Status CheckScenario(const proto::Scenario& scenario) {
  if (scenario.knobs_size() > 0) {
    for (const bool high : {false, true}) {
      Result<proto::Scenario> one = WithKnobsAt(scenario, high);
      REDOUBT_RETURN_IF_ERROR(one.ok() ? CheckScenario(*one) : one.status());
    }
    return Status::Ok();
  }
  const proto::Workload& load = scenario.workload();
  REDOUBT_RETURN_IF_ERROR(CheckCheckers(scenario));
  REDOUBT_RETURN_IF_ERROR(CheckSource(scenario));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.chunk_bytes_max(), 1, 8 << 20, "chunk_bytes_max"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.read_interval_ms(), 1, 3'600'000, "read_interval_ms"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.impatient_percent(), 0, 100, "impatient_percent"));
  REDOUBT_RETURN_IF_ERROR(
      CheckRange(load.neighbour_interval_ms(), 0, 3'600'000, "neighbour_interval_ms"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_batch_bytes(), 1, 1 << 30, "page_batch_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.log_segment_bytes(), 4096, 1 << 30, "log_segment_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.log_tail_bytes(), 1, 1 << 30, "log_tail_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.page_cache_bytes(), 1, 1 << 30, "page_cache_bytes"));
  REDOUBT_RETURN_IF_ERROR(CheckTopology(scenario.topology()));
  REDOUBT_RETURN_IF_ERROR(CheckNetwork(scenario.network()));
  const auto wipes_pages = [](const auto& fault) {
    return TakesSyncedBytes(fault.kind()) && fault.target() == proto::TARGET_PAGE;
  };
  const bool pages_wiped =
      std::any_of(scenario.swarm().begin(), scenario.swarm().end(), wipes_pages) ||
      std::any_of(scenario.schedule().begin(), scenario.schedule().end(), wipes_pages);
  if (pages_wiped && !scenario.beyond_budget() &&
      load.log_segment_bytes().min() < kSegmentBytesUntrimmed) {
    return InvalidArgument(
        "a page server that lost its disk needs all redo: log_segment_bytes of at least " +
        std::to_string(kSegmentBytesUntrimmed) + ", so that nothing is trimmed");
  }
  if (scenario.phases().chaos_ms() == 0 || scenario.phases().calm_ms_max() == 0) {
    return InvalidArgument("phases: chaos_ms and calm_ms_max are needed");
  }
  for (const proto::SwarmFault& fault : scenario.swarm()) {
    if (fault.interval_ms().min() == 0) {
      return InvalidArgument("swarm: a fault needs an interval");
    }
    const uint64_t size_max = std::max(fault.size().min(), fault.size().max());
    REDOUBT_RETURN_IF_ERROR(CheckFaultOf(scenario, fault, size_max));
  }
  for (const proto::ScheduledFault& fault : scenario.schedule()) {
    REDOUBT_RETURN_IF_ERROR(CheckScheduled(scenario, fault));
  }
  for (const proto::FaultSequence& sequence : scenario.sequences()) {
    REDOUBT_RETURN_IF_ERROR(CheckSequence(scenario, sequence));
  }
  return Status::Ok();
}

Result<proto::Scenario> ParseScenario(const std::string& text) {
  proto::Scenario scenario;
  REDOUBT_RETURN_IF_ERROR(ParseText(text, &scenario));
  REDOUBT_RETURN_IF_ERROR(CheckScenario(scenario));
  return scenario;
}

}  // namespace redoubt::sim
