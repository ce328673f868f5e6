// SPDX-License-Identifier: MIT
#include "sim/oracle/tablespaces.h"

#include <algorithm>

namespace redoubt::sim {
namespace {

std::string Describe(const ListedSpace& space) {
  return space.path + ", " + std::to_string(space.page_count) + " pages, flags " +
         std::to_string(space.flags) + ", created at " + std::to_string(space.created.value());
}

}  // namespace

Tablespaces::Listed Tablespaces::At(Lsn lsn) const {
  Listed spaces;
  for (const RedoFact& fact : truth_->FactsUpTo(lsn)) {
    switch (fact.kind) {
      case RedoFact::Kind::kCreate:
        spaces[fact.space] = {fact.path, 0, fact.flags, fact.end};
        break;
      case RedoFact::Kind::kSize: {
        uint32_t& known = spaces[fact.space].page_count;
        known = std::max(known, static_cast<uint32_t>(fact.value));
        break;
      }
      case RedoFact::Kind::kRename:
        spaces[fact.space].path = fact.path;
        break;
      case RedoFact::Kind::kDrop:
        spaces.erase(fact.space);
        break;
      case RedoFact::Kind::kCounter:
      case RedoFact::Kind::kCorruptedIndex:
        break;
    }
  }
  return spaces;
}

void Tablespaces::CheckList(Lsn read_lsn, const Listed& listed) {
  ++checked_count_;
  const Listed right = At(read_lsn);
  const std::string where = "tablespaces at LSN " + std::to_string(read_lsn.value()) + ": ";
  for (const auto& [id, space] : right) {
    const auto found = listed.find(id);
    if (found == listed.end() || found->second != space) {
      findings_->Report("C2", where + std::to_string(id.value()) + " is " +
                                  (found == listed.end() ? "missing" : Describe(found->second)) +
                                  "; right is " + Describe(space));
      return;
    }
  }
  for (const auto& [id, space] : listed) {
    if (!right.contains(id)) {
      findings_->Report("C2", where + std::to_string(id.value()) + " (" + Describe(space) +
                                  ") does not exist there");
      return;
    }
  }
}

void Tablespaces::CheckPage(PageId page, Lsn read_lsn, bool found) {
  ++checked_count_;
  const Listed spaces = At(read_lsn);
  const auto space = spaces.find(page.space);
  const uint32_t count = space == spaces.end() ? 0 : space->second.page_count;
  if (found != (page.page_no.value() < count)) {
    findings_->Report("C2", "page " + ToString(page) + " at LSN " +
                                std::to_string(read_lsn.value()) +
                                (found ? " was given" : " is said not to be there") +
                                ", its tablespace has " + std::to_string(count) + " pages");
  }
}

}  // namespace redoubt::sim
