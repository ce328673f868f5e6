// SPDX-License-Identifier: MIT
#include "pageserver/page/page_volume.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"
#include "common/runtime/fault_point.h"
#include "common/runtime/task_group.h"
#include "pageserver/page/batch_writer.h"
#include "pageserver/page/ingest.h"
#include "pageserver/page/materializer.h"
#include "pageserver/page/page_history.h"
#include "pageserver/page/page_reader.h"
#include "pageserver/page/volume_import.h"
#include "pageserver/page/volume_queries.h"
#include "pageserver/page/volume_state.h"
#include "pageserver/storage/keys.h"

namespace redoubt {

class PageVolume::Impl {
 public:
  Impl(Runtime* runtime, KvStore* store, PageCache* cache, RedoFeed* feed,
       PageVolumeOptions options)
      : state(runtime, store, cache, options),
        reader(&state),
        queries(&state, &reader),
        history(&state, &reader),
        import(&state),
        writer(&state, feed, &group),
        materializer(&state, &reader, &group),
        ingest(&state, feed, &writer, &group),
        group(runtime->scheduler) {
    writer.set_on_written([this](const std::vector<BatchWriter::PageBytes>& pages) {
      materializer.OnWritten(pages);
    });
    ingest.set_admission([this]() { return materializer.KeepsUp(); });
  }

  Task<Status> Load();
  // Waits until what the read needs is applied, then says at which LSN it is done.
  Task<Result<Lsn>> WaitReadable(Lsn read_lsn, Lsn not_modified_since, TimePoint deadline);
  // The same without waiting.
  Result<Lsn> Readable(Lsn read_lsn) const;

  VolumeState state;
  PageReader reader;
  VolumeQueries queries;
  PageHistory history;
  VolumeImport import;
  BatchWriter writer;
  Materializer materializer;
  Ingest ingest;
  // Last, so that its tasks are destroyed before what they use.
  TaskGroup group;
};

Task<Status> PageVolume::Impl::Load() {
  struct Loaded {
    IngestPosition position;
    DynamicMetaTable dynamic;
  };
  auto work = [this]() -> Result<Loaded> {
    const VolumeId volume = state.options.volume;
    Loaded loaded;
    REDOUBT_ASSIGN_OR_RETURN(const std::optional<std::string> position,
                             state.store->Get(KvFamily::kMeta, MetaKey(volume, MetaKind::kIngest)));
    if (position.has_value()) {
      REDOUBT_ASSIGN_OR_RETURN(loaded.position, DecodeIngestPosition(*position));
      if (loaded.position.page_size != state.options.page_size) {
        return InvalidArgument("volume " + std::to_string(volume.value()) + " was stored with " +
                               std::to_string(loaded.position.page_size) +
                               "-byte pages, but is opened with " +
                               std::to_string(state.options.page_size));
      }
    }
    REDOUBT_ASSIGN_OR_RETURN(
        const std::optional<std::string> ranges,
        state.store->Get(KvFamily::kMeta, MetaKey(volume, MetaKind::kHistory)));
    if (ranges.has_value()) {
      REDOUBT_RETURN_IF_ERROR(state.ranges.Decode(AsBytes(*ranges)));
      state.durable_horizon = state.ranges.horizon();
    }
    REDOUBT_RETURN_IF_ERROR(state.spaces.Load(*state.store));
    REDOUBT_RETURN_IF_ERROR(import.Load());
    REDOUBT_RETURN_IF_ERROR(loaded.dynamic.Load(*state.store, volume, kMaxLsn));
    return loaded;
  };
  Result<Loaded> loaded = co_await RunBlocking(state.runtime->blocking, work);
  if (!loaded.ok()) {
    co_return loaded.status();
  }
  const IngestPosition position = loaded->position;
  state.applied.Advance(position.persisted);
  state.persisted = position.persisted;
  state.written = position.persisted;
  writer.Restore(position, std::move(loaded->dynamic));
  ingest.Restore(position.persisted, position.pull_from);
  co_return Status::Ok();
}

Result<Lsn> PageVolume::Impl::Readable(Lsn read_lsn) const {
  const Lsn applied = state.applied.value();
  const Lsn at = read_lsn == Lsn{} ? applied : std::min(read_lsn, applied);
  REDOUBT_RETURN_IF_ERROR(state.CheckReadable(at));
  return at;
}

Task<Result<Lsn>> PageVolume::Impl::WaitReadable(Lsn read_lsn, Lsn not_modified_since,
                                                 TimePoint deadline) {
  // The newest is readable only once redo up to the horizon has been applied again after a start.
  Lsn wanted = read_lsn == Lsn{} ? state.ranges.horizon() : read_lsn;
  if (not_modified_since != Lsn{} && not_modified_since < wanted) {
    wanted = not_modified_since;
  }
  if (state.applied.value() < wanted &&
      !REDOUBT_PLANTED(state.runtime, stale_read_after_failover)) {
    ++state.waiting_reads;
    state.read_waits.NotifyAll();
    const bool reached = co_await state.applied.WaitFor(wanted, deadline);
    --state.waiting_reads;
    if (!reached && !REDOUBT_PLANTED(state.runtime, wait_timeout_swallowed)) {
      std::string message = "LSN " + std::to_string(wanted.value()) +
                            " is wanted, redo is applied up to LSN " +
                            std::to_string(state.applied.value().value());
      if (!state.ingest_error.ok()) {
        message += ", where ingest stopped: " + state.ingest_error.ToString();
      }
      co_return group.stopping() ? Cancelled("the volume is being closed; " + message)
                                 : DeadlineExceeded(std::move(message));
    }
  }
  co_return Readable(read_lsn);
}

PageVolume::PageVolume(Runtime* runtime, KvStore* store, PageCache* cache, RedoFeed* feed,
                       PageVolumeOptions options) {
  REDOUBT_CHECK(runtime != nullptr);
  REDOUBT_CHECK(innodb::IsPageSize(options.page_size));
  impl_ = std::make_unique<Impl>(runtime, store, cache, feed, options);
}

PageVolume::~PageVolume() = default;

Task<Status> PageVolume::Start() {
  REDOUBT_CO_RETURN_IF_ERROR(co_await impl_->Load());
  impl_->group.Spawn(impl_->ingest.Run());
  impl_->group.Spawn(impl_->writer.RunWrites());
  impl_->group.Spawn(impl_->writer.RunFlushes());
  impl_->group.Spawn(impl_->materializer.Run());
  co_return Status::Ok();
}

Task<void> PageVolume::Stop() {
  impl_->group.Stop();
  impl_->writer.Wake();
  impl_->state.applied.CancelWaits();
  co_await impl_->group.Join();
  if (impl_->state.open == nullptr) {
    co_return;  // never started
  }
  impl_->ingest.FreezeOpen();
  const Status status = co_await impl_->writer.Drain();
  if (!status.ok()) {
    impl_->state.runtime->log->Error(
        "the newest redo could not be written, it will be pulled again: " + status.ToString());
  }
}

Task<Result<std::vector<PageRead>>> PageVolume::GetPages(std::vector<PageId> pages, Lsn read_lsn,
                                                         Lsn not_modified_since,
                                                         TimePoint deadline) {
  const Result<Lsn> at = co_await impl_->WaitReadable(read_lsn, not_modified_since, deadline);
  if (!at.ok()) {
    co_return at.status();
  }
  co_return co_await impl_->reader.Read(std::move(pages), *at);
}

Task<Result<Lsn>> PageVolume::ReadableLsn(Lsn read_lsn, TimePoint deadline) {
  co_return co_await impl_->WaitReadable(read_lsn, Lsn{}, deadline);
}

Task<Result<ScanOutcome>> PageVolume::Scan(SpaceId space, Lsn read_lsn, PageNo first,
                                           uint32_t pages_max) {
  const Result<Lsn> at = impl_->Readable(read_lsn);
  if (!at.ok()) {
    co_return at.status();
  }
  co_return co_await impl_->queries.Scan(space, *at, first, pages_max);
}

Task<Result<std::vector<PageVersion>>> PageVolume::History(PageId page, LsnRange range,
                                                           uint32_t entries_max) {
  co_return co_await impl_->history.Versions(page, range, entries_max);
}

Task<Status> PageVolume::PutImages(std::vector<PageImageIn> images) {
  co_return co_await impl_->import.PutImages(std::move(images));
}

Task<Status> PageVolume::PutSpaceEvents(std::vector<SpaceEventIn> events) {
  co_return co_await impl_->import.PutSpaceEvents(std::move(events));
}

Task<Status> PageVolume::PutSideFile(SideFile file, bool deleted) {
  co_return co_await impl_->import.PutSideFile(std::move(file), deleted);
}

Task<Status> PageVolume::SetHorizon(Lsn horizon) {
  co_return co_await impl_->import.SetHorizon(horizon);
}

Task<Result<std::vector<SpaceState>>> PageVolume::ListSpaces(Lsn read_lsn) {
  const Result<Lsn> at = impl_->Readable(read_lsn);
  if (!at.ok()) {
    co_return at.status();
  }
  co_return impl_->queries.ListSpaces(*at);
}

std::vector<SpaceState> PageVolume::KnownSpaces() {
  return impl_->queries.ListSpaces(impl_->state.applied.value());
}

Task<Result<std::vector<SideFile>>> PageVolume::ListSideFiles(Lsn read_lsn) {
  const Lsn at = read_lsn == Lsn{} ? kMaxLsn : read_lsn;
  co_return co_await impl_->import.ListSideFiles(at);
}

Task<Result<Bytes>> PageVolume::DynamicMeta(Lsn read_lsn, uint32_t* table_count) {
  const Result<Lsn> at = impl_->Readable(read_lsn);
  if (!at.ok()) {
    co_return at.status();
  }
  co_return co_await impl_->queries.DynamicMeta(*at, table_count);
}

Task<Result<std::pair<Lsn, int64_t>>> PageVolume::LsnAtTime(int64_t time_unix_ns) {
  co_return co_await impl_->queries.LsnAtTime(time_unix_ns);
}

Task<Status> PageVolume::WaitApplied(Lsn lsn, TimePoint deadline) {
  if (lsn <= impl_->state.applied.value()) {
    co_return Status::Ok();
  }
  const Result<Lsn> at = co_await impl_->WaitReadable(lsn, Lsn{}, deadline);
  // That the LSN cannot be read is no reason to say it was not reached.
  co_return impl_->state.applied.value() >= lsn ? Status::Ok() : at.status();
}

Task<Result<VerifyOutcome>> PageVolume::Verify(SpaceId space, PageNo first, uint32_t pages_max) {
  co_return co_await impl_->history.Verify(space, first, pages_max);
}

Lsn PageVolume::applied() const { return impl_->state.applied.value(); }

PageVolumeStatus PageVolume::status() const {
  VolumeState& state = impl_->state;
  PageVolumeStatus status;
  status.applied = state.applied.value();
  status.persisted = state.persisted;
  status.horizon = state.durable_horizon;
  status.ingest_error = state.ingest_error.ok() ? "" : state.ingest_error.ToString();
  status.ingested_bytes = state.ingested_bytes;
  status.newest_time_unix_ns = state.newest_time_unix_ns;
  status.holes = state.ranges.holes();
  status.unsupported_space_count = state.spaces.UnsupportedCount(status.applied);
  status.spaces_wanting_images.assign(state.wanting_images.begin(), state.wanting_images.end());
  status.chain_backlog_bytes = impl_->materializer.backlog_bytes();
  status.materialized_images = impl_->materializer.image_count();
  return status;
}

}  // namespace redoubt
