// SPDX-License-Identifier: MIT
//
// ReadingClient: what a server says besides pages, each answer handed to its checker.
#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "common/runtime/rpc/wire_message.h"
#include "sim/cluster/reader_program.h"

namespace redoubt::sim {
namespace {

constexpr uint32_t kPagesPerScan = 3;
constexpr int64_t kTimeSpreadNs = 2'000'000'000;

}  // namespace

Status ReadingClient::TakeRefusal(const Status& status, const std::string& what, int64_t asked_ns) {
  const bool no_volume = status.message().find("no volume") != std::string::npos;
  if (IsTrouble(status, asked_ns, {server_}) || no_volume) {
    return status;
  }
  context_->findings.ReportLoss("C2", what + " cannot be read: " + status.ToString());
  return Status::Ok();
}

Task<Status> ReadingClient::CheckCounters(Lsn lsn, int64_t deadline_ns) {
  const int64_t asked_ns = context_->world->now_ns();
  proto::DynamicMetaRequest request;
  request.set_volume_id(volume_.value());
  request.set_read_lsn(lsn.value());
  const Result<WithPayload<proto::DynamicMetaResponse>> answer =
      co_await client_.DynamicMeta(std::move(request), In(deadline_ns));
  if (!answer.ok()) {
    co_return TakeRefusal(answer.status(), "dynamic metadata at LSN " + std::to_string(lsn.value()),
                          asked_ns);
  }
  context_->counters.Check(lsn, answer->payload, answer->message.table_count());
  co_return Status::Ok();
}

Task<Status> ReadingClient::CheckTablespaces(Lsn lsn, int64_t deadline_ns) {
  const int64_t asked_ns = context_->world->now_ns();
  proto::SpaceListRequest request;
  request.set_volume_id(volume_.value());
  request.set_read_lsn(lsn.value());
  const Result<proto::SpaceListResponse> answer =
      co_await client_.SpaceList(std::move(request), In(deadline_ns));
  if (!answer.ok()) {
    co_return TakeRefusal(answer.status(), "the tablespaces at LSN " + std::to_string(lsn.value()),
                          asked_ns);
  }
  Tablespaces::Listed listed;
  for (const proto::SpaceInfo& space : answer->spaces()) {
    listed[SpaceId(space.space())] = {space.path(), space.page_count(), space.flags(),
                                      Lsn(space.created_lsn())};
    if (!space.unsupported_reason().empty()) {
      context_->findings.Report("C2",
                                "tablespace " + std::to_string(space.space()) +
                                    " is said to be unsupported: " + space.unsupported_reason());
    }
  }
  context_->tablespaces.CheckList(lsn, listed);
  if (listed.empty()) {
    co_return Status::Ok();
  }
  // One of those that come and go, rather.
  const auto chosen = static_cast<ptrdiff_t>(catalogue_random_.Below(listed.size()));
  const SpaceId space = std::next(listed.begin(), chosen)->first;
  const SpaceId last = listed.rbegin()->first;
  const Status border = co_await CheckBorder(last, lsn, deadline_ns);
  if (!border.ok()) {
    co_return border;
  }
  const Status scanned = co_await CheckScan(space, lsn, deadline_ns);
  co_return scanned;
}

// The pages before, at and after the end of the tablespace.
Task<Status> ReadingClient::CheckBorder(SpaceId space, Lsn lsn, int64_t deadline_ns) {
  const int64_t asked_ns = context_->world->now_ns();
  const uint32_t count = context_->tablespaces.At(lsn)[space].page_count;
  std::vector<PageId> pages;
  for (uint32_t page_no = count < 2 ? 0 : count - 2; page_no <= count + 1; ++page_no) {
    pages.push_back({space, PageNo(page_no)});
  }
  const std::vector<PageId> asked = pages;
  const std::vector<Result<FetchedPage>> results =
      co_await pages_->GetPages(std::move(pages), lsn, Lsn(), In(deadline_ns));
  for (size_t i = 0; i < asked.size(); ++i) {
    const Status& status = results[i].status();
    const bool absent = status.code() == StatusCode::kNotFound;
    if (!status.ok() && (!absent || status.message().find("no volume") != std::string::npos)) {
      co_return TakeRefusal(status, "page " + ToString(asked[i]), asked_ns);
    }
    context_->tablespaces.CheckPage(asked[i], lsn, !absent);
    CheckPage(asked[i], PageRequest{asked, lsn, Lsn()}, results[i]);
  }
  co_return Status::Ok();
}

// Every page of the tablespace that was ever written, once, in order.
Task<Status> ReadingClient::CheckScan(SpaceId space, Lsn lsn, int64_t deadline_ns) {
  std::set<PageId> missing;
  for (const PageId page : context_->truth->KnownPages()) {
    if (page.space == space && context_->content.truth().At(page, lsn).page_lsn != Lsn()) {
      missing.insert(page);
    }
  }
  uint32_t next = 0;
  bool done = false;
  while (!done) {
    const int64_t asked_ns = context_->world->now_ns();
    proto::ScanPagesRequest request;
    request.set_volume_id(volume_.value());
    request.set_space(space.value());
    request.set_read_lsn(lsn.value());
    request.set_first_page_no(next);
    request.set_pages_max(kPagesPerScan);
    const Result<WithPayload<proto::ScanPagesResponse>> answer =
        co_await client_.ScanPages(std::move(request), In(deadline_ns));
    const std::string what = "a scan of tablespace " + std::to_string(space.value()) + " at LSN " +
                             std::to_string(lsn.value());
    if (!answer.ok()) {
      co_return TakeRefusal(answer.status(), what, asked_ns);
    }
    ByteView rest = answer->payload;
    for (const proto::ScannedPage& page : answer->message.pages()) {
      const size_t bytes = context_->settings.page_size;
      if (page.status().code() != 0) {
        co_return TakeRefusal(FromProto(page.status()), what, asked_ns);
      }
      if (page.page_no() < next || rest.size() < bytes) {
        context_->findings.Report("C2", what + " gives page " + std::to_string(page.page_no()) +
                                            " behind page " + std::to_string(next) +
                                            ", or without its image");
        co_return Status::Ok();
      }
      next = page.page_no() + 1;
      PageAnswer given;
      given.page = {space, PageNo(page.page_no())};
      given.read_lsn = lsn;
      given.page_lsn = Lsn(page.page_lsn());
      given.image = rest.first(bytes);
      rest = rest.subspan(bytes);
      missing.erase(given.page);
      context_->content.Check(given);
    }
    done = answer->message.done();
    next = std::max(next, answer->message.next_page_no());
  }
  if (!missing.empty()) {
    context_->findings.Report("C2", "a scan of tablespace " + std::to_string(space.value()) +
                                        " at LSN " + std::to_string(lsn.value()) +
                                        " leaves out page " + ToString(*missing.begin()));
  }
  co_return Status::Ok();
}

Task<Status> ReadingClient::CheckTime(int64_t deadline_ns) {
  const std::vector<std::pair<int64_t, Lsn>>& stamps = context_->times.durable();
  if (stamps.empty()) {
    co_return Status::Ok();
  }
  // Around something that happened, or exactly then.
  TimeMap::Answer answer;
  const auto about =
      static_cast<int64_t>(catalogue_random_.Between(0, 2 * uint64_t{kTimeSpreadNs}));
  answer.asked = stamps[catalogue_random_.Below(stamps.size())].first;
  answer.asked += catalogue_random_.Below(2) == 0 ? 0 : about - kTimeSpreadNs;
  // How far it has applied, first.
  proto::VolumeStatusRequest status_request;
  status_request.set_name(context_->settings.volume);
  const Result<proto::VolumeStatusResponse> status =
      co_await client_.VolumeStatus(std::move(status_request), In(deadline_ns));
  if (!status.ok()) {
    co_return status.status();
  }
  answer.applied_before = Lsn(status->volume().applied_lsn());
  const uint32_t life = context_->world->IncarnationOf(server_.node);
  const int64_t asked_ns = context_->world->now_ns();
  proto::LsnAtTimeRequest request;
  request.set_volume_id(volume_.value());
  request.set_time_unix_ns(answer.asked);
  const Result<proto::LsnAtTimeResponse> given =
      co_await client_.LsnAtTime(std::move(request), In(deadline_ns));
  answer.before_all = given.status().code() == StatusCode::kBelowHorizon;
  if (!given.ok() && !answer.before_all) {
    co_return TakeRefusal(given.status(), "the LSN at a time", asked_ns);
  }
  if (life != context_->world->IncarnationOf(server_.node)) {
    answer.applied_before = Lsn();  // it has forgotten what was not stored yet
  }
  if (given.ok()) {
    answer.lsn = Lsn(given->lsn());
    answer.sample = given->sample_time_unix_ns();
  }
  context_->times.Check(answer);
  co_return Status::Ok();
}

Task<Status> ReadingClient::CheckCatalogue(int64_t deadline_ns) {
  const uint64_t choice = catalogue_random_.Below(3);
  const Lsn lsn = RandomLsn();
  if (lsn <= context_->truth->begin_lsn() || choice == 0) {
    const Status status = co_await CheckTime(deadline_ns);
    co_return status;
  }
  if (choice == 1) {
    const Status status = co_await CheckCounters(lsn, deadline_ns);
    co_return status;
  }
  const Status status = co_await CheckTablespaces(lsn, deadline_ns);
  co_return status;
}

}  // namespace redoubt::sim
