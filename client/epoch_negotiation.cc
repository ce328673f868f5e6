// SPDX-License-Identifier: MIT
#include "client/epoch_negotiation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/runtime/fault_point.h"
#include "common/runtime/task_group.h"

namespace redoubt {
namespace {

using Replicas = std::vector<std::unique_ptr<LogReplica>>;

constexpr Duration kRetryDelay = std::chrono::milliseconds(50);
constexpr size_t kReadBytes = 1 << 20;

size_t Majority(const Replicas& replicas) { return replicas.size() / 2 + 1; }

// Of one member: it may answer otherwise when it is asked again.
bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

template <typename T>
struct Answers {
  explicit Answers(size_t count) : of(count) {}
  std::vector<std::optional<Result<T>>> of;

  size_t good_count() const {
    return static_cast<size_t>(
        std::count_if(of.begin(), of.end(), [](const auto& answer) { return answer->ok(); }));
  }
  // Of those that are not OK the one that says most. A newer writer first. Then, that some cannot
  // take part for good (damaged, without the volume) says nothing while a majority of the others
  // may still come back.
  Status worst() const {
    Status passing;
    Status missing;
    Status lasting;
    size_t missing_count = 0;
    size_t lasting_count = 0;
    for (const auto& answer : of) {
      const Status& status = answer->status();
      if (status.code() == StatusCode::kStaleEpoch) {
        return status;
      }
      if (status.code() == StatusCode::kNotFound) {
        missing = status;
        ++missing_count;
      } else if (!status.ok()) {
        Status& first = MayPass(status) ? passing : lasting;
        first = first.ok() ? status : first;
        lasting_count += MayPass(status) ? 0 : 1;
      }
    }
    const size_t majority = of.size() / 2 + 1;
    if (!passing.ok() && of.size() - missing_count - lasting_count >= majority) {
      return passing;
    }
    return missing_count >= majority || lasting.ok() ? missing : lasting;
  }
};

Task<void> AskPromised(LogReplica* replica, TimePoint deadline,
                       std::optional<Result<Epoch>>* answer) {
  Result<Epoch> promised = co_await replica->PromisedEpoch(deadline);
  answer->emplace(std::move(promised));
}

Task<void> AskPrepare(LogReplica* replica, Epoch epoch, TimePoint deadline,
                      std::optional<Result<PromisedLog>>* answer) {
  Result<PromisedLog> promised = co_await replica->Prepare(epoch, deadline);
  answer->emplace(std::move(promised));
}

// How long each round of questions waits for the slowest member. A silent one costs every round
// that much, and the rounds that follow must still have time.
struct Patience {
  Duration round;
  TimePoint deadline;

  TimePoint Until(const Runtime* runtime) const {
    return std::min(deadline, runtime->scheduler->Now() + round);
  }
};

Task<Result<Epoch>> ChooseEpoch(Runtime* runtime, const Replicas* replicas, Patience patience) {
  Answers<Epoch> answers(replicas->size());
  TaskGroup group(runtime->scheduler);
  for (size_t i = 0; i < replicas->size(); ++i) {
    group.Spawn(AskPromised((*replicas)[i].get(), patience.Until(runtime), &answers.of[i]));
  }
  co_await group.Join();
  if (answers.good_count() < Majority(*replicas)) {
    co_return answers.worst();
  }
  Epoch highest;
  for (const auto& answer : answers.of) {
    if (answer->ok()) {
      highest = std::max(highest, **answer);
    }
  }
  co_return Epoch(highest.value() + 1);
}

Task<void> AskConfirm(LogReplica* replica, Epoch epoch, TimePoint deadline, size_t* count) {
  const Status confirmed = co_await replica->ConfirmPromise(epoch, deadline);
  *count += confirmed.ok() ? 1 : 0;
}

// The end of the last whole mtr of the donor's log.
Task<Result<Lsn>> UsableEnd(LogReplica* donor, const PromisedLog* log, TimePoint deadline) {
  if (log->end <= log->begin) {
    co_return log->end;
  }
  if (log->last_mtr == Lsn{}) {
    co_return Corruption("log server " + donor->address() + " has redo up to LSN " +
                         std::to_string(log->end.value()) +
                         ", but does not know where an mtr begins in it");
  }
  const auto look_at_nothing = [](const innodb::MtrView&) { return Status::Ok(); };
  innodb::MtrAssembler assembler(log->last_mtr);
  while (assembler.fed_lsn() < log->end) {
    const Lsn from = assembler.fed_lsn();
    const Result<std::vector<LogPiece>> pieces =
        co_await donor->ReadLog(log->epoch, from, kReadBytes, deadline);
    if (!pieces.ok()) {
      co_return pieces.status();
    }
    if (pieces->empty() || pieces->front().range.start > from) {
      // A hole that was declared behind the last byte: writers declare one only between mtrs.
      co_return log->end;
    }
    for (const LogPiece& piece : *pieces) {
      if (piece.range.start > assembler.fed_lsn()) {
        assembler.Reset(piece.range.start);
      }
      const size_t skip =
          innodb::ToSn(assembler.fed_lsn()).value() - innodb::ToSn(piece.range.start).value();
      const Status fed = assembler.Feed(piece.payload().subspan(skip), look_at_nothing);
      if (!fed.ok()) {
        co_return fed.WithContext("the last redo of log server " + donor->address());
      }
    }
  }
  co_return assembler.end_lsn();
}

// The end of a log says nothing where others have gone on under a newer epoch without it.
void TellLongerLogs(const Runtime* runtime, const Replicas& replicas,
                    const Answers<PromisedLog>& answers, const PromisedLog& best) {
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (answers.of[i]->ok() && (*answers.of[i])->end > best.end) {
      const PromisedLog& log = **answers.of[i];
      runtime->log->Info("log server " + replicas[i]->address() + " has a longer log of epoch " +
                         std::to_string(log.log_epoch().value()) + " only, up to LSN " +
                         std::to_string(log.end.value()) + "; epoch " +
                         std::to_string(best.epoch.value()) + " goes on from epoch " +
                         std::to_string(best.log_epoch().value()) + " at LSN " +
                         std::to_string(best.end.value()));
    }
  }
}

// The member with the log that goes on: the highest (epoch of its last bytes, end) of those that
// answered. kInvalidArgument: they hold different volumes. At least one has answered.
Result<size_t> ChooseDonor([[maybe_unused]] Runtime* runtime, const Replicas* replicas,
                           const Answers<PromisedLog>* answers) {
  size_t donor = replicas->size();
  for (size_t i = 0; i < replicas->size(); ++i) {
    if (!answers->of[i]->ok()) {
      continue;
    }
    const PromisedLog& log = **answers->of[i];
    if (donor == replicas->size()) {
      donor = i;
      continue;
    }
    const PromisedLog& best = **answers->of[donor];
    if (log.volume_uid != best.volume_uid) {
      return InvalidArgument("log servers " + (*replicas)[donor]->address() + " and " +
                             (*replicas)[i]->address() +
                             " hold different volumes of the same name");
    }
    const bool upside_down = REDOUBT_PLANTED(runtime, takeover_picks_short_donor);
    const bool by_length = REDOUBT_PLANTED(runtime, donor_by_length);
    const bool better =
        by_length ? log.end > best.end
                  : std::pair(log.log_epoch(), log.end) > std::pair(best.log_epoch(), best.end);
    if (upside_down != better) {
      donor = i;
    }
  }
  REDOUBT_CHECK(donor < replicas->size());
  return donor;
}

// Where the log that goes on ends, and whose it is.
struct Donation {
  size_t donor = 0;
  Lsn end;
};

// A donor whose last redo cannot be read is left out (its answer becomes why): the others, if they
// are a majority, have everything that was acknowledged, too.
Task<Result<Donation>> FindDonation(Runtime* runtime, const Replicas* replicas,
                                    Answers<PromisedLog>* answers, Patience patience) {
  for (;;) {
    if (answers->good_count() < Majority(*replicas)) {
      co_return answers->worst();
    }
    const Result<size_t> donor = ChooseDonor(runtime, replicas, answers);
    if (!donor.ok()) {
      co_return donor.status();
    }
    const PromisedLog& log = **answers->of[*donor];
    const Result<Lsn> usable =
        co_await UsableEnd((*replicas)[*donor].get(), &log, patience.Until(runtime));
    if (usable.ok()) {
      co_return Donation{*donor, *usable};
    }
    const bool damaged = usable.status().code() == StatusCode::kCorruption ||
                         usable.status().code() == StatusCode::kIoError;
    if (!damaged) {
      co_return usable.status();
    }
    answers->of[*donor].emplace(usable.status());
  }
}

Task<Result<NegotiatedEpoch>> Attempt(Runtime* runtime, const Replicas* replicas, Epoch epoch,
                                      Patience patience) {
  Answers<PromisedLog> answers(replicas->size());
  TaskGroup group(runtime->scheduler);
  for (size_t i = 0; i < replicas->size(); ++i) {
    group.Spawn(AskPrepare((*replicas)[i].get(), epoch, patience.Until(runtime), &answers.of[i]));
  }
  co_await group.Join();
  const Result<Donation> donation = co_await FindDonation(runtime, replicas, &answers, patience);
  if (!donation.ok()) {
    co_return donation.status();
  }
  const PromisedLog* best = &**answers.of[donation->donor];
  TellLongerLogs(runtime, *replicas, answers, *best);
  Lsn start = donation->end;
  // A server that lost its disk after it promised may have been filled up by the writer that
  // stands: a promise counts only if it still holds now that all is known.
  size_t confirmed = 0;
  TaskGroup confirming(runtime->scheduler);
  for (size_t i = 0; i < replicas->size(); ++i) {
    if (answers.of[i]->ok()) {
      const PromisedLog& log = **answers.of[i];
      // Single log servers of earlier versions committed half an mtr, too.
      start = std::max(start, log.commit);
      confirming.Spawn(
          AskConfirm((*replicas)[i].get(), best->epoch, patience.Until(runtime), &confirmed));
    }
  }
  co_await confirming.Join();
  if (REDOUBT_PLANTED(runtime, confirmed_by_one_less)) {
    ++confirmed;
  }
  if (confirmed < Majority(*replicas) && !REDOUBT_PLANTED(runtime, promise_not_confirmed)) {
    runtime->log->Warning("epoch " + std::to_string(best->epoch.value()) +
                          " does not begin: only " + std::to_string(confirmed) +
                          " log servers still hold their promise");
    co_return Unavailable("promises of epoch " + std::to_string(best->epoch.value()) +
                          " do not hold any more");
  }
  NegotiatedEpoch found;
  found.volume = best->volume;
  found.plan.epoch = best->epoch;
  found.plan.start = start;
  found.plan.volume_uid = best->volume_uid;
  for (const EpochStart& entry : best->epochs) {
    const bool left_out =
        REDOUBT_PLANTED(runtime, history_lacks_empty_epoch) && entry.start == start;
    if (entry.start <= start && !left_out) {
      found.plan.history.push_back(entry);
    }
  }
  found.plan.history.push_back({best->epoch, start});
  co_return found;
}

}  // namespace

Task<Result<NegotiatedEpoch>> NegotiateEpoch(
    Runtime* runtime, const std::vector<std::unique_ptr<LogReplica>>* replicas, Epoch epoch,
    Duration round_timeout, TimePoint deadline) {
  // A round ends early so that the next one goes on without the slowest, if there may be one.
  const bool all_needed = Majority(*replicas) == replicas->size();
  const Patience patience{all_needed ? deadline - runtime->scheduler->Now() : round_timeout,
                          deadline};
  for (;;) {
    Result<Epoch> chosen = epoch;
    if (epoch == Epoch{}) {
      chosen = co_await ChooseEpoch(runtime, replicas, patience);
    }
    Status status = chosen.status();
    if (status.ok()) {
      Result<NegotiatedEpoch> found = co_await Attempt(runtime, replicas, *chosen, patience);
      if (found.ok()) {
        co_return found;
      }
      status = found.status();
    }
    const bool may_pass =
        MayPass(status) || (status.code() == StatusCode::kStaleEpoch && epoch == Epoch{});
    const auto jitter =
        static_cast<int64_t>(runtime->random->Below(static_cast<uint64_t>(kRetryDelay.count())));
    const TimePoint next = runtime->scheduler->Now() + kRetryDelay + Duration(jitter);
    if (!may_pass || next >= deadline) {
      co_return status;
    }
    co_await runtime->scheduler->Sleep(kRetryDelay + Duration(jitter));
  }
}

}  // namespace redoubt
