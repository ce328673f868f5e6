// SPDX-License-Identifier: MIT
//
// What Tailer does beside following: looks at the volume, keeps side files, says how it goes.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "client/tail/tailer.h"

namespace redoubt::tail {
namespace {

constexpr uint64_t kRevivedRounds = 2;
constexpr Duration kJsonInterval = std::chrono::milliseconds(500);
constexpr Duration kImportReportInterval = std::chrono::seconds(2);

std::string Text(Lsn lsn) { return std::to_string(lsn.value()); }

std::string Megabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MB", bytes / 1e6);
  return text;
}

void AddField(std::string* json, const char* name, const std::string& value) {
  *json += (json->size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + value;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out + "\"";
}

const char* Bool(bool value) { return value ? "true" : "false"; }

}  // namespace

const char* Tailer::PhaseName() const {
  switch (phase_) {
    case Phase::kStarting:
      return "starting";
    case Phase::kImporting:
      return "importing";
    case Phase::kFollowing:
      return "following";
    case Phase::kStopping:
      return "stopping";
  }
  return "unknown";
}

Task<void> Tailer::VolumeLoop() {
  for (uint64_t round = 0; !volume_tasks_.stopping(); ++round) {
    ReleaseAcknowledged();
    co_await LookAtVolume(round);
    const TimePoint next = runtime_->scheduler->Now() + options_.volume_interval;
    co_await volume_tasks_.stop_event().Wait(next);
  }
}

Task<void> Tailer::LookAtVolume(uint64_t round) {
  const Result<proto::VolumeState> volume = co_await sink_->Look();
  if (volume.ok() != volume_reachable_) {
    volume_reachable_ = volume.ok();
    runtime_->log->Warning(volume.ok() ? "the page server answers again"
                                       : "page server: " + volume.status().message() +
                                             "; redo waits in the server's files");
  }
  if (!volume.ok() || import_running_ || import_needed_) {
    co_return;
  }
  horizon_ = std::max(horizon_, Lsn(volume->horizon_lsn()));
  if (volume->ingest_error() != ingest_error_) {
    ingest_error_ = volume->ingest_error();
    runtime_->log->Error("the page server does not ingest this volume any more: " + ingest_error_);
  }
  std::vector<SpaceId> wanting;
  for (const uint32_t space : volume->spaces_wanting_images()) {
    wanting.emplace_back(space);
  }
  Status status = co_await unlogged_.Satisfy(std::move(wanting), HoleFloor());
  if (status.ok()) {
    status = co_await unlogged_.CheckBuilds(/*now=*/false);
  }
  if (status.ok() && round % kRevivedRounds == 0 && watch_.state() == SourceState::kUp) {
    status = co_await unlogged_.FindRevived();
  }
  if (!status.ok() && status.code() != StatusCode::kCancelled) {
    runtime_->log->Warning("reading tablespaces again: " + status.ToString());
  }
}

Task<void> Tailer::SideFileLoop() {
  while (!volume_tasks_.stopping()) {
    if (sink_->next_lsn() != Lsn{}) {
      const Status status = co_await side_files_.Update(options_.datadir, sink_->next_lsn());
      if (!status.ok() && status.code() != StatusCode::kCancelled) {
        runtime_->log->Warning("side files: " + status.ToString());
      }
    }
    const TimePoint next = runtime_->scheduler->Now() + options_.side_file_interval;
    co_await volume_tasks_.stop_event().Wait(next);
  }
}

Task<void> Tailer::ProgressLoop() {
  TimePoint report_at = runtime_->scheduler->Now() + kImportReportInterval;
  progress_time_ = runtime_->scheduler->Now();
  while (!volume_tasks_.stopping()) {
    co_await WriteJsonStatus();
    const TimePoint now = runtime_->scheduler->Now();
    if (now >= report_at) {
      report_at = now + (import_running_ ? kImportReportInterval : options_.progress_interval);
      if (!options_.quiet) {
        LogProgress();
      }
    }
    co_await volume_tasks_.stop_event().Wait(now + kJsonInterval);
  }
}

void Tailer::LogProgress() {
  const TimePoint now = runtime_->scheduler->Now();
  const double seconds =
      std::max(1e-3, std::chrono::duration<double>(now - progress_time_).count());
  const uint64_t sent = bytes_sent_ - progress_bytes_;
  progress_time_ = now;
  progress_bytes_ = bytes_sent_;
  const ImportProgress& import = importer_.progress();
  std::string line;
  if (import_running_) {
    const double share = import.bytes_total == 0 ? 100.0
                                                 : 100.0 * static_cast<double>(import.bytes_done) /
                                                       static_cast<double>(import.bytes_total);
    char text[96];
    std::snprintf(text, sizeof(text), "import %3.0f %%, %" PRIu64 " pages, %u of %u tablespaces; ",
                  std::min(share, 100.0), import.images, import.spaces_done, import.spaces_total);
    line = text;
  } else if (sent == 0) {
    return;
  }
  const Lsn flushed = watch_.sample().flushed;
  const Lsn done = sink_->acknowledged();
  line += "redo up to LSN " + Text(done) + ", " + Megabytes(static_cast<double>(sent) / seconds) +
          "/s, behind by " +
          Megabytes(flushed > done ? static_cast<double>(flushed.value() - done.value()) : 0.0);
  runtime_->log->Info(line);
}

std::string Tailer::StatusJson() const {
  std::string json = "{";
  const ImportProgress& import = importer_.progress();
  AddField(&json, "phase", Quoted(PhaseName()));
  AddField(&json, "source", Quoted(SourceStateName(watch_.state())));
  AddField(&json, "source_flushed_lsn", Text(watch_.sample().flushed));
  AddField(&json, "source_current_lsn", Text(watch_.sample().current));
  AddField(&json, "read_lsn", Text(assembler_.fed_lsn()));
  AddField(&json, "sent_lsn", Text(sink_->next_lsn()));
  AddField(&json, "acknowledged_lsn", Text(sink_->acknowledged()));
  AddField(&json, "horizon_lsn", Text(horizon_));
  AddField(&json, "page_server_reachable", Bool(volume_reachable_));
  AddField(&json, "registered", Bool(registration_.registered()));
  AddField(&json, "let_go_count", std::to_string(registration_.let_go_count()));
  AddField(&json, "import_running", Bool(import_running_));
  AddField(&json, "import_needed", Bool(import_needed_));
  AddField(&json, "import_pages", std::to_string(import.images));
  AddField(&json, "bytes_sent", std::to_string(bytes_sent_));
  AddField(&json, "mtr_count", std::to_string(scan_.mtr_count()));
  AddField(&json, "record_count", std::to_string(scan_.record_count()));
  AddField(&json, "spaces_read_again", std::to_string(unlogged_.spaces_read_count()));
  AddField(&json, "side_files_sent", std::to_string(side_files_.sent_count()));
  return json + "}\n";
}

// Replaced as a whole, so that a reader never sees half of it.
Task<void> Tailer::WriteJsonStatus() {
  if (options_.json_status_path.empty()) {
    co_return;
  }
  const std::string json = StatusJson();
  const std::string temporary = options_.json_status_path + ".tmp";
  const Result<std::unique_ptr<File>> file =
      co_await runtime_->files->Open(temporary, OpenMode::kCreate);
  Status status = file.status();
  if (file.ok()) {
    status = co_await (*file)->Truncate(0);
  }
  if (status.ok()) {
    status = co_await (*file)->WriteAt(0, AsBytes(json));
  }
  if (status.ok()) {
    status = co_await runtime_->files->Rename(temporary, options_.json_status_path);
  }
  if (!status.ok()) {
    runtime_->log->Warning("writing " + options_.json_status_path + ": " + status.message());
    options_.json_status_path.clear();
  }
}

}  // namespace redoubt::tail
