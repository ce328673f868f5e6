// SPDX-License-Identifier: MIT
#include "tests/cluster/cluster_verifier.h"

#include <cstdio>
#include <utility>
#include <vector>

#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/cluster/cluster_reader.h"

namespace redoubt::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kRetry(100);
constexpr seconds kPatience(5);
constexpr uint32_t kLogReadBytes = 1 << 20;
constexpr size_t kLastBytes = 4096;
constexpr size_t kPagesPerRead = 16;
constexpr int kRandomReads = 200;
constexpr uint64_t kPagesCheckedMin = 100;
constexpr uint64_t kAcknowledgedBytesMin = 100'000;

constexpr int kSafety = 10;
constexpr int kLiveness = 11;
constexpr int kIdle = 14;

}  // namespace

ClusterVerifier::ClusterVerifier(Runtime* runtime, const ClusterOptions* options, Truth* truth,
                                 Chronicle* chronicle, TimePoint deadline)
    : runtime_(runtime),
      options_(options),
      truth_(truth),
      chronicle_(chronicle),
      deadline_(deadline),
      replicas_(&findings_) {}

// A little more redo, so that the commit LSN is told to all as one of this epoch.
Task<Status> ClusterVerifier::TakeOver(LogWriter* writer) {
  chronicle_->Add(Kind::kStarting);
  const Result<LogPosition> position = co_await writer->Start(Epoch(0), deadline_);
  if (!position.ok()) {
    co_return position.status();
  }
  chronicle_->Add(Kind::kPromised, {position->epoch.value(), position->end.value()});
  truth_->ProduceTo(position->end);
  if (truth_->model.LastEndAtOrBelow(position->end) != position->end) {
    findings_.Report("C1", "the log ends at " + std::to_string(position->end.value()) +
                               ", which is not the end of an mtr that was written");
    co_return Status::Ok();
  }
  truth_->model.Produce(kLastBytes);
  end_ = truth_->model.end_lsn();
  while (writer->next_lsn() < end_) {
    RedoAppend append;
    append.range = LsnRange{writer->next_lsn(), truth_->model.Advance(writer->next_lsn(), 1 << 20)};
    append.first_mtr_lsn = truth_->model.FirstMtrIn(append.range);
    const ByteView payload = truth_->model.Payload(append.range);
    append.payload = std::make_shared<const Bytes>(payload.begin(), payload.end());
    const Status status = co_await writer->Append(std::move(append), deadline_);
    if (!status.ok()) {
      co_return status;
    }
  }
  const Status status = co_await writer->WaitAcknowledged(end_, deadline_);
  if (status.ok()) {
    chronicle_->Add(Kind::kAcknowledged, {writer->epoch().value(), end_.value()});
  }
  co_return status;
}

// Waits until the server has all there is, then reads it.
Task<Status> ClusterVerifier::CheckLog(std::string server) {
  Status status = Unavailable("not tried");
  while (runtime_->scheduler->Now() < deadline_) {
    status = co_await ReadLog(server);
    if (status.ok()) {
      co_return status;
    }
    co_await runtime_->scheduler->Sleep(kRetry);
  }
  co_return DeadlineExceeded("log server " + server + " is not level: " + status.ToString());
}

Task<Status> ClusterVerifier::ReadLog(std::string server) {
  ReconnectingChannel channel(runtime_, server, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  const TimePoint deadline = runtime_->scheduler->Now() + seconds(30);
  proto::VolumeStatusRequest find;
  find.set_name(options_->volume);
  const Result<proto::VolumeStatusResponse> state =
      co_await client.VolumeStatus(std::move(find), runtime_->scheduler->Now() + kPatience);
  Status status = state.status();
  Lsn at(status.ok() ? state->volume().log_begin_lsn() : 0);
  if (status.ok() && Lsn(state->volume().commit_lsn()) < end_) {
    status =
        Unavailable("it knows of redo up to LSN " + std::to_string(state->volume().commit_lsn()) +
                    " of " + std::to_string(end_.value()) + ' ' + state->volume().ingest_error());
  }
  uint64_t compared = 0;
  while (status.ok() && at < end_) {
    proto::LogReadRequest request;
    request.set_volume_id(state->volume().volume_id());
    request.set_start_lsn(at.value());
    request.set_bytes_max(kLogReadBytes);
    request.set_deadline_ms(1000);
    const Result<WithPayload<proto::LogReadResponse>> answer =
        co_await client.LogRead(std::move(request), deadline);
    status = answer.status();
    if (status.ok() && answer->message.chunks().empty()) {
      status = Unavailable("the log gives no redo at " + std::to_string(at.value()));
    }
    ByteView rest = answer.ok() ? ByteView(answer->payload) : ByteView();
    const size_t chunk_count = answer.ok() ? static_cast<size_t>(answer->message.chunks_size()) : 0;
    for (size_t i = 0; i < chunk_count && status.ok(); ++i) {
      const proto::ChunkHeader& chunk = answer->message.chunks(static_cast<int>(i));
      const LsnRange range{Lsn(chunk.start_lsn()), Lsn(chunk.end_lsn())};
      const uint64_t bytes = innodb::ToSn(range.end).value() - innodb::ToSn(range.start).value();
      if (range.start > at || range.end <= at || range.end > end_ || bytes > rest.size()) {
        findings_.Report("C1", server + " gives a chunk [" + std::to_string(range.start.value()) +
                                   ", " + std::to_string(range.end.value()) + ") at " +
                                   std::to_string(at.value()));
        status = Status::Ok();
        at = end_;
        break;
      }
      replicas_.ReadBack(range, rest.first(bytes), truth_->model.Payload(range));
      rest = rest.subspan(bytes);
      compared += bytes;
      at = range.end;
    }
  }
  co_await channel.Close();
  bytes_compared_ += status.ok() ? compared : 0;
  co_return status;
}

Task<Status> ClusterVerifier::CheckPageServer(std::string server) {
  ClusterReader reader(runtime_, options_, truth_, chronicle_, server);
  Status status = co_await reader.FindVolume(deadline_);
  if (status.ok()) {
    status = co_await reader.WaitApplied(end_, deadline_);
  }
  if (status.ok()) {
    status = co_await reader.NotePositions();
  }
  const std::vector<PageId> known = truth_->model.KnownPages();
  for (size_t i = 0; status.ok() && i < known.size(); i += kPagesPerRead) {
    const size_t last = std::min(known.size(), i + kPagesPerRead);
    std::vector<PageId> pages(known.begin() + static_cast<ptrdiff_t>(i),
                              known.begin() + static_cast<ptrdiff_t>(last));
    status = co_await reader.CheckPages(std::move(pages), end_, deadline_);
  }
  for (int i = 0; status.ok() && i < kRandomReads; ++i) {
    status = co_await reader.CheckRandomPages(end_, deadline_);
  }
  pages_compared_ += reader.pages_checked();
  co_await reader.Close();
  co_return status.ok() ? status
                        : Status(status.code(), "page server " + server + ": " + status.message());
}

int ClusterVerifier::Verdict(const Status& late) {
  Judge judge(&findings_);
  for (const Entry& event : Chronicle::Read(options_->chronicle)) {
    judge.Hear(event);
  }
  std::printf("%s\n", judge.Summary().c_str());
  std::printf("at the end: LSN %llu, %llu bytes of redo and %llu pages compared\n",
              static_cast<unsigned long long>(end_.value()),
              static_cast<unsigned long long>(bytes_compared_),
              static_cast<unsigned long long>(pages_compared_));
  for (const sim::Finding& finding : findings_.all()) {
    std::printf("finding %s: %s\n", finding.checker.c_str(), finding.what.c_str());
  }
  if (!findings_.empty()) {
    std::printf("SAFETY %s: %s\n", findings_.all().front().checker.c_str(),
                findings_.all().front().what.c_str());
    return kSafety;
  }
  if (!late.ok()) {
    std::printf("LIVENESS C8: %s\n", late.ToString().c_str());
    return kLiveness;
  }
  const uint64_t acknowledged =
      judge.redo().acknowledged().value() - truth_->model.begin_lsn().value();
  if (acknowledged < kAcknowledgedBytesMin || judge.pages_checked() < kPagesCheckedMin) {
    std::printf("IDLE: %llu bytes acknowledged, %llu pages checked under faults\n",
                static_cast<unsigned long long>(acknowledged),
                static_cast<unsigned long long>(judge.pages_checked()));
    return kIdle;
  }
  std::printf("PASS\n");
  return 0;
}

Task<int> ClusterVerifier::Run() {
  LogWriterOptions writer_options;
  writer_options.volume = options_->volume;
  LogWriter writer(runtime_, options_->log_servers, std::move(writer_options));
  Status status = co_await TakeOver(&writer);
  for (size_t i = 0; status.ok() && findings_.empty() && i < options_->log_servers.size(); ++i) {
    status = co_await CheckLog(options_->log_servers[i]);
  }
  for (size_t i = 0; status.ok() && findings_.empty() && i < options_->page_servers.size(); ++i) {
    status = co_await CheckPageServer(options_->page_servers[i]);
  }
  co_await writer.Stop();
  co_return Verdict(status);
}

}  // namespace redoubt::cluster
