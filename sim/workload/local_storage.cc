// SPDX-License-Identifier: MIT
#include "sim/workload/local_storage.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/apply.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

constexpr size_t kBlockBytes = 512;
constexpr size_t kBlockHeaderBytes = 16;  // number u32, payload bytes u32, LSN u64
constexpr size_t kBlockPayloadBytes = kBlockBytes - kBlockHeaderBytes - 4;
constexpr uint64_t kFirstBlockOffset = 8192;
constexpr uint64_t kCheckpointStride = 4096;
constexpr uint64_t kCheckpointMagic = 0x4c4f43414c434b50;
constexpr size_t kPagesPerBatch = 6;

void Seal(MutableByteView block) {
  StoreBe32(block.data() + kBlockBytes - 4, Crc32c(block.first(kBlockBytes - 4)));
}

bool IsSealed(ByteView block) {
  return block.size() == kBlockBytes &&
         LoadBe32(block.data() + kBlockBytes - 4) == Crc32c(block.first(kBlockBytes - 4));
}

// "t12.ibd" -> 12.
std::optional<SpaceId> SpaceOfName(const std::string& name) {
  if (!name.starts_with("t") || !name.ends_with(".ibd")) {
    return std::nullopt;
  }
  uint32_t number = 0;
  for (size_t i = 1; i < name.size() - 4; ++i) {
    number = number * 10 + static_cast<uint32_t>(name[i] - '0');
  }
  return SpaceId(number);
}

}  // namespace

Task<Result<Bytes>> LocalStorage::ReadAll(File* file) {
  const Result<uint64_t> size = co_await file->Size();
  if (!size.ok()) {
    co_return size.status();
  }
  Bytes bytes(*size);
  const MutableByteView into(bytes);
  const Result<size_t> count = co_await file->ReadAt(0, into);
  if (!count.ok()) {
    co_return count.status();
  }
  bytes.resize(*count);
  co_return bytes;
}

Task<Status> LocalStorage::OpenRedo(FoundRedo* found) {
  std::string path = options_.directory + "/redo";
  Result<std::unique_ptr<File>> opened =
      co_await runtime_->files->Open(std::move(path), OpenMode::kCreate);
  if (!opened.ok()) {
    co_return opened.status();
  }
  redo_ = std::move(*opened);
  std::string directory = options_.directory;
  REDOUBT_CO_RETURN_IF_ERROR(co_await runtime_->files->SyncDirectory(std::move(directory)));
  const Result<Bytes> read = co_await ReadAll(redo_.get());
  if (!read.ok()) {
    co_return read.status();
  }
  const ByteView all(*read);
  Position at{server_->begin_lsn(), kFirstBlockOffset, 0};
  for (const uint64_t offset : {uint64_t{0}, kCheckpointStride}) {
    if (offset + kBlockBytes > all.size() || !IsSealed(all.subspan(offset, kBlockBytes)) ||
        LoadBe64(all.data() + offset) != kCheckpointMagic) {
      continue;
    }
    const uint8_t* block = all.data() + offset;
    if (LoadBe64(block + 8) >= checkpoint_no_) {
      checkpoint_no_ = LoadBe64(block + 8);
      at = {Lsn(LoadBe64(block + 16)), LoadBe64(block + 24), LoadBe32(block + 32)};
    }
  }
  found->from = at;
  Lsn fed = at.lsn;
  for (; at.offset + kBlockBytes <= all.size(); at.offset += kBlockBytes, ++at.block_no) {
    const ByteView block = all.subspan(at.offset, kBlockBytes);
    const uint32_t bytes = LoadBe32(block.data() + 4);
    if (!IsSealed(block) || LoadBe32(block.data()) != at.block_no ||
        Lsn(LoadBe64(block.data() + 8)) > fed || bytes > kBlockPayloadBytes) {
      break;
    }
    // A commit after a recovery begins at the last whole mtr, before what was cut there.
    const uint64_t again =
        innodb::ToSn(fed).value() - innodb::ToSn(Lsn(LoadBe64(block.data() + 8))).value();
    REDOUBT_CHECK(again <= found->payload.size());
    found->payload.resize(found->payload.size() - again);
    const ByteView payload = block.subspan(kBlockHeaderBytes, bytes);
    found->payload.insert(found->payload.end(), payload.begin(), payload.end());
    fed = innodb::AdvanceLsn(found->from.lsn, found->payload.size());
  }
  next_ = at;
  // What lies behind was never acknowledged, and must not be taken for a continuation later.
  REDOUBT_CO_RETURN_IF_ERROR(co_await redo_->Truncate(std::max(at.offset, kFirstBlockOffset)));
  co_return co_await redo_->Sync();
}

Task<Status> LocalStorage::ReadSpace(std::string name, std::map<PageId, Bytes>* pages) {
  const SpaceId space = *SpaceOfName(name);
  const Result<File*> file = co_await SpaceFile(space);
  if (!file.ok()) {
    co_return file.status();
  }
  const Result<Bytes> all = co_await ReadAll(*file);
  if (!all.ok()) {
    co_return all.status();
  }
  const size_t page_size = history_->page_size();
  for (size_t at = 0; at < all->size(); at += page_size) {
    Bytes& page = (*pages)[PageId{space, PageNo(static_cast<uint32_t>(at / page_size))}];
    const size_t count = std::min(page_size, all->size() - at);
    page.assign(all->begin() + static_cast<ptrdiff_t>(at),
                all->begin() + static_cast<ptrdiff_t>(at + count));
    page.resize(page_size);
  }
  co_return Status::Ok();
}

Task<Status> LocalStorage::ReadDoublewrite(std::map<PageId, Bytes>* copies) {
  if (!options_.doublewrite) {
    co_return Status::Ok();
  }
  std::string path = options_.directory + "/dblwr";
  Result<std::unique_ptr<File>> opened =
      co_await runtime_->files->Open(std::move(path), OpenMode::kCreate);
  if (!opened.ok()) {
    co_return opened.status();
  }
  doublewrite_ = std::move(*opened);
  std::string directory = options_.directory;
  REDOUBT_CO_RETURN_IF_ERROR(co_await runtime_->files->SyncDirectory(std::move(directory)));
  const Result<Bytes> all = co_await ReadAll(doublewrite_.get());
  if (!all.ok()) {
    co_return all.status();
  }
  const size_t page_size = history_->page_size();
  for (size_t at = 0; at + page_size <= all->size(); at += page_size) {
    const ByteView page = ByteView(*all).subspan(at, page_size);
    if (innodb::VerifyPage(page) != innodb::PageState::kOk) {
      continue;
    }
    // A larger batch of before may have left an older copy behind this one's end.
    Bytes& copy = (*copies)[innodb::PageIdOf(page)];
    if (copy.empty() || innodb::PageLsnOf(copy) < innodb::PageLsnOf(page)) {
      copy.assign(page.begin(), page.end());
    }
  }
  co_return Status::Ok();
}

Task<Status> LocalStorage::ReadPages(LocalRecovery* recovery, std::set<PageId>* torn) {
  std::string directory = options_.directory;
  const Result<std::vector<DirectoryEntry>> entries =
      co_await runtime_->files->List(std::move(directory));
  if (!entries.ok()) {
    co_return entries.status();
  }
  for (const DirectoryEntry& entry : *entries) {
    if (SpaceOfName(entry.name).has_value()) {
      std::string name = entry.name;
      REDOUBT_CO_RETURN_IF_ERROR(co_await ReadSpace(std::move(name), &recovery->pages));
    }
  }
  std::map<PageId, Bytes> copies;
  REDOUBT_CO_RETURN_IF_ERROR(co_await ReadDoublewrite(&copies));
  for (auto& [id, page] : recovery->pages) {
    const innodb::PageState state = innodb::VerifyPage(page);
    if (state == innodb::PageState::kOk) {
      on_disk_[id] = innodb::PageLsnOf(page);
      continue;
    }
    recovery->torn_count += state == innodb::PageState::kZero ? 0 : 1;
    if (const auto copy = copies.find(id); copy != copies.end()) {
      page = copy->second;
      ++recovery->repaired_count;
      // At once: the next batch overwrites the copy.
      File* const file = spaces_[id.space].get();
      const ByteView image(page);
      const uint64_t offset = id.page_no.value() * uint64_t{history_->page_size()};
      REDOUBT_CO_RETURN_IF_ERROR(co_await file->WriteAt(offset, image));
      REDOUBT_CO_RETURN_IF_ERROR(co_await file->Sync());
      on_disk_[id] = innodb::PageLsnOf(page);
    } else if (state != innodb::PageState::kZero) {
      torn->insert(id);
    }
  }
  co_return Status::Ok();
}

Status LocalStorage::Apply(const FoundRedo& found, LocalRecovery* recovery,
                           std::set<PageId>* torn) {
  innodb::PageApplier applier;
  innodb::MtrAssembler assembler(found.from.lsn);
  REDOUBT_CHECK(!recovery->pages.empty() || torn->empty());
  const auto sink = [&](const innodb::MtrView& mtr) {
    std::map<PageId, std::vector<innodb::RedoRecord>> changes;
    for (const innodb::RedoRecord& record : mtr.records) {
      if (innodb::ChangesPage(record.type)) {
        changes[record.page].push_back(record);
      }
    }
    for (const auto& [id, records] : changes) {
      Bytes& page = recovery->pages[id];
      if (torn->contains(id)) {
        if (!innodb::InitializesPage(records.front().type)) {
          continue;
        }
        torn->erase(id);
        std::fill(page.begin(), page.end(), uint8_t{0});
      }
      page.resize(recovery->page_size);
      const innodb::MtrLsns lsns{mtr.start_lsn, mtr.end_lsn};
      if (!applier.ApplyMtr(records, lsns, MutableByteView(page)).ok()) {
        torn->insert(id);
      }
    }
    return Status::Ok();
  };
  REDOUBT_RETURN_IF_ERROR(assembler.Feed(found.payload, sink));
  recovery->end = assembler.end_lsn();
  return Status::Ok();
}

Task<Result<LocalRecovery>> LocalStorage::Recover() {
  FoundRedo found;
  REDOUBT_CO_RETURN_IF_ERROR(co_await OpenRedo(&found));
  LocalRecovery recovery;
  recovery.page_size = history_->page_size();
  std::set<PageId> torn;
  REDOUBT_CO_RETURN_IF_ERROR(co_await ReadPages(&recovery, &torn));
  REDOUBT_CO_RETURN_IF_ERROR(Apply(found, &recovery, &torn));
  for (const PageId id : torn) {
    Bytes& page = recovery.pages[id];
    std::fill(page.begin(), page.end(), uint8_t{0});
  }
  committed_ = recovery.end;
  next_.lsn = recovery.end;
  co_return recovery;
}

Bytes LocalStorage::MakeBlocks(LsnRange range) {
  Bytes blocks;
  const ByteView payload = server_->Payload(range);
  for (size_t at = 0; at < payload.size(); at += kBlockPayloadBytes) {
    const size_t count = std::min(kBlockPayloadBytes, payload.size() - at);
    const size_t begin = blocks.size();
    blocks.resize(begin + kBlockBytes);
    const MutableByteView block = MutableByteView(blocks).subspan(begin);
    StoreBe32(block.data(), next_.block_no++);
    StoreBe32(block.data() + 4, static_cast<uint32_t>(count));
    StoreBe64(block.data() + 8, innodb::AdvanceLsn(range.start, at).value());
    std::copy_n(payload.begin() + static_cast<ptrdiff_t>(at), count,
                block.begin() + static_cast<ptrdiff_t>(kBlockHeaderBytes));
    Seal(block);
  }
  return blocks;
}

Task<Status> LocalStorage::Commit() {
  const LsnRange range{committed_, server_->end_lsn()};
  if (range.start == range.end) {
    co_return Status::Ok();
  }
  const Bytes blocks = MakeBlocks(range);
  const uint64_t offset = next_.offset;
  next_.offset += blocks.size();
  next_.lsn = range.end;
  const ByteView bytes(blocks);
  REDOUBT_CO_RETURN_IF_ERROR(co_await redo_->WriteAt(offset, bytes));
  REDOUBT_CO_RETURN_IF_ERROR(co_await redo_->Sync());
  committed_ = range.end;
  co_return Status::Ok();
}

Task<Result<File*>> LocalStorage::SpaceFile(SpaceId space) {
  if (const auto known = spaces_.find(space); known != spaces_.end()) {
    co_return known->second.get();
  }
  std::string path = options_.directory + "/t" + std::to_string(space.value()) + ".ibd";
  Result<std::unique_ptr<File>> opened =
      co_await runtime_->files->Open(std::move(path), OpenMode::kCreate);
  if (!opened.ok()) {
    co_return opened.status();
  }
  std::string directory = options_.directory;
  REDOUBT_CO_RETURN_IF_ERROR(co_await runtime_->files->SyncDirectory(std::move(directory)));
  spaces_[space] = std::move(*opened);
  co_return spaces_[space].get();
}

Task<Status> LocalStorage::WriteBatch(std::vector<PageId> batch, Lsn lsn) {
  const size_t page_size = history_->page_size();
  std::vector<PageHistory::Version> versions;
  Bytes together;
  for (const PageId id : batch) {
    versions.push_back(history_->At(id, lsn));
    // The model's pages do not carry their own name before they are flushed.
    innodb::StampPage(MutableByteView(versions.back().image), versions.back().page_lsn);
    together.insert(together.end(), versions.back().image.begin(), versions.back().image.end());
  }
  if (options_.doublewrite) {
    const ByteView bytes(together);
    REDOUBT_CO_RETURN_IF_ERROR(co_await doublewrite_->WriteAt(0, bytes));
    REDOUBT_CO_RETURN_IF_ERROR(co_await doublewrite_->Sync());
  }
  std::set<SpaceId> written;
  for (size_t i = 0; i < batch.size(); ++i) {
    const Result<File*> file = co_await SpaceFile(batch[i].space);
    if (!file.ok()) {
      co_return file.status();
    }
    const ByteView image(versions[i].image);
    const uint64_t offset = batch[i].page_no.value() * uint64_t{page_size};
    REDOUBT_CO_RETURN_IF_ERROR(co_await (*file)->WriteAt(offset, image));
    written.insert(batch[i].space);
  }
  for (const SpaceId space : written) {
    REDOUBT_CO_RETURN_IF_ERROR(co_await spaces_[space]->Sync());
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    on_disk_[batch[i]] = versions[i].page_lsn;
  }
  co_return Status::Ok();
}

Task<Status> LocalStorage::WriteCheckpoint(Position at) {
  Bytes block(kBlockBytes);
  ++checkpoint_no_;
  StoreBe64(block.data(), kCheckpointMagic);
  StoreBe64(block.data() + 8, checkpoint_no_);
  StoreBe64(block.data() + 16, at.lsn.value());
  StoreBe64(block.data() + 24, at.offset);
  StoreBe32(block.data() + 32, at.block_no);
  Seal(MutableByteView(block));
  const uint64_t offset = checkpoint_no_ % 2 * kCheckpointStride;
  const ByteView bytes(block);
  REDOUBT_CO_RETURN_IF_ERROR(co_await redo_->WriteAt(offset, bytes));
  co_return co_await redo_->Sync();
}

Task<Status> LocalStorage::Flush() {
  if (next_.lsn != committed_) {
    co_return Status::Ok();  // a commit is under way: its end is no place to begin at
  }
  const Position at = next_;
  std::vector<PageId> dirty;
  for (const PageId id : history_->Pages()) {
    const Lsn newest = history_->VersionAt(id, at.lsn);
    if (newest > on_disk_[id]) {
      dirty.push_back(id);
    }
  }
  for (size_t begin = 0; begin < dirty.size(); begin += kPagesPerBatch) {
    const size_t end = std::min(dirty.size(), begin + kPagesPerBatch);
    std::vector<PageId> batch(dirty.begin() + static_cast<ptrdiff_t>(begin),
                              dirty.begin() + static_cast<ptrdiff_t>(end));
    REDOUBT_CO_RETURN_IF_ERROR(co_await WriteBatch(std::move(batch), at.lsn));
  }
  co_return co_await WriteCheckpoint(at);
}

}  // namespace redoubt::sim
