// SPDX-License-Identifier: MIT
#include "sim/cluster/compute_program.h"

#include <algorithm>
#include <utility>

#include "common/runtime/task_group.h"
#include "sim/cluster/compute_ports.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kRpcDeadlineNs = 5'000 * kMs;
constexpr int64_t kPollNs = 20 * kMs;
constexpr uint64_t kRetryNsMax = 200 * kMs;
// A fenced compute comes back only after a while: whoever fenced it should get something done.
constexpr uint64_t kFencedNsMin = 500 * kMs;
constexpr uint64_t kFencedNsMax = 3'000 * kMs;
constexpr size_t kWindowBytes = 256 << 10;
constexpr int64_t kReadTimeoutNs = 1'000 * kMs;  // until a page is read out of own files

std::vector<std::string> Addresses(const std::vector<ServerPlace>& places) {
  std::vector<std::string> addresses;
  for (const ServerPlace& place : places) {
    addresses.push_back(place.address);
  }
  return addresses;
}

}  // namespace

ComputeProgram::ComputeProgram(Runtime* runtime, RunContext* context, NodeId machine,
                               uint64_t entity, Duty duty)
    : runtime_(runtime),
      context_(context),
      machine_(machine),
      entity_(entity),
      duty_(duty),
      random_(&context->world->random(), "compute", entity) {}

Task<void> ComputeProgram::Run() {
  while (true) {
    const Status status = co_await Live();
    runtime_->log->Info("compute ended: " + status.ToString());
    uint64_t pause_ns = random_.Below(kRetryNsMax);
    if (status.code() == StatusCode::kStaleEpoch) {
      context_->fence.Refused();
      pause_ns = random_.Between(kFencedNsMin, kFencedNsMax);
    }
    co_await runtime_->scheduler->Sleep(Duration(static_cast<int64_t>(pause_ns)));
  }
}

Task<Status> ComputeProgram::Live() {
  ++lives_;
  VolumeSetup setup(runtime_, context_);
  Status status = co_await setup.EnsureVolume();
  if (status.ok()) {
    LogWriterOptions options;
    options.volume = context_->settings.volume;
    options.window_bytes = kWindowBytes;
    options.append_timeout = Duration(kRpcDeadlineNs);
    LogWriter writer(runtime_, Addresses(context_->log_servers), std::move(options));
    status = co_await Write(&writer, &setup);
    co_await writer.Stop();
  }
  co_await setup.Close();
  co_return status;
}

Task<Status> ComputeProgram::Write(LogWriter* writer, VolumeSetup* setup) {
  const Result<LogPosition> position = co_await writer->Start(Epoch(0), In(kRpcDeadlineNs));
  if (!position.ok()) {
    if (position.status().code() == StatusCode::kNotFound && context_->volume_created) {
      context_->findings.ReportLoss("C1", "the volume was created before and has vanished");
    }
    co_return position.status();
  }
  ++context_->writer_count;
  const ShownWriter::While shown(&shown_, writer);
  runtime_->log->Info("writer of epoch " + std::to_string(position->epoch.value()) +
                      ", log ends at " + std::to_string(position->end.value()));
  std::vector<EpochMark> history;
  for (const EpochStart& entry : position->epochs) {
    history.push_back({entry.epoch, entry.start});
  }
  context_->timeline.EpochBegun(std::move(history));
  context_->times.EpochBegun(position->epoch, position->end);
  if (context_->timeline.CutsAcknowledged(position->epoch)) {
    runtime_->log->Info("half an mtr that was durable is cut off");
  }
  Status status = co_await BeginLog(writer, setup, *position);
  if (!status.ok()) {
    co_return status;
  }
  if (context_->replicated()) {
    setup->KeepHorizonsSet(position->epoch);
  }
  PageClientOptions options;
  options.volume = context_->settings.volume;
  options.volume_uid = context_->settings.volume_uid;
  PageClient pages(runtime_, Addresses(context_->page_servers), std::move(options));
  status = co_await Compute(writer, &pages, *position);
  co_await pages.Stop();
  co_return status;
}

Task<Status> ComputeProgram::BeginLog(LogWriter* writer, VolumeSetup* setup, LogPosition position) {
  if (position.end == Lsn()) {
    setup->ForgetHorizons();
    const Lsn begin = context_->timeline.begin();
    std::string reason = "first start";
    const Status started = co_await writer->StartAt(begin, std::move(reason), In(kRpcDeadlineNs));
    if (!started.ok()) {
      co_return started;
    }
  }
  if (!context_->replicated()) {
    const Status set = co_await setup->SetHorizon(position.volume, position.epoch);
    co_return set;
  }
  co_return Status::Ok();
}

bool ComputeProgram::keeps_files() const {
  const ComputeMode mode = context_->settings.compute_mode;
  return mode == ComputeMode::kStream || mode == ComputeMode::kRead;
}

Task<Status> ComputeProgram::Begin(LogPosition position, ComputeStart* start, LocalDatabase* own,
                                   LsnRange* boot) {
  boot->start = std::max(position.end, context_->timeline.begin());
  boot->end = boot->start;
  Status status;
  if (own != nullptr) {
    status = co_await start->SendOwnRedo(position, own);
    boot->end = own->end();
  } else if (context_->settings.compute_mode != ComputeMode::kPagesOnly &&
             boot->start > context_->timeline.begin()) {
    status = co_await start->FillDirectory(position.epoch, &boot->end);
    if (status.ok()) {
      status = co_await start->ReadCounters(position.epoch, boot->end);
    }
  }
  co_return status;
}

Task<Status> ComputeProgram::Compute(LogWriter* writer, PageClient* pages, LogPosition position) {
  const ComputeMode mode = context_->settings.compute_mode;
  LocalDatabase* const own = keeps_files() ? &context_->LocalDatabaseOf(machine_) : nullptr;
  WriterLog log(runtime_, context_, writer);
  ComputeStart start(runtime_, context_, writer, pages, &log);
  LsnRange boot;
  Status status = co_await Begin(position, &start, own, &boot);
  if (!status.ok()) {
    co_return status;
  }
  ClientPages single(runtime_, context_, pages);
  BatchedPages batched(runtime_, context_, pages, writer, own, Duration(kReadTimeoutNs));
  OwnPages files(own, context_->timeline.begin(), &single);
  PageSource* source = &batched;
  if (mode == ComputeMode::kPagesOnly) {
    source = &single;
  } else if (mode == ComputeMode::kStream) {
    source = &files;
  }
  const ComputeSurroundings around{runtime_,
                                   source,
                                   &log,
                                   &context_->timeline,
                                   &context_->content,
                                   &context_->ledger,
                                   &context_->reference,
                                   &context_->findings,
                                   own,
                                   source == &batched};
  ModelCompute compute(around, context_->settings.compute, &context_->world->random(),
                       HashMix(entity_, lives_), position.epoch, boot);
  status = co_await Work(&compute, position.epoch);
  co_await writer->Stop();
  co_await pages->Stop();
  co_await batched.Stop();
  co_await compute.Stop();
  co_return status;
}

Task<Status> ComputeProgram::Work(ModelCompute* compute, Epoch epoch) {
  Status status = co_await compute->Recover();
  if (!status.ok()) {
    ++context_->recoveries_cut_short;
    co_return status;
  }
  ++context_->recoveries;
  runtime_->log->Info("ready at epoch " + std::to_string(epoch.value()) + ", " +
                      std::to_string(compute->rolled_back_at_start()) +
                      " transactions rolled back");
  if (duty_ == Duty::kServe) {
    TaskGroup beside(runtime_->scheduler);
    beside.Spawn(DrainWhenCalm(this, compute));
    status = co_await compute->Serve();
    if (status.ok()) {
      status = co_await compute->Verify();
    }
    if (!status.ok()) {
      co_return status;
    }
    context_->drained = true;
  } else {
    ++context_->audits_done;
  }
  runtime_->log->Info("all transactions have ended");
  Event never(runtime_->scheduler);
  co_await never.Wait();
  co_return Status::Ok();
}

Task<void> ComputeProgram::DrainWhenCalm(ComputeProgram* self, ModelCompute* compute) {
  while (self->context_->phase != Phase::kCalm) {
    co_await self->runtime_->scheduler->Sleep(Duration(kPollNs));
  }
  compute->Drain();
}

}  // namespace redoubt::sim
