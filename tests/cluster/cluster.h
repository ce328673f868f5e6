// SPDX-License-Identifier: MIT
//
// The cluster as a client knows it, and the truth that its answers are held against: the
// simulator's model of a database server, which gives the same redo and the same pages in every
// process with the same seed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/types.h"
#include "common/innodb/log_block.h"
#include "sim/oracle/page_history.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/workload/model_server.h"

namespace redoubt::cluster {

struct ClusterOptions {
  std::vector<std::string> log_servers;
  std::vector<std::string> page_servers;
  std::string volume = "cluster";
  uint64_t seed = 1;
  uint32_t page_size = 4096;
  std::string chronicle;  // file
  std::string who = "load";
  uint64_t redo_bytes_per_s = 150'000;
  // Lies, to see that the checkers see them.
  uint64_t claim_bytes = 0;     // more than was acknowledged
  uint64_t damage_page_at = 0;  // the n-th page that is read gets a wrong byte

  // The same on every server.
  uint64_t volume_uid() const { return seed * 2 + 1; }
};

struct Truth {
  explicit Truth(const ClusterOptions& options)
      : random(options.seed),
        history(options.page_size),
        model(sim::ModelServerOptions{options.page_size, 3, 40, 0, innodb::kFirstDataLsn}, &random,
              &history) {}
  Truth(const Truth&) = delete;
  Truth& operator=(const Truth&) = delete;

  // At least up to there.
  void ProduceTo(Lsn lsn) {
    while (model.end_lsn() < lsn) {
      model.Produce(64 << 10);
    }
  }

  sim::RandomRoot random;
  sim::PageHistory history;
  sim::ModelServer model;
};

}  // namespace redoubt::cluster
