// SPDX-License-Identifier: MIT
//
// Records that change many records of an index page at once: copy to a new page, delete up to an
// end, reorganize.
#include <cstring>

#include "common/innodb/apply_internal.h"

namespace redoubt::innodb {
namespace {

constexpr Problem kBrokenList = "record list leads outside the page or never ends";

Problem ListEndCopyCreated(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint32_t length = reader.U32();
  if (reader.failed() || length != reader.remaining()) {
    return "list copy: length does not match the body";
  }
  uint32_t cursor = 0;
  REDOUBT_RETURN_IF_PROBLEM(page.LastRecord(&cursor));
  while (!reader.AtEnd()) {
    uint32_t inserted = 0;
    REDOUBT_RETURN_IF_PROBLEM(InsertShort(&page, index, cursor, &reader, input.scratch, &inserted));
    cursor = inserted;
  }
  page.Set(kLastInsertOffset, 0);
  page.Set(kDirectionOffset, kDirectionNone);
  page.Set(kDirectionCountOffset, 0);
  return kNoProblem;
}

struct ListTotals {
  uint32_t bytes = 0;
  uint32_t count = 0;
  uint32_t last = 0;
};

// Sums up the records from `origin` to the last one.
Problem MeasureToEnd(const IndexPage& page, const IndexInfo& index, uint32_t origin,
                     ListTotals* totals) {
  for (uint32_t at = origin; at != page.supremum(); at = page.next(at)) {
    RecordSize size;
    if (!page.IsUserOrigin(at) || ++totals->count > page.size()) {
      return kBrokenList;
    }
    REDOUBT_RETURN_IF_PROBLEM(MeasureRecord(page.bytes(), index, at, &size));
    totals->bytes += size.total();
    totals->last = at;
  }
  return kNoProblem;
}

Problem ListEndDelete(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint32_t origin = reader.U16();
  if (!reader.AtEnd() || (origin != page.supremum() && !page.IsUserOrigin(origin))) {
    return "list end delete: record offset out of range";
  }
  if (origin == page.supremum()) {
    return kNoProblem;
  }
  ListTotals totals;
  uint32_t owner = 0;
  uint32_t skipped = 0;
  uint32_t slot_no = 0;
  uint32_t previous = 0;
  REDOUBT_RETURN_IF_PROBLEM(MeasureToEnd(page, index, origin, &totals));
  REDOUBT_RETURN_IF_PROBLEM(page.FindOwner(origin, &owner, &skipped));
  REDOUBT_RETURN_IF_PROBLEM(page.FindSlot(owner, &slot_no));
  REDOUBT_RETURN_IF_PROBLEM(page.FindPrevious(origin, slot_no, &previous));
  page.Set(kLastInsertOffset, 0);
  page.set_slot(slot_no, page.supremum());
  page.set_n_owned(page.supremum(), page.n_owned(owner) - skipped);
  page.Set(kDirSlotCountOffset, slot_no + 1);
  page.set_next(previous, page.supremum());
  page.set_next(totals.last, page.Get(kFreeOffset));
  page.Set(kFreeOffset, origin);
  page.Set(kGarbageOffset, page.Get(kGarbageOffset) + totals.bytes);
  page.Set(kRecordCountOffset, page.Get(kRecordCountOffset) - totals.count);
  return kNoProblem;
}

Problem ListStartDelete(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  PackedReader reader(body);
  IndexPage page(input.page);
  const uint32_t origin = reader.U16();
  if (!reader.AtEnd() || !page.IsOrigin(origin)) {
    return "list start delete: record offset out of range";
  }
  if (origin == page.infimum()) {
    return kNoProblem;
  }
  if (origin == page.supremum()) {
    return "list start delete: up to the supremum, which no server writes";
  }
  for (uint32_t count = 0; count < page.size(); ++count) {
    const uint32_t first = page.next(page.infimum());
    if (first == origin) {
      return kNoProblem;
    }
    REDOUBT_RETURN_IF_PROBLEM(page.Delete(index, first));
  }
  return kBrokenList;
}

// Builds the page anew from the records of its old image, in list order.
Problem Reorganize(const ApplyInput& input, const IndexInfo& index, ByteView body) {
  if (!body.empty()) {
    return "reorganize: body is longer than its index info";
  }
  const MutableByteView saved = MutableByteView(input.scratch->page).first(input.page.size());
  std::memcpy(saved.data(), input.page.data(), saved.size());
  const IndexPage old(saved);
  IndexPage page(input.page);
  page.Create(index.compact(), PageTypeOf(input.page));
  uint32_t cursor = page.infimum();
  for (uint32_t at = old.next(old.infimum()); at != old.supremum(); at = old.next(at)) {
    RecordSize size;
    uint32_t inserted = 0;
    if (!old.IsUserOrigin(at)) {
      return kBrokenList;
    }
    REDOUBT_RETURN_IF_PROBLEM(MeasureRecord(old.bytes(), index, at, &size));
    const ByteView record(old.data() + at - size.extra_bytes, size.total());
    REDOUBT_RETURN_IF_PROBLEM(
        page.InsertAfter(index, cursor, {record, size.extra_bytes}, &inserted));
    cursor = inserted;
  }
  if (!index.clustered() && old.Get(kLevelOffset) == 0) {
    StoreBe64(page.data() + kMaxTrxIdOffset, LoadBe64(old.data() + kMaxTrxIdOffset));
  }
  return kNoProblem;
}

}  // namespace

Problem ApplyIndexList(const ApplyInput& input) {
  ByteView body;
  const IndexInfo* index = nullptr;
  REDOUBT_RETURN_IF_PROBLEM(OpenIndexPage(input, &body, &index));
  switch (input.type) {
    case RedoType::kListEndCopyCreated:
      return ListEndCopyCreated(input, *index, body);
    case RedoType::kPageReorganize:
      return Reorganize(input, *index, body);
    case RedoType::kListEndDelete:
      return ListEndDelete(input, *index, body);
    case RedoType::kListStartDelete:
      return ListStartDelete(input, *index, body);
    default:
      return "not a list record";
  }
}

}  // namespace redoubt::innodb
