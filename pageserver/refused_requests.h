// SPDX-License-Identifier: MIT
//
// How many requests one volume refused, by reason, since the server was started: for people who
// wonder who sends nonsense.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/status.h"

namespace redoubt {

class RefusedRequests {
 public:
  // Counts `status` when it says that the request, or what is stored here, is wrong; what a retry
  // may heal (unavailable, a deadline, a full disk) is no refusal. Returns `status`.
  Status Noted(Status status);
  // Counts `status` when it says why the volume, or its pages, cannot be served until somebody
  // mends what is stored here, a disk that cannot be read included. Returns `status`.
  Status NotedUnserved(Status status);
  void Note(StatusCode code) { ++counts_[code]; }
  const std::map<StatusCode, uint64_t>& counts() const { return counts_; }

 private:
  std::map<StatusCode, uint64_t> counts_;
};

}  // namespace redoubt
