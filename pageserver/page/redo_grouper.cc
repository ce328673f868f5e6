// SPDX-License-Identifier: MIT
#include "pageserver/page/redo_grouper.h"

#include <array>
#include <cstring>

#include "common/base/check.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/page_format.h"
#include "pageserver/page/delta_codec.h"

namespace redoubt {
namespace {

using innodb::RedoType;

std::array<bool, 256> MakePageTypes() {
  std::array<bool, 256> changes{};
  for (int type = 0; type <= innodb::kMaxRedoType; ++type) {
    const auto number = static_cast<uint8_t>(type);
    changes[number] =
        innodb::IsKnownRedoType(number) && innodb::ChangesPage(static_cast<RedoType>(number));
  }
  return changes;
}

constexpr size_t kScratchBytesKept = 16 << 20;
// Bytes of an item besides its body: type, body length, and an entry head of its own.
constexpr size_t kItemOverheadMax = 1 + 5 + 3 * kVarintBytesMax;

}  // namespace

Status RedoGrouper::Take(std::span<const ByteView> payloads, RedoPiece* piece) {
  REDOUBT_CHECK(piece->runs.empty());
  table_.Clear();
  items_.clear();
  mtrs_.clear();
  copies_.clear();
  initialized_spaces_.clear();
  failed_mtr_ = Lsn{};
  piece->range.start = assembler_.end_lsn();
  Status status;
  for (const ByteView payload : payloads) {
    auto sink = [&](const innodb::MtrView& mtr) { return TakeMtr(mtr, payload, piece); };
    status = assembler_.Feed(payload, sink);
    if (!status.ok()) {
      break;
    }
  }
  piece->range.end = failed_mtr_ != Lsn{} ? failed_mtr_ : assembler_.end_lsn();
  piece->payload_bytes = innodb::PayloadBytes(piece->range);
  LayOut(piece);
  return status;
}

Status RedoGrouper::TakeMtr(const innodb::MtrView& mtr, ByteView payload, RedoPiece* piece) {
  static const std::array<bool, 256> kChangesPage = MakePageTypes();
  REDOUBT_CHECK(mtr.start_lsn < mtr.end_lsn);
  mtrs_.push_back({mtr.start_lsn, mtr.end_lsn});
  // Bodies inside `payload` stay put until LayOut; those of an mtr that straddles two payloads do
  // not.
  const uint8_t* const first = mtr.bytes.data();
  ptrdiff_t shift = 0;
  if (first < payload.data() || first >= payload.data() + payload.size()) {
    copies_.push_back(std::make_unique<uint8_t[]>(mtr.bytes.size()));
    std::memcpy(copies_.back().get(), first, mtr.bytes.size());
    shift = copies_.back().get() - first;
  }
  // Those that can fail come first, so that a failed mtr leaves nothing behind.
  const size_t notes_before = piece->spaces.size();
  const size_t dynamic_before = piece->dynamic.size();
  for (const innodb::RedoRecord& record : mtr.records) {
    if (kChangesPage[static_cast<uint8_t>(record.type)]) [[likely]] {
      continue;
    }
    const Status status = TakeOther(record, mtr, piece);
    if (!status.ok()) {
      piece->spaces.resize(notes_before);
      piece->dynamic.resize(dynamic_before);
      failed_mtr_ = mtr.start_lsn;
      return status.WithContext(innodb::Describe(record));
    }
  }
  for (const innodb::RedoRecord& record : mtr.records) {
    if (kChangesPage[static_cast<uint8_t>(record.type)]) [[likely]] {
      TakePageRecord(record, record.body.data() + shift, mtr, piece);
    }
  }
  return Status::Ok();
}

void RedoGrouper::TakePageRecord(const innodb::RedoRecord& record, const uint8_t* body,
                                 const innodb::MtrView& mtr, RedoPiece* piece) {
  if (innodb::IsTemporarySpace(record.page.space)) [[unlikely]] {
    return;
  }
  uint32_t& run = table_.FindOrAdd(record.page);
  if (run == PageTable::kNone) {
    run = static_cast<uint32_t>(piece->runs.size());
    PageRun added;
    added.page = record.page;
    added.first_start = mtr.start_lsn;
    added.first_end = mtr.end_lsn;
    piece->runs.push_back(added);
  }
  items_.push_back({body, static_cast<uint32_t>(record.body.size()), run,
                    static_cast<uint32_t>(mtrs_.size() - 1), static_cast<uint8_t>(record.type)});
  if (record.page.page_no == PageNo(0) || innodb::InitializesPage(record.type)) [[unlikely]] {
    NotePageZero(record, mtr, piece);
  }
}

SpaceNote* RedoGrouper::AddNote(SpaceNote::Kind kind, SpaceId space, const innodb::MtrView& mtr,
                                RedoPiece* piece) {
  SpaceNote note;
  note.kind = kind;
  note.space = space;
  note.start = mtr.start_lsn;
  note.end = mtr.end_lsn;
  if (!piece->spaces.empty() && piece->spaces.back().end == mtr.end_lsn) {
    note.seq = piece->spaces.back().seq + 1;
  }
  piece->spaces.push_back(std::move(note));
  return &piece->spaces.back();
}

// Size and flags of a space are bytes of its page 0; an undo space may begin with nothing but an
// init.
void RedoGrouper::NotePageZero(const innodb::RedoRecord& record, const innodb::MtrView& mtr,
                               RedoPiece* piece) {
  if (innodb::InitializesPage(record.type)) {
    if (initialized_spaces_.insert(record.page.space.value()).second) {
      AddNote(SpaceNote::Kind::kInit, record.page.space, mtr, piece);
    }
    return;
  }
  if (record.type != RedoType::kWrite4) {
    return;
  }
  innodb::PackedReader reader(record.body);
  const uint16_t offset = reader.U16();
  const uint32_t value = reader.C32();
  if (offset == innodb::kFspSizeOffset) {
    AddNote(SpaceNote::Kind::kSize, record.page.space, mtr, piece)->value = value;
  } else if (offset == innodb::kFspFlagsOffset) {
    AddNote(SpaceNote::Kind::kFlags, record.page.space, mtr, piece)->value = value;
  }
}

Status RedoGrouper::TakeOther(const innodb::RedoRecord& record, const innodb::MtrView& mtr,
                              RedoPiece* piece) {
  const SpaceId space = record.page.space;
  switch (record.type) {
    case RedoType::kFileCreate: {
      REDOUBT_ASSIGN_OR_RETURN(innodb::FileCreate create, innodb::ParseFileCreate(record.body));
      SpaceNote* const note = AddNote(SpaceNote::Kind::kCreate, space, mtr, piece);
      note->path = std::move(create.path);
      note->value = create.space_flags;
      return Status::Ok();
    }
    case RedoType::kFileRename: {
      REDOUBT_ASSIGN_OR_RETURN(innodb::FileRename rename, innodb::ParseFileRename(record.body));
      AddNote(SpaceNote::Kind::kRename, space, mtr, piece)->path = std::move(rename.new_path);
      return Status::Ok();
    }
    case RedoType::kFileDelete: {
      REDOUBT_ASSIGN_OR_RETURN(innodb::FileDelete deleted, innodb::ParseFileDelete(record.body));
      AddNote(SpaceNote::Kind::kDelete, space, mtr, piece)->path = std::move(deleted.path);
      return Status::Ok();
    }
    case RedoType::kFileExtend: {
      REDOUBT_ASSIGN_OR_RETURN(const innodb::FileExtend extend,
                               innodb::ParseFileExtend(record.body));
      AddNote(SpaceNote::Kind::kExtend, space, mtr, piece)->value =
          extend.offset_bytes + extend.size_bytes;
      return Status::Ok();
    }
    case RedoType::kIndexLoad: {
      REDOUBT_ASSIGN_OR_RETURN(const innodb::IndexLoad load, innodb::ParseIndexLoad(record.body));
      AddNote(SpaceNote::Kind::kIndexLoad, space, mtr, piece)->value = load.index_id;
      return Status::Ok();
    }
    case RedoType::kTableDynamicMeta: {
      REDOUBT_ASSIGN_OR_RETURN(innodb::TableDynamicMeta meta,
                               innodb::ParseTableDynamicMeta(record.body));
      piece->dynamic.push_back({mtr.end_lsn, std::move(meta)});
      return Status::Ok();
    }
    default:
      return Status::Ok();
  }
}

void RedoGrouper::SortItems(const RedoPiece& piece) {
  run_begin_.assign(piece.runs.size() + 1, 0);
  for (const Item& item : items_) {
    ++run_begin_[item.run + 1];
  }
  for (size_t run = 1; run < run_begin_.size(); ++run) {
    run_begin_[run] += run_begin_[run - 1];
  }
  order_.resize(items_.size());
  for (uint32_t i = 0; i < items_.size(); ++i) {
    order_[run_begin_[items_[i].run]++] = i;
  }
  // Now run_begin_[run] is where the run ends.
}

void RedoGrouper::LayOut(RedoPiece* piece) {
  SortItems(*piece);
  size_t bytes_max = 0;
  for (const Item& item : items_) {
    bytes_max += item.body_bytes + kItemOverheadMax;
  }
  if (scratch_.size() < bytes_max) {
    scratch_.resize(bytes_max);
  }
  uint8_t* at = scratch_.data();
  uint32_t next = 0;
  for (uint32_t run_no = 0; run_no < piece->runs.size(); ++run_no) {
    PageRun& run = piece->runs[run_no];
    const uint8_t* const begin = at;
    run.offset = static_cast<uint32_t>(at - scratch_.data());
    uint64_t previous_start = run.first_start.value();
    for (const uint32_t end = run_begin_[run_no]; next < end;) {
      const uint32_t mtr_no = items_[order_[next]].mtr;
      uint32_t after = next;
      uint64_t record_bytes = 0;
      bool initializes = false;
      for (; after < end && items_[order_[after]].mtr == mtr_no; ++after) {
        const Item& item = items_[order_[after]];
        const uint32_t n = item.body_bytes;
        record_bytes += 2 + (n >= 1U << 7) + (n >= 1U << 14) + (n >= 1U << 21) + n;
        initializes |= innodb::InitializesPage(static_cast<RedoType>(item.type));
      }
      const LsnRange mtr = mtrs_[mtr_no];
      at = WriteVarint(at, mtr.start.value() - previous_start);
      at = WriteVarint(at, (mtr.end.value() - mtr.start.value()) * 2 + (initializes ? 1 : 0));
      at = WriteVarint(at, record_bytes);
      const uint8_t* const records = at;
      for (; next < after; ++next) {
        const Item& item = items_[order_[next]];
        *at++ = item.type;
        at = WriteVarint(at, item.body_bytes);
        std::memcpy(at, item.body, item.body_bytes);
        at += item.body_bytes;
      }
      REDOUBT_CHECK(static_cast<uint64_t>(at - records) == record_bytes);
      previous_start = mtr.start.value();
      run.last_start = mtr.start;
      run.last_end = mtr.end;
      run.initializes |= initializes;
    }
    run.bytes = static_cast<uint32_t>(at - begin);
  }
  REDOUBT_CHECK(at <= scratch_.data() + bytes_max);
  piece->body.assign(scratch_.data(), at);
  if (scratch_.size() > kScratchBytesKept) {
    // One huge mtr must not cost its size for ever.
    scratch_ = Bytes();
    items_ = std::vector<Item>();
    order_ = std::vector<uint32_t>();
  }
}

}  // namespace redoubt
