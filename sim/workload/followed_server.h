// SPDX-License-Identifier: MIT
//
// The followed database server of a scenario, as far as Redoubt sees it: redo that grows at its
// end, cut at whole mtrs, and pages that it describes. Never crashes; its redo can be read for
// ever.
//
// Implementations put every version of every page into a PageHistory: the truth for reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "sim/oracle/final_pages.h"
#include "sim/oracle/redo_facts.h"

namespace redoubt::sim {

// What was there before the log begins and has to be imported, as redotail's base copy is.
struct BaseSpace {
  SpaceId space;
  uint32_t flags = 0;
  std::string path;
  uint32_t page_count = 0;
};
struct BasePage {
  PageId page;
  Lsn lsn;  // of the last change that the image holds
  ByteView image;
};

class FollowedServer : public FactTruth {
 public:
  // `begin_lsn`: a data LSN.
  explicit FollowedServer(Lsn begin_lsn);
  FollowedServer(const FollowedServer&) = delete;
  FollowedServer& operator=(const FollowedServer&) = delete;
  ~FollowedServer() override = default;

  // Runs whole mtrs until about `payload_bytes` more of redo are there.
  virtual void Produce(size_t payload_bytes) = 0;
  // The load ends: what belongs to it and was not produced yet comes now.
  virtual void Finish() {}
  // Every page that exists or may be asked for.
  virtual std::vector<PageId> KnownPages() const = 0;
  // Borrowed as long as the server lives; empty when everything begins with the log.
  virtual const std::vector<BaseSpace>& base_spaces() const { return no_spaces_; }
  virtual const std::vector<BasePage>& base_pages() const { return no_pages_; }
  // What the pages have to be at the end, when somebody else than this class says so.
  virtual void TellFinalPages(FinalPages* pages) const { static_cast<void>(pages); }

  Lsn begin_lsn() const { return begin_lsn_; }
  Lsn end_lsn() const;  // of the last mtr
  // Payload of [range.start, range.end), inside the log; borrowed until the next Produce.
  ByteView Payload(LsnRange range) const;
  // Start of the first mtr that begins in the range; Lsn{0}: none.
  Lsn FirstMtrIn(LsnRange range) const;
  // End of the last mtr that ends at or below `lsn`; begin_lsn() if none does.
  Lsn LastEndAtOrBelow(Lsn lsn) const;
  // The LSN `payload_bytes` after `lsn`, at most end_lsn().
  Lsn Advance(Lsn lsn, size_t payload_bytes) const;
  uint64_t mtr_count() const { return mtr_ends_.size(); }
  std::vector<RedoFact> FactsUpTo(Lsn lsn) const override;

 protected:
  // Appends one whole mtr; its end.
  Lsn AddMtr(ByteView group);
  // Of the mtr that was added last.
  void AddFacts(std::vector<RedoFact> facts);
  size_t payload_bytes() const { return payload_.size(); }

 private:
  Lsn begin_lsn_;
  Bytes payload_;
  std::vector<Lsn> mtr_ends_;
  std::vector<RedoFact> facts_;
  std::vector<BaseSpace> no_spaces_;
  std::vector<BasePage> no_pages_;
};

}  // namespace redoubt::sim
