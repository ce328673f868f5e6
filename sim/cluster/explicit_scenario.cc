// SPDX-License-Identifier: MIT
#include "sim/cluster/explicit_scenario.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster/knobs.h"
#include "sim/cluster/scenario_check.h"
#include "sim/workload/recording.h"

namespace redoubt::sim {
namespace {

constexpr uint64_t kMs = 1'000'000;

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

// One round of a sequence: which server stands at which of its places.
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

// A scheduled fault with every_ms, as often as it happens. The first one draws what it would alone.
std::vector<proto::ScheduledFault> Repeat(const proto::ScheduledFault& fault, size_t place,
                                          uint64_t chaos_ms) {
  std::vector<proto::ScheduledFault> faults(1, fault);
  faults.front().clear_every_ms();
  for (uint64_t at_ms = fault.at_ms() + fault.every_ms(); fault.every_ms() != 0 && at_ms < chaos_ms;
       at_ms += fault.every_ms()) {
    proto::ScheduledFault again = faults.front();
    again.set_at_ms(at_ms);
    again.set_draw((uint64_t{1} << 59) | (place << 20) | faults.size());
    faults.push_back(std::move(again));
  }
  return faults;
}

bool FiresEarlier(const proto::ScheduledFault& a, const proto::ScheduledFault& b) {
  return FireTimeNs(a) < FireTimeNs(b);
}

}  // namespace

uint64_t DrawRange(const proto::Range& range, SeededStream* stream) {
  return range.max() <= range.min() ? range.min() : stream->Between(range.min(), range.max());
}

uint64_t FireTimeNs(const proto::ScheduledFault& fault) {
  return fault.at_ms() * kMs + fault.at_ns();
}

proto::Scenario Explicit(const proto::Scenario& scenario, uint64_t seed) {
  RandomRoot root(seed);
  proto::Scenario one = WithKnobs(scenario, seed);
  one.clear_swarm();
  one.clear_sequences();
  DrawRanges(&root, &one);
  SeededStream store(&root, "store", 0);
  const bool rocksdb = store.Chance(one.topology().rocksdb_percent() * 10'000);
  one.mutable_topology()->set_rocksdb_percent(rocksdb ? 100 : 0);
  if (!one.workload().recorded_redo().empty()) {
    one.mutable_workload()->set_recorded_redo_crc32c(
        LoadKnownRecording(one.workload().recorded_redo())->file_crc32c);
  }
  std::vector<proto::ScheduledFault> drawn;
  for (const proto::SwarmFault& swarm : scenario.swarm()) {
    const uint64_t end_ns = one.phases().chaos_ms() * kMs;
    std::vector<proto::ScheduledFault> faults = DrawFaults(swarm, end_ns, &root);
    std::move(faults.begin(), faults.end(), std::back_inserter(drawn));
  }
  for (int i = 0; i < scenario.sequences_size(); ++i) {
    const uint64_t draw_base = static_cast<uint64_t>(i + 1) << 60;
    std::vector<proto::ScheduledFault> faults =
        DrawSequence(scenario.sequences(i), one, draw_base, &root);
    std::move(faults.begin(), faults.end(), std::back_inserter(drawn));
  }
  std::stable_sort(drawn.begin(), drawn.end(), FiresEarlier);
  drawn.resize(std::min(drawn.size(), kSwarmFaultsMax));
  std::vector<proto::ScheduledFault> scheduled(one.schedule().begin(), one.schedule().end());
  one.clear_schedule();
  for (size_t i = 0; i < scheduled.size(); ++i) {
    if (scheduled[i].draw() == 0) {
      scheduled[i].set_draw(i + 1);
    }
    for (const proto::ScheduledFault& fault :
         Repeat(scheduled[i], i + 1, one.phases().chaos_ms())) {
      *one.add_schedule() = fault;
    }
  }
  for (const proto::ScheduledFault& fault : drawn) {
    *one.add_schedule() = fault;
  }
  std::stable_sort(one.mutable_schedule()->begin(), one.mutable_schedule()->end(), FiresEarlier);
  return one;
}

}  // namespace redoubt::sim
