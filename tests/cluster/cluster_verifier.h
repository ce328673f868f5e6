// SPDX-License-Identifier: MIT
//
// The end: everything runs again, and everything must be there. A last writer takes over and makes
// all log servers level; each must give the same redo, the model's, from its begin to its end; each
// page server must give every page at the end and many at random LSNs; and the chronicle goes
// through the checkers.
#pragma once

#include <string>

#include "client/log_writer.h"
#include "common/runtime/runtime.h"
#include "sim/oracle/findings.h"
#include "tests/cluster/chronicle.h"
#include "tests/cluster/cluster.h"

namespace redoubt::cluster {

class ClusterVerifier {
 public:
  ClusterVerifier(Runtime* runtime, const ClusterOptions* options, Truth* truth,
                  Chronicle* chronicle, TimePoint deadline);
  ClusterVerifier(const ClusterVerifier&) = delete;
  ClusterVerifier& operator=(const ClusterVerifier&) = delete;

  // The exit code: 0, 10 safety, 11 liveness, 14 when too little was done to prove anything. The
  // verdict is printed.
  Task<int> Run();

 private:
  Task<Status> TakeOver(LogWriter* writer);
  Task<Status> CheckLog(std::string server);
  Task<Status> ReadLog(std::string server);
  Task<Status> CheckPageServer(std::string server);
  int Verdict(const Status& late);

  Runtime* runtime_;
  const ClusterOptions* options_;
  Truth* truth_;
  Chronicle* chronicle_;
  TimePoint deadline_;
  sim::Findings findings_;
  sim::AcknowledgedRedo replicas_;
  Lsn end_;
  uint64_t bytes_compared_ = 0;
  uint64_t pages_compared_ = 0;
};

}  // namespace redoubt::cluster
