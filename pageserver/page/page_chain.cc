// SPDX-License-Identifier: MIT
#include "pageserver/page/page_chain.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "common/runtime/fault_point.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

Status NoBase(const PageChainRequest& request, Lsn first_start) {
  return Status(
      StatusCode::kHole,
      "page " + ToString(request.page) + " at LSN " + std::to_string(request.read_lsn.value()) +
          " cannot be known: its first redo, at LSN " + std::to_string(first_start.value()) +
          ", changes a page of which there is no image (an unlogged change before it); "
          "import the tablespace again");
}

}  // namespace

std::string EncodeImage(ImageOrigin origin, ByteView page) {
  std::string value;
  value.reserve(page.size() + 1);
  value.push_back(static_cast<char>(origin));
  value.append(AsText(page));
  return value;
}

std::optional<StoredImage> DecodeImage(std::string_view value, uint32_t page_size) {
  if (value.size() != size_t{page_size} + 1 || static_cast<uint8_t>(value[0]) > 1) {
    return std::nullopt;
  }
  return StoredImage{static_cast<ImageOrigin>(value[0]), AsBytes(value.substr(1))};
}

PageChainReader::PageChainReader(Context context, innodb::PageApplier* applier)
    : context_(std::move(context)), applier_(applier) {}

KvIterator* PageChainReader::images() {
  if (images_ == nullptr) {
    images_ = context_.store->NewIterator(KvFamily::kImage);
  }
  return images_.get();
}

KvIterator* PageChainReader::deltas() {
  if (deltas_ == nullptr) {
    deltas_ = context_.store->NewIterator(KvFamily::kDelta);
  }
  return deltas_.get();
}

// Leaves the base in page_.
Status PageChainReader::FindBase(const PageChainRequest& request, Base* base) {
  if (request.base != nullptr) {
    base->found = true;
    base->lsn = request.base_lsn;
  }
  if (!request.memory_is_complete && !request.ignore_images) {
    const std::string prefix = PagePrefix(context_.volume, request.page);
    KvIterator* const at = images();
    at->Seek(ImageKey(context_.volume, request.page, request.read_lsn));
    REDOUBT_RETURN_IF_ERROR(at->status());
    if (at->Valid() && at->key().starts_with(prefix)) {
      const Lsn lsn = DecodeImageKey(at->key())->lsn;
      const bool hidden = request.floor != Lsn{} && lsn <= request.floor;
      if (!hidden && (!base->found || lsn > base->lsn)) {
        const std::optional<StoredImage> image = DecodeImage(at->value(), context_.page_size);
        if (!image.has_value()) {
          return Corruption("the stored image of page " + ToString(request.page) + " at LSN " +
                            std::to_string(lsn.value()) + " has a wrong length");
        }
        page_ = std::make_shared<Bytes>(image->bytes.begin(), image->bytes.end());
        *base = {lsn, true};
        return Status::Ok();
      }
    }
  }
  if (base->found) {
    page_ = std::make_shared<Bytes>(*request.base);
  }
  return Status::Ok();
}

Status PageChainReader::AddEntries(Lsn base, ByteView value, Lsn from, Lsn read_lsn,
                                   Lsn below_start, bool* newer) {
  DeltaReader reader(base, value);
  DeltaEntry entry;
  while (reader.Next(&entry)) {
    if (entry.start < from ||
        (entry.start == from && REDOUBT_PLANTED(&context_, chain_skips_mtr_at_base))) {
      continue;
    }
    if (entry.start >= below_start) {
      return Status::Ok();
    }
    const bool seen = REDOUBT_PLANTED(&context_, mtr_split_visible) && entry.start < read_lsn;
    const bool last = REDOUBT_PLANTED(&context_, read_excludes_its_lsn) && entry.end == read_lsn;
    if ((entry.end > read_lsn || last) && !seen) {
      *newer = true;
      return Status::Ok();
    }
    entries_.push_back(entry);
  }
  return reader.failed() ? Corruption("stored redo cannot be decoded, first LSN " +
                                      std::to_string(base.value()))
                         : Status::Ok();
}

Status PageChainReader::LoadDeltas(PageId page, Lsn from, Lsn read_lsn, Lsn below_start,
                                   bool* newer) {
  entries_.clear();
  values_.clear();
  const std::string prefix = PagePrefix(context_.volume, page);
  KvIterator* const at = deltas();
  // The value that begins at or before `from` may reach beyond it.
  at->SeekForPrev(DeltaKey(context_.volume, page, from));
  if (!at->Valid() || !at->key().starts_with(prefix)) {
    REDOUBT_RETURN_IF_ERROR(at->status());
    at->Seek(prefix);
  }
  std::vector<Lsn> bases;
  for (; at->Valid() && at->key().starts_with(prefix); at->Next()) {
    const Lsn first = DecodeDeltaKey(at->key())->lsn;
    if (first >= read_lsn || first >= below_start) {
      *newer |= first >= read_lsn;
      break;
    }
    bases.push_back(first);
    values_.emplace_back(at->value());
  }
  if (!REDOUBT_PLANTED(&context_, read_error_swallowed)) {
    REDOUBT_RETURN_IF_ERROR(at->status());
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    REDOUBT_RETURN_IF_ERROR(
        AddEntries(bases[i], AsBytes(values_[i]), from, read_lsn, below_start, newer));
  }
  return Status::Ok();
}

// An entry before a loss, read after it: whatever was lost may have changed the page too.
Status PageChainReader::CheckLost(const PageChainRequest& request, size_t first) const {
  for (const LsnRange& lost : context_.lost) {
    if (request.read_lsn > lost.start && first < entries_.size() &&
        entries_[first].start < lost.start) {
      return Status(
          StatusCode::kHole,
          "page " + ToString(request.page) + " at LSN " + std::to_string(request.read_lsn.value()) +
              " cannot be known: redo from LSN " + std::to_string(lost.start.value()) + " to " +
              std::to_string(lost.end.value()) + " was lost and no image came after it");
    }
  }
  return Status::Ok();
}

Status PageChainReader::Apply(const PageChainRequest& request, size_t first, bool initialized,
                              PageChainResult* result) {
  innodb::SetPageLsn(*page_, result->page_lsn);
  for (size_t i = first; i < entries_.size(); ++i) {
    const DeltaEntry& entry = entries_[i];
    records_.clear();
    REDOUBT_RETURN_IF_ERROR(DecodeRecords(entry, request.page, &records_));
    if (i == first && initialized) {
      const auto last_init = std::find_if(
          records_.rbegin(), records_.rend(),
          [](const innodb::RedoRecord& record) { return innodb::InitializesPage(record.type); });
      REDOUBT_CHECK(last_init != records_.rend());
      records_.erase(records_.begin(), last_init.base() - 1);
    }
    const Result<innodb::ApplyOutcome> outcome =
        applier_->ApplyMtr(records_, innodb::MtrLsns{entry.start, entry.end}, *page_);
    REDOUBT_RETURN_IF_ERROR(outcome.status());
    if (*outcome != innodb::ApplyOutcome::kAlreadyApplied) {
      result->page_lsn = entry.end;
    }
    result->delta_bytes += entry.records.size();
    result->stored_delta_bytes += i < stored_count_ ? entry.records.size() : 0;
  }
  return Status::Ok();
}

Result<bool> PageChainReader::ReachesNextImage(const PageChainRequest& request,
                                               const PageChainResult& result) {
  const std::string prefix = PagePrefix(context_.volume, request.page);
  KvIterator* const at = images();
  Bytes imported;
  Lsn imported_lsn;
  for (at->Seek(ImageKey(context_.volume, request.page, request.hole_end));
       at->Valid() && at->key().starts_with(prefix); at->Next()) {
    const Lsn lsn = DecodeImageKey(at->key())->lsn;
    if (lsn <= request.read_lsn) {
      break;
    }
    const std::optional<StoredImage> image = DecodeImage(at->value(), context_.page_size);
    if (image.has_value() && image->origin == ImageOrigin::kImported) {
      imported.assign(image->bytes.begin(), image->bytes.end());
      imported_lsn = lsn;
    }
  }
  REDOUBT_RETURN_IF_ERROR(at->status());
  if (imported.empty()) {
    return true;
  }
  if (result.image == nullptr) {
    return false;
  }
  PageChainRequest next = request;
  next.base = result.image;
  next.base_lsn = result.page_lsn;
  next.memory_is_complete = false;
  next.read_lsn = imported_lsn;
  next.ignore_images = true;
  const PageChainResult then = Build(next);
  return then.status.ok() && then.image != nullptr &&
         innodb::ComparePages(*then.image, imported, request.page).equal();
}

PageChainResult PageChainReader::Read(const PageChainRequest& request) {
  PageChainResult result = Build(request);
  if (request.hole_end > request.read_lsn && result.status.ok()) {
    const Result<bool> reaches = ReachesNextImage(request, result);
    result.status = reaches.status();
    result.unlogged = reaches.ok() && !*reaches;
  }
  return result;
}

PageChainResult PageChainReader::Build(const PageChainRequest& request) {
  REDOUBT_CHECK(request.base == nullptr || request.base_lsn <= request.read_lsn);
  PageChainResult result;
  page_.reset();
  Base base;
  result.status = FindBase(request, &base);
  if (!result.status.ok()) {
    return result;
  }
  const Lsn from = std::max(base.lsn, request.floor);
  bool newer = false;
  entries_.clear();
  if (!request.memory_is_complete) {
    const Lsn memory_start = request.memory.empty() ? kMaxLsn : request.memory.front().base;
    result.status = LoadDeltas(request.page, from, request.read_lsn, memory_start, &newer);
  }
  stored_count_ = entries_.size();
  for (const MemoryRun& run : request.memory) {
    if (result.status.ok() && run.last_end > from) {
      result.status = AddEntries(run.base, run.value, from, request.read_lsn, kMaxLsn, &newer);
    }
  }
  if (!result.status.ok()) {
    return result;
  }
  result.newest = !newer;
  // Nothing before the last initialisation matters.
  size_t first = 0;
  bool initialized = false;
  for (size_t i = entries_.size(); i > 0 && !initialized; --i) {
    if (entries_[i - 1].initializes) {
      first = i - 1;
      initialized = true;
    }
  }
  if (initialized) {
    page_ = std::make_shared<Bytes>(context_.page_size);
    base.lsn = Lsn{};
  } else if (!base.found) {
    if (!entries_.empty()) {
      result.wants_image = true;
      result.status = NoBase(request, entries_.front().start);
    }
    return result;
  }
  result.status = CheckLost(request, first);
  result.wants_image = !result.status.ok();
  if (!result.status.ok()) {
    return result;
  }
  result.page_lsn = base.lsn;
  if (first == entries_.size() && innodb::IsZero(*page_)) {
    return result;  // an image of a page that was never written
  }
  result.status = Apply(request, first, initialized, &result);
  if (!result.status.ok()) {
    return result;
  }
  innodb::StampPage(*page_, result.page_lsn);
  result.image = std::move(page_);
  return result;
}

}  // namespace redoubt
