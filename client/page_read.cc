// SPDX-License-Identifier: MIT
#include "client/page_read.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/runtime/fault_point.h"

namespace redoubt {

PageClient::Read::Read(PageClient* client, std::vector<PageId> pages, Lsn read_lsn,
                       Lsn not_modified_since, TimePoint deadline)
    : client_(client),
      runtime_(client->runtime_),
      pages_(std::move(pages)),
      read_lsn_(read_lsn),
      not_modified_since_(not_modified_since),
      deadline_(deadline),
      slots_(pages_.size()),
      without_volume_(client->replicas_.size()),
      changed_(runtime_->scheduler) {
  for (Slot& slot : slots_) {
    slot.verdicts.resize(client->replicas_.size());
  }
}

// How far a replica must have applied to answer.
Lsn PageClient::Read::needed() const {
  const Lsn at = read_lsn_ == Lsn{} ? kMaxLsn : read_lsn_;
  return not_modified_since_ == Lsn{} ? at : std::min(at, not_modified_since_);
}

bool PageClient::Read::finished() const {
  return std::none_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.open(); });
}

size_t PageClient::Read::running_count() const {
  return static_cast<size_t>(std::count_if(requests_.begin(), requests_.end(),
                                           [](const auto& request) { return !request->done; }));
}

// Among those that were not asked in this round and may have something new to say.
std::optional<size_t> PageClient::Read::NextReplica() const {
  std::vector<ReplicaView> views;
  for (size_t i = 0; i < client_->replicas_.size(); ++i) {
    ReplicaView view = client_->replicas_[i]->View();
    view.excluded = asked_[i] || std::none_of(slots_.begin(), slots_.end(), [i](const Slot& slot) {
                      return slot.open() && slot.verdicts[i].ok();
                    });
    views.push_back(view);
  }
  return ChooseReplica(views, needed(), runtime_->scheduler->Now(), client_->turn_);
}

Duration PageClient::Read::HedgeDelay(size_t replica) const {
  const PageClientOptions& options = client_->options_;
  const PageReplica& asked = *client_->replicas_[replica];
  // Before its first answer a server may have to be found, and read its disk.
  return asked.ever_read()
             ? std::clamp(asked.unusual_latency(), options.hedge_delay_min, options.hedge_delay_max)
             : options.hedge_delay_max;
}

// The second one must be able to do better: a replica that has to wait for redo as well cannot.
bool PageClient::Read::MayHedge(size_t first, size_t second) const {
  const Lsn first_applied = client_->replicas_[first]->applied();
  return client_->options_.hedge_percent > 0 &&
         client_->replicas_[second]->applied() >= std::min(needed(), first_applied);
}

void PageClient::Read::Ask(size_t replica, bool hedge) {
  auto request = std::make_shared<Request>();
  request->replica = replica;
  request->hedge = hedge;
  std::vector<PageId> pages;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].open() && slots_[i].verdicts[replica].ok()) {
      request->places.push_back(i);
      pages.push_back(pages_[i]);
    }
  }
  REDOUBT_CHECK(!pages.empty());
  asked_[replica] = true;
  requests_.push_back(request);
  ++client_->turn_;
  ++client_->counters_.requests;
  if (hedge) {
    ++client_->counters_.hedges_sent;
  } else if (request_count_ == 0) {
    client_->hedge_budget_.Earn();
  } else if (requests_.size() > 1) {
    ++client_->counters_.failovers;
  }
  ++request_count_;
  TimePoint deadline = deadline_;
  if (client_->replicas_.size() > 1) {
    deadline = std::min(deadline, runtime_->scheduler->Now() + client_->options_.attempt_timeout);
  }
  client_->tasks_.Spawn(RunRequest(shared_from_this(), request, std::move(pages), deadline));
}

Task<void> PageClient::Read::RunRequest(std::shared_ptr<Read> read,
                                        std::shared_ptr<Request> request, std::vector<PageId> pages,
                                        TimePoint deadline) {
  PageReplica* replica = read->client_->replicas_[request->replica].get();
  Result<std::vector<Result<FetchedPage>>> answer =
      co_await replica->GetPages(std::move(pages), read->read_lsn_, read->not_modified_since_,
                                 read->client_->options_.verify_images, deadline);
  request->done = true;
  if (!read->over_) {
    read->TakeAnswer(*request, std::move(answer));
    read->changed_.NotifyAll();
  }
}

void PageClient::Read::TakeAnswer(const Request& request,
                                  Result<std::vector<Result<FetchedPage>>> answer) {
  const bool without_volume = !answer.ok() && answer.status().code() == StatusCode::kNotFound;
  without_volume_[request.replica] = without_volume;
  if (without_volume && !std::all_of(without_volume_.begin(), without_volume_.end(),
                                     [](bool none) { return none; })) {
    trouble_ = Unavailable(client_->replicas_[request.replica]->name() +
                           " has lost the volume: " + answer.status().message());
    return;
  }
  bool useful = false;
  for (size_t i = 0; i < request.places.size(); ++i) {
    const size_t place = request.places[i];
    Slot& slot = slots_[place];
    if (!slot.open()) {
      continue;
    }
    if (!answer.ok() || !(*answer)[i].ok()) {
      TakeVerdict(place, request.replica, answer.ok() ? (*answer)[i].status() : answer.status());
      continue;
    }
    slot.page.emplace(std::move(*(*answer)[i]));
    useful = true;
  }
  if (!useful || !request.hedge) {
    return;
  }
  ++client_->counters_.hedges_won;
  for (const std::shared_ptr<Request>& other : requests_) {
    if (!other->done) {
      client_->replicas_[other->replica]->NoteOvertaken();
    }
  }
}

void PageClient::Read::TakeVerdict(size_t place, size_t replica, const Status& status) {
  Slot& slot = slots_[place];
  const Status told = client_->replicas_.size() == 1
                          ? status
                          : status.WithContext(client_->replicas_[replica]->name());
  if (KindOf(status) == AnswerKind::kTrouble) {
    trouble_ = told;
    return;
  }
  slot.verdict_count += slot.verdicts[replica].ok() ? 1 : 0;
  slot.verdicts[replica] = told;
  slot.closed =
      slot.verdict_count == slot.verdicts.size() || REDOUBT_PLANTED(runtime_, first_claim_believed);
}

// After a round, in which each replica was asked that had given no verdict yet.
void PageClient::Read::CloseCertain() {
  for (Slot& slot : slots_) {
    for (const Status& verdict : slot.verdicts) {
      slot.closed |= !verdict.ok() && KindOf(verdict) == AnswerKind::kClaim;
    }
  }
}

Task<bool> PageClient::Read::RunRound(std::shared_ptr<Read> read) {
  PageClient* client = read->client_;
  Scheduler* scheduler = read->runtime_->scheduler;
  read->asked_.assign(client->replicas_.size(), false);
  read->requests_.clear();
  TimePoint hedge_at = kNever;
  while (!read->finished()) {
    const TimePoint now = scheduler->Now();
    if (client->stopped_ || now >= read->deadline_) {
      co_return true;
    }
    const size_t running = read->running_count();
    const std::optional<size_t> next = read->NextReplica();
    if (running == 0) {
      if (!next.has_value()) {
        co_return false;
      }
      hedge_at = now + read->HedgeDelay(*next);
      read->Ask(*next, false);
      continue;
    }
    const bool hedge = running == 1 && hedge_at != kNever && next.has_value() &&
                       read->MayHedge(read->requests_.back()->replica, *next);
    if (hedge && now >= hedge_at) {
      hedge_at = kNever;  // one for each first request
      if (client->hedge_budget_.Take()) {
        read->Ask(*next, true);
      } else {
        ++client->counters_.hedges_refused;
      }
      continue;
    }
    const TimePoint until = hedge ? std::min(hedge_at, read->deadline_) : read->deadline_;
    co_await read->changed_.Wait(until);
  }
  co_return false;
}

Task<void> PageClient::Read::Run(std::shared_ptr<Read> read) {
  PageClient* client = read->client_;
  Runtime* runtime = read->runtime_;
  Duration delay = client->options_.retry_delay_min;
  for (;;) {
    const bool out_of_time = co_await RunRound(read);
    if (!out_of_time) {
      read->CloseCertain();
    }
    const auto jitter =
        static_cast<int64_t>(runtime->random->Below(static_cast<uint64_t>(delay.count()) / 2 + 1));
    const TimePoint next = runtime->scheduler->Now() + delay - Duration(jitter);
    if (out_of_time || read->finished() || next >= read->deadline_) {
      break;
    }
    ++client->counters_.retry_rounds;
    delay = std::min(delay * 2, client->options_.retry_delay_max);
    co_await client->tasks_.stop_event().Wait(next);
  }
  read->over_ = true;
}

Status PageClient::Read::WhyNot(const Slot& slot) const {
  if (client_->stopped_) {
    return Cancelled("page client is stopped");
  }
  Status gravest;
  for (const Status& verdict : slot.verdicts) {
    gravest = GraverOf(gravest, verdict);
  }
  if (!gravest.ok()) {
    return gravest;
  }
  return trouble_.ok() ? DeadlineExceeded("no answer in time") : trouble_;
}

std::vector<Result<FetchedPage>> PageClient::Read::Take() {
  std::vector<Result<FetchedPage>> results;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].page.has_value()) {
      results.emplace_back(std::move(*slots_[i].page));
      ++client_->counters_.pages_read;
    } else {
      results.emplace_back(WhyNot(slots_[i]).WithContext("page " + ToString(pages_[i])));
      ++client_->counters_.pages_failed;
    }
  }
  return results;
}

}  // namespace redoubt
