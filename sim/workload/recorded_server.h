// SPDX-License-Identifier: MIT
//
// A real database server that was recorded: plays its redo, mtr by mtr, with its own LSNs.
//
// The truth for reads in between is a reference apply of the same redo with common/innodb onto a
// map of pages; for the end the recording has the server's own pages (oracle/final_pages.h). A page
// is known once redo has changed it; those of older tablespaces have a base image, or begin with
// zeroes until redo initialises them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/innodb/apply.h"
#include "common/innodb/mtr_assembler.h"
#include "sim/oracle/page_history.h"
#include "sim/workload/followed_server.h"
#include "sim/workload/recording.h"

namespace redoubt::sim {

class RecordedServer : public FollowedServer {
 public:
  // `history` outlives it; it is the only writer of `history`.
  RecordedServer(std::unique_ptr<const LoadedRecording> recording, PageHistory* history);

  void Produce(size_t bytes) override;
  // Plays to the end.
  void Finish() override;
  std::vector<PageId> KnownPages() const override { return known_; }
  const std::vector<BaseSpace>& base_spaces() const override { return base_spaces_; }
  const std::vector<BasePage>& base_pages() const override { return base_pages_; }
  void TellFinalPages(FinalPages* pages) const override;

  const proto::Recording& recording() const { return recording_->content; }
  // Where the whole of it ends.
  Lsn recorded_end() const { return Lsn(recording().end_lsn()); }

 private:
  void LoadBase();
  Status Take(const innodb::MtrView& mtr);
  void TakeFileRecord(const innodb::RedoRecord& record, Lsn mtr_end);

  std::unique_ptr<const LoadedRecording> recording_;
  PageHistory* history_;
  innodb::MtrAssembler assembler_;
  innodb::PageApplier applier_;
  std::vector<BaseSpace> base_spaces_;
  std::vector<BasePage> base_pages_;
  std::set<SpaceId> spaces_;  // that exist now
  std::map<PageId, Bytes> pages_;
  std::vector<PageId> known_;  // in the order in which they became it
};

}  // namespace redoubt::sim
