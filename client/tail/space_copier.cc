// SPDX-License-Identifier: MIT
#include "client/tail/space_copier.h"

#include <algorithm>
#include <utility>

#include "client/page_decompress.h"
#include "common/innodb/page_format.h"

namespace redoubt::tail {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kBatchBytes = 4 << 20;
constexpr Duration kTornDelayMin = std::chrono::milliseconds(1);
constexpr Duration kTornDelayMax = std::chrono::milliseconds(200);

}  // namespace

struct SpaceCopier::State {
  SpaceFile file;
  std::unique_ptr<File> handle;
  SpaceCopy copy;
  Bytes piece;
  ImageBatch batch;
};

SpaceCopier::SpaceCopier(Runtime* runtime, VolumeSink* sink, Event* stop,
                         SpaceCopierOptions options)
    : runtime_(runtime), sink_(sink), stop_(stop), options_(options) {}

Task<Result<SpaceCopy>> SpaceCopier::Copy(SpaceFile file) {
  State state;
  state.file = std::move(file);
  state.copy.unsupported_reason = "";
  Result<std::unique_ptr<File>> handle =
      co_await runtime_->files->Open(state.file.path, OpenMode::kRead);
  if (!handle.ok()) {
    if (handle.status().code() != StatusCode::kNotFound) {
      co_return handle.status();
    }
    state.copy.vanished = true;
    co_return std::move(state.copy);
  }
  state.handle = std::move(*handle);
  const Status status = co_await CopyFrom(&state);
  if (!status.ok()) {
    co_return status;
  }
  co_return std::move(state.copy);
}

Task<Status> SpaceCopier::CopyFrom(State* state) {
  const uint32_t page_size = options_.page_size;
  for (uint64_t offset = 0;;) {
    if (stop_->is_set()) {
      co_return Cancelled("the copy of " + state->file.path + " was stopped");
    }
    state->piece.resize(kPieceBytes);
    const Result<size_t> got = co_await state->handle->ReadAt(offset, state->piece);
    if (!got.ok()) {
      co_return got.status();
    }
    const size_t whole = *got - *got % page_size;
    if (whole == 0) {
      break;
    }
    bytes_read_ += whole;
    const Status taken =
        co_await TakePiece(state, static_cast<uint32_t>(offset / page_size), whole);
    if (!taken.ok()) {
      co_return taken;
    }
    if (!state->copy.unsupported_reason.empty()) {
      co_return Status::Ok();
    }
    offset += whole;
    const Status paced = co_await Pace(whole);
    if (!paced.ok()) {
      co_return paced;
    }
  }
  const Status flushed = co_await Flush(state);
  co_return flushed;
}

Task<Status> SpaceCopier::TakePiece(State* state, uint32_t first_page_no, size_t length) {
  const uint32_t page_size = options_.page_size;
  for (size_t at = 0; at < length; at += page_size) {
    const uint32_t page_no = first_page_no + static_cast<uint32_t>(at / page_size);
    const MutableByteView page(state->piece.data() + at, page_size);
    const Result<Verdict> verdict = co_await TakePage(state, page_no, page);
    if (!verdict.ok()) {
      co_return verdict.status();
    }
    if (*verdict == Verdict::kUnsupported) {
      co_return Status::Ok();
    }
    if (*verdict != Verdict::kSend) {
      continue;
    }
    const Lsn lsn = innodb::PageLsnOf(page);
    proto::PageImage image;
    image.set_space(state->file.space.value());
    image.set_page_no(page_no);
    image.set_lsn(lsn.value());
    state->batch.images.push_back(std::move(image));
    state->batch.bytes.insert(state->batch.bytes.end(), page.begin(), page.end());
    state->copy.page_lsn_max = std::max(state->copy.page_lsn_max, lsn);
    if (state->batch.bytes.size() >= kBatchBytes) {
      const Status flushed = co_await Flush(state);
      if (!flushed.ok()) {
        co_return flushed;
      }
    }
  }
  co_return Status::Ok();
}

// Judges the page as it was read, and again as it is read again, until it is whole.
Task<Result<SpaceCopier::Verdict>> SpaceCopier::TakePage(State* state, uint32_t page_no,
                                                         MutableByteView page) {
  TimePoint deadline = runtime_->scheduler->Now() + options_.torn_page_patience;
  Duration delay = kTornDelayMin;
  for (;;) {
    std::string why;
    const Verdict verdict = Judge(state, page_no, page, &why);
    if (verdict != Verdict::kAgain) {
      co_return verdict;
    }
    ++state->copy.torn_read_count;
    if (can_give_up_ && !can_give_up_()) {
      deadline = runtime_->scheduler->Now() + options_.torn_page_patience;
    }
    if (runtime_->scheduler->Now() >= deadline) {
      state->copy.unsupported_reason = "page " + std::to_string(page_no) + " of " +
                                       state->file.path + " stays unreadable: " + why;
      co_return Verdict::kUnsupported;
    }
    const TimePoint next = runtime_->scheduler->Now() + delay;
    const bool stopped = co_await stop_->Wait(next);
    if (stopped) {
      co_return Cancelled("the copy of " + state->file.path + " was stopped");
    }
    delay = std::min(delay * 2, kTornDelayMax);
    const Result<size_t> got =
        co_await state->handle->ReadAt(uint64_t{page_no} * options_.page_size, page);
    if (!got.ok()) {
      co_return got.status();
    }
    if (*got < page.size()) {
      co_return Verdict::kSkip;  // truncated meanwhile: redo tells
    }
  }
}

SpaceCopier::Verdict SpaceCopier::Judge(State* state, uint32_t page_no, MutableByteView page,
                                        std::string* why) {
  const PageId id{state->file.space, PageNo(page_no)};
  if (innodb::IsOldDoublewrite(id, options_.page_size)) {
    return Verdict::kSkip;
  }
  innodb::PageState page_state = innodb::VerifyPage(page);
  if (page_state == innodb::PageState::kCompressed) {
    const Status status = DecompressPage(page);
    if (status.code() == StatusCode::kUnsupported) {
      state->copy.unsupported_reason = status.message();
      return Verdict::kUnsupported;
    }
    page_state = status.ok() ? innodb::VerifyPage(page) : innodb::PageState::kCorrupt;
  }
  switch (page_state) {
    case innodb::PageState::kZero:
      return Verdict::kSkip;
    case innodb::PageState::kEncrypted:
      state->copy.unsupported_reason = "encrypted tablespace";
      return Verdict::kUnsupported;
    case innodb::PageState::kCorrupt:
    case innodb::PageState::kCompressed:
      *why = "checksum or LSN copies do not agree";
      return Verdict::kAgain;
    case innodb::PageState::kOk:
      break;
  }
  if (innodb::PageIdOf(page) != id) {
    ++state->copy.foreign_page_count;
    return Verdict::kSkip;
  }
  return Verdict::kSend;
}

Task<Status> SpaceCopier::Flush(State* state) {
  if (state->batch.images.empty()) {
    co_return Status::Ok();
  }
  state->copy.image_count += state->batch.images.size();
  ImageBatch batch = std::move(state->batch);
  state->batch = ImageBatch();
  const Status status = co_await sink_->PutImages(std::move(batch));
  co_return status;
}

Task<Status> SpaceCopier::Pace(size_t bytes) {
  if (options_.bytes_per_second_max == 0) {
    co_return Status::Ok();
  }
  const TimePoint now = runtime_->scheduler->Now();
  const auto cost = Duration(static_cast<int64_t>(
      static_cast<double>(bytes) * 1e9 / static_cast<double>(options_.bytes_per_second_max)));
  pace_until_ = std::max(pace_until_, now) + cost;
  const bool stopped = co_await stop_->Wait(pace_until_);
  co_return stopped ? Cancelled("the copy was stopped") : Status::Ok();
}

}  // namespace redoubt::tail
