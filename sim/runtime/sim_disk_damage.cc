// SPDX-License-Identifier: MIT
//
// Damage at rest of a SimDisk: an overlay over the durable images, sector by sector.
//
// The durable image always holds the right bytes; the overlay says which sectors show something
// else. A sector that a pending write touches is in the page cache, where it is right: the overlay
// shows again once that write is promoted without covering the whole sector. Space that nobody
// needs comes back here as well.

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "sim/runtime/sim_disk.h"

namespace redoubt::sim {
namespace {

constexpr InodeId kRoot = 1;
constexpr uint64_t kSectorBytes = 512;

struct Sector {
  std::string path;
  InodeId inode = 0;
  uint64_t number = 0;
};

// The part of sector `sector` that [offset, offset + count) covers, as offsets of the file.
struct Overlap {
  uint64_t from = 0;
  uint64_t to = 0;
};
Overlap OverlapWith(uint64_t sector, uint64_t offset, uint64_t count) {
  return {std::max(sector * kSectorBytes, offset),
          std::min((sector + 1) * kSectorBytes, offset + count)};
}

uint64_t SectorsEnd(uint64_t offset, uint64_t count) {
  return (offset + count + kSectorBytes - 1) / kSectorBytes;
}

}  // namespace

std::string_view DamageKindName(DamageKind kind) {
  switch (kind) {
    case DamageKind::kUnreadable:
      return "unreadable sector";
    case DamageKind::kBitFlip:
      return "bit flip";
    case DamageKind::kLostWrite:
      return "lost write";
    case DamageKind::kMisdirected:
      return "misdirected write";
  }
  return "unknown";
}

bool SimDisk::IsCached(const Inode& inode, uint64_t sector) {
  return std::any_of(inode.pending.begin(), inode.pending.end(), [&](const DataOp& op) {
    const Overlap overlap = OverlapWith(sector, op.offset, op.bytes.size());
    return !op.truncate && overlap.from < overlap.to;
  });
}

void SimDisk::ShowDamage(const Inode& inode, uint64_t offset, MutableByteView bytes) {
  const uint64_t end = SectorsEnd(offset, bytes.size());
  for (auto it = inode.damage.lower_bound(offset / kSectorBytes);
       it != inode.damage.end() && it->first < end; ++it) {
    const auto& [sector, damage] = *it;
    const Overlap overlap = OverlapWith(sector, offset, bytes.size());
    if (damage.unreadable || IsCached(inode, sector)) {
      continue;
    }
    for (uint64_t at = overlap.from; at < overlap.to; ++at) {
      bytes[at - offset] = damage.shown[at - sector * kSectorBytes];
    }
  }
}

std::optional<uint64_t> SimDisk::FindBadSector(InodeId inode, uint64_t offset,
                                               uint64_t count) const {
  const Inode& node = Get(inode);
  const uint64_t end = std::min<uint64_t>(offset + count, node.content.size());
  for (auto it = node.damage.lower_bound(offset / kSectorBytes);
       it != node.damage.end() && it->first * kSectorBytes < end; ++it) {
    if (it->second.unreadable && !IsCached(node, it->first)) {
      return it->first * kSectorBytes;
    }
  }
  return std::nullopt;
}

void SimDisk::ApplyDurable(const DataOp& op, Inode* inode) {
  ApplyData(op, &inode->durable);
  if (inode->damage.empty()) {
    return;
  }
  if (op.truncate) {
    inode->damage.erase(inode->damage.lower_bound(SectorsEnd(op.offset, 0)), inode->damage.end());
    return;
  }
  const uint64_t end = SectorsEnd(op.offset, op.bytes.size());
  auto it = inode->damage.lower_bound(op.offset / kSectorBytes);
  while (it != inode->damage.end() && it->first < end) {
    const Overlap overlap = OverlapWith(it->first, op.offset, op.bytes.size());
    if (overlap.to - overlap.from == kSectorBytes) {
      it = inode->damage.erase(it);
      continue;
    }
    for (uint64_t at = overlap.from; !it->second.unreadable && at < overlap.to; ++at) {
      it->second.shown[at - it->first * kSectorBytes] = op.bytes[at - op.offset];
    }
    ++it;
  }
}

std::map<std::string, InodeId> SimDisk::FilesBelow(InodeId directory,
                                                   const std::string& prefix) const {
  std::map<std::string, InodeId> files;
  for (const auto& [name, inode] : Get(directory).entries) {
    const std::string path = prefix + '/' + name;
    if (Get(inode).is_directory) {
      files.merge(FilesBelow(inode, path));
    } else {
      files[path] = inode;
    }
  }
  return files;
}

std::optional<DamageSpot> SimDisk::DamageSector(DamageKind kind, std::string_view path_part,
                                                SeededStream* stream, Spare spare) {
  REDOUBT_CHECK(kind == DamageKind::kUnreadable || kind == DamageKind::kBitFlip);
  std::map<std::string, InodeId> files = FilesBelow(kRoot, "");
  std::erase_if(files,
                [&](const auto& file) { return file.first.find(path_part) == std::string::npos; });
  const auto directory_of = [](const std::string& path) { return path.substr(0, path.rfind('/')); };
  std::vector<Sector> places;
  for (auto file = files.begin(); file != files.end(); ++file) {
    const auto& [path, inode] = *file;
    const auto next = std::next(file);
    const bool newest = next == files.end() || directory_of(next->first) != directory_of(path);
    if (newest && spare == Spare::kNewest) {
      continue;
    }
    const Inode& node = Get(inode);
    const uint64_t synced = std::min(node.durable.size(), node.content.size()) / kSectorBytes;
    for (uint64_t sector = 0; sector < synced; ++sector) {
      if (!node.damage.contains(sector) && !IsCached(node, sector)) {
        places.push_back(Sector{path, inode, sector});
      }
    }
  }
  if (places.empty()) {
    return std::nullopt;
  }
  const Sector& place = places[stream->Below(places.size())];
  Inode& node = Get(place.inode);
  SectorDamage damage;
  DamageSpot spot{kind, place.path, place.number * kSectorBytes};
  damage.unreadable = kind == DamageKind::kUnreadable;
  if (!damage.unreadable) {
    const auto begin = node.durable.begin() + static_cast<ptrdiff_t>(spot.offset);
    damage.shown.assign(begin, begin + static_cast<ptrdiff_t>(kSectorBytes));
    const uint64_t bit = stream->Below(kSectorBytes * 8);
    damage.shown[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    spot.offset += bit / 8;
  }
  node.damage[place.number] = std::move(damage);
  damage_log_.push_back(spot);
  return spot;
}

void SimDisk::DamageNextWrite(DamageKind kind, std::string path_part) {
  REDOUBT_CHECK(kind == DamageKind::kLostWrite || kind == DamageKind::kMisdirected);
  armed_ = DamageSpot{kind, std::move(path_part), 0};
}

std::optional<std::string> SimDisk::ArmedPath(InodeId inode) const {
  if (!armed_.has_value()) {
    return std::nullopt;
  }
  for (const auto& [path, id] : FilesBelow(kRoot, "")) {
    if (id == inode && path.find(armed_->path) != path.npos) {
      return path;
    }
  }
  return std::nullopt;
}

// The write counts as durable, but its sectors go on showing what they held: zeroes where the file
// grew.
void SimDisk::LoseWrite(const DataOp& op, Inode* inode) {
  std::map<uint64_t, SectorDamage> before;
  for (uint64_t sector = op.offset / kSectorBytes; sector < SectorsEnd(op.offset, op.bytes.size());
       ++sector) {
    SectorDamage& damage = before[sector];
    const auto known = inode->damage.find(sector);
    if (known != inode->damage.end()) {
      damage = known->second;
      continue;
    }
    damage.shown.resize(kSectorBytes);
    const Overlap there = OverlapWith(sector, 0, inode->durable.size());
    for (uint64_t at = there.from; at < there.to; ++at) {
      damage.shown[at - sector * kSectorBytes] = inode->durable[at];
    }
  }
  ApplyDurable(op, inode);
  before.merge(inode->damage);
  inode->damage = std::move(before);
}

// Another place of the disk's synced sectors, of any file, shows the write's whole sectors, as far
// as that file goes.
void SimDisk::Misdirect(const DataOp& op, InodeId from) {
  std::vector<Sector> places;
  for (const auto& [path, inode] : FilesBelow(kRoot, "")) {
    const uint64_t sectors = Get(inode).durable.size() / kSectorBytes;
    for (uint64_t sector = 0; sector < sectors; ++sector) {
      if (inode != from || sector != op.offset / kSectorBytes) {
        places.push_back(Sector{path, inode, sector});
      }
    }
  }
  if (places.empty()) {
    return;
  }
  const Sector& place = places[misdirections_.Below(places.size())];
  Inode& node = Get(place.inode);
  uint64_t done = 0;
  for (uint64_t sector = place.number; (sector + 1) * kSectorBytes <= node.durable.size();
       ++sector) {
    SectorDamage damage;
    damage.shown.resize(kSectorBytes);
    const uint64_t count = std::min<uint64_t>(kSectorBytes, op.bytes.size() - done);
    std::copy_n(op.bytes.begin() + static_cast<ptrdiff_t>(done), count, damage.shown.begin());
    node.damage[sector] = std::move(damage);
    done += count;
    if (done == op.bytes.size()) {
      break;
    }
  }
  damage_log_.push_back(
      DamageSpot{DamageKind::kMisdirected, place.path, place.number * kSectorBytes});
}

void SimDisk::StallUntil(int64_t until_ns) {
  stalled_until_ns_ = std::max(stalled_until_ns_, until_ns);
}

// What a file system does before it says that the disk is full: it commits its journal, so that the
// blocks of removed files can be used again.
void SimDisk::FreeSpace() {
  for (const NameOp& op : journal_) {
    ApplyDurable(op);
  }
  journal_.clear();
  CollectGarbage();
}

}  // namespace redoubt::sim
