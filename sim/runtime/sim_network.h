// SPDX-License-Identifier: MIT
//
// The Network of one incarnation: ends of SimNet's streams behind the seam's interfaces.
// Addresses are "node:port"; "0.0.0.0", "127.0.0.1" and "localhost" name the node itself.
#pragma once

#include <memory>
#include <string>

#include "common/runtime/network.h"
#include "sim/runtime/sim_net.h"
#include "sim/runtime/sim_node.h"

namespace redoubt::sim {

class SimNetwork : public Network {
 public:
  SimNetwork(NodeIdentity self, Scheduler* scheduler, SimNet* net)
      : self_(self), scheduler_(scheduler), net_(net) {}

  // A host that is down or behind a blocked link is tried again until the deadline.
  Task<Result<std::unique_ptr<Connection>>> Connect(std::string address,
                                                    TimePoint deadline) override;
  Task<Result<std::unique_ptr<Listener>>> Listen(std::string address) override;

 private:
  NodeIdentity self_;
  Scheduler* scheduler_;
  SimNet* net_;
};

}  // namespace redoubt::sim
