// SPDX-License-Identifier: MIT
#include "pageserver/page/batch_writer.h"

#include <utility>

#include "common/base/check.h"
#include "common/runtime/fault_point.h"
#include "pageserver/storage/keys.h"

namespace redoubt {
namespace {

constexpr uint8_t kPositionFormat = 1;
constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr Duration kFullRetryWait = std::chrono::seconds(1);

std::string EncodeTimeValue(Lsn lsn) {
  std::string value;
  AppendKeyU64(&value, lsn.value());
  return value;
}

}  // namespace

std::string EncodeIngestPosition(const IngestPosition& position) {
  Bytes out;
  ByteWriter writer(&out);
  writer.U8(kPositionFormat);
  writer.U64(position.persisted.value());
  writer.U64(position.pull_from.value());
  writer.U32(position.page_size);
  return std::string(AsText(out));
}

Result<IngestPosition> DecodeIngestPosition(std::string_view value) {
  ByteReader reader(AsBytes(value));
  const uint8_t format = reader.U8();
  IngestPosition position;
  position.persisted = Lsn(reader.U64());
  position.pull_from = Lsn(reader.U64());
  position.page_size = reader.U32();
  if (format != kPositionFormat || !reader.AtEnd()) {
    return Corruption("the stored ingest position cannot be decoded");
  }
  return position;
}

BatchWriter::BatchWriter(VolumeState* state, RedoFeed* feed, TaskGroup* group)
    : state_(state),
      feed_(feed),
      group_(group),
      work_(state->runtime->scheduler),
      progress_(state->runtime->scheduler),
      dynamic_(std::make_shared<DynamicMetaTable>()) {}

void BatchWriter::Restore(IngestPosition position, DynamicMetaTable dynamic) {
  written_ = position;
  *dynamic_ = std::move(dynamic);
  last_flush_ = state_->runtime->scheduler->Now();
}

BatchWriter::Encoded BatchWriter::Encode(const PageVolumeOptions& options, const BatchSlot& slot,
                                         DynamicMetaTable* dynamic) {
  const VolumeId volume = options.volume;
  Encoded encoded;
  encoded.pages.reserve(slot.deltas.page_count());
  slot.deltas.ToStore(volume, &encoded.batch, [&](PageId page, size_t bytes, bool initializes) {
    encoded.pages.push_back({page, static_cast<uint32_t>(bytes), initializes});
  });
  SpaceMap::Store(volume, slot.events, &encoded.batch);
  std::vector<const DynamicMetaNote*> notes;
  for (const auto& piece : slot.deltas.pieces()) {
    for (const DynamicMetaNote& note : piece->dynamic) {
      notes.push_back(&note);
    }
  }
  dynamic->Store(volume, notes, &encoded.batch);
  for (const TimeSample& sample : slot.times) {
    std::string time;
    AppendKeyU64(&time, static_cast<uint64_t>(sample.time_unix_ns));
    encoded.batch.Put(KvFamily::kMeta, MetaKey(volume, MetaKind::kTime, time),
                      EncodeTimeValue(sample.lsn));
  }
  if (!slot.ranges.empty()) {
    encoded.batch.Put(KvFamily::kMeta, MetaKey(volume, MetaKind::kHistory),
                      std::string(AsText(slot.ranges)));
  }
  encoded.batch.Put(
      KvFamily::kMeta, MetaKey(volume, MetaKind::kIngest),
      EncodeIngestPosition({slot.deltas.range().end, slot.pull_from, options.page_size}));
  return encoded;
}

Task<Status> BatchWriter::WriteOldest() {
  const std::shared_ptr<BatchSlot> slot = state_->frozen.front();
  REDOUBT_CHECK(slot->deltas.range().end > written_.persisted);
  // Encoding changes the table; what could not be written will be encoded again from the same
  // state.
  const auto dynamic = std::make_shared<DynamicMetaTable>(*dynamic_);
  auto encode = [options = state_->options, slot, dynamic]() {
    return Encode(options, *slot, dynamic.get());
  };
  Encoded encoded = co_await RunBlocking(state_->runtime->blocking, encode);
  if (REDOUBT_PLANTED(state_->runtime, applied_lsn_ahead_of_deltas)) {
    encoded.batch.Put(KvFamily::kMeta, MetaKey(state_->options.volume, MetaKind::kIngest),
                      EncodeIngestPosition({state_->applied.value(), state_->open->pull_from,
                                            state_->options.page_size}));
  }
  Status status = co_await state_->store->Write(std::move(encoded.batch));
  TakeOutcome(status, &write_full_);
  if (!status.ok()) {
    co_return status;
  }
  dynamic_ = dynamic;
  REDOUBT_CHECK(state_->frozen.front() == slot);
  state_->frozen.pop_front();
  written_ = {slot->deltas.range().end, slot->pull_from, state_->options.page_size};
  state_->written = written_.persisted;
  unflushed_bytes_ += slot->deltas.payload_bytes();
  if (REDOUBT_PLANTED(state_->runtime, trim_before_persist)) {
    feed_->Persisted(written_.pull_from);
  }
  if (on_written_) {
    on_written_(encoded.pages);
  }
  progress_.NotifyAll();
  co_return Status::Ok();
}

Task<void> BatchWriter::RunWrites() {
  while (!group_->stopping() && failure_.ok()) {
    if (state_->frozen.empty() || flush_full_) {
      co_await work_.Wait(state_->runtime->scheduler->Now() + kTick);
      continue;
    }
    const Status status = co_await WriteOldest();
    if (!status.ok()) {
      co_await group_->stop_event().Wait(state_->runtime->scheduler->Now() + kFullRetryWait);
    }
  }
}

void BatchWriter::TakeOutcome(const Status& status, bool* full) {
  const bool was_full = write_full_ || flush_full_;
  *full = status.code() == StatusCode::kNoSpace;
  const bool is_full = write_full_ || flush_full_;
  EventLog* const log = state_->runtime->log;
  if (is_full && !was_full) {
    log->Error("page store: " + status.ToString() +
               "; nothing is lost, redo stays in the log and this is tried again");
  } else if (was_full && !is_full && status.ok()) {
    log->Info("page store: there is space again, writing goes on");
  } else if (!is_full && !status.ok()) {
    failure_ = status;
    log->Error("page store: " + status.ToString());
  }
  progress_.NotifyAll();
}

bool BatchWriter::FlushDue() const {
  return written_.persisted > state_->persisted &&
         (flush_full_ || unflushed_bytes_ >= state_->options.flush_bytes ||
          state_->runtime->scheduler->Now() >= last_flush_ + state_->options.flush_interval);
}

Task<void> BatchWriter::RunFlushes() {
  while (!group_->stopping() && failure_.ok()) {
    if (!FlushDue()) {
      co_await progress_.Wait(state_->runtime->scheduler->Now() + kTick);
      continue;
    }
    const Status status = co_await Flush();
    if (!status.ok()) {
      co_await group_->stop_event().Wait(state_->runtime->scheduler->Now() + kFullRetryWait);
    }
  }
}

Task<Status> BatchWriter::Flush() {
  IngestPosition covered = written_;
  unflushed_bytes_ = 0;
  last_flush_ = state_->runtime->scheduler->Now();
  Status status = co_await state_->store->Flush();
  TakeOutcome(status, &flush_full_);
  if (!status.ok()) {
    co_return status;
  }
  if (REDOUBT_PLANTED(state_->runtime, flush_covers_later_writes)) {
    covered = written_;
  }
  REDOUBT_CHECK(covered.persisted >= state_->persisted);
  state_->persisted = covered.persisted;
  feed_->Persisted(covered.pull_from);
  co_return Status::Ok();
}

Task<Status> BatchWriter::Drain() {
  while (failure_.ok() && !state_->frozen.empty()) {
    REDOUBT_CO_RETURN_IF_ERROR(co_await WriteOldest());
  }
  REDOUBT_CO_RETURN_IF_ERROR(failure_);
  co_return co_await Flush();
}

Task<void> BatchWriter::WaitProgress(TimePoint deadline) { co_await progress_.Wait(deadline); }

}  // namespace redoubt
