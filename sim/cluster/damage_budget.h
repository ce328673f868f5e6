// SPDX-License-Identifier: MIT
//
// Which log servers may lose what they have synced now, so that everything acknowledged stays:
// never more than a minority is hurt at one time. A server is hurt from the damage (at first: from
// its installation) until it has been made whole again by the others.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "common/base/check.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

class DamageBudget {
 public:
  // All are hurt as long as nothing was written: a volume that is not everywhere yet has fewer
  // copies.
  explicit DamageBudget(const std::vector<NodeId>& log_servers)
      : minority_((log_servers.size() - 1) / 2), hurt_(log_servers.begin(), log_servers.end()) {
    REDOUBT_CHECK(!log_servers.empty());
  }

  bool Allows(NodeId server) const {
    return hurt_.size() + (hurt_.contains(server) ? 0 : 1) <= minority_;
  }
  void Hurt(NodeId server) { hurt_.insert(server); }
  void Heal(NodeId server) { hurt_.erase(server); }
  const std::set<NodeId>& hurt() const { return hurt_; }

 private:
  size_t minority_;
  std::set<NodeId> hurt_;
};

}  // namespace redoubt::sim
