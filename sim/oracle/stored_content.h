// SPDX-License-Identifier: MIT
//
// C6: what a page role's store holds after a restart is what was written to it: a prefix of its
// writes, in their order, with every write that a flush covered. And history is only added to:
// nothing of it is taken away or becomes something else, whatever is materialized or compacted.
//
// Hears every write and flush of one store, and all that it holds whenever it was opened. Keeps two
// models of it, as maps: what must be there, and what is there now.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/oracle/findings.h"

namespace redoubt::sim {

class StoredContent {
 public:
  struct Change {
    enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
    Kind kind = Kind::kPut;
    uint8_t family = 0;
    bool history = false;  // of a family whose entries are for ever
    std::string key;
    std::string value;  // kDeleteRange: the exclusive end
  };
  // By family and key.
  using Content = std::map<std::pair<uint8_t, std::string>, std::string>;

  // `name`: whose store, for messages.
  StoredContent(Findings* findings, std::string name)
      : findings_(findings), name_(std::move(name)) {}

  // A write has begun, as the next in order. The number names it.
  uint64_t WriteBegins(std::vector<Change> changes);
  // It was answered: all of it counts, or nothing of it was applied. One that is never answered may
  // count or not.
  void Written(uint64_t number);
  void Refused(uint64_t number);
  // A flush is asked for; the mark is for its OK.
  uint64_t FlushBegins() const;
  void Flushed(uint64_t mark);
  // A write or flush that was asked for after an error had closed the store was answered OK: what
  // followed a lost write would survive it.
  void WentOnAfterError();
  // The store was opened and holds `content`.
  void Opened(Content content);
  // The disk was emptied or exchanged, or damaged: nothing is known until it is opened again.
  void Forget();

  // What a flush has covered at this place; null: nothing.
  const std::string* Durable(uint8_t family, const std::string& key) const {
    const auto found = durable_.find({family, key});
    return found == durable_.end() ? nullptr : &found->second;
  }
  uint64_t opened_count() const { return opened_count_; }

 private:
  struct Write {
    uint64_t number;
    std::vector<Change> changes;
    bool written = false;
    bool refused = false;
  };
  Write* Find(uint64_t number);
  void CheckHistory(const Write& write);
  static void Apply(const std::vector<Change>& changes, Content* content, uint64_t* hash);
  std::string Difference(const Content& wanted, const Content& found) const;

  Findings* findings_;
  std::string name_;
  Content durable_;  // what a flush covered
  uint64_t durable_hash_ = 0;
  Content present_;           // with all that was written since
  std::deque<Write> writes_;  // behind durable_
  uint64_t next_number_ = 0;
  uint64_t opened_count_ = 0;
  bool known_ = true;
};

}  // namespace redoubt::sim
