// SPDX-License-Identifier: MIT
#include "sim/trace/probes.h"

#include <algorithm>
#include <array>

namespace redoubt::sim {
namespace {

constexpr Probe Said(std::string_view name, std::string_view word) {
  return Probe{name, ProbeKind::kSometimes, TraceKind::kLog, word};
}

constexpr Probe Broke(std::string_view name, std::string_view word) {
  return Probe{name, ProbeKind::kSometimes, TraceKind::kFault, word};
}

constexpr std::array kCatalogue{
    Probe{"run.chaos", ProbeKind::kAlways, TraceKind::kPhase, "chaos"},
    Probe{"run.calm", ProbeKind::kAlways, TraceKind::kPhase, "calm"},
    Probe{"run.power_cut_at_rest", ProbeKind::kAlways, TraceKind::kPhase, "last power cut"},
    Probe{"writer.got_an_epoch", ProbeKind::kAlways, TraceKind::kLog, "writer of epoch"},
    Probe{"writer.redo_acknowledged", ProbeKind::kAlways, TraceKind::kOperation,
          "acknowledged LSN"},
    Said("writer.fenced", "writer ended: stale epoch"),
    Said("writer.lost_its_server", "writer ended: unavailable"),
    Said("writer.timed_out", "writer ended: deadline"),
    Said("writer.met_a_longer_log_of_an_older_epoch", "has a longer log of epoch"),
    Said("writer.promise_did_not_hold", "still hold their promise"),
    Said("writer.filled_up_a_lost_disk", "; it is filled up again"),
    Said("compute.fenced", "compute ended: stale epoch"),
    Said("compute.recovered", "ready at epoch"),
    Said("compute.read_after_replaced", "a compute that was replaced has answered a read"),
    Said("compute.sent_its_own_redo", "sends its own redo"),
    Said("compute.files_were_replaced", "another server has had the volume since"),
    Said("compute.read_its_own_files", "is read out of own files"),
    Said("compute.started_without_files", "starts without files of its own"),
    Said("compute.durable_half_mtr_cut", "half an mtr that was durable is cut off"),
    Said("log.torn_tail_voided", "torn tail of"),
    Said("log.half_made_segment_removed", "was being created at the crash"),
    Said("log.segment_cut_back", "redo segment cut back"),
    Said("log.redo_not_accepted", "redo was not accepted"),
    Said("log.no_clean_end", "no clean end of the redo log"),
    Said("log.downgrade_refused", "the operator keeps the new version"),
    Said("page.waited_for_space", "there is space again"),
    Said("page.store_failed", "page store:"),
    Probe{"page.store_flushed", ProbeKind::kSometimes, TraceKind::kOperation,
          "the page store is flushed"},
    Probe{"page.damage_noticed", ProbeKind::kSometimes, TraceKind::kOperation,
          "a damaged page server refuses"},
    Said("page.ingest_retried", "cannot read redo from LSN"),
    Said("rpc.connection_closed_with_counters", "served "),
    Said("rpc.frame_refused", "connection from"),
    Said("local.lost_pages_without_doublewrite", "local storage lost"),
    Said("local.recovered", "local storage recovered"),
    Broke("fault.power_cut_in_a_file_operation", "power cut at"),
    Broke("fault.server_power", "SERVER_POWER"),
    Broke("fault.server_kill", "SERVER_KILL"),
    Broke("fault.take_over", "TAKE_OVER"),
    Broke("fault.partition", "PARTITION"),
    Broke("fault.half_open", "HALF_OPEN"),
    Broke("fault.sync_error", "SYNC_ERROR"),
    Broke("fault.disk_full", "DISK_FULL"),
    Probe{"crash.kept_nothing_unsynced", ProbeKind::kSometimes, TraceKind::kCrashImage, "clean"},
    Probe{"crash.kept_everything", ProbeKind::kSometimes, TraceKind::kCrashImage, "all"},
    Probe{"crash.kept_a_prefix", ProbeKind::kSometimes, TraceKind::kCrashImage, "prefix"},
    Probe{"file.error_injected", ProbeKind::kSometimes, TraceKind::kFileFault, ""},
    Probe{"checker.violation", ProbeKind::kNever, TraceKind::kViolation, ""},
};

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

std::string_view ProbeKindName(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kAlways:
      return "always";
    case ProbeKind::kSometimes:
      return "sometimes";
    case ProbeKind::kNever:
      return "never";
  }
  return "unknown";
}

std::span<const Probe> ProbeCatalogue() { return kCatalogue; }

void ProbeCounter::Observe(const TraceEvent& event) {
  for (size_t i = 0; i < kCatalogue.size(); ++i) {
    if (!hit_[i] && kCatalogue[i].event == event.kind &&
        event.text.find(kCatalogue[i].word) != std::string::npos) {
      hit_[i] = true;
    }
  }
}

std::string ProbeCounter::Hits() const {
  std::string hits;
  for (const bool hit : hit_) {
    hits += hit ? '1' : '0';
  }
  return hits;
}

bool ProbeTable::Add(std::string_view hits) {
  if (hits.size() != counts_.size() || hits.find_first_not_of("01") != hits.npos) {
    return false;
  }
  for (size_t i = 0; i < hits.size(); ++i) {
    counts_[i] += hits[i] == '1' ? 1 : 0;
  }
  ++run_count_;
  return true;
}

bool ProbeTable::Broken(size_t probe) const {
  switch (kCatalogue[probe].kind) {
    case ProbeKind::kAlways:
      return counts_[probe] < run_count_;
    case ProbeKind::kSometimes:
      return counts_[probe] == 0;
    case ProbeKind::kNever:
      return counts_[probe] > 0;
  }
  return true;
}

std::string ProbeTable::Text() const {
  std::string text;
  for (size_t i = 0; i < kCatalogue.size(); ++i) {
    const Probe& probe = kCatalogue[i];
    text +=
        Padded(std::string(probe.name), 38) + Padded(std::string(ProbeKindName(probe.kind)), 11);
    if (run_count_ > 0) {
      const bool broken = Broken(i);
      text += std::to_string(counts_[i]) + " of " + std::to_string(run_count_) + " runs";
      text += !broken                            ? ""
              : counts_[i] == 0                  ? "   NEVER HIT"
              : probe.kind == ProbeKind::kAlways ? "   NOT ALWAYS"
                                                 : "   HIT";
    } else {
      text += std::string(TraceKindName(probe.event)) + " \"" + std::string(probe.word) + '"';
    }
    text += '\n';
  }
  return text;
}

}  // namespace redoubt::sim
