// SPDX-License-Identifier: MIT
//
// C10: nothing leaks. Once its clients are gone and it was asked to stop, a server has ended all
// its work and given back everything that it held.
#pragma once

#include <cstdint>
#include <string>

#include "sim/oracle/findings.h"

namespace redoubt::sim {

// What a node holds of the world.
struct Holdings {
  uint64_t connections = 0;  // ends that it has not closed
  uint64_t listeners = 0;
  uint64_t open_files = 0;
  uint64_t timers = 0;  // sleeping or runnable coroutines
  uint64_t tasks = 0;   // of its program that have not returned
};

class LeakCheck {
 public:
  explicit LeakCheck(Findings* findings) : findings_(findings) {}

  // All clients have been gone for a while: a server has no business with connections any more.
  void ClientsGone(const std::string& node, const Holdings& held) {
    ++checked_count_;
    Expect(node, "without clients", "connections", held.connections);
  }
  // What a server's page cache holds by its own count, with the work done and nothing evicted
  // since.
  void Cached(const std::string& node, uint64_t bytes, uint64_t bytes_max) {
    ++checked_count_;
    if (bytes > bytes_max) {
      findings_->Report("C10", node + " holds " + std::to_string(bytes) +
                                   " bytes in its page cache, " + std::to_string(bytes_max) +
                                   " are allowed");
    }
  }
  void Stopped(const std::string& node, const Holdings& held) {
    ++checked_count_;
    Expect(node, "after its stop", "connections", held.connections);
    Expect(node, "after its stop", "listeners", held.listeners);
    Expect(node, "after its stop", "open files", held.open_files);
    Expect(node, "after its stop", "timers", held.timers);
    Expect(node, "after its stop", "tasks", held.tasks);
  }
  uint64_t checked_count() const { return checked_count_; }

 private:
  void Expect(const std::string& node, const char* when, const char* what, uint64_t count) {
    if (count != 0) {
      findings_->Report("C10",
                        node + " still holds " + std::to_string(count) + " " + what + " " + when);
    }
  }

  Findings* findings_;
  uint64_t checked_count_ = 0;
};

}  // namespace redoubt::sim
