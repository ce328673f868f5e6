// SPDX-License-Identifier: MIT
//
// Random histories of one index page against a model that is a plain vector of rows. Every change
// goes through a redo record, as it would come from a server; after each the page must be
// consistent in itself (CheckIndexPage), hold the model's rows in order, and account for every byte
// of its heap.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "common/innodb/apply.h"
#include "common/innodb/index_page.h"
#include "tests/common/innodb/rapidcheck_gtest.h"
#include "tests/common/innodb/redo_builder.h"

namespace redoubt::innodb {
namespace {

using namespace test;  // NOLINT: builders

// Rows of (fixed 4 bytes, nullable variable <= 255, nullable variable "big"), or the same as
// REDUNDANT.
struct Row {
  uint32_t key = 0;
  std::optional<std::string> small;
  std::optional<std::string> big;
  bool deleted = false;
};

const std::vector<uint16_t> kLengths = {0x8004, 0x0000, 0x7FFF};

void AppendCompact(const Row& row, Bytes* extra, Bytes* data) {
  const auto nulls = static_cast<uint8_t>((row.small ? 0 : 1) | (row.big ? 0 : 2));
  Bytes below;  // away from the origin: null bits, then lengths
  Body body;
  body.U32(row.key);
  below.push_back(nulls);
  if (row.small) {
    below.push_back(static_cast<uint8_t>(row.small->size()));
    body.Text(*row.small);
  }
  if (row.big) {
    const size_t size = row.big->size();
    if (size >= 0x80) {
      below.push_back(static_cast<uint8_t>(0x80 | size >> 8));
      below.push_back(static_cast<uint8_t>(size));
    } else {
      below.push_back(static_cast<uint8_t>(size));
    }
    body.Text(*row.big);
  }
  extra->assign(below.rbegin(), below.rend());
  extra->insert(extra->end(), {0, 0, 0, 0, 0});
  *data = body.bytes();
}

void AppendRedundant(const Row& row, Bytes* extra, Bytes* data) {
  Body body;
  std::vector<uint16_t> ends;
  body.U32(row.key);
  ends.push_back(4);
  for (const auto& field : {row.small, row.big}) {
    body.Text(field.value_or(""));
    ends.push_back(static_cast<uint16_t>(body.bytes().size() | (field ? 0 : 0x8000)));
  }
  Body header;
  for (size_t i = ends.size(); i-- > 0;) {
    header.U16(ends[i]);
  }
  header.U8(0).U16(0).U8(3 << 1).U16(0);  // two-byte entries, three fields
  *extra = header.bytes();
  *data = body.bytes();
}

class ModelPage {
 public:
  ModelPage(bool compact, uint32_t page_size) : compact_(compact), page_(page_size, 0) {
    Apply(RedoType::kInitFilePage, {});
    Apply(compact ? RedoType::kPageCreateCompact : RedoType::kPageCreateRedundant, {});
  }

  bool Insert(size_t at, const Row& row, bool share_prefix) {
    Bytes extra, data;
    (compact_ ? AppendCompact : AppendRedundant)(row, &extra, &data);
    if (!HasRoom(extra.size() + data.size())) {
      return false;
    }
    const uint32_t cursor = at == 0 ? Infimum() : Origins()[at - 1];
    Bytes image = extra;
    image.insert(image.end(), data.begin(), data.end());
    size_t shared = 0;
    if (share_prefix && at > 0) {
      const Bytes before = RecordBytes(at - 1);
      while (shared < before.size() && shared + 1 < image.size() &&
             (before[shared] == image[shared] || InHeader(shared, extra.size()))) {
        ++shared;
      }
      shared = std::min(shared, extra.size());
      // Bytes inside the shared header come from the cursor record and must be those of this row.
      if (compact_ || before.size() < extra.size()) {
        shared = std::min(shared, extra.size() - HeaderBytes());
      }
    }
    const ByteView end = ByteView(image).subspan(shared);
    Apply(RedoType::kRecordInsert, Index()
                                       .U16(cursor)
                                       .C32(static_cast<uint32_t>(end.size() << 1 | 1))
                                       .U8(row.deleted ? kInfoDeleted : 0)
                                       .C32(static_cast<uint32_t>(extra.size()))
                                       .C32(static_cast<uint32_t>(shared))
                                       .Raw(end)
                                       .bytes());
    rows_.insert(rows_.begin() + static_cast<ptrdiff_t>(at), row);
    return true;
  }

  void Delete(size_t at) {
    Apply(RedoType::kRecordDelete, Index().U16(Origins()[at]).bytes());
    rows_.erase(rows_.begin() + static_cast<ptrdiff_t>(at));
  }
  void DeleteFrom(size_t at) {
    Apply(RedoType::kListEndDelete, Index().U16(Origins()[at]).bytes());
    rows_.resize(at);
  }
  void DeleteBefore(size_t at) {
    Apply(RedoType::kListStartDelete, Index().U16(Origins()[at]).bytes());
    rows_.erase(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(at));
  }
  void Reorganize() {
    Apply(RedoType::kPageReorganize, Index().bytes());
    const IndexPage page(page_);
    RC_ASSERT(page.Get(kFreeOffset) == 0);
    RC_ASSERT(page.Get(kGarbageOffset) == 0);
  }
  void Mark(size_t at, bool deleted) {
    Apply(RedoType::kSecDeleteMark, Body().U8(deleted ? 1 : 0).U16(Origins()[at]).bytes());
    rows_[at].deleted = deleted;
  }
  // A value of the same length, in place.
  void Update(size_t at, char fill) {
    Row& row = rows_[at];
    Body body = Index();
    body.U8(4).C32(0).Text(std::string(7, '\0')).C64(0).U16(Origins()[at]);
    body.U8(row.deleted ? kInfoDeleted : 0).C32(row.big ? 2 : 1);
    row.key ^= 0x01010101;
    body.C32(0).C32(4).U32(row.key);
    if (row.big) {
      std::fill(row.big->begin(), row.big->end(), fill);
      body.C32(2).C32(static_cast<uint32_t>(row.big->size())).Text(*row.big);
    }
    Apply(RedoType::kUpdateInPlace, body.bytes());
  }

  void Check() {
    const Problem problem = CheckIndexPage(page_);
    RC_ASSERT(std::string(problem == nullptr ? "" : problem) == "");
    const std::vector<uint32_t> origins = Origins();
    RC_ASSERT(origins.size() == rows_.size());
    size_t live = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      Bytes extra, data;
      (compact_ ? AppendCompact : AppendRedundant)(rows_[i], &extra, &data);
      live += extra.size() + data.size();
      RC_ASSERT(ToHex(ByteView(page_).subspan(origins[i], data.size())) == ToHex(data));
      const IndexPage page(page_);
      RC_ASSERT(((page.bytes().info_bits(origins[i]) & kInfoDeleted) != 0) == rows_[i].deleted);
    }
    // Every heap byte belongs to a live record or is counted as garbage.
    const IndexPage page(page_);
    RC_ASSERT(page.Get(kHeapTopOffset) - page.heap_start() == live + page.Get(kGarbageOffset));
  }

  size_t size() const { return rows_.size(); }

 private:
  uint32_t HeaderBytes() const { return compact_ ? kCompactHeaderBytes : kRedundantHeaderBytes; }
  bool InHeader(size_t at, size_t extra_bytes) const {
    return at + HeaderBytes() >= extra_bytes && at < extra_bytes;
  }
  Body Index() const {
    return compact_ ? Body().CompactIndex(kLengths, 1) : Body().RedundantIndex();
  }
  uint32_t Infimum() const { return compact_ ? 99 : 101; }
  // As a server decides it: room for the longest directory that the rows may need must remain. A
  // reorganized page has a slot for every four rows, where it may have had one for eight before.
  bool HasRoom(size_t bytes) {
    const IndexPage page(page_);
    const size_t longest_slots = (rows_.size() + 1) / kMinOwned + 3;
    const size_t slots = std::max<size_t>(page.slot_count() + 1, longest_slots);
    const size_t directory_bytes = page_.size() - page.directory_start();
    const size_t added_bytes = 2 * (slots - page.slot_count());
    return page.Get(kHeapTopOffset) + bytes + added_bytes + directory_bytes <= page_.size();
  }
  std::vector<uint32_t> Origins() {
    const IndexPage page(page_);
    std::vector<uint32_t> origins;
    for (uint32_t at = page.next(page.infimum()); at != page.supremum(); at = page.next(at)) {
      RC_ASSERT(page.IsUserOrigin(at));
      origins.push_back(at);
      RC_ASSERT(origins.size() < 10000U);
    }
    return origins;
  }
  Bytes RecordBytes(size_t at) {
    Bytes extra, data;
    (compact_ ? AppendCompact : AppendRedundant)(rows_[at], &extra, &data);
    const uint32_t origin = Origins()[at];
    const auto begin = page_.begin() + static_cast<ptrdiff_t>(origin - extra.size());
    return {begin, begin + static_cast<ptrdiff_t>(extra.size() + data.size())};
  }
  void Apply(RedoType type, const Bytes& body) {
    const Status status = applier_.ApplyRecord(Parsed(type, body), page_).status();
    RC_ASSERT(status.ToString() == "ok");
  }

  bool compact_;
  Bytes page_;
  std::vector<Row> rows_;
  PageApplier applier_;
};

Row AnyRow() {
  Row row;
  row.key = *rc::gen::arbitrary<uint32_t>();
  const auto text = [](size_t most) -> std::optional<std::string> {
    const size_t length = *rc::gen::inRange<size_t>(0, most + 2);
    return length > most ? std::nullopt : std::optional<std::string>(std::string(length, 'v'));
  };
  row.small = text(60);
  row.big = text(*rc::gen::inRange(0, 5) == 0 ? 600 : 20);
  row.deleted = *rc::gen::inRange(0, 8) == 0;
  return row;
}

void RunHistory(bool compact) {
  ModelPage page(compact, *rc::gen::element<uint32_t>(4096, 16384, 65536));
  const int steps = *rc::gen::inRange(1, 400);
  // Swarm: each history leans to growing or to shrinking.
  const int inserts = *rc::gen::inRange(20, 90);
  for (int step = 0; step < steps; ++step) {
    const auto any = [&] { return *rc::gen::inRange<size_t>(0, page.size()); };
    const int dice = *rc::gen::inRange(0, 100);
    if (dice < inserts || page.size() == 0) {
      const bool ascending = *rc::gen::inRange(0, 2) == 0;
      const size_t at = ascending ? page.size() : *rc::gen::inRange<size_t>(0, page.size() + 1);
      if (!page.Insert(at, AnyRow(), *rc::gen::arbitrary<bool>()) && page.size() > 0) {
        page.Reorganize();
      }
    } else if (dice < 94) {
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
          page.Mark(any(), *rc::gen::arbitrary<bool>());
          break;
        case 1:
          page.Update(any(), 'u');
          break;
        default:
          page.Delete(any());
      }
    } else if (dice < 96) {
      page.DeleteFrom(any());
    } else if (dice < 98) {
      page.DeleteBefore(any());
    } else {
      page.Reorganize();
    }
    page.Check();
  }
}

TEST(IndexPageModel, CompactPagesFollowTheModel) {
  CheckProperty([] { RunHistory(true); });
}

TEST(IndexPageModel, RedundantPagesFollowTheModel) {
  CheckProperty([] { RunHistory(false); });
}

}  // namespace
}  // namespace redoubt::innodb
