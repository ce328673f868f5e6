// SPDX-License-Identifier: MIT
//
// The nodes of a run, in groups that do the same. A new kind of node is one more AddGroup with the
// program that it runs; who starts, kills, heals and picks nodes goes by what a group does, not by
// its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/runtime/sim_world.h"

namespace redoubt::sim {

struct CastGroup {
  std::string name;
  // What its nodes do.
  bool keeps_redo = false;
  bool serves_pages = false;
  bool pulls_redo = false;  // from the log servers: their clients
  bool writes = false;
  bool reads = false;
  // So many run from the beginning, and again once all is calm. The others run when a fault
  // (TAKE_OVER) or the run itself starts them.
  size_t standing = 0;
  // A node's program for a new incarnation.
  std::function<std::unique_ptr<NodeProgram>(NodeId, Runtime*)> make;
  std::vector<NodeId> nodes;

  bool is_server() const { return keeps_redo || serves_pages; }
};

class Cast {
 public:
  explicit Cast(SimWorld* world) : world_(world) {}
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

  // Adds `count` nodes, named as the group and numbered from 1; with `alone` the only one has the
  // group's name. Every group before any node is started.
  std::vector<NodeId> AddGroup(CastGroup group, size_t count, bool alone = false);
  const CastGroup& GroupOf(NodeId node) const;

  std::vector<NodeId> LogServers() const;
  std::vector<NodeId> PageServers() const;
  std::vector<NodeId> Servers() const;
  std::vector<NodeId> Readers() const;
  // All of them; the first one stands.
  std::vector<NodeId> Writers() const;
  // Who runs whenever nothing is wrong: servers, then writers; the readers after or before them.
  std::vector<NodeId> Standing(bool readers_last) const;

  // Starts a node that is down.
  void Start(NodeId node) const;

  // Prepares a server's empty disk, as an installation does.
  std::function<void(NodeId)> install;
  // Synced bytes of a server were damaged; `within_budget`: the others still have all of it.
  std::function<void(NodeId, bool within_budget)> damaged;
  // It is damage at rest, which stays until the server is installed anew.
  std::function<void(NodeId)> rots;
  // From its next start on a server's sizes are so many percent of the scenario's.
  std::function<void(NodeId, uint64_t percent)> configure;
  // From its next start on a server writes this format of redo files; 0: the newest.
  std::function<void(NodeId, uint32_t format)> set_log_format;
  // Whether no log server has trimmed anything yet: a page server can be built from nothing.
  std::function<bool()> all_redo_there;
  // Whether a log server is up, takes part in the newest epoch, and has everything acknowledged.
  std::function<bool(NodeId)> is_whole;

 private:
  template <typename Wanted>
  std::vector<NodeId> NodesOf(Wanted wanted) const;

  SimWorld* world_;
  std::vector<CastGroup> groups_;
  std::vector<size_t> group_of_;  // by node
};

}  // namespace redoubt::sim
