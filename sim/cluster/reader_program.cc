// SPDX-License-Identifier: MIT
#include "sim/cluster/reader_program.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/innodb/log_block.h"
#include "sim/cluster/server_program.h"

namespace redoubt::sim {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kChaosDeadlineNs = 4'000 * kMs;
constexpr int64_t kCalmDeadlineNs = 20'000 * kMs;
constexpr int64_t kRetryNs = 100 * kMs;
constexpr uint64_t kPagesPerReadMax = 8;
constexpr uint64_t kRecentBytes = 64 << 10;
constexpr uint32_t kLogReadBytes = 256 << 10;
constexpr int kRandomReadsOfVerifier = 150;
constexpr int kCatalogueReadsOfVerifier = 12;

}  // namespace

bool ReadingClient::IsTrouble(const Status& status, int64_t asked_ns,
                              const std::vector<ServerPlace>& servers) const {
  const auto may_say_so = [&](const ServerPlace& server) {
    return IsBeingBuilt(asked_ns, server) ||
           (status.code() == StatusCode::kIoError && DiskMayFail(server));
  };
  return !status.ok() && (status.code() == StatusCode::kUnavailable ||
                          status.code() == StatusCode::kDeadlineExceeded ||
                          std::any_of(servers.begin(), servers.end(), may_say_so));
}

bool ReadingClient::IsBeingBuilt(int64_t asked_ns, const ServerPlace& server) const {
  const auto readable = context_->horizon_set.find(server.node);
  return context_->replicated() && server.serves_pages &&
         (context_->rotten_servers.contains(server.node) ||
          readable == context_->horizon_set.end() || readable->second > asked_ns);
}

bool ReadingClient::DiskMayFail(const ServerPlace& server) const {
  return born_in_chaos_ && context_->world->DiskOf(server.node).error_count() > 0;
}

ReadingClient::ReadingClient(Runtime* runtime, RunContext* context, ServerPlace server,
                             uint64_t entity)
    : runtime_(runtime),
      context_(context),
      server_(std::move(server)),
      born_in_chaos_(context->phase == Phase::kChaos),
      random_(&context->world->random(), "reader", entity),
      catalogue_random_(&context->world->random(), "catalogue-reader", entity),
      channel_(runtime, server_.address, ReconnectingChannelOptions()),
      client_(&channel_) {}

Task<void> ReadingClient::FindVolume() {
  while (true) {
    proto::VolumeStatusRequest request;
    request.set_name(context_->settings.volume);
    const Result<proto::VolumeStatusResponse> answer =
        co_await client_.VolumeStatus(std::move(request), In(kChaosDeadlineNs));
    if (answer.ok() && (!server_.serves_pages || answer->volume().horizon_lsn() != 0)) {
      volume_ = VolumeId(answer->volume().volume_id());
      break;
    }
    co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
  }
  pages_ = std::make_unique<PageClient>(runtime_, &channel_, volume_);
}

Task<Status> ReadingClient::CheckStatus(int64_t deadline_ns) {
  const Lsn acknowledged_before = context_->truth->acknowledged();
  LsnOrder& order = context_->OrderOf(server_.node);
  const uint64_t ticket = order.TakeTicket();
  const int64_t asked_ns = context_->world->now_ns();
  const std::string_view name = context_->world->NameOf(server_.node);
  const Epoch promised_before = context_->fence.HighestPromise(name);
  proto::VolumeStatusRequest request;
  request.set_name(context_->settings.volume);
  const Result<proto::VolumeStatusResponse> answer =
      co_await client_.VolumeStatus(std::move(request), In(deadline_ns));
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (IsBeingBuilt(asked_ns, server_)) {
    co_return Unavailable(server_.address + " is being built anew");
  }
  const proto::VolumeState& state = answer->volume();
  const ServerPositions seen{Lsn(state.horizon_lsn()), Lsn(state.persisted_lsn()),
                             Lsn(state.applied_lsn()), Lsn(state.commit_lsn())};
  context_->fence.ServerEpoch(name, Epoch(state.epoch()), promised_before);
  order.Observe(ticket, context_->world->IncarnationOf(server_.node), seen);
  context_->world->Record(server_.node, TraceKind::kOperation, seen.applied.value(),
                          seen.commit.value(), "applied and commit LSN");
  if (!context_->replicated()) {
    context_->redo.ServerEnd(seen.commit, acknowledged_before, "VolumeStatus");
  }
  if (!state.ingest_error().empty() && !DiskMayFail(server_)) {
    context_->findings.ReportLoss("C2", "ingest stopped: " + state.ingest_error());
  }
  co_return Status::Ok();
}

void ReadingClient::RouteOverAll() {
  PageClientOptions options;
  options.volume = context_->settings.volume;
  options.volume_uid = context_->settings.volume_uid;
  options.hedge_percent = 50;  // often, so that it meets faults
  std::vector<std::string> addresses;
  for (const ServerPlace& place : context_->page_servers) {
    addresses.push_back(place.address);
  }
  routed_pages_ = std::make_unique<PageClient>(runtime_, std::move(addresses), std::move(options));
}

void ReadingClient::CheckPage(PageId page, const PageRequest& request,
                              const Result<FetchedPage>& fetched) {
  const Status& status = fetched.status();
  const Lsn read_lsn = request.read_lsn;
  // With not_modified_since the answer may be read at an older LSN that has the same page.
  const bool as_of_older = request.not_modified_since != Lsn();
  // A server that has lost the volume says so of every page.
  const bool no_volume = status.message().find("no volume") != std::string::npos;
  if (status.ok() || (status.code() == StatusCode::kNotFound && !no_volume)) {
    PageAnswer answer;
    answer.page = page;
    answer.read_lsn = status.ok() && !as_of_older ? fetched->read_lsn : read_lsn;
    answer.status = status;
    if (status.ok()) {
      answer.page_lsn = fetched->page_lsn;
      answer.image = fetched->image;
    }
    if (read_lsn != Lsn() && answer.read_lsn != read_lsn) {
      context_->findings.Report("C2", "asked for LSN " + std::to_string(read_lsn.value()) +
                                          ", answered at " +
                                          std::to_string(answer.read_lsn.value()));
    }
    context_->content.Check(answer);
    if (status.ok()) {
      context_->final_pages.Check(page, answer.read_lsn, answer.image);
    }
  } else {
    context_->findings.ReportLoss("C2", "page " + ToString(page) + " at LSN " +
                                            std::to_string(read_lsn.value()) +
                                            " cannot be read: " + status.ToString());
  }
}

void ReadingClient::CheckNewest(LsnOrder::NewestRead read, int64_t asked_ns,
                                const std::vector<Result<FetchedPage>>& results) {
  const auto given =
      std::find_if(results.begin(), results.end(), [](const auto& result) { return result.ok(); });
  if (given == results.end() || IsBeingBuilt(asked_ns, server_)) {
    return;
  }
  read.answered_in = context_->world->IncarnationOf(server_.node);
  read.read_lsn = (*given)->read_lsn;
  read.mtr_end = context_->truth->LastEndAtOrBelow(read.read_lsn);
  context_->OrderOf(server_.node).Newest(read);
}

// One server's damage is no answer while another one, which is whole, can still be asked.
void ReadingClient::CheckDamage(PageId page, Lsn read_lsn, const Status& status, Asked asked) {
  if (status.code() != StatusCode::kCorruption && status.code() != StatusCode::kIoError) {
    return;
  }
  if (!asked.of_all) {
    if (context_->rotten_servers.contains(server_.node)) {
      context_->world->Record(server_.node, TraceKind::kOperation, 0, 0,
                              "a damaged page server refuses a page");
    }
    return;
  }
  const bool had_time = context_->world->now_ns() >= asked.at_ns + asked.deadline_ns / 2;
  const bool one_is_whole = std::any_of(
      context_->page_servers.begin(), context_->page_servers.end(), [&](const ServerPlace& server) {
        return !IsBeingBuilt(asked.at_ns, server) && !DiskMayFail(server);
      });
  const bool is_there =
      read_lsn != Lsn() && context_->content.truth().At(page, read_lsn).page_lsn != Lsn();
  if (!had_time && one_is_whole && is_there) {
    context_->findings.Report(
        "C2", "page " + ToString(page) + " at LSN " + std::to_string(read_lsn.value()) +
                  " was given up although one page server is whole: " + status.ToString());
  }
}

Task<Status> ReadingClient::CheckPages(PageRequest request, int64_t deadline_ns) {
  const int64_t asked_ns = context_->world->now_ns();
  const bool routed = request.routed && routed_pages_ != nullptr;
  PageClient* client = routed ? routed_pages_.get() : pages_.get();
  const std::vector<ServerPlace> servers =
      routed ? context_->page_servers : std::vector<ServerPlace>{server_};
  const bool newest_here = !routed && request.read_lsn == Lsn();
  LsnOrder::NewestRead newest;
  if (newest_here) {
    newest.asked_after = context_->OrderOf(server_.node).TakeTicket();
    newest.asked_in = context_->world->IncarnationOf(server_.node);
  }
  const std::vector<Result<FetchedPage>> results = co_await client->GetPages(
      request.pages, request.read_lsn, request.not_modified_since, In(deadline_ns));
  if (newest_here) {
    CheckNewest(newest, asked_ns, results);
  }
  Status trouble;
  const Asked asked{asked_ns, deadline_ns, routed};
  for (size_t i = 0; i < request.pages.size(); ++i) {
    CheckDamage(request.pages[i], request.read_lsn, results.at(i).status(), asked);
    if (IsTrouble(results.at(i).status(), asked_ns, servers)) {
      trouble = results[i].status();
    } else {
      CheckPage(request.pages[i], request, results[i]);
    }
  }
  co_return trouble;
}

Task<Status> ReadingClient::WaitApplied(Lsn lsn, int64_t deadline_ns) {
  const TimePoint deadline = In(deadline_ns);
  proto::WaitLsnRequest request;
  request.set_volume_id(volume_.value());
  request.set_lsn(lsn.value());
  request.set_deadline_ms(DeadlineMs(runtime_->scheduler->Now(), deadline));
  const Result<proto::WaitLsnResponse> answer =
      co_await client_.WaitLsn(std::move(request), deadline);
  co_return answer.status();
}

Task<Status> ReadingClient::CheckImpatiently(PageId page, uint32_t patience_ms,
                                             int64_t deadline_ns) {
  const Lsn newest = context_->truth->LastEndAtOrBelow(context_->truth->acknowledged());
  proto::WaitLsnRequest wait;
  wait.set_volume_id(volume_.value());
  wait.set_lsn(newest.value());
  wait.set_deadline_ms(patience_ms);
  const Result<proto::WaitLsnResponse> waited =
      co_await client_.WaitLsn(std::move(wait), In(deadline_ns));
  if (waited.ok() && Lsn(waited->applied_lsn()) < newest) {
    context_->findings.Report("C2", "was told that LSN " + std::to_string(newest.value()) +
                                        " is applied, which LSN " +
                                        std::to_string(waited->applied_lsn()) + " is");
  }
  const Lsn read_lsn = context_->truth->LastEndAtOrBelow(context_->truth->acknowledged());
  proto::GetPagesRequest request;
  request.set_volume_id(volume_.value());
  request.set_read_lsn(read_lsn.value());
  request.set_deadline_ms(patience_ms);
  proto::PageRef* const wanted = request.add_pages();
  wanted->set_space(page.space.value());
  wanted->set_page_no(page.page_no.value());
  const Result<WithPayload<proto::GetPagesResponse>> answer =
      co_await client_.GetPages(std::move(request), In(deadline_ns));
  const bool given = answer.ok() && answer->message.pages_size() == 1 &&
                     FromProto(answer->message.pages(0).status()).ok();
  if (given) {
    FetchedPage fetched;
    fetched.page_lsn = Lsn(answer->message.pages(0).page_lsn());
    fetched.read_lsn = Lsn(answer->message.read_lsn());
    fetched.image = answer->payload;
    CheckPage(page, {{page}, read_lsn, Lsn()}, Result<FetchedPage>(std::move(fetched)));
  }
  co_return answer.status();
}

Task<Status> ReadingClient::CheckLog(int64_t deadline_ns) {
  const TimePoint deadline = In(deadline_ns);
  proto::LogStatusRequest status_request;
  status_request.set_volume_id(volume_.value());
  const Lsn acknowledged = context_->truth->acknowledged();
  const Result<proto::LogStatusResponse> status =
      co_await client_.LogStatus(std::move(status_request), deadline);
  if (!status.ok()) {
    co_return status.status();
  }
  if (Lsn(status->end_lsn()) < acknowledged || Lsn(status->commit_lsn()) < acknowledged) {
    co_return Unavailable(server_.address + " has the log up to " +
                          std::to_string(status->end_lsn()) + ", committed up to " +
                          std::to_string(status->commit_lsn()) + ", acknowledged is " +
                          std::to_string(acknowledged.value()));
  }
  context_->redo.ServerEnd(Lsn(status->end_lsn()), acknowledged, "LogStatus");
  Lsn at(status->begin_lsn());
  while (at < acknowledged) {
    proto::LogReadRequest request;
    request.set_volume_id(volume_.value());
    request.set_start_lsn(at.value());
    request.set_bytes_max(kLogReadBytes);
    request.set_deadline_ms(1000);
    const Result<WithPayload<proto::LogReadResponse>> answer =
        co_await client_.LogRead(std::move(request), deadline);
    if (answer.status().code() == StatusCode::kBelowHorizon) {
      co_return Status::Ok();  // trimmed meanwhile: the pages vouch for it
    }
    if (!answer.ok()) {
      co_return answer.status();
    }
    ByteView rest = answer->payload;
    for (const proto::ChunkHeader& chunk : answer->message.chunks()) {
      const LsnRange range{Lsn(chunk.start_lsn()), Lsn(chunk.end_lsn())};
      const uint64_t bytes = innodb::PayloadBytes(range);
      if (range.start > at || range.end <= at || range.end > context_->truth->end_lsn() ||
          bytes > rest.size()) {
        context_->findings.Report(
            "C1", "the log gives a chunk [" + std::to_string(range.start.value()) + ", " +
                      std::to_string(range.end.value()) + ") at " + std::to_string(at.value()));
        co_return Status::Ok();
      }
      context_->truth->ReadBack(range, rest.first(bytes));
      rest = rest.subspan(bytes);
      at = range.end;
    }
    if (answer->message.chunks().empty()) {
      co_return Unavailable("the log gave no redo at " + std::to_string(at.value()));
    }
  }
  co_return Status::Ok();
}

Lsn ReadingClient::RandomLsn() {
  const LogTruth& truth = *context_->truth;
  const Lsn last = truth.LastEndAtOrBelow(context_->truth->acknowledged());
  if (last <= truth.begin_lsn()) {
    return truth.begin_lsn();
  }
  uint64_t low = truth.begin_lsn().value();
  if (random_.Below(2) == 0 && last.value() - low > kRecentBytes) {
    low = last.value() - kRecentBytes;
  }
  return Lsn(random_.Between(low, last.value()));
}

std::vector<PageId> ReadingClient::RandomPages(uint64_t count_max) {
  const std::vector<PageId> known = context_->truth->KnownPages();
  std::vector<PageId> pages;
  const uint64_t count = random_.Between(1, count_max);
  for (uint64_t i = 0; i < count && !known.empty(); ++i) {
    PageId page = known[random_.Below(known.size())];
    if (random_.Below(30) == 0) {
      page.page_no = PageNo(page.page_no.value() + 1000);  // never written
    }
    pages.push_back(page);
  }
  return pages;
}

Task<void> ReaderProgram::Run() {
  co_await client_.FindVolume();
  if (context_->page_servers.size() > 1) {
    client_.RouteOverAll();
  }
  while (true) {
    const auto pause = static_cast<int64_t>(
        client_.random().Exponential(static_cast<uint64_t>(context_->settings.read_interval_ns)));
    co_await runtime_->scheduler->Sleep(Duration(pause));
    Status status;
    const uint64_t choice = client_.random().Below(10);
    if (choice == 0) {
      status = co_await client_.CheckStatus(kChaosDeadlineNs);
    } else {
      std::vector<PageId> pages = client_.RandomPages(choice == 2 ? 1 : kPagesPerReadMax);
      const Lsn lsn = choice == 1 ? Lsn() : client_.RandomLsn();
      Lsn not_modified_since;
      if (choice == 2 && !pages.empty()) {
        // A reader that knows when its page was last changed, as a buffer pool may.
        not_modified_since = context_->content.truth().At(pages.front(), lsn).page_lsn;
      }
      if (!pages.empty()) {
        ReadingClient::PageRequest request{std::move(pages), lsn, not_modified_since,
                                           route_.Below(2) == 0};
        status = co_await client_.CheckPages(std::move(request), kChaosDeadlineNs);
      }
    }
    if (route_.Chance(context_->settings.impatient_percent * 10'000)) {
      const std::vector<PageId> wanted = client_.RandomPages(1);
      const auto patience_ms = static_cast<uint32_t>(route_.Between(1, 40));
      if (!wanted.empty()) {
        const Status impatient =
            co_await client_.CheckImpatiently(wanted.front(), patience_ms, kChaosDeadlineNs);
        context_->reads_failed += impatient.ok() ? 0 : 1;
      }
    }
    if (context_->settings.catalogue_every > 0 && route_.Below(4) == 0) {
      const Status catalogue = co_await client_.CheckCatalogue(kChaosDeadlineNs);
      context_->reads_failed += catalogue.ok() ? 0 : 1;
    }
    context_->reads_failed += status.ok() ? 0 : 1;
  }
}

Task<void> VerifierProgram::ReadCatalogue(ReadingClient* client) {
  const Lsn end = context_->truth->end_lsn();
  for (int i = 0; i < kCatalogueReadsOfVerifier;) {
    const Lsn counters_lsn = i == 0 ? end : client->RandomLsn();
    Status status = co_await client->CheckCounters(counters_lsn, kCalmDeadlineNs);
    if (status.ok()) {
      const Lsn tablespaces_lsn = i == 0 ? end : client->RandomLsn();
      status = co_await client->CheckTablespaces(tablespaces_lsn, kCalmDeadlineNs);
    }
    if (status.ok()) {
      status = co_await client->CheckTime(kCalmDeadlineNs);
    }
    if (status.ok()) {
      ++i;
    } else {
      runtime_->log->Warning("catalogue: " + status.ToString());
      co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
    }
  }
}

void VerifierProgram::Stage(std::string stage) {
  context_->world->Record(kWorldNode, TraceKind::kPhase, 0, 0, "verify: " + stage);
  context_->verify_stage = std::move(stage);
}

Task<void> VerifierProgram::ReadEverything(ReadingClient* client) {
  const Lsn end = context_->truth->end_lsn();
  const std::vector<PageId> known = context_->truth->KnownPages();
  for (size_t i = 0; i < known.size();) {
    const size_t count = std::min<size_t>(kPagesPerReadMax, known.size() - i);
    std::vector<PageId> batch(known.begin() + static_cast<ptrdiff_t>(i),
                              known.begin() + static_cast<ptrdiff_t>(i + count));
    ReadingClient::PageRequest request{std::move(batch), end, Lsn()};
    const Status status = co_await client->CheckPages(std::move(request), kCalmDeadlineNs);
    if (status.ok()) {
      i += count;
    } else {
      co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
    }
  }
  const auto read_count = kRandomReadsOfVerifier / static_cast<int>(context_->page_servers.size());
  for (int i = 0; i < read_count;) {
    std::vector<PageId> batch = client->RandomPages(kPagesPerReadMax);
    const Lsn lsn = client->RandomLsn();
    ReadingClient::PageRequest request{std::move(batch), lsn, Lsn()};
    const Status status = co_await client->CheckPages(std::move(request), kCalmDeadlineNs);
    i += status.ok() ? 1 : 0;
  }
}

Task<void> VerifierProgram::VerifyServer(ServerPlace server, bool pages, bool log) {
  const std::string at = context_->replicated() ? " at " + server.address : "";
  clients_.push_back(
      std::make_unique<ReadingClient>(runtime_, context_, std::move(server), entity_));
  ReadingClient& client = *clients_.back();
  Stage("finding the volume" + at);
  co_await client.FindVolume();
  Stage("waiting until all redo is acknowledged");
  while (context_->truth->acknowledged() < context_->truth->end_lsn()) {
    co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
  }
  Status status = Unavailable("not tried");
  if (pages) {
    Stage("waiting until all redo is applied" + at);
    while (!status.ok()) {
      status = co_await client.WaitApplied(context_->truth->end_lsn(), kCalmDeadlineNs);
      if (!status.ok()) {
        runtime_->log->Warning("WaitLsn" + at + ": " + status.ToString());
        co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
      }
    }
  }
  Stage("reading status and log" + at);
  status = Unavailable("not tried");
  while (!status.ok()) {
    status = Status::Ok();
    if (pages) {
      status = co_await client.CheckStatus(kCalmDeadlineNs);
    }
    if (status.ok() && log) {
      status = co_await client.CheckLog(kCalmDeadlineNs);
    }
    if (!status.ok()) {
      runtime_->log->Warning("log" + at + ": " + status.ToString());
      co_await runtime_->scheduler->Sleep(Duration(kRetryNs));
    }
  }
  if (pages) {
    Stage("reading pages" + at);
    co_await ReadEverything(&client);
    if (context_->settings.catalogue_every > 0) {
      Stage("reading tables" + at);
      co_await ReadCatalogue(&client);
    }
    context_->final_pages.EndRound();
  }
}

Task<void> VerifierProgram::Run() {
  for (const ServerPlace& server : context_->log_servers) {
    co_await VerifyServer(server, server.serves_pages, /*log=*/true);
  }
  for (const ServerPlace& server : context_->page_servers) {
    const bool done = std::any_of(
        context_->log_servers.begin(), context_->log_servers.end(),
        [&server](const ServerPlace& log_server) { return log_server.node == server.node; });
    if (!done) {
      co_await VerifyServer(server, /*pages=*/true, /*log=*/false);
    }
  }
  ++context_->verify_rounds_done;
  Stage("done");
}

}  // namespace redoubt::sim
