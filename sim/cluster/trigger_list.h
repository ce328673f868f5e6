// SPDX-License-Identifier: MIT
//
// What waits for something to happen on a node: a line of its log, a probe, a request that reaches
// it, an operation on a file. Whoever watches the nodes tells this list what it sees.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/status.h"
#include "proto/scenario.pb.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

// kInvalidArgument: `trigger` does not name one thing to wait for, or one that there is not.
Status CheckTrigger(const proto::Trigger& trigger);

class TriggerList {
 public:
  // `why`: what was seen.
  using Action = std::function<void(NodeId where, std::string_view why)>;

  // Calls `action` once, at the trigger's count-th match from now on at one of the nodes `where`;
  // empty: at any. The delay is the caller's. Actions may call Wait and Clear.
  void Wait(proto::Trigger trigger, std::vector<NodeId> where, Action action);
  void Clear() { waiting_.clear(); }

  void SawLine(NodeId node, std::string_view line);
  // Probes; `event` as the run's trace has it.
  void SawEvent(const TraceEvent& event);
  void SawFileOp(NodeId node, std::string_view op, std::string_view path);
  // `segment`: bytes of a stream, as the network delivers them; those of frames are found by their
  // heads.
  void SawSegment(NodeId to, ByteView segment);

 private:
  struct Waiting {
    proto::Trigger trigger;
    std::vector<NodeId> where;
    Action action;
    uint32_t left = 1;
  };
  template <typename Matches>
  void Saw(NodeId node, std::string_view why, Matches matches);

  std::vector<Waiting> waiting_;
};

}  // namespace redoubt::sim
