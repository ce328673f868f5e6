// SPDX-License-Identifier: MIT
//
// The log writer that a program works with now, for people: how far it is.
#pragma once

#include "client/log_writer.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

class ShownWriter {
 public:
  // While it lives `slot`'s owner shows `writer`, whose epoch stands.
  class While {
   public:
    While(ShownWriter* slot, const LogWriter* writer) : slot_(slot) { slot_->writer_ = writer; }
    While(const While&) = delete;
    While& operator=(const While&) = delete;
    ~While() { slot_->writer_ = nullptr; }

   private:
    ShownWriter* slot_;
  };

  void Describe(char role, NodeState* state) const {
    if (writer_ == nullptr) {
      return;
    }
    state->role = role;
    state->epoch = writer_->epoch().value();
    state->end_lsn = writer_->next_lsn().value();
    state->commit_lsn = writer_->acknowledged().value();
  }

 private:
  const LogWriter* writer_ = nullptr;
};

}  // namespace redoubt::sim
