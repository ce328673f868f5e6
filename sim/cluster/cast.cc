// SPDX-License-Identifier: MIT
#include "sim/cluster/cast.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt::sim {

std::vector<NodeId> Cast::AddGroup(CastGroup group, size_t count, bool alone) {
  REDOUBT_CHECK(group.make != nullptr);
  REDOUBT_CHECK(!alone || count == 1);
  REDOUBT_CHECK(group.standing <= count);
  for (size_t i = 0; i < count; ++i) {
    const NodeId node = world_->AddNode(alone ? group.name : group.name + std::to_string(i + 1));
    REDOUBT_CHECK(node == group_of_.size());
    group.nodes.push_back(node);
    group_of_.push_back(groups_.size());
  }
  groups_.push_back(std::move(group));
  return groups_.back().nodes;
}

const CastGroup& Cast::GroupOf(NodeId node) const { return groups_.at(group_of_.at(node)); }

template <typename Wanted>
std::vector<NodeId> Cast::NodesOf(Wanted wanted) const {
  std::vector<NodeId> nodes;
  for (const CastGroup& group : groups_) {
    if (wanted(group)) {
      nodes.insert(nodes.end(), group.nodes.begin(), group.nodes.end());
    }
  }
  return nodes;
}

std::vector<NodeId> Cast::LogServers() const {
  return NodesOf([](const CastGroup& group) { return group.keeps_redo; });
}

std::vector<NodeId> Cast::PageServers() const {
  return NodesOf([](const CastGroup& group) { return group.serves_pages; });
}

std::vector<NodeId> Cast::Servers() const {
  return NodesOf([](const CastGroup& group) { return group.is_server(); });
}

std::vector<NodeId> Cast::Readers() const {
  return NodesOf([](const CastGroup& group) { return group.reads; });
}

std::vector<NodeId> Cast::Writers() const {
  return NodesOf([](const CastGroup& group) { return group.writes; });
}

std::vector<NodeId> Cast::Standing(bool readers_last) const {
  std::vector<NodeId> nodes;
  const auto add = [&](auto wanted) {
    for (const CastGroup& group : groups_) {
      if (wanted(group)) {
        nodes.insert(nodes.end(), group.nodes.begin(),
                     group.nodes.begin() + static_cast<ptrdiff_t>(group.standing));
      }
    }
  };
  const auto reads = [](const CastGroup& group) { return group.reads; };
  if (!readers_last) {
    add(reads);
  }
  add([](const CastGroup& group) { return group.is_server(); });
  add([](const CastGroup& group) { return group.writes; });
  if (readers_last) {
    add(reads);
  }
  return nodes;
}

void Cast::Start(NodeId node) const {
  const CastGroup& group = GroupOf(node);
  world_->StartNode(node, [&group, node](Runtime* runtime) { return group.make(node, runtime); });
}

}  // namespace redoubt::sim
