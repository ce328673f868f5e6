// SPDX-License-Identifier: MIT
//
// A run as lines of at most 120 columns, one for each time that a node, or the run as a whole, came
// into another state:
//
//    seconds  run and nodes  node     role, epoch, LSN, commit, applied, on disk, unsynced  what
//   2.318733     ..S-..      log3    L    3  17179870184    -512      .      .     4  ready
//
// The second column has a place for the run and one for each node: a letter where it happened, '.'
// for a node that is up, '-' for one that is down. Of the LSNs the first is a node's furthest one;
// the others say how far behind it they are, '=' for not at all, '.' for one that it does not have.
// What happens all the time, such as acknowledgements, is shown twice a virtual second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/runtime/trace.h"

namespace redoubt::sim {

class StateLines {
 public:
  explicit StateLines(std::vector<std::string> node_names);

  // Which column is which; several lines, each with its end.
  std::string Head() const;
  // With its end; "" for an event that is no change, or one of those that happen all the time.
  std::string Line(const TraceEvent& event);

 private:
  std::string_view NameOf(NodeId node) const;
  void NoteLife(const TraceEvent& event);
  std::string Picture(const TraceEvent& event, char letter) const;

  std::vector<std::string> names_;
  std::vector<bool> up_;
  int64_t next_progress_ns_ = 0;
};

}  // namespace redoubt::sim
