// SPDX-License-Identifier: MIT
#include "pageserver/page/page_history.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/innodb/page_format.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

struct ImageVersion {
  Lsn lsn;
  ImageOrigin origin = ImageOrigin::kImported;
  Bytes bytes;
};

// A page's stored images in [range.start, range.end), ascending.
Result<std::vector<ImageVersion>> LoadImages(PageChainReader* reader, VolumeId volume,
                                             uint32_t page_size, PageId page, LsnRange range) {
  std::vector<ImageVersion> images;
  const std::string prefix = PagePrefix(volume, page);
  KvIterator* const at = reader->images();
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    const Lsn lsn = DecodeImageKey(at->key())->lsn;
    if (lsn < range.start) {
      break;
    }
    const std::optional<StoredImage> stored = DecodeImage(at->value(), page_size);
    if (!stored.has_value()) {
      return Corruption("the stored image of page " + ToString(page) + " at LSN " +
                        std::to_string(lsn.value()) + " has a wrong length");
    }
    if (lsn < range.end) {
      images.push_back({lsn, stored->origin, Bytes(stored->bytes.begin(), stored->bytes.end())});
    }
  }
  REDOUBT_RETURN_IF_ERROR(at->status());
  std::reverse(images.begin(), images.end());
  return images;
}

void AddMtr(const DeltaEntry& entry, PageId page, std::vector<PageVersion>* versions) {
  PageVersion version;
  version.range = {entry.start, entry.end};
  version.stored_bytes = static_cast<uint32_t>(entry.records.size());
  std::vector<innodb::RedoRecord> records;
  if (DecodeRecords(entry, page, &records).ok()) {
    for (const innodb::RedoRecord& record : records) {
      version.record_types.push_back(innodb::RedoTypeName(record.type));
    }
  }
  versions->push_back(std::move(version));
}

Status WithMemory(const PageChainRequest& request, PageChainReader* reader,
                  std::vector<DeltaEntry>* entries) {
  bool newer = false;
  const Lsn memory_start = request.memory.empty() ? kMaxLsn : request.memory.front().base;
  REDOUBT_RETURN_IF_ERROR(
      reader->LoadDeltas(request.page, request.floor, kMaxLsn, memory_start, &newer));
  *entries = reader->entries();
  for (const MemoryRun& run : request.memory) {
    DeltaReader at(run.base, run.value);
    DeltaEntry entry;
    while (at.Next(&entry)) {
      if (entry.end <= request.read_lsn) {
        entries->push_back(entry);
      }
    }
  }
  return Status::Ok();
}

// One page's whole history.
class PageVerifier {
 public:
  // `holes`: where pages of the space may have changed without redo.
  PageVerifier(const PageChainReader::Context& context, innodb::PageApplier* applier,
               std::vector<LsnRange> holes)
      : context_(context), applier_(applier), reader_(context, applier), holes_(std::move(holes)) {}

  Status Check(const PageChainRequest& request, uint64_t* versions) {
    REDOUBT_ASSIGN_OR_RETURN(
        const std::vector<ImageVersion> images,
        LoadImages(&reader_, context_.volume, context_.page_size, request.page,
                   {request.floor == Lsn{} ? Lsn{} : Lsn(request.floor.value() + 1),
                    Lsn(request.read_lsn.value() + 1)}));
    std::vector<DeltaEntry> entries;
    REDOUBT_RETURN_IF_ERROR(WithMemory(request, &reader_, &entries));
    page_.assign(context_.page_size, 0);
    have_base_ = false;
    page_lsn_ = Lsn{};
    size_t next_image = 0;
    for (const DeltaEntry& entry : entries) {
      for (; next_image < images.size() && images[next_image].lsn <= entry.start; ++next_image) {
        REDOUBT_RETURN_IF_ERROR(TakeImage(images[next_image], request.page));
        ++*versions;
      }
      if (entry.start < request.floor || entry.end > request.read_lsn) {
        continue;
      }
      REDOUBT_RETURN_IF_ERROR(TakeMtr(entry, request.page));
      ++*versions;
    }
    for (; next_image < images.size(); ++next_image) {
      REDOUBT_RETURN_IF_ERROR(TakeImage(images[next_image], request.page));
      ++*versions;
    }
    return CheckNewest(request);
  }

 private:
  bool InHole(Lsn lsn) const {
    return std::any_of(holes_.begin(), holes_.end(),
                       [lsn](const LsnRange& hole) { return hole.Contains(lsn); });
  }

  // What a reader gets now, by another way: it must be there, and be the same.
  Status CheckNewest(const PageChainRequest& request) {
    const PageChainResult newest = reader_.Read(request);
    if (!newest.status.ok() && InHole(request.read_lsn)) {
      return Status::Ok();
    }
    REDOUBT_RETURN_IF_ERROR(newest.status);
    if (newest.image != nullptr && have_base_ && newest.page_lsn == page_lsn_ &&
        !innodb::ComparePages(page_, *newest.image, request.page).equal()) {
      return Corruption("the newest image is not what the whole history gives");
    }
    return Status::Ok();
  }

  Status TakeImage(const ImageVersion& image, PageId page) {
    const innodb::PageState state = innodb::VerifyPage(image.bytes);
    if (state != innodb::PageState::kOk && state != innodb::PageState::kZero) {
      return Corruption("the image at LSN " + std::to_string(image.lsn.value()) + " is " +
                        std::string(innodb::PageStateName(state)));
    }
    if (image.origin == ImageOrigin::kMaterialized && have_base_ && page_lsn_ == image.lsn &&
        !InHole(image.lsn) && !innodb::ComparePages(page_, image.bytes, page).equal()) {
      return Corruption("the stored image at LSN " + std::to_string(image.lsn.value()) +
                        " is not what the redo before it gives");
    }
    page_ = image.bytes;
    innodb::SetPageLsn(page_, image.lsn);
    page_lsn_ = image.lsn;
    have_base_ = true;
    return Status::Ok();
  }

  Status TakeMtr(const DeltaEntry& entry, PageId page) {
    std::vector<innodb::RedoRecord> records;
    REDOUBT_RETURN_IF_ERROR(DecodeRecords(entry, page, &records));
    if (entry.initializes) {
      const auto last = std::find_if(
          records.rbegin(), records.rend(),
          [](const innodb::RedoRecord& record) { return innodb::InitializesPage(record.type); });
      records.erase(records.begin(), last.base() - 1);
      page_.assign(context_.page_size, 0);
      have_base_ = true;
    }
    if (!have_base_) {
      return Status::Ok();  // not readable before its first image: a read says so
    }
    const Result<innodb::ApplyOutcome> outcome =
        applier_->ApplyMtr(records, innodb::MtrLsns{entry.start, entry.end}, page_);
    if (!outcome.ok() && InHole(entry.end)) {
      have_base_ =
          false;  // it changed without redo: unknown until its next image, and reads say so
      return Status::Ok();
    }
    REDOUBT_RETURN_IF_ERROR(outcome.status());
    page_lsn_ = std::max(page_lsn_, entry.end);
    return Status::Ok();
  }

  const PageChainReader::Context& context_;
  innodb::PageApplier* applier_;
  PageChainReader reader_;
  Bytes page_;
  std::vector<LsnRange> holes_;
  Lsn page_lsn_;
  bool have_base_ = false;
};

}  // namespace

Task<Result<std::vector<PageVersion>>> PageHistory::Versions(PageId page, LsnRange range,
                                                             uint32_t entries_max) {
  if (range.end == Lsn{}) {
    range.end = kMaxLsn;
  }
  PageChainRequest request;
  request.page = page;
  request.read_lsn = state_->applied.value();
  state_->CollectMemory(page, Lsn{}, &request.memory);
  auto work = [request, range, entries_max, context = state_->ChainContext(),
               keep_alive = state_->KeepAlive()]() -> Result<std::vector<PageVersion>> {
    PageChainReader reader(context, nullptr);
    std::vector<PageVersion> versions;
    REDOUBT_ASSIGN_OR_RETURN(
        const std::vector<ImageVersion> images,
        LoadImages(&reader, context.volume, context.page_size, request.page, range));
    for (const ImageVersion& image : images) {
      PageVersion version;
      version.is_image = true;
      version.range = {image.lsn, image.lsn};
      version.stored_bytes = static_cast<uint32_t>(image.bytes.size());
      versions.push_back(std::move(version));
    }
    std::vector<DeltaEntry> entries;
    REDOUBT_RETURN_IF_ERROR(WithMemory(request, &reader, &entries));
    for (const DeltaEntry& entry : entries) {
      if (range.Contains(entry.end)) {
        AddMtr(entry, request.page, &versions);
      }
    }
    // An image holds the mtr that ends at its LSN: it comes after it.
    std::stable_sort(
        versions.begin(), versions.end(), [](const PageVersion& a, const PageVersion& b) {
          return a.range.end != b.range.end ? a.range.end < b.range.end : !a.is_image && b.is_image;
        });
    versions.resize(std::min<size_t>(versions.size(), entries_max));
    return versions;
  };
  co_return co_await RunBlocking(state_->runtime->blocking, std::move(work));
}

Task<Result<VerifyOutcome>> PageHistory::Verify(SpaceId space, PageNo first, uint32_t pages_max) {
  const Lsn read_lsn = state_->applied.value();
  REDOUBT_CO_RETURN_IF_ERROR(reader_->CheckSpace(space, read_lsn));
  VerifyOutcome outcome;
  Result<std::vector<PageNo>> pages =
      co_await queries_.ListPages(space, first, pages_max, &outcome.done);
  if (!pages.ok()) {
    co_return pages.status();
  }
  auto requests = std::make_shared<std::vector<PageChainRequest>>();
  for (const PageNo page_no : *pages) {
    PageChainRequest request = reader_->MakeRequest({space, page_no}, read_lsn);
    state_->CollectMemory(request.page, request.floor, &request.memory);
    requests->push_back(std::move(request));
  }
  const std::shared_ptr<innodb::PageApplier> applier = state_->TakeApplier();
  auto work = [requests, applier, context = state_->ChainContext(),
               holes = state_->spaces.Holes(space), keep_alive = state_->KeepAlive()]() {
    PageVerifier verifier(context, applier.get(), holes);
    VerifyOutcome checked;
    for (const PageChainRequest& request : *requests) {
      Status status = verifier.Check(request, &checked.versions_checked);
      ++checked.pages_checked;
      if (!status.ok()) {
        checked.problems.emplace_back(request.page.page_no, std::move(status));
      }
    }
    return checked;
  };
  VerifyOutcome checked = co_await RunBlocking(state_->runtime->blocking, std::move(work));
  state_->ReturnApplier(applier);
  checked.done = outcome.done;
  if (!pages->empty()) {
    checked.next_page_no = PageNo(pages->back().value() + 1);
  }
  co_return checked;
}

}  // namespace redoubt
