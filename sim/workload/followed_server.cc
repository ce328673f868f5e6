// SPDX-License-Identifier: MIT
#include "sim/workload/followed_server.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_block.h"

namespace redoubt::sim {

FollowedServer::FollowedServer(Lsn begin_lsn) : begin_lsn_(begin_lsn) {
  REDOUBT_CHECK(innodb::IsDataLsn(begin_lsn));
}

Lsn FollowedServer::AddMtr(ByteView group) {
  REDOUBT_CHECK(!group.empty());
  payload_.insert(payload_.end(), group.begin(), group.end());
  mtr_ends_.push_back(innodb::AdvanceLsn(begin_lsn_, payload_.size()));
  return mtr_ends_.back();
}

void FollowedServer::AddFacts(std::vector<RedoFact> facts) {
  for (RedoFact& fact : facts) {
    REDOUBT_CHECK(fact.end == end_lsn());
    facts_.push_back(std::move(fact));
  }
}

std::vector<RedoFact> FollowedServer::FactsUpTo(Lsn lsn) const {
  const auto after = std::upper_bound(facts_.begin(), facts_.end(), lsn,
                                      [](Lsn at, const RedoFact& fact) { return at < fact.end; });
  return {facts_.begin(), after};
}

Lsn FollowedServer::end_lsn() const { return mtr_ends_.empty() ? begin_lsn_ : mtr_ends_.back(); }

ByteView FollowedServer::Payload(LsnRange range) const {
  const uint64_t base = innodb::ToSn(begin_lsn_).value();
  const uint64_t from = innodb::ToSn(range.start).value() - base;
  const uint64_t to = innodb::ToSn(range.end).value() - base;
  REDOUBT_CHECK(from <= to);
  REDOUBT_CHECK(to <= payload_.size());
  return ByteView(payload_).subspan(from, to - from);
}

Lsn FollowedServer::FirstMtrIn(LsnRange range) const {
  // An mtr begins where the one before it ends; the first at begin_lsn.
  if (range.Contains(begin_lsn_) && !mtr_ends_.empty()) {
    return begin_lsn_;
  }
  const auto it = std::lower_bound(mtr_ends_.begin(), mtr_ends_.end(), range.start);
  const bool begins = it != mtr_ends_.end() && *it < range.end && *it != mtr_ends_.back();
  return begins ? *it : Lsn();
}

Lsn FollowedServer::LastEndAtOrBelow(Lsn lsn) const {
  const auto it = std::upper_bound(mtr_ends_.begin(), mtr_ends_.end(), lsn);
  return it == mtr_ends_.begin() ? begin_lsn_ : *(it - 1);
}

Lsn FollowedServer::Advance(Lsn lsn, size_t payload_bytes) const {
  return std::min(end_lsn(), innodb::AdvanceLsn(lsn, payload_bytes));
}

}  // namespace redoubt::sim
