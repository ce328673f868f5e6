// SPDX-License-Identifier: MIT
#include "pageserver/page/space_map.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

using Kind = SpaceEvent::Kind;

// Events told by clients come after those of redo at the same LSN.
constexpr uint32_t kClientSeq = 1U << 30;

bool Before(const SpaceEvent& a, const SpaceEvent& b) {
  return a.lsn != b.lsn ? a.lsn < b.lsn : a.seq < b.seq;
}

void FoldFlags(uint32_t raw, Lsn lsn, SpaceView* view) {
  view->flags = raw;
  const innodb::SpaceFlags flags{raw};
  view->compressed = flags.zip_page_size() != 0;
  if (view->unsupported()) {
    return;
  }
  if (view->compressed) {
    view->unsupported_reason = "ROW_FORMAT=COMPRESSED is not supported";
    view->unsupported_from = lsn;
  } else if (flags.encrypted()) {
    view->unsupported_reason = "the tablespace is encrypted";
    view->unsupported_from = lsn;
  }
}

}  // namespace

void SpaceMap::Fold(const SpaceEvent& event, SpaceView* view) {
  view->known = true;
  switch (event.kind) {
    case Kind::kCreate:
    case Kind::kImplicit: {
      const Lsn floor = view->floor;
      *view = SpaceView();
      view->known = true;
      view->exists = true;
      view->floor = floor;
      view->created = event.lsn;
      view->path = event.path;
      FoldFlags(event.flags, event.lsn, view);
      break;
    }
    case Kind::kPresent:
      view->created = view->exists ? view->created : event.lsn;
      view->exists = true;
      view->path = event.path;
      view->page_count = std::max(view->page_count, event.page_count);
      view->size_known = true;
      FoldFlags(event.flags, event.lsn, view);
      break;
    case Kind::kRename:
      view->path = event.path;
      break;
    case Kind::kDelete: {
      *view = SpaceView();
      view->known = true;
      view->floor = event.lsn;
      break;
    }
    case Kind::kLost: {
      // Older images may still be the newest of their pages: an import need not send what it sent.
      const Lsn floor = view->floor;
      *view = SpaceView();
      view->known = true;
      view->floor = floor;
      break;
    }
    case Kind::kSize:
      view->page_count = std::max(view->page_count, event.page_count);
      view->size_known = true;
      break;
    case Kind::kFlags:
      FoldFlags(event.flags, event.lsn, view);
      break;
    case Kind::kUnsupported:
      if (!view->unsupported()) {
        view->unsupported_reason = event.reason.empty() ? "not supported" : event.reason;
        view->unsupported_from = event.lsn;
      }
      break;
    case Kind::kSupported:
      view->unsupported_reason.clear();
      view->unsupported_from = Lsn{};
      break;
    case Kind::kImagesComplete:
    case Kind::kIndexLoad:
      break;
  }
}

Status SpaceMap::Load(const KvStore& store) {
  const std::string prefix = VolumePrefix(volume_);
  const std::unique_ptr<KvIterator> at = store.NewIterator(KvFamily::kSpace);
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    const std::optional<SpaceEventKey> key = DecodeSpaceKey(at->key());
    if (!key.has_value()) {
      return Corruption("a key of the space family has a wrong length");
    }
    REDOUBT_ASSIGN_OR_RETURN(SpaceEvent event, DecodeSpaceEvent(at->value(), key->lsn, key->seq));
    Insert(key->space, std::move(event));
  }
  return at->status();
}

bool SpaceMap::Insert(SpaceId space, SpaceEvent event) {
  History& history = spaces_[space];
  const auto at = std::lower_bound(history.events.begin(), history.events.end(), event, Before);
  if (at != history.events.end() && at->lsn == event.lsn && at->seq == event.seq) {
    return false;  // taken before: redo that is read again
  }
  if (event.kind == Kind::kDelete || event.kind == Kind::kCreate || event.kind == Kind::kLost) {
    history.largest_size = 0;
  }
  history.largest_size = std::max(history.largest_size, event.page_count);
  any_compressed_ = any_compressed_ || innodb::SpaceFlags{event.flags}.zip_page_size() != 0;
  if (event.kind == Kind::kImagesComplete) {
    history.last_hole_end = std::max(history.last_hole_end, event.lsn);
  }
  const bool last = at == history.events.end();
  history.newest_from = std::max(history.newest_from, event.lsn);
  if (last) {
    Fold(event, &history.newest);
  }
  history.events.insert(at, std::move(event));
  if (!last) {
    history.newest = SpaceView();
    for (const SpaceEvent& each : history.events) {
      Fold(each, &history.newest);
    }
  }
  history.memo_until = Lsn{};
  return true;
}

void SpaceMap::Add(SpaceId space, SpaceEvent event, std::vector<NewSpaceEvent>* events) {
  if (Insert(space, event)) {
    events->push_back({space, std::move(event)});
  }
}

void SpaceMap::TakeSize(SpaceId space, SpaceEvent event, uint64_t pages,
                        std::vector<NewSpaceEvent>* events) {
  event.kind = Kind::kSize;
  event.page_count = static_cast<uint32_t>(std::min<uint64_t>(pages, UINT32_MAX));
  const auto known = spaces_.find(space);
  if (known == spaces_.end() || event.page_count > known->second.largest_size) {
    Add(space, std::move(event), events);
  }
}

void SpaceMap::TakeIndexLoad(const SpaceNote& note, SpaceEvent event,
                             std::vector<NewSpaceEvent>* events) {
  // Covered: images were announced since the last index load, by whoever saw this one coming.
  Lsn previous;
  bool covered = false;
  for (const SpaceEvent& known : spaces_[note.space].events) {
    if (known.kind == Kind::kIndexLoad && known.lsn < note.end) {
      previous = known.lsn;
      covered = false;
    }
    if (known.kind == Kind::kImagesComplete && known.lsn > previous) {
      covered = true;
    }
  }
  event.kind = Kind::kIndexLoad;
  Add(note.space, event, events);
  if (!covered) {
    event.kind = Kind::kUnsupported;
    ++event.seq;
    event.reason = "index " + std::to_string(note.value) +
                   " was built without redo (MLOG_INDEX_LOAD at LSN " +
                   std::to_string(note.start.value()) +
                   ") and no images of its pages were sent; import the tablespace again";
    Add(note.space, std::move(event), events);
  }
}

void SpaceMap::TakeNote(const SpaceNote& note, std::vector<NewSpaceEvent>* events) {
  SpaceEvent event;
  event.lsn = note.end;
  event.seq = note.seq * 2;  // odd ones: what follows from a note
  REDOUBT_CHECK(event.seq < kClientSeq);
  switch (note.kind) {
    case SpaceNote::Kind::kCreate:
      event.kind = Kind::kCreate;
      event.path = note.path;
      event.flags = static_cast<uint32_t>(note.value);
      break;
    case SpaceNote::Kind::kRename:
      event.kind = Kind::kRename;
      event.path = note.path;
      break;
    case SpaceNote::Kind::kDelete:
      event.kind = Kind::kDelete;
      event.path = note.path;
      break;
    case SpaceNote::Kind::kExtend:
      TakeSize(note.space, event, note.value / page_size_, events);
      return;
    case SpaceNote::Kind::kSize:
      TakeSize(note.space, event, note.value, events);
      return;
    case SpaceNote::Kind::kFlags: {
      if (View(note.space, note.end).flags == note.value) {
        return;
      }
      event.kind = Kind::kFlags;
      event.flags = static_cast<uint32_t>(note.value);
      break;
    }
    case SpaceNote::Kind::kInit: {
      // A dropped id stays dropped until somebody says otherwise.
      if (View(note.space, note.end).known) {
        return;
      }
      event.kind = Kind::kImplicit;
      break;
    }
    case SpaceNote::Kind::kIndexLoad:
      TakeIndexLoad(note, std::move(event), events);
      return;
  }
  Add(note.space, std::move(event), events);
}

std::optional<NewSpaceEvent> SpaceMap::TakeEvent(SpaceId space, SpaceEvent event) {
  event.seq = kClientSeq;
  const auto known = spaces_.find(space);
  if (known != spaces_.end()) {
    for (const SpaceEvent& other : known->second.events) {
      if (other.lsn != event.lsn || other.seq < kClientSeq) {
        continue;
      }
      event.seq = other.seq;
      if (other == event) {
        return std::nullopt;  // sent again
      }
      event.seq = other.seq + 1;
    }
  }
  REDOUBT_CHECK(Insert(space, event));
  return NewSpaceEvent{space, std::move(event)};
}

void SpaceMap::ForgetAll(Lsn known_until, std::vector<NewSpaceEvent>* events) {
  // Below everything that an import after the loss may say.
  const Lsn lost_at(known_until.value() + 1);
  for (const SpaceId space : Spaces()) {
    if (View(space, known_until).exists) {
      SpaceEvent event;
      event.lsn = lost_at;
      event.kind = Kind::kLost;
      Add(space, std::move(event), events);
    }
  }
}

const SpaceView& SpaceMap::View(SpaceId space, Lsn read_lsn) {
  static const SpaceView kUnknown;
  const auto found = spaces_.find(space);
  if (found == spaces_.end()) {
    return kUnknown;
  }
  History& history = found->second;
  if (read_lsn >= history.newest_from) [[likely]] {
    return history.newest;
  }
  if (history.memo_from <= read_lsn && read_lsn < history.memo_until) {
    return history.memo;
  }
  history.memo = SpaceView();
  history.memo_from = Lsn{};
  for (const SpaceEvent& event : history.events) {
    if (event.lsn > read_lsn) {
      history.memo_until = event.lsn;
      break;
    }
    Fold(event, &history.memo);
    history.memo_from = event.lsn;
  }
  return history.memo;
}

std::vector<SpaceId> SpaceMap::Spaces() const {
  std::vector<SpaceId> ids;
  for (const auto& [id, history] : spaces_) {
    ids.push_back(id);
  }
  return ids;
}

std::optional<LsnRange> SpaceMap::HoleAt(SpaceId space, Lsn read_lsn) const {
  const auto found = spaces_.find(space);
  if (found == spaces_.end() || read_lsn >= found->second.last_hole_end) [[likely]] {
    return std::nullopt;
  }
  std::optional<LsnRange> around;
  for (const SpaceEvent& event : found->second.events) {
    const LsnRange hole{event.hole_start, event.lsn};
    if (event.kind != Kind::kImagesComplete || !hole.Contains(read_lsn)) {
      continue;
    }
    if (!around.has_value()) {
      around = hole;
    }
    around->start = std::min(around->start, hole.start);
    around->end = std::max(around->end, hole.end);
  }
  return around;
}

std::vector<LsnRange> SpaceMap::Holes(SpaceId space) const {
  std::vector<LsnRange> holes;
  const auto found = spaces_.find(space);
  if (found != spaces_.end()) {
    for (const SpaceEvent& event : found->second.events) {
      if (event.kind == Kind::kImagesComplete) {
        holes.push_back({event.hole_start, event.lsn});
      }
    }
  }
  return holes;
}

uint32_t SpaceMap::UnsupportedCount(Lsn read_lsn) {
  uint32_t count = 0;
  for (const SpaceId space : Spaces()) {
    const SpaceView& view = View(space, read_lsn);
    count += view.exists && view.unsupported() ? 1 : 0;
  }
  return count;
}

bool SpaceMap::IsUnreadable(SpaceId space, Lsn from, Lsn until) {
  // At both ends: within the stretch the id may have been dropped and used again.
  const auto unreadable = [this, space](Lsn lsn) {
    const SpaceView& view = View(space, lsn);
    return view.compressed && view.unsupported();
  };
  return any_compressed_ && unreadable(until) && unreadable(from);
}

void SpaceMap::Store(VolumeId volume, const std::vector<NewSpaceEvent>& events, KvBatch* batch) {
  for (const NewSpaceEvent& added : events) {
    batch->Put(KvFamily::kSpace, SpaceKey(volume, added.space, added.event.lsn, added.event.seq),
               EncodeSpaceEvent(added.event));
  }
}

}  // namespace redoubt
