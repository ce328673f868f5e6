// SPDX-License-Identifier: MIT
#include "sim/cluster/local_twins.h"

#include <utility>

#include "common/innodb/page_format.h"
#include "common/runtime/task_group.h"
#include "sim/workload/local_storage.h"

namespace redoubt::sim {
namespace {

constexpr char kDirectory[] = "/srv/innodb";
constexpr int64_t kCommitNs = 15'000'000;
constexpr int64_t kFlushNs = 40'000'000;

class LocalProgram : public NodeProgram {
 public:
  LocalProgram(Runtime* runtime, RunContext* context, LocalFate* fate)
      : runtime_(runtime),
        context_(context),
        fate_(fate),
        storage_(runtime, &context->model, &context->history,
                 LocalStorageOptions{kDirectory, fate->doublewrite}),
        group_(runtime->scheduler) {}

  Task<void> Run() override {
    const Result<LocalRecovery> recovery = co_await storage_.Recover();
    if (!recovery.ok()) {
      context_->findings.Report(
          "LOCAL", "the model of local storage cannot recover: " + recovery.status().ToString());
      co_return;
    }
    Judge(*recovery);
    group_.Spawn(CommitLoop());
    group_.Spawn(FlushLoop());
  }

 private:
  void Judge(const LocalRecovery& recovery);

  Task<void> CommitLoop() {
    while (true) {
      const Status status = co_await storage_.Commit();
      Note(status);
      fate_->committed = storage_.committed();
      co_await runtime_->scheduler->Sleep(Duration(kCommitNs));
    }
  }
  Task<void> FlushLoop() {
    while (true) {
      co_await runtime_->scheduler->Sleep(Duration(kFlushNs));
      const Status status = co_await storage_.Flush();
      Note(status);
    }
  }
  // No errors are injected into these disks.
  void Note(const Status& status) {
    if (!status.ok()) {
      context_->findings.Report("LOCAL", "the model of local storage: " + status.ToString());
    }
  }

  Runtime* runtime_;
  RunContext* context_;
  LocalFate* fate_;
  LocalStorage storage_;
  TaskGroup group_;
};

void LocalProgram::Judge(const LocalRecovery& recovery) {
  ++fate_->recovery_count;
  fate_->torn_count += recovery.torn_count;
  fate_->repaired_count += recovery.repaired_count;
  if (recovery.end < fate_->committed) {
    context_->findings.Report("LOCAL", "the model of local storage lost redo that was synced");
  }
  uint64_t lost = 0;
  for (const PageId id : context_->history.Pages()) {
    const PageHistory::Version truth = context_->history.At(id, recovery.end);
    const auto have = recovery.pages.find(id);
    if (truth.page_lsn == Lsn() && have == recovery.pages.end()) {
      continue;
    }
    const bool same =
        have != recovery.pages.end() && innodb::ComparePages(have->second, truth.image, id).equal();
    lost += same ? 0 : 1;
  }
  fate_->lost_page_count += lost;
  fate_->lossy_recovery_count += lost == 0 ? 0 : 1;
  if (lost == 0) {
    runtime_->log->Info("local storage recovered, " + std::to_string(recovery.torn_count) +
                        " torn pages, " + std::to_string(recovery.repaired_count) +
                        " repaired from doublewrite");
    return;
  }
  const std::string what = "local storage lost " + std::to_string(lost) + " pages, " +
                           std::to_string(recovery.torn_count) + " torn";
  runtime_->log->Error(what);
  if (fate_->doublewrite) {
    context_->findings.Report("LOCAL", "with doublewrite, " + what);
  }
}

}  // namespace

void LocalTwins::Build(NodeId page_server, Cast* cast) {
  cast_ = cast;
  page_server_ = page_server;
  const std::array<const char*, 2> names{"inplace", "doublewrite"};
  for (size_t i = 0; i < nodes_.size(); ++i) {
    CastGroup group;
    group.name = names[i];
    group.make = [this, i](NodeId, Runtime* runtime) {
      return std::make_unique<LocalProgram>(runtime, context_, &fates_[i]);
    };
    nodes_[i] = cast->AddGroup(std::move(group), 1, /*alone=*/true).front();
    fates_[i].doublewrite = i == 1;
    fates_[i].committed = context_->model.begin_lsn();
    SimDisk& disk = world_->DiskOf(nodes_[i]);
    const Status made = disk.CreateDirectories(kDirectory);
    REDOUBT_CHECK(made.ok());
    disk.PromoteAll();
  }
}

void LocalTwins::Observe(const TraceEvent& event) {
  const bool starts = event.kind == TraceKind::kNodeStart;
  const bool power =
      event.kind == TraceKind::kNodeKill && event.a == static_cast<uint64_t>(KillKind::kPower);
  if (cast_ == nullptr || event.node != page_server_ || (!starts && !power)) {
    return;
  }
  // Not from within the event: the world is in the middle of it.
  for (size_t i = 0; i < nodes_.size(); ++i) {
    world_->At(world_->now_ns(), [this, i, power] {
      if (power) {
        world_->KillNode(nodes_[i], KillKind::kPower, CrashPolicy::kSeeded);
      } else if (!world_->IsUp(nodes_[i])) {
        cast_->Start(nodes_[i]);
      }
    });
  }
}

std::string LocalTwins::Summary() const {
  if (cast_ == nullptr) {
    return "";
  }
  std::string text;
  for (const LocalFate& fate : fates_) {
    text += fate.doublewrite ? "; with doublewrite: " : "pages in place, without doublewrite: ";
    text += std::to_string(fate.lossy_recovery_count) + " of " +
            std::to_string(fate.recovery_count) + " starts lost " +
            std::to_string(fate.lost_page_count) + " pages (" + std::to_string(fate.torn_count) +
            " torn, " + std::to_string(fate.repaired_count) + " repaired)";
  }
  return text;
}

}  // namespace redoubt::sim
