// SPDX-License-Identifier: MIT
#include "tests/cluster/cluster_reader.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/hash.h"

namespace redoubt::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kRetry(100);
constexpr milliseconds kBetweenReads(10);
constexpr seconds kPatience(3);
constexpr uint64_t kPagesPerReadMax = 8;
constexpr uint64_t kRecentBytes = 64 << 10;

bool IsTrouble(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

}  // namespace

ClusterReader::ClusterReader(Runtime* runtime, const ClusterOptions* options, Truth* truth,
                             Chronicle* chronicle, std::string server)
    : runtime_(runtime),
      options_(options),
      truth_(truth),
      chronicle_(chronicle),
      random_(&truth->random, "cluster reader " + options->who,
              HashBytes(0, AsBytes(std::string_view(server)))),
      content_(&findings_, &truth->history),
      channel_(runtime, std::move(server), ReconnectingChannelOptions()),
      client_(&channel_) {
  findings_.SetObserver([this](const sim::Finding& finding) {
    chronicle_->Add(Kind::kFinding, {},
                    finding.checker + ' ' + this->server() + ": " + finding.what);
  });
}

ClusterReader::~ClusterReader() = default;

Task<Status> ClusterReader::FindVolume(TimePoint deadline) {
  while (runtime_->scheduler->Now() < deadline) {
    proto::VolumeStatusRequest request;
    request.set_name(options_->volume);
    const Result<proto::VolumeStatusResponse> answer =
        co_await client_.VolumeStatus(std::move(request), runtime_->scheduler->Now() + kPatience);
    if (answer.ok() && answer->volume().horizon_lsn() != 0) {
      volume_ = VolumeId(answer->volume().volume_id());
      PageClientOptions pages;
      pages.volume = options_->volume;
      pages.volume_uid = options_->volume_uid();
      pages.verify_images = false;  // the checkers look at them
      pages_ = std::make_unique<PageClient>(runtime_, &channel_, volume_, std::move(pages));
      co_return Status::Ok();
    }
    co_await runtime_->scheduler->Sleep(kRetry);
  }
  co_return DeadlineExceeded("no readable volume " + options_->volume + " on " + server());
}

Task<Status> ClusterReader::NotePositions() {
  const uint64_t ticket = chronicle_->Ask();
  proto::VolumeStatusRequest request;
  request.set_name(options_->volume);
  const Result<proto::VolumeStatusResponse> answer =
      co_await client_.VolumeStatus(std::move(request), runtime_->scheduler->Now() + kPatience);
  if (!answer.ok()) {
    co_return answer.status();
  }
  const proto::VolumeState& state = answer->volume();
  chronicle_->Add(
      Kind::kPositions,
      {ticket, state.horizon_lsn(), state.persisted_lsn(), state.applied_lsn(), state.commit_lsn()},
      server());
  const std::string& error = state.ingest_error();
  if (!error.empty() && !error.starts_with("unavailable")) {
    chronicle_->Add(Kind::kFinding, {}, "C2 " + server() + ": ingest stopped: " + error);
  }
  co_return Status::Ok();
}

Task<Status> ClusterReader::WaitApplied(Lsn lsn, TimePoint deadline) {
  Status status = Unavailable("not tried");
  while (!status.ok() && runtime_->scheduler->Now() < deadline) {
    const TimePoint until = std::min(deadline, runtime_->scheduler->Now() + kPatience);
    proto::WaitLsnRequest request;
    request.set_volume_id(volume_.value());
    request.set_lsn(lsn.value());
    request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), until));
    const Result<proto::WaitLsnResponse> answer =
        co_await client_.WaitLsn(std::move(request), until);
    status = answer.status();
    if (!status.ok()) {
      co_await runtime_->scheduler->Sleep(kRetry);
    }
  }
  co_return status;
}

void ClusterReader::CheckPage(PageId page, Lsn lsn, Result<FetchedPage> fetched) {
  const Status& status = fetched.status();
  if (!status.ok() && status.code() != StatusCode::kNotFound) {
    if (!IsTrouble(status)) {
      findings_.Report("C2", "page " + ToString(page) + " at LSN " + std::to_string(lsn.value()) +
                                 " cannot be read: " + status.ToString());
    }
    return;
  }
  sim::PageAnswer answer;
  answer.page = page;
  answer.read_lsn = lsn;
  answer.status = status;
  Bytes damaged;
  if (status.ok()) {
    answer.page_lsn = fetched->page_lsn;
    answer.image = fetched->image;
    if (fetched->read_lsn != lsn) {
      findings_.Report("C2", "asked for LSN " + std::to_string(lsn.value()) + ", answered at " +
                                 std::to_string(fetched->read_lsn.value()));
    }
    if (++pages_seen_ == options_->damage_page_at) {
      damaged.assign(answer.image.begin(), answer.image.end());
      damaged[damaged.size() / 2] ^= 1;
      answer.image = damaged;
    }
  }
  content_.Check(answer);
}

Task<Status> ClusterReader::CheckPages(std::vector<PageId> pages, Lsn lsn, TimePoint deadline) {
  std::vector<Result<FetchedPage>> results = co_await pages_->GetPages(pages, lsn, Lsn(), deadline);
  REDOUBT_CHECK(results.size() == pages.size());
  Status trouble;
  for (size_t i = 0; i < pages.size(); ++i) {
    const Status status = results[i].status();
    trouble = IsTrouble(status) ? status : trouble;
    CheckPage(pages[i], lsn, std::move(results[i]));
  }
  chronicle_->Add(Kind::kPagesChecked, {pages.size()});
  co_return trouble;
}

Lsn ClusterReader::RandomLsn(Lsn durable) {
  uint64_t low = truth_->model.begin_lsn().value();
  if (random_.Below(2) == 0 && durable.value() - low > kRecentBytes) {
    low = durable.value() - kRecentBytes;
  }
  return Lsn(random_.Between(low, durable.value()));
}

Task<Status> ClusterReader::CheckRandomPages(Lsn durable, TimePoint deadline) {
  const std::vector<PageId> known = truth_->model.KnownPages();
  const Lsn lsn = RandomLsn(durable);
  std::vector<PageId> pages;
  const uint64_t count = random_.Between(1, kPagesPerReadMax);
  for (uint64_t i = 0; i < count && !known.empty(); ++i) {
    pages.push_back(known[random_.Below(known.size())]);
  }
  if (pages.empty()) {
    co_return Status::Ok();
  }
  const Status status = co_await CheckPages(std::move(pages), lsn, deadline);
  co_return status;
}

Task<void> ClusterReader::ReadUntil(Event* stop, std::function<Lsn()> durable) {
  bool found = false;
  while (!stop->is_set()) {
    if (!found) {
      const Status status = co_await FindVolume(runtime_->scheduler->Now() + seconds(1));
      found = status.ok();
    } else if (random_.Below(10) == 0) {
      const Status ignored = co_await NotePositions();
    } else if (durable() > truth_->model.begin_lsn()) {
      const Status ignored =
          co_await CheckRandomPages(durable(), runtime_->scheduler->Now() + kPatience);
    }
    co_await stop->Wait(runtime_->scheduler->Now() + kBetweenReads);
  }
}

Task<void> ClusterReader::Close() {
  if (pages_ != nullptr) {
    co_await pages_->Stop();
  }
  co_await channel_.Close();
}

}  // namespace redoubt::cluster
