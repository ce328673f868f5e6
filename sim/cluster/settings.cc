// SPDX-License-Identifier: MIT
#include "sim/cluster/settings.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/innodb/log_block.h"
#include "pageserver/log/redo_segment.h"
#include "sim/cluster/trigger_list.h"
#include "sim/workload/model_server.h"
#include "sim/workload/recorded_server.h"
#include "sim/workload/recording.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;
// Of the swarm's faults in one run: keeps a stored schedule readable. The earliest stay.
constexpr size_t kSwarmFaultsMax = 800;
// More than any run produces: no segment is ever full, so none is trimmed.
constexpr uint64_t kSegmentBytesUntrimmed = 64 << 20;
// Machines that were switched on up to a year ago.
constexpr int64_t kClockOriginNsMax = 365LL * 86'400 * 1'000'000'000;

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
  return CheckTarget(scenario.topology(), "a peer", fault.peer());
}

Status CheckSequence(const proto::Scenario& scenario, const proto::FaultSequence& sequence) {
  if (sequence.name().empty() || sequence.steps().empty() || sequence.interval_ms().min() == 0) {
    return InvalidArgument("a sequence needs a name, steps and an interval");
  }
  for (const proto::FaultStep& step : sequence.steps()) {
    const proto::ScheduledFault& fault = step.fault();
    REDOUBT_RETURN_IF_ERROR(CheckScheduled(scenario, fault));
    if (fault.at_ms() != 0 || fault.duration_ms() != 0 || fault.draw() != 0) {
      return InvalidArgument("sequence " + sequence.name() +
                             ": times of a fault are its step's, after_ms and duration_ms");
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
    return CheckRange(load.rows_per_page(), 0, 64, "rows_per_page");
  }
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.spaces(), 1, 1000, "spaces"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.pages_per_space(), 2, 10'000, "pages_per_space"));
  return CheckRange(load.redo_bytes_per_s(), 1, 100'000'000, "redo_bytes_per_s");
}

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Gives every range in `message` one value, each drawn from the stream of its own name.
void DrawRanges(RandomRoot* root, Message* message) {
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) {
      continue;
    }
    Message* part = reflection->MutableMessage(message, field);
    if (part->GetDescriptor() != proto::Range::descriptor()) {
      DrawRanges(root, part);
      continue;
    }
    auto* range = static_cast<proto::Range*>(part);
    SeededStream stream(root, "config:" + field->full_name(), 0);
    range->set_min(DrawRange(*range, &stream));
    range->clear_max();
  }
}

// All faults of one class until the chaos phase ends; none when this seed has the class off.
std::vector<proto::ScheduledFault> DrawFaults(const proto::SwarmFault& swarm, uint64_t end_ns,
                                              RandomRoot* root) {
  std::vector<proto::ScheduledFault> faults;
  // The same kind with another target, or one that waits for something, is another class.
  const uint64_t fault_class = static_cast<uint64_t>(swarm.kind()) |
                               (static_cast<uint64_t>(swarm.target()) << 16) |
                               (swarm.has_trigger() ? uint64_t{1} << 24 : 0);
  SeededStream config(root, "fault-config", fault_class);
  if (config.Below(100) >= swarm.enable_percent()) {
    return faults;
  }
  const uint64_t interval_ns = std::max<uint64_t>(DrawRange(swarm.interval_ms(), &config), 1) * kMs;
  SeededStream stream(root, "fault", fault_class);
  uint64_t at_ns = stream.Exponential(interval_ns);
  while (at_ns < end_ns && faults.size() < kSwarmFaultsMax) {
    proto::ScheduledFault fault;
    fault.set_kind(swarm.kind());
    fault.set_at_ms(at_ns / kMs);
    fault.set_at_ns(static_cast<uint32_t>(at_ns % kMs));
    fault.set_duration_ms(DrawRange(swarm.duration_ms(), &stream));
    fault.set_size(DrawRange(swarm.size(), &stream));
    fault.set_text(swarm.text());
    fault.set_target(swarm.target());
    if (swarm.has_trigger()) {
      *fault.mutable_trigger() = swarm.trigger();
      fault.mutable_trigger()->set_delay_us(DrawRange(swarm.delay_us(), &stream));
    }
    fault.set_draw((fault_class << 32) | (faults.size() + 1));
    faults.push_back(std::move(fault));
    at_ns += std::max<uint64_t>(stream.Exponential(interval_ns), 1);
  }
  return faults;
}

// Who stands at which place in a round of a sequence: 1 ... count in drawn order.
std::vector<uint32_t> DrawOrder(uint32_t count, SeededStream* stream) {
  std::vector<uint32_t> order(count);
  for (uint32_t i = 0; i < count; ++i) {
    order[i] = i + 1;
  }
  for (uint32_t left = count; left > 1; --left) {
    std::swap(order[left - 1], order[stream->Below(left)]);
  }
  return order;
}

class SequenceRound {
 public:
  SequenceRound(const proto::Topology& topology, SeededStream* stream)
      : logs_(DrawOrder(topology.log_servers(), stream)),
        pages_(DrawOrder(topology.page_servers(), stream)) {}

  // The number of the node that stands at `place`.
  uint32_t NumberOf(proto::FaultTarget target, uint32_t place) const {
    const std::vector<uint32_t>& order = target == proto::TARGET_PAGE ? pages_ : logs_;
    const bool drawn = target == proto::TARGET_PAGE || target == proto::TARGET_LOG;
    return drawn && place > 0 && place <= order.size() ? order[place - 1] : place;
  }
  // A step's fault, at `at_ms`, with nothing left to draw.
  proto::ScheduledFault Draw(const proto::FaultStep& step, uint64_t at_ms,
                             SeededStream* stream) const {
    proto::ScheduledFault fault = step.fault();
    fault.set_at_ms(at_ms);
    fault.set_duration_ms(DrawRange(step.duration_ms(), stream));
    fault.set_node(NumberOf(fault.target(), fault.node()));
    fault.set_peer_node(NumberOf(fault.peer(), fault.peer_node()));
    if (fault.has_trigger()) {
      proto::Trigger* trigger = fault.mutable_trigger();
      trigger->set_at_node(NumberOf(trigger->at(), trigger->at_node()));
      trigger->set_delay_us(DrawRange(step.delay_us(), stream));
    }
    return fault;
  }

 private:
  std::vector<uint32_t> logs_;
  std::vector<uint32_t> pages_;
};

// All faults of a sequence's rounds until the chaos phase ends; none when this seed has it off.
std::vector<proto::ScheduledFault> DrawSequence(const proto::FaultSequence& sequence,
                                                const proto::Scenario& scenario, uint64_t draw_base,
                                                RandomRoot* root) {
  std::vector<proto::ScheduledFault> faults;
  const std::string name = "sequence:" + sequence.name();
  SeededStream stream(root, name, 0);
  if (stream.Below(100) >= sequence.enable_percent()) {
    return faults;
  }
  const uint64_t end_ms = scenario.phases().chaos_ms();
  uint64_t at_ms = DrawRange(sequence.interval_ms(), &stream);
  while (at_ms < end_ms && faults.size() < kSwarmFaultsMax) {
    const SequenceRound round(scenario.topology(), &stream);
    for (const proto::FaultStep& step : sequence.steps()) {
      at_ms += DrawRange(step.after_ms(), &stream);
      proto::ScheduledFault fault = round.Draw(step, at_ms, &stream);
      if (stream.Below(100) >= step.skip_percent() && at_ms < end_ms) {
        fault.set_draw(draw_base + faults.size());
        faults.push_back(std::move(fault));
      }
    }
    at_ms += std::max<uint64_t>(DrawRange(sequence.interval_ms(), &stream), 1);
  }
  return faults;
}

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

// What the load says of computes; returns it as text.
std::string ResolveCompute(const proto::Workload& load, ModelComputeOptions* compute) {
  std::string description;
  const auto set = [&description](const char* name, const proto::Range& range, auto* value) {
    using Value = std::remove_pointer_t<decltype(value)>;
    *value = range.min() == 0 ? *value : static_cast<Value>(range.min());
    description += std::string(name) + '=' + std::to_string(*value) + ' ';
  };
  uint64_t think_ms = compute->think_ns / kMs;
  set("compute_clients", load.compute_clients(), &compute->bank.slot_count);
  set("accounts", load.accounts(), &compute->bank.account_count);
  set("think_ms", load.think_ms(), &think_ms);
  set("pool_pages", load.pool_pages(), &compute->pool_page_count);
  set("rows_per_page", load.rows_per_page(), &compute->bank.rows_per_page);
  compute->think_ns = think_ms * kMs;
  compute->pool_page_count =
      std::max(compute->pool_page_count, ModelCompute::PoolPagesNeeded(compute->bank.slot_count));
  return description;
}

// What a scenario says of its links beyond their mean latency; nothing for most.
void ResolveLinks(const proto::Network& network, NetOptions* net, std::string* description) {
  if (network.has_tail_ppm()) {
    net->tail_ppm = static_cast<uint32_t>(network.tail_ppm().min());
    net->tail_ns_mean = static_cast<int64_t>(network.tail_ms_mean().min() * kMs);
    *description += "tail_ppm=" + std::to_string(net->tail_ppm) +
                    " tail_ms_mean=" + std::to_string(network.tail_ms_mean().min()) + ' ';
  }
  if (network.has_kib_per_s()) {
    net->bytes_per_s = network.kib_per_s().min() * 1024;
    *description += "kib_per_s=" + std::to_string(network.kib_per_s().min()) + ' ';
  }
}

// The scenario was parsed, so it is there.
std::unique_ptr<const LoadedRecording> MustLoad(const std::string& name) {
  Result<std::unique_ptr<const LoadedRecording>> recording = LoadRecording(name);
  REDOUBT_CHECK(recording.ok());
  return std::move(*recording);
}

bool FiresEarlier(const proto::ScheduledFault& a, const proto::ScheduledFault& b) {
  return FireTimeNs(a) < FireTimeNs(b);
}

}  // namespace

std::unique_ptr<FollowedServer> MakeFollowedServer(const RunSettings& settings, RandomRoot* random,
                                                   PageHistory* history) {
  if (!settings.recorded_redo.empty()) {
    return std::make_unique<RecordedServer>(MustLoad(settings.recorded_redo), history);
  }
  const ModelServerOptions options{settings.page_size, settings.spaces, settings.pages_per_space,
                                   settings.catalogue_every, settings.begin_lsn};
  return std::make_unique<ModelServer>(options, random, history);
}

Status CheckScenario(const proto::Scenario& scenario) {
  const proto::Workload& load = scenario.workload();
  REDOUBT_RETURN_IF_ERROR(CheckSource(scenario));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.chunk_bytes_max(), 1, 8 << 20, "chunk_bytes_max"));
  REDOUBT_RETURN_IF_ERROR(CheckRange(load.read_interval_ms(), 1, 3'600'000, "read_interval_ms"));
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

uint64_t FireTimeNs(const proto::ScheduledFault& fault) {
  return fault.at_ms() * kMs + fault.at_ns();
}

proto::Scenario Explicit(const proto::Scenario& scenario, uint64_t seed) {
  RandomRoot root(seed);
  proto::Scenario one = scenario;
  one.clear_swarm();
  one.clear_sequences();
  DrawRanges(&root, &one);
  SeededStream store(&root, "store", 0);
  const bool rocksdb = store.Chance(scenario.topology().rocksdb_percent() * 10'000);
  one.mutable_topology()->set_rocksdb_percent(rocksdb ? 100 : 0);
  if (!one.workload().recorded_redo().empty()) {
    one.mutable_workload()->set_recorded_redo_crc32c(
        MustLoad(one.workload().recorded_redo())->file_crc32c);
  }
  std::vector<proto::ScheduledFault> drawn;
  for (const proto::SwarmFault& swarm : scenario.swarm()) {
    const uint64_t end_ns = scenario.phases().chaos_ms() * kMs;
    std::vector<proto::ScheduledFault> faults = DrawFaults(swarm, end_ns, &root);
    std::move(faults.begin(), faults.end(), std::back_inserter(drawn));
  }
  for (int i = 0; i < scenario.sequences_size(); ++i) {
    const uint64_t draw_base = static_cast<uint64_t>(i + 1) << 60;
    std::vector<proto::ScheduledFault> faults =
        DrawSequence(scenario.sequences(i), scenario, draw_base, &root);
    std::move(faults.begin(), faults.end(), std::back_inserter(drawn));
  }
  std::stable_sort(drawn.begin(), drawn.end(), FiresEarlier);
  drawn.resize(std::min(drawn.size(), kSwarmFaultsMax));
  for (int i = 0; i < one.schedule_size(); ++i) {
    proto::ScheduledFault* fault = one.mutable_schedule(i);
    if (fault->draw() == 0) {
      fault->set_draw(static_cast<uint64_t>(i) + 1);
    }
  }
  for (const proto::ScheduledFault& fault : drawn) {
    *one.add_schedule() = fault;
  }
  std::stable_sort(one.mutable_schedule()->begin(), one.mutable_schedule()->end(), FiresEarlier);
  return one;
}

ResolvedScenario Resolve(const proto::Scenario& scenario, uint64_t seed) {
  const proto::Scenario one = Explicit(scenario, seed);
  RandomRoot root(seed);
  ResolvedScenario resolved;
  RunSettings& run = resolved.run;
  const proto::Workload& load = one.workload();
  const auto value_of = [&](const char* name, const proto::Range& range) {
    resolved.description += std::string(name) + '=' + std::to_string(range.min()) + ' ';
    return range.min();
  };
  run.recorded_redo = load.recorded_redo();
  run.computes = one.topology().computes() > 0;
  if (!run.recorded_redo.empty()) {
    const std::unique_ptr<const LoadedRecording> recording = MustLoad(run.recorded_redo);
    run.page_size = recording->content.page_size();
    run.begin_lsn = Lsn(recording->content.begin_lsn());
    resolved.description += "recorded_redo=" + run.recorded_redo + ' ';
  } else {
    run.page_size = 1U << value_of("page_size_log2", load.page_size_log2());
    SeededStream begin(&root, "begin-lsn", 0);
    run.begin_lsn = innodb::ToLsn(
        Sn(begin.Between(innodb::ToSn(innodb::kFirstDataLsn).value(), uint64_t{1} << 34)));
  }
  if (run.computes) {
    resolved.description += ResolveCompute(load, &run.compute);
    run.compute_mode = static_cast<ComputeMode>(load.compute_mode());
    if (run.compute_mode != ComputeMode::kPagesOnly) {
      resolved.description += proto::ComputeMode_Name(load.compute_mode()) + ' ';
    }
    run.compute.bank.page_size = run.page_size;
    run.compute.chunk_bytes_max = load.chunk_bytes_max().min();
  } else {
    run.redo_bytes_per_s = value_of("redo_bytes_per_s", load.redo_bytes_per_s());
  }
  if (!run.computes && run.recorded_redo.empty()) {
    run.spaces = static_cast<uint32_t>(value_of("spaces", load.spaces()));
    run.pages_per_space =
        static_cast<uint32_t>(value_of("pages_per_space", load.pages_per_space()));
  }
  run.catalogue_every = static_cast<uint32_t>(value_of("catalogue_every", load.catalogue_every()));
  run.compute.catalogue_every = run.catalogue_every;
  run.chunk_bytes_max = value_of("chunk_bytes_max", load.chunk_bytes_max());
  run.read_interval_ns =
      static_cast<int64_t>(value_of("read_interval_ms", load.read_interval_ms()) * kMs);
  run.page_batch_bytes = value_of("page_batch_bytes", load.page_batch_bytes());
  run.log_segment_bytes = value_of("log_segment_bytes", load.log_segment_bytes());
  run.log_tail_bytes = value_of("log_tail_bytes", load.log_tail_bytes());
  run.page_cache_bytes = value_of("page_cache_bytes", load.page_cache_bytes());
  run.page_flush_ns = DrawFlushNs(&root);
  resolved.description += "page_flush_ms=" + std::to_string(run.page_flush_ns / 1'000'000) + ' ';
  run.burst_ns = DrawBurstNs(&root);
  resolved.description += "burst_ms=" + std::to_string(run.burst_ns / 1'000'000) + ' ';
  run.log_format = one.topology().log_format();
  if (run.log_format != 0) {
    resolved.description += "log_format=" + std::to_string(run.log_format) + ' ';
  }
  run.log_servers = one.topology().log_servers();
  run.page_servers = one.topology().page_servers();
  if (run.log_servers > 0) {
    SeededStream uid(&root, "volume-uid", 0);
    run.volume_uid = uid.Between(1, uint64_t{1} << 62);
  }
  run.rocksdb_store = one.topology().rocksdb_percent() == 100;
  resolved.description += run.rocksdb_store ? "store=rocksdb " : "store=memory ";
  SimOptions& sim = resolved.sim;
  sim.seed = seed;
  sim.clock_origin_ns_max = kClockOriginNsMax;
  SeededStream jitter(&root, "jitter-config", 0);
  sim.resume_jitter_ppm = static_cast<uint32_t>(jitter.Below(3) * 5'000);
  sim.blocking_ns_mean = DrawBlockingNs(&root);
  resolved.description += "blocking_us=" + std::to_string(sim.blocking_ns_mean / 1000) + ' ';
  sim.net.latency_ns_mean =
      static_cast<int64_t>(value_of("latency_us_mean", one.network().latency_us_mean()) * 1000);
  ResolveLinks(one.network(), &sim.net, &resolved.description);
  sim.disk.sync_ns_mean =
      static_cast<int64_t>(value_of("sync_us_mean", one.disk().sync_us_mean()) * 1000);
  sim.disk.torn_crashes_only = one.disk().torn_crashes_only();
  resolved.beyond_budget = one.beyond_budget();
  resolved.description += "faults=";
  std::set<proto::FaultKind> kinds;
  for (const proto::ScheduledFault& fault : one.schedule()) {
    kinds.insert(fault.kind());
    resolved.schedule.push_back(fault);
  }
  for (const proto::FaultKind kind : kinds) {
    resolved.description += proto::FaultKind_Name(kind) + ',';
  }
  return resolved;
}

}  // namespace redoubt::sim
