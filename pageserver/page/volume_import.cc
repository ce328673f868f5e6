// SPDX-License-Identifier: MIT
#include "pageserver/page/volume_import.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/hash.h"
#include "common/innodb/page_format.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

// Key: path, 0, ~lsn: the versions of a file, newest first, and "path + 1" is behind them all.
std::string SideFileKey(VolumeId volume, std::string_view path, Lsn lsn) {
  std::string rest(path);
  rest.push_back('\0');
  AppendKeyU64(&rest, ~lsn.value());
  return MetaKey(volume, MetaKind::kSideFile, rest);
}

std::string EncodeSideFile(const SideFile& file, bool deleted) {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(deleted ? 1 : 0);
  writer.U32(file.mode);
  writer.Append(file.bytes);
  return std::string(AsText(out));
}

struct StoredSideFile {
  SideFile file;
  bool deleted = false;
};

Result<StoredSideFile> DecodeSideFile(std::string_view key, std::string_view value) {
  const size_t prefix_bytes = kVolumePrefixBytes + 1;
  if (key.size() < prefix_bytes + 9) {
    return Corruption("the key of a side file is too short");
  }
  ByteReader reader(AsBytes(value));
  StoredSideFile stored;
  stored.deleted = reader.U8() != 0;
  stored.file.mode = reader.U32();
  const ByteView bytes = reader.Take(reader.remaining());
  if (reader.failed()) {
    return Corruption("a stored side file is too short");
  }
  stored.file.path = key.substr(prefix_bytes, key.size() - prefix_bytes - 9);
  stored.file.lsn = Lsn(~LoadKeyU64(key, key.size() - 8));
  stored.file.bytes.assign(bytes.begin(), bytes.end());
  return stored;
}

// The newest version at or below `read_lsn` of every file, deleted ones too.
Result<std::vector<StoredSideFile>> LoadSideFiles(const KvStore& store, VolumeId volume,
                                                  Lsn read_lsn) {
  std::vector<StoredSideFile> files;
  const std::string prefix = MetaKey(volume, MetaKind::kSideFile);
  const std::unique_ptr<KvIterator> at = store.NewIterator(KvFamily::kMeta);
  at->Seek(prefix);
  while (at->Valid() && at->key().starts_with(prefix)) {
    REDOUBT_ASSIGN_OR_RETURN(StoredSideFile newest, DecodeSideFile(at->key(), at->value()));
    std::string path = newest.file.path;
    if (newest.file.lsn > read_lsn) {
      at->Seek(SideFileKey(volume, path, read_lsn));
      if (at->Valid() && at->key().starts_with(prefix)) {
        REDOUBT_ASSIGN_OR_RETURN(StoredSideFile older, DecodeSideFile(at->key(), at->value()));
        if (older.file.path == path) {
          files.push_back(std::move(older));
        }
      }
    } else {
      files.push_back(std::move(newest));
    }
    path.push_back('\1');
    at->Seek(MetaKey(volume, MetaKind::kSideFile, path));
  }
  REDOUBT_RETURN_IF_ERROR(at->status());
  return files;
}

}  // namespace

Status VolumeImport::Load() {
  REDOUBT_ASSIGN_OR_RETURN(const std::vector<StoredSideFile> files,
                           LoadSideFiles(*state_->store, state_->options.volume, kMaxLsn));
  for (const StoredSideFile& stored : files) {
    side_files_[stored.file.path] = {stored.file.lsn, stored.file.bytes.size(), stored.file.mode,
                                     HashBytes(0, stored.file.bytes), stored.deleted};
  }
  return Status::Ok();
}

Task<Status> VolumeImport::WriteDurably(KvBatch batch) {
  Status status = co_await state_->store->Write(std::move(batch));
  if (status.ok()) {
    status = co_await state_->store->Flush();
  }
  co_return status;
}

Status VolumeImport::CheckImage(const PageImageIn& image) const {
  const std::string name = "image of page " + ToString(image.page);
  if (image.bytes.size() != state_->options.page_size) {
    return InvalidArgument(name + " has " + std::to_string(image.bytes.size()) +
                           " bytes, the volume's pages have " +
                           std::to_string(state_->options.page_size));
  }
  switch (innodb::VerifyPage(image.bytes)) {
    case innodb::PageState::kCorrupt:
      return Corruption(name + " has a wrong checksum or differing LSNs: torn or damaged");
    case innodb::PageState::kEncrypted:
      return Unsupported(name + " is encrypted");
    case innodb::PageState::kCompressed:
      return Unsupported(name + " is compressed transparently");
    case innodb::PageState::kOk:
    case innodb::PageState::kZero:
      return Status::Ok();
  }
  return Status::Ok();
}

Task<Status> VolumeImport::DropDerived(const std::vector<PageImageIn>* images, KvBatch* batch) {
  std::vector<std::pair<PageId, Lsn>> pages;
  for (const PageImageIn& image : *images) {
    pages.emplace_back(image.page, image.lsn);
  }
  std::sort(pages.begin(), pages.end());
  auto work = [store = state_->store, volume = state_->options.volume,
               pages = std::move(pages)]() -> Result<std::vector<std::string>> {
    std::vector<std::string> derived;
    const std::unique_ptr<KvIterator> at = store->NewIterator(KvFamily::kImage);
    for (const auto& [page, lsn] : pages) {
      const std::string prefix = PagePrefix(volume, page);
      for (at->Seek(prefix);
           at->Valid() && at->key().starts_with(prefix) && DecodeImageKey(at->key())->lsn > lsn;
           at->Next()) {
        if (!at->value().empty() &&
            at->value()[0] == static_cast<char>(ImageOrigin::kMaterialized)) {
          derived.emplace_back(at->key());
        }
      }
    }
    REDOUBT_RETURN_IF_ERROR(at->status());
    return derived;
  };
  Result<std::vector<std::string>> derived =
      co_await RunBlocking(state_->runtime->blocking, std::move(work));
  if (!derived.ok()) {
    co_return derived.status();
  }
  for (std::string& key : *derived) {
    batch->Delete(KvFamily::kImage, std::move(key));
  }
  co_return Status::Ok();
}

Task<Status> VolumeImport::PutImages(std::vector<PageImageIn> images) {
  const VolumeId volume = state_->options.volume;
  KvBatch batch;
  std::vector<NewSpaceEvent> events;
  for (const PageImageIn& image : images) {
    REDOUBT_CO_RETURN_IF_ERROR(CheckImage(image));
    batch.Put(KvFamily::kImage, ImageKey(volume, image.page, image.lsn),
              EncodeImage(ImageOrigin::kImported, image.bytes));
  }
  for (const PageImageIn& image : images) {
    if (image.page.page_no != PageNo(0) || innodb::IsZero(image.bytes)) {
      continue;
    }
    SpaceEvent event;
    event.lsn = image.lsn;
    event.kind = SpaceEvent::Kind::kSize;
    event.page_count = innodb::DecodeFspHeader(image.bytes).size_pages;
    const std::optional<NewSpaceEvent> added =
        state_->spaces.TakeEvent(image.page.space, std::move(event));
    if (added.has_value()) {
      events.push_back(*added);
    }
  }
  SpaceMap::Store(volume, events, &batch);
  // Before anything is looked up: what is being built now from older bases is neither kept nor
  // cached.
  for (const PageImageIn& image : images) {
    state_->Invalidate(image.page);
  }
  Status status = co_await DropDerived(&images, &batch);
  if (status.ok()) {
    status = co_await WriteDurably(std::move(batch));
  }
  // Again: what was read while the write was under way may not have seen it.
  for (const PageImageIn& image : images) {
    state_->Invalidate(image.page);
    if (status.ok()) {
      state_->wanting_images.erase(image.page.space);
    }
  }
  co_return status;
}

Task<Status> VolumeImport::PutSpaceEvents(std::vector<SpaceEventIn> events) {
  std::vector<NewSpaceEvent> added;
  for (SpaceEventIn& in : events) {
    SpaceEvent event;
    event.lsn = in.lsn;
    event.path = std::move(in.path);
    event.flags = in.flags;
    event.page_count = in.page_count;
    event.reason = std::move(in.reason);
    event.hole_start = in.hole_start;
    switch (in.kind) {
      case SpaceEventKind::kPresent:
        event.kind = SpaceEvent::Kind::kPresent;
        break;
      case SpaceEventKind::kUnsupported:
        event.kind = SpaceEvent::Kind::kUnsupported;
        break;
      case SpaceEventKind::kDeleted:
        event.kind = SpaceEvent::Kind::kDelete;
        break;
      case SpaceEventKind::kImagesComplete:
        event.kind = SpaceEvent::Kind::kImagesComplete;
        state_->wanting_images.erase(in.space);
        break;
      case SpaceEventKind::kSupported:
        event.kind = SpaceEvent::Kind::kSupported;
        break;
      default:
        co_return InvalidArgument("tablespace event of unknown kind " +
                                  std::to_string(static_cast<unsigned>(in.kind)));
    }
    const std::optional<NewSpaceEvent> taken = state_->spaces.TakeEvent(in.space, std::move(event));
    if (taken.has_value()) {
      added.push_back(*taken);
    }
  }
  KvBatch batch;
  SpaceMap::Store(state_->options.volume, added, &batch);
  co_return co_await WriteDurably(std::move(batch));
}

Task<Status> VolumeImport::PutSideFile(SideFile file, bool deleted) {
  if (file.path.empty() || file.path.size() > 4096 || file.path.find('\0') != std::string::npos) {
    co_return InvalidArgument("side file: the path is empty, too long or has a NUL in it");
  }
  if (deleted) {
    file.bytes.clear();
  }
  const Newest newest{file.lsn, file.bytes.size(), file.mode, HashBytes(0, file.bytes), deleted};
  size_t total = newest.bytes;
  for (const auto& [path, known] : side_files_) {
    total += path == file.path ? 0 : known.bytes;
  }
  if (total > kSideFileBytesMax) {
    co_return ResourceExhausted(
        "side file " + file.path + " of " + std::to_string(file.bytes.size()) +
        " bytes: all side files together would be " + std::to_string(total) + " bytes, at most " +
        std::to_string(kSideFileBytesMax) + " are kept");
  }
  const auto known = side_files_.find(file.path);
  if (known != side_files_.end() && known->second.hash == newest.hash &&
      known->second.bytes == newest.bytes && known->second.mode == newest.mode &&
      known->second.deleted == deleted && known->second.lsn <= file.lsn) {
    co_return Status::Ok();
  }
  KvBatch batch;
  batch.Put(KvFamily::kMeta, SideFileKey(state_->options.volume, file.path, file.lsn),
            EncodeSideFile(file, deleted));
  Status status = co_await WriteDurably(std::move(batch));
  if (status.ok()) {
    Newest& slot = side_files_[file.path];
    if (newest.lsn >= slot.lsn) {
      slot = newest;
    }
  }
  co_return status;
}

Task<Status> VolumeImport::SetHorizon(Lsn horizon) {
  state_->ranges.SetHorizon(horizon);
  KvBatch batch;
  batch.Put(KvFamily::kMeta, MetaKey(state_->options.volume, MetaKind::kHistory),
            std::string(AsText(state_->ranges.Encode())));
  const Status status = co_await WriteDurably(std::move(batch));
  if (status.ok()) {
    state_->durable_horizon = std::max(state_->durable_horizon, horizon);
  }
  co_return status;
}

Task<Result<std::vector<SideFile>>> VolumeImport::ListSideFiles(Lsn read_lsn) {
  auto work = [store = state_->store, volume = state_->options.volume, read_lsn]() {
    return LoadSideFiles(*store, volume, read_lsn);
  };
  Result<std::vector<StoredSideFile>> stored =
      co_await RunBlocking(state_->runtime->blocking, work);
  if (!stored.ok()) {
    co_return stored.status();
  }
  std::vector<SideFile> files;
  for (StoredSideFile& file : *stored) {
    if (!file.deleted) {
      files.push_back(std::move(file.file));
    }
  }
  co_return files;
}

}  // namespace redoubt
