// SPDX-License-Identifier: MIT
//
// What readers and verifiers know of the log that the servers must have: of the followed server's,
// which nobody ever takes back, or of the newest compute's lineage.
#pragma once

#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/acknowledged_redo.h"
#include "sim/oracle/timeline.h"
#include "sim/workload/followed_server.h"

namespace redoubt::sim {

class LogTruth {
 public:
  virtual ~LogTruth() = default;
  virtual Lsn begin_lsn() const = 0;
  // Of the last mtr.
  virtual Lsn end_lsn() const = 0;
  // Of a compute's log whole mtrs only.
  virtual Lsn acknowledged() const = 0;
  virtual Lsn LastEndAtOrBelow(Lsn lsn) const = 0;
  virtual std::vector<PageId> KnownPages() const = 0;
  // Payload of `range`, at or below end_lsn(), as a server gave it back.
  virtual void ReadBack(LsnRange range, ByteView given) = 0;
};

class FollowedLog : public LogTruth {
 public:
  // Both outlive it.
  FollowedLog(const FollowedServer* model, AcknowledgedRedo* redo) : model_(model), redo_(redo) {}
  Lsn begin_lsn() const override { return model_->begin_lsn(); }
  Lsn end_lsn() const override { return model_->end_lsn(); }
  Lsn acknowledged() const override { return redo_->acknowledged(); }
  Lsn LastEndAtOrBelow(Lsn lsn) const override { return model_->LastEndAtOrBelow(lsn); }
  std::vector<PageId> KnownPages() const override { return model_->KnownPages(); }
  void ReadBack(LsnRange range, ByteView given) override {
    redo_->ReadBack(range, given, model_->Payload(range));
  }

 private:
  const FollowedServer* model_;
  AcknowledgedRedo* redo_;
};

class LineageLog : public LogTruth {
 public:
  // `timeline` outlives it.
  explicit LineageLog(Timeline* timeline) : timeline_(timeline) {}
  Lsn begin_lsn() const override { return timeline_->begin(); }
  Lsn end_lsn() const override { return timeline_->end(); }
  Lsn acknowledged() const override { return timeline_->acknowledged(); }
  Lsn LastEndAtOrBelow(Lsn lsn) const override { return timeline_->LastEndAtOrBelow(lsn); }
  std::vector<PageId> KnownPages() const override { return timeline_->Pages(); }
  void ReadBack(LsnRange range, ByteView given) override { timeline_->ReadBack(range, given); }

 private:
  Timeline* timeline_;
};

}  // namespace redoubt::sim
