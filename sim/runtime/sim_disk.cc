// SPDX-License-Identifier: MIT
#include "sim/runtime/sim_disk.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt::sim {
namespace {

constexpr InodeId kRoot = 1;

std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

}  // namespace

std::string_view FileOpName(FileOp op) {
  switch (op) {
    case FileOp::kOpen:
      return "open";
    case FileOp::kRead:
      return "read";
    case FileOp::kWrite:
      return "write";
    case FileOp::kSync:
      return "sync";
    case FileOp::kTruncate:
      return "truncate";
    case FileOp::kRemove:
      return "remove";
    case FileOp::kRename:
      return "rename";
    case FileOp::kSyncDirectory:
      return "syncdir";
    case FileOp::kMakeDirectory:
      return "mkdir";
  }
  return "unknown";
}

SimDisk::SimDisk(const DiskOptions& options, RandomRoot* random, uint64_t entity)
    : options_(options),
      latency_(random, "disk-latency", entity),
      errors_(random, "disk-error", entity),
      crashes_(random, "disk-crash", entity),
      misdirections_(random, "disk-misdirection", entity) {
  Wipe();
}

void SimDisk::Wipe() {
  inodes_.clear();
  journal_.clear();
  used_bytes_ = 0;
  armed_.reset();
  inodes_[kRoot].is_directory = true;
  next_inode_ = std::max(next_inode_, kRoot + 1);
}

SimDisk::Inode& SimDisk::Get(InodeId inode) {
  const auto it = inodes_.find(inode);
  REDOUBT_CHECK(it != inodes_.end());
  return it->second;
}

const SimDisk::Inode& SimDisk::Get(InodeId inode) const {
  const auto it = inodes_.find(inode);
  REDOUBT_CHECK(it != inodes_.end());
  return it->second;
}

Result<SimDisk::Place> SimDisk::Locate(std::string_view path) const {
  const std::vector<std::string> parts = SplitPath(path);
  if (parts.empty()) {
    return Place{0, "", kRoot};
  }
  InodeId directory = kRoot;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const Inode& at = Get(directory);
    const auto it = at.entries.find(parts[i]);
    if (it == at.entries.end() || !Get(it->second).is_directory) {
      return NotFound("no such directory: " + std::string(path));
    }
    directory = it->second;
  }
  const Inode& parent = Get(directory);
  const auto it = parent.entries.find(parts.back());
  return Place{directory, parts.back(), it == parent.entries.end() ? 0 : it->second};
}

InodeId SimDisk::NewInode(bool is_directory) {
  const InodeId id = next_inode_++;
  inodes_[id].is_directory = is_directory;
  return id;
}

void SimDisk::EditNames(std::vector<NameEdit> edits) {
  for (const NameEdit& edit : edits) {
    Inode& directory = Get(edit.directory);
    const auto before = directory.entries.find(edit.name);
    if (before != directory.entries.end()) {
      Get(before->second).unlinked = true;
    }
    if (edit.inode == 0) {
      directory.entries.erase(edit.name);
    } else {
      directory.entries[edit.name] = edit.inode;
      Get(edit.inode).unlinked = false;
    }
  }
  journal_.push_back(NameOp{next_seq_++, std::move(edits)});
}

Result<InodeId> SimDisk::Open(std::string_view path, OpenMode mode) {
  Result<Place> place = Locate(path);
  if (!place.ok()) {
    return place.status();
  }
  InodeId inode = place->inode;
  if (inode == 0) {
    if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) {
      return NotFound("no such file: " + std::string(path));
    }
    inode = NewInode(false);
    EditNames({NameEdit{place->directory, place->name, inode}});
  } else if (mode == OpenMode::kCreateNew) {
    return Status(StatusCode::kAlreadyExists, "file exists: " + std::string(path));
  } else if (Get(inode).is_directory) {
    return IoError("is a directory: " + std::string(path));
  }
  ++Get(inode).open_count;
  return inode;
}

uint64_t SimDisk::open_count() const {
  uint64_t count = 0;
  for (const auto& [id, inode] : inodes_) {
    count += inode.open_count;
  }
  return count;
}

void SimDisk::Close(InodeId inode) {
  Inode& node = Get(inode);
  REDOUBT_CHECK(node.open_count > 0);
  --node.open_count;
  if (node.open_count == 0 && node.unlinked) {
    CollectGarbage();
  }
}

Result<std::vector<DirectoryEntry>> SimDisk::List(std::string_view path) const {
  const Result<InodeId> directory = FindDirectory(path);
  if (!directory.ok()) {
    return directory.status();
  }
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, inode] : Get(*directory).entries) {
    entries.push_back(DirectoryEntry{name, Get(inode).is_directory});
  }
  return entries;
}

Result<FileInfo> SimDisk::Stat(std::string_view path) const {
  const Result<Place> place = Locate(path);
  if (!place.ok()) {
    return place.status();
  }
  if (place->inode == 0) {
    return NotFound("no such file: " + std::string(path));
  }
  const Inode& inode = Get(place->inode);
  return FileInfo{inode.content.size(), place->inode, inode.is_directory};
}

Result<InodeId> SimDisk::FindDirectory(std::string_view path) const {
  const Result<Place> place = Locate(path);
  if (!place.ok()) {
    return place.status();
  }
  if (place->inode == 0 || !Get(place->inode).is_directory) {
    return NotFound("no such directory: " + std::string(path));
  }
  return place->inode;
}

Status SimDisk::CreateDirectories(std::string_view path) {
  std::string prefix;
  for (const std::string& part : SplitPath(path)) {
    prefix += '/';
    prefix += part;
    const Result<Place> place = Locate(prefix);
    REDOUBT_CHECK(place.ok());
    if (place->inode == 0) {
      const InodeId inode = NewInode(true);
      EditNames({NameEdit{place->directory, place->name, inode}});
    } else if (!Get(place->inode).is_directory) {
      return IoError("not a directory: " + prefix);
    }
  }
  return Status::Ok();
}

Status SimDisk::Remove(std::string_view path) {
  const Result<Place> place = Locate(path);
  if (!place.ok()) {
    return place.status();
  }
  if (place->inode == 0 || place->inode == kRoot) {
    return NotFound("no such file: " + std::string(path));
  }
  const Inode& inode = Get(place->inode);
  if (inode.is_directory && !inode.entries.empty()) {
    return IoError("directory not empty: " + std::string(path));
  }
  EditNames({NameEdit{place->directory, place->name, 0}});
  return Status::Ok();
}

Status SimDisk::Rename(std::string_view from, std::string_view to) {
  const Result<Place> source = Locate(from);
  const Result<Place> target = Locate(to);
  if (!source.ok() || source->inode == 0) {
    return NotFound("no such file: " + std::string(from));
  }
  if (!target.ok()) {
    return target.status();
  }
  if (source->inode == target->inode) {
    return Status::Ok();
  }
  if (target->inode != 0 && Get(target->inode).is_directory != Get(source->inode).is_directory) {
    return IoError("cannot replace " + std::string(to) + ": one is a directory");
  }
  if (target->inode != 0 && !Get(target->inode).entries.empty()) {
    return IoError("directory not empty: " + std::string(to));
  }
  EditNames({NameEdit{source->directory, source->name, 0},
             NameEdit{target->directory, target->name, source->inode}});
  return Status::Ok();
}

size_t SimDisk::Read(InodeId inode, uint64_t offset, MutableByteView into) const {
  const Bytes& content = Get(inode).content;
  if (offset >= content.size()) {
    return 0;
  }
  const size_t count = std::min<size_t>(into.size(), content.size() - offset);
  std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), count, into.begin());
  ShowDamage(Get(inode), offset, into.first(count));
  return count;
}

uint64_t SimDisk::Size(InodeId inode) const { return Get(inode).content.size(); }

void SimDisk::ApplyData(const DataOp& op, Bytes* image) {
  if (op.truncate) {
    image->resize(op.offset);
    return;
  }
  if (image->size() == op.offset) {
    image->insert(image->end(), op.bytes.begin(), op.bytes.end());
    return;
  }
  if (image->size() < op.offset + op.bytes.size()) {
    image->resize(op.offset + op.bytes.size());
  }
  std::copy(op.bytes.begin(), op.bytes.end(), image->begin() + static_cast<ptrdiff_t>(op.offset));
}

Status SimDisk::Write(InodeId inode, uint64_t offset, ByteView bytes) {
  Inode& node = Get(inode);
  REDOUBT_CHECK(!node.is_directory);
  const uint64_t end = offset + bytes.size();
  const uint64_t growth = end > node.content.size() ? end - node.content.size() : 0;
  if (growth > 0 && used_bytes_ + growth > options_.capacity_bytes) {
    FreeSpace();
  }
  Status status;
  if (growth > 0 && used_bytes_ + growth > options_.capacity_bytes) {
    // As a kernel does: what fits is written.
    const uint64_t room = options_.capacity_bytes - std::min(options_.capacity_bytes, used_bytes_);
    bytes = bytes.first(bytes.size() - std::min<uint64_t>(growth - room, bytes.size()));
    status = Status(StatusCode::kNoSpace, "no space left on the simulated disk");
  }
  if (bytes.empty()) {
    return status;
  }
  used_bytes_ += std::max(node.content.size(), offset + bytes.size()) - node.content.size();
  node.pending.push_back(DataOp{next_seq_++, false, offset, Bytes(bytes.begin(), bytes.end())});
  ApplyData(node.pending.back(), &node.content);
  return status;
}

Status SimDisk::Truncate(InodeId inode, uint64_t size) {
  Inode& node = Get(inode);
  REDOUBT_CHECK(!node.is_directory);
  if (size > node.content.size() &&
      used_bytes_ - node.content.size() + size > options_.capacity_bytes) {
    return Status(StatusCode::kNoSpace, "no space left on the simulated disk");
  }
  used_bytes_ = used_bytes_ - node.content.size() + size;
  node.pending.push_back(DataOp{next_seq_++, true, size, {}});
  ApplyData(node.pending.back(), &node.content);
  return Status::Ok();
}

void SimDisk::PromoteFile(InodeId inode, uint64_t mark) {
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) {
    return;  // removed, and closed, while the sync was under way
  }
  Inode& node = found->second;
  size_t count = 0;
  while (count < node.pending.size() && node.pending[count].seq < mark) {
    const DataOp& op = node.pending[count++];
    const std::optional<std::string> path = op.truncate ? std::nullopt : ArmedPath(inode);
    if (!path.has_value()) {
      ApplyDurable(op, &node);
      continue;
    }
    const DamageKind kind = armed_->kind;
    armed_.reset();
    damage_log_.push_back(DamageSpot{kind, *path, op.offset});
    LoseWrite(op, &node);
    if (kind == DamageKind::kMisdirected) {
      Misdirect(op, inode);
    }
  }
  node.pending.erase(node.pending.begin(), node.pending.begin() + static_cast<ptrdiff_t>(count));
}

void SimDisk::PromoteAll() {
  for (auto& [id, inode] : inodes_) {
    PromoteFile(id, next_seq_);
  }
  for (const NameOp& op : journal_) {
    ApplyDurable(op);
  }
  journal_.clear();
}

void SimDisk::DropPending(InodeId inode, uint64_t mark) {
  Inode& node = Get(inode);
  const size_t dropped =
      std::erase_if(node.pending, [mark](const DataOp& op) { return op.seq < mark; });
  node.lost_writes = node.lost_writes || dropped > 0;
}

void SimDisk::ApplyDurable(const NameOp& op) {
  for (const NameEdit& edit : op.edits) {
    Inode& directory = Get(edit.directory);
    if (edit.inode == 0) {
      directory.durable_entries.erase(edit.name);
    } else {
      directory.durable_entries[edit.name] = edit.inode;
    }
  }
}

void SimDisk::PromoteDirectory(InodeId directory, uint64_t mark) {
  bool names_went = false;
  std::vector<NameOp> left;
  for (NameOp& op : journal_) {
    const bool touches = std::any_of(op.edits.begin(), op.edits.end(), [&](const NameEdit& edit) {
      return edit.directory == directory;
    });
    if (touches && op.seq < mark) {
      ApplyDurable(op);
      names_went = names_went || op.edits.front().inode == 0;
    } else {
      left.push_back(std::move(op));
    }
  }
  journal_ = std::move(left);
  if (names_went) {
    CollectGarbage();
  }
}

uint64_t SimDisk::pending_count() const {
  uint64_t count = journal_.size();
  for (const auto& [id, inode] : inodes_) {
    count += inode.pending.size();
  }
  return count;
}

void SimDisk::FailNext(FileOp op, std::string path_part, StatusCode code, uint32_t count) {
  rules_.push_back(FaultRule{op, std::move(path_part), code, count});
}

void SimDisk::ClearFaults() {
  rules_.clear();
  armed_.reset();
  stalled_until_ns_ = 0;
}

void SimDisk::SetErrorRates(uint32_t read_ppm, uint32_t write_ppm, uint32_t sync_ppm) {
  options_.read_error_ppm = read_ppm;
  options_.write_error_ppm = write_ppm;
  options_.sync_error_ppm = sync_ppm;
}

void SimDisk::SetObserver(
    std::function<void(FileOp, std::string_view path, uint64_t op_no)> observer) {
  observer_ = std::move(observer);
}

Status SimDisk::CheckFault(FileOp op, std::string_view path) {
  ++op_count_;
  if (observer_) {
    observer_(op, path, op_count_);
  }
  for (FaultRule& rule : rules_) {
    if (rule.remaining > 0 && rule.op == op && path.find(rule.path_part) != path.npos) {
      --rule.remaining;
      ++error_count_;
      return Status(rule.code,
                    "injected " + std::string(FileOpName(op)) + " error on " + std::string(path));
    }
  }
  uint32_t ppm = 0;
  if (op == FileOp::kRead) {
    ppm = options_.read_error_ppm;
  } else if (op == FileOp::kWrite) {
    ppm = options_.write_error_ppm;
  } else if (op == FileOp::kSync) {
    ppm = options_.sync_error_ppm;
  }
  if (errors_.Chance(ppm)) {
    ++error_count_;
    return IoError("injected " + std::string(FileOpName(op)) + " error on " + std::string(path));
  }
  return Status::Ok();
}

}  // namespace redoubt::sim
