// SPDX-License-Identifier: MIT
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/compare.h"
#include "client/ctl/json.h"
#include "client/ctl/parse.h"
#include "client/ctl/restore.h"
#include "client/ctl/server_reader.h"
#include "client/ctl/session.h"

namespace redoubt::ctl {
namespace {

Task<Status> OpenAt(ServerReader* reader, Moment moment) {
  const Status opened = co_await reader->Open();
  if (!opened.ok()) {
    co_return opened;
  }
  if (moment.time_unix_ns) {
    co_return co_await reader->ReadAtTime(*moment.time_unix_ns);
  }
  co_return co_await reader->ReadAt(moment.lsn);
}

void AddLeftOut(std::string_view name, const std::vector<LeftOut>& left_out, JsonWriter* json) {
  json->Key(name).BeginArray();
  for (const LeftOut& item : left_out) {
    json->BeginObject().Field("space", item.space.value()).Field("path", item.path);
    json->Field("reason", item.reason).EndObject();
  }
  json->EndArray();
}

void PrintRestored(const RestoreSummary& summary, const std::string& directory,
                   int64_t log_time_unix_ns, double seconds, Console* console) {
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("directory", directory).Field("lsn", summary.lsn.value());
    json.Field("log_time_unix_ns", log_time_unix_ns);
    json.Field("complete", summary.complete()).Field("files", summary.file_count);
    json.Field("pages", summary.page_count).Field("pages_written", summary.pages_written);
    json.Field("file_bytes", summary.file_bytes);
    json.Field("free_unknown_pages", summary.free_unknown_count);
    json.Field("side_files", summary.side_file_count);
    json.Field("dynamic_meta_bytes", summary.dynamic_meta_bytes);
    json.Field("milliseconds", static_cast<uint64_t>(seconds * 1000));
    AddLeftOut("left_out", summary.left_out, &json);
    AddLeftOut("skipped_files", summary.skipped_files, &json);
    json.EndObject();
    console->Print(json.text());
    return;
  }
  for (const LeftOut& item : summary.left_out) {
    console->Print("left out: " + item.path + " (space " + std::to_string(item.space.value()) +
                   "): " + item.reason);
  }
  for (const LeftOut& item : summary.skipped_files) {
    console->Print("left out: side file " + item.path + ": " + item.reason);
  }
  const uint64_t rate =
      static_cast<uint64_t>(static_cast<double>(summary.file_bytes) / std::max(seconds, 0.001));
  console->Print("restored " + directory + " as of LSN " + std::to_string(summary.lsn.value()) +
                 ": " + std::to_string(summary.file_count) + " tablespaces, " +
                 std::to_string(summary.page_count) + " pages (" + FormatBytes(summary.file_bytes) +
                 ", " + FormatBytes(rate) + "/s), " + std::to_string(summary.side_file_count) +
                 " other files" + (summary.complete() ? "" : "; NOT COMPLETE"));
}

void AddUnequal(const Unequal& unequal, JsonWriter* json) {
  json->BeginObject().Field("kind", unequal.kind).Field("space", unequal.space.value());
  json->Field("page", unequal.page_no.value()).Field("path", unequal.path);
  json->Field("offset", unequal.offset).Field("bytes", unequal.byte_count);
  json->Field("type", unequal.page_type).Field("rebuilt_lsn", unequal.rebuilt_lsn.value());
  json->Field("file_lsn", unequal.file_lsn.value()).Field("detail", unequal.detail).EndObject();
}

void PrintCompared(const CompareSummary& summary, Console* console) {
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("lsn", summary.lsn.value()).Field("equal", summary.equal());
    json.Field("files", summary.file_count).Field("pages_compared", summary.pages_compared);
    json.Field("pages_unequal", summary.pages_unequal);
    json.Field("pages_masked", summary.pages_masked);
    json.Field("pages_free_excused", summary.pages_free_excused);
    json.Key("unequal").BeginArray();
    for (const Unequal& unequal : summary.unequal) {
      AddUnequal(unequal, &json);
    }
    json.EndArray().Key("unsupported").BeginArray();
    for (const std::string& name : summary.unsupported) {
      json.String(name);
    }
    json.EndArray().EndObject();
    console->Print(json.text());
    return;
  }
  for (const Unequal& unequal : summary.unequal) {
    std::string line = unequal.kind + " " + unequal.path + " page " +
                       std::to_string(unequal.space.value()) + ":" +
                       std::to_string(unequal.page_no.value());
    if (unequal.kind == "page") {
      line += " " + unequal.page_type + ": " + std::to_string(unequal.byte_count) +
              " bytes differ from offset " + std::to_string(unequal.offset) + "; LSN rebuilt " +
              std::to_string(unequal.rebuilt_lsn.value()) + ", file " +
              std::to_string(unequal.file_lsn.value());
    }
    console->Print(line + (unequal.detail.empty() ? "" : " " + unequal.detail));
  }
  for (const std::string& name : summary.unsupported) {
    console->Print("not compared: " + name);
  }
  console->Print("compared " + std::to_string(summary.pages_compared) + " pages of " +
                 std::to_string(summary.file_count) + " files at LSN " +
                 std::to_string(summary.lsn.value()) + ": " +
                 std::to_string(summary.pages_unequal) + " unequal, " +
                 std::to_string(summary.pages_free_excused) + " free pages excused");
}

std::function<void(uint64_t, uint64_t)> ProgressOf(Console* console, const char* what) {
  return [console, what](uint64_t done, uint64_t total) {
    console->Progress(what, done, total, "pages");
  };
}

}  // namespace

Task<int> RestoreVolume(Runtime* runtime, Console* console, ServerAddress server,
                        RestoreCommandOptions options) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), {options.volume, server.timeout});
  const Status opened = co_await OpenAt(&reader, options.moment);
  if (!opened.ok()) {
    co_return co_await session.End(session.Refuse(console, opened));
  }
  if (options.moment.time_unix_ns && !console->json()) {
    console->Note("the newest redo known at " + FormatTime(*options.moment.time_unix_ns) +
                  " is of " + FormatTime(reader.sample_time_unix_ns()) + ", LSN " +
                  std::to_string(reader.read_lsn().value()));
  }
  const TimePoint began = runtime->scheduler->Now();
  RestoreOptions restore_options{options.directory, options.set_mode,
                                 ProgressOf(console, "restore")};
  Restore restore(runtime, &reader, std::move(restore_options));
  const Status done = co_await restore.Run();
  console->EndProgress();
  if (!done.ok()) {
    const int refused = restore.exit_code() == kExitServer
                            ? session.Refuse(console, done)
                            : console->Fail(restore.exit_code(), done);
    co_return co_await session.End(refused);
  }
  const double seconds =
      std::chrono::duration_cast<std::chrono::duration<double>>(runtime->scheduler->Now() - began)
          .count();
  PrintRestored(restore.summary(), options.directory, reader.sample_time_unix_ns(), seconds,
                console);
  const bool good = restore.summary().complete() || options.allow_partial;
  const int exit_code = good ? kExitOk : kExitProblem;
  co_return co_await session.End(exit_code);
}

Task<int> CompareVolume(Runtime* runtime, Console* console, ServerAddress server,
                        CompareCommandOptions options) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), {options.volume, server.timeout});
  const Status opened = co_await OpenAt(&reader, options.moment);
  if (!opened.ok()) {
    co_return co_await session.End(session.Refuse(console, opened));
  }
  CompareOptions compare_options;
  compare_options.datadir = options.datadir;
  compare_options.on_progress = ProgressOf(console, "compare");
  Compare compare(runtime, &reader, std::move(compare_options));
  const Status done = co_await compare.Run();
  console->EndProgress();
  if (!done.ok()) {
    const int refused = compare.exit_code() == kExitServer
                            ? session.Refuse(console, done)
                            : console->Fail(compare.exit_code(), done);
    co_return co_await session.End(refused);
  }
  PrintCompared(compare.summary(), console);
  const int exit_code = compare.summary().equal() ? kExitOk : kExitProblem;
  co_return co_await session.End(exit_code);
}

}  // namespace redoubt::ctl
