// SPDX-License-Identifier: MIT
//
// What tablespaces a volume had at any LSN: path, flags, size, whether they can be followed, and
// below which LSN their history is hidden (dropped, or lost).
//
// Everything is in memory; events also go to the `space` family: those born from redo with the
// batch of their redo, those told by a client at once.
//
// Facts (MySQL 9.7.4, redo-format 4.7, 6.4): undo spaces begin without a file record; a dropped id
// may come back (DISCARD + IMPORT), so a delete hides older history only; a file's size is the
// largest of its base copy, FILE_EXTEND ends and FSP_SIZE.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "pageserver/page/redo_piece.h"
#include "pageserver/page/space_event.h"
#include "pageserver/storage/kv_store.h"

namespace redoubt {

// A space at an LSN.
struct SpaceView {
  bool known = false;  // anything was ever said about it at or below the LSN
  bool exists = false;
  bool size_known = false;
  Lsn created;
  // History that ended at or below it is hidden: the space was dropped then.
  Lsn floor;
  std::string path;
  uint32_t page_count = 0;
  uint32_t flags = 0;
  std::string unsupported_reason;
  Lsn unsupported_from;
  bool unsupported() const { return !unsupported_reason.empty(); }
  // ROW_FORMAT=COMPRESSED, a property of the file from its creation: its pages are never readable,
  // whereas every other unsupported space may be imported again and followed.
  bool compressed = false;
};

struct NewSpaceEvent {
  SpaceId space;
  SpaceEvent event;
};

class SpaceMap {
 public:
  SpaceMap(VolumeId volume, uint32_t page_size) : volume_(volume), page_size_(page_size) {}

  // Reads the volume's events. Blocking.
  Status Load(const KvStore& store);

  // What redo says; appends what has to be stored with its batch.
  void TakeNote(const SpaceNote& note, std::vector<NewSpaceEvent>* events);
  // What a client says; nullopt when it is known already. The caller stores the answer.
  std::optional<NewSpaceEvent> TakeEvent(SpaceId space, SpaceEvent event);
  // Redo after `known_until` was lost: which spaces exist has to be told again.
  void ForgetAll(Lsn known_until, std::vector<NewSpaceEvent>* events);

  // Borrowed until the next change or View of the same space.
  const SpaceView& View(SpaceId space, Lsn read_lsn);
  // Ids of all spaces ever seen, ascending.
  std::vector<SpaceId> Spaces() const;
  // [hole_start, lsn) of unlogged builds that contain `read_lsn`: a page without a base is unknown.
  std::optional<LsnRange> HoleAt(SpaceId space, Lsn read_lsn) const;
  // All of them.
  std::vector<LsnRange> Holes(SpaceId space) const;
  uint32_t UnsupportedCount(Lsn read_lsn);
  // Whether redo of the space in (from, until] can never be read.
  bool IsUnreadable(SpaceId space, Lsn from, Lsn until);

  static void Store(VolumeId volume, const std::vector<NewSpaceEvent>& events, KvBatch* batch);

 private:
  struct History {
    std::vector<SpaceEvent> events;  // by (lsn, seq)
    SpaceView newest;                // after all events
    Lsn newest_from;                 // LSN of the last event
    SpaceView memo;                  // an older view, for [memo_from, memo_until)
    Lsn memo_from;
    Lsn memo_until;
    Lsn last_hole_end;          // of all kImagesComplete events
    uint32_t largest_size = 0;  // of the present incarnation, to store only growth
  };

  bool Insert(SpaceId space, SpaceEvent event);
  void Add(SpaceId space, SpaceEvent event, std::vector<NewSpaceEvent>* events);
  void TakeSize(SpaceId space, SpaceEvent event, uint64_t pages,
                std::vector<NewSpaceEvent>* events);
  void TakeIndexLoad(const SpaceNote& note, SpaceEvent event, std::vector<NewSpaceEvent>* events);
  static void Fold(const SpaceEvent& event, SpaceView* view);

  VolumeId volume_;
  uint32_t page_size_;
  std::map<SpaceId, History> spaces_;
  bool any_compressed_ = false;
};

}  // namespace redoubt
