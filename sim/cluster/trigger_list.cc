// SPDX-License-Identifier: MIT
#include "sim/cluster/trigger_list.h"

#include <algorithm>
#include <utility>

#include "common/runtime/frame_stream.h"
#include "common/runtime/rpc/wire_message.h"
#include "sim/runtime/sim_disk.h"
#include "sim/trace/probes.h"

namespace redoubt::sim {
namespace {

bool Contains(std::string_view text, std::string_view word) { return text.find(word) != text.npos; }

const Probe* FindProbe(std::string_view name) {
  for (const Probe& probe : ProbeCatalogue()) {
    if (probe.name == name) {
      return &probe;
    }
  }
  return nullptr;
}

bool IsFileOp(std::string_view name) {
  for (int op = 0; op <= static_cast<int>(FileOp::kMakeDirectory); ++op) {
    if (FileOpName(static_cast<FileOp>(op)) == name) {
      return true;
    }
  }
  return false;
}

}  // namespace

Status CheckTrigger(const proto::Trigger& trigger) {
  const int named = (trigger.log_text().empty() ? 0 : 1) + (trigger.probe().empty() ? 0 : 1) +
                    (trigger.request() == proto::MESSAGE_UNKNOWN ? 0 : 1) +
                    (trigger.file_path().empty() ? 0 : 1);
  if (named != 1) {
    return InvalidArgument("a trigger names one of log_text, probe, request and file_path");
  }
  if (!trigger.probe().empty() && FindProbe(trigger.probe()) == nullptr) {
    return InvalidArgument("trigger: no probe is named " + trigger.probe());
  }
  if (!trigger.file_op().empty() && (trigger.file_path().empty() || !IsFileOp(trigger.file_op()))) {
    return InvalidArgument("trigger: file_op " + trigger.file_op() +
                           " is none, or has no file_path beside it");
  }
  return Status::Ok();
}

void TriggerList::Wait(proto::Trigger trigger, std::vector<NodeId> where, Action action) {
  const uint32_t count = std::max<uint32_t>(trigger.count(), 1);
  waiting_.push_back({std::move(trigger), std::move(where), std::move(action), count});
}

template <typename Matches>
void TriggerList::Saw(NodeId node, std::string_view why, Matches matches) {
  std::vector<Action> due;
  for (Waiting& waiting : waiting_) {
    const bool here = waiting.where.empty() || std::find(waiting.where.begin(), waiting.where.end(),
                                                         node) != waiting.where.end();
    if (here && matches(waiting.trigger) && --waiting.left == 0) {
      due.push_back(std::move(waiting.action));
    }
  }
  if (due.empty()) {
    return;
  }
  std::erase_if(waiting_, [](const Waiting& waiting) { return waiting.left == 0; });
  for (const Action& action : due) {
    action(node, why);
  }
}

void TriggerList::SawLine(NodeId node, std::string_view line) {
  Saw(node, line, [line](const proto::Trigger& trigger) {
    return !trigger.log_text().empty() && Contains(line, trigger.log_text());
  });
}

void TriggerList::SawEvent(const TraceEvent& event) {
  Saw(event.node, event.text, [&event](const proto::Trigger& trigger) {
    const Probe* probe = trigger.probe().empty() ? nullptr : FindProbe(trigger.probe());
    return probe != nullptr && probe->event == event.kind && Contains(event.text, probe->word);
  });
}

void TriggerList::SawFileOp(NodeId node, std::string_view op, std::string_view path) {
  Saw(node, path, [op, path](const proto::Trigger& trigger) {
    return !trigger.file_path().empty() && Contains(path, trigger.file_path()) &&
           (trigger.file_op().empty() || trigger.file_op() == op);
  });
}

void TriggerList::SawSegment(NodeId to, ByteView segment) {
  while (segment.size() >= kFrameFixedBytes) {
    const Result<FrameLengths> lengths =
        DecodeFrameLengths(segment.first(kFrameFixedBytes), FrameLimits());
    if (!lengths.ok()) {
      return;  // the middle of a large frame
    }
    const uint16_t type = LoadBe16(segment.data() + 12);
    const std::string& name = proto::MessageType_Name(static_cast<proto::MessageType>(type));
    if (!name.empty()) {  // answers have none
      Saw(to, name, [type](const proto::Trigger& trigger) {
        return trigger.request() != proto::MESSAGE_UNKNOWN && trigger.request() == type;
      });
    }
    const size_t whole = kFrameFixedBytes + lengths->header_bytes + lengths->payload_bytes;
    segment = segment.subspan(std::min(segment.size(), whole));
  }
}

}  // namespace redoubt::sim
