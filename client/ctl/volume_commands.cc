// SPDX-License-Identifier: MIT
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/json.h"
#include "client/ctl/log_commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/server_reader.h"
#include "client/ctl/session.h"

namespace redoubt::ctl {
namespace {

void AddState(const proto::VolumeState& state, JsonWriter* json) {
  json->Field("name", state.name());
  json->Field("volume_id", state.volume_id());
  json->Field("page_size", state.page_size());
  json->Field("applied_lsn", state.applied_lsn());
  json->Field("commit_lsn", state.commit_lsn());
  json->Field("horizon_lsn", state.horizon_lsn());
  json->Field("persisted_lsn", state.persisted_lsn());
  json->Field("log_begin_lsn", state.log_begin_lsn());
  json->Field("epoch", state.epoch());
  json->Field("ingest_error", state.ingest_error());
  json->Field("ingested_bytes", state.ingested_bytes());
  json->Field("newest_time_unix_ns", state.newest_time_unix_ns());
  json->Key("holes").BeginArray();
  for (const proto::LsnRangeProto& hole : state.holes()) {
    json->BeginObject().Field("start_lsn", hole.start_lsn()).Field("end_lsn", hole.end_lsn());
    json->EndObject();
  }
  json->EndArray().Field("unsupported_space_count", state.unsupported_space_count());
  json->Key("spaces_wanting_images").BeginArray();
  for (const uint32_t space : state.spaces_wanting_images()) {
    json->Number(space);
  }
  json->EndArray().Field("source_id", state.source_id());
  json->Field("feed_server", state.feed_server());
  json->Field("feed_problem", state.feed_problem());
  json->Field("feed_refused", state.feed_refused());
  AddRefused(state.refused(), json);
}

// The spaces that cannot be read now, by name; empty when the server cannot say.
Task<std::vector<SpaceFile>> UnsupportedSpaces(Session* session, uint32_t volume_id) {
  proto::SpaceListRequest request;
  request.set_volume_id(volume_id);
  const TimePoint deadline = session->Deadline();
  const Result<proto::SpaceListResponse> answer =
      co_await session->client().SpaceList(std::move(request), deadline);
  std::vector<SpaceFile> unsupported;
  if (answer.ok()) {
    unsupported = ToSpaceFiles(*answer);
    std::erase_if(unsupported, [](const SpaceFile& s) { return s.unsupported_reason.empty(); });
  }
  co_return unsupported;
}

// What the server refused before any volume was named.
void AddCounters(const proto::ServerCounters& counters, JsonWriter* json) {
  json->Key("server").BeginObject().Field("connections", counters.connections());
  json->Field("connections_refused", counters.connections_refused());
  json->Field("connections_evicted", counters.connections_evicted());
  json->Field("requests", counters.requests()).Field("bad_frames", counters.bad_frames());
  json->Field("oversized_frames", counters.oversized_frames());
  json->Field("unknown_volume", counters.unknown_volume()).EndObject();
}

template <typename Line>
void PrintLog(const proto::LogStatusResponse& log, const Line& line) {
  for (const proto::LogReader& reader : log.readers()) {
    line("reader", reader.name() + "  has persisted " + std::to_string(reader.persisted_lsn()));
  }
  if (log.keep_from_lsn() != 0) {
    line("kept from", std::to_string(log.keep_from_lsn()) + "  (another log server lacks it)");
  }
}

void PrintState(const proto::VolumeState& state, const std::vector<SpaceFile>& unsupported,
                const LogAnswer& log, Console* console) {
  const auto line = [console](const std::string& name, const std::string& value) {
    console->Print(name + std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') + value);
  };
  line("volume", state.name() + " (id " + std::to_string(state.volume_id()) + ")");
  line("page size", std::to_string(state.page_size()));
  line("source", state.source_id().empty() ? "unknown" : state.source_id());
  line("readable from", state.horizon_lsn() == 0 ? "nothing yet: no import has finished"
                                                 : std::to_string(state.horizon_lsn()));
  line("applied", std::to_string(state.applied_lsn()) + "  (log time " +
                      FormatTime(static_cast<int64_t>(state.newest_time_unix_ns())) + ")");
  line("commit", std::to_string(state.commit_lsn()));
  line("persisted", std::to_string(state.persisted_lsn()));
  line("log begins", std::to_string(state.log_begin_lsn()));
  line("epoch", std::to_string(state.epoch()));
  line("ingested", FormatBytes(state.ingested_bytes()) + " of redo");
  for (const proto::LsnRangeProto& hole : state.holes()) {
    line("hole", std::to_string(hole.start_lsn()) + ".." + std::to_string(hole.end_lsn()));
  }
  for (const SpaceFile& space : unsupported) {
    line("unsupported", space.path + ": " + space.unsupported_reason);
  }
  for (const uint32_t space : state.spaces_wanting_images()) {
    line("wants images", "space " + std::to_string(space));
  }
  if (!state.feed_server().empty()) {
    line("fed by", state.feed_server());
  }
  PrintLog(log.status, line);
  for (const proto::RefusedCount& refused : state.refused()) {
    line("refused", std::to_string(refused.count()) + " requests: " + refused.reason());
  }
  if (state.feed_refused() > 0) {
    line("not believed", std::to_string(state.feed_refused()) + " answers of log servers");
  }
  if (!log.problem.ok()) {
    line("LOG TELLS NOTHING", log.problem.ToString());
  }
  if (!state.feed_problem().empty()) {
    line("NO REDO COMES", state.feed_problem());
  }
  if (!state.ingest_error().empty()) {
    line("INGEST STOPPED", state.ingest_error());
  }
}

}  // namespace

Task<int> VolumeList(Runtime* runtime, Console* console, ServerAddress server) {
  Session session(runtime, server);
  const TimePoint deadline = session.Deadline();
  const Result<proto::VolumeListResponse> answer = co_await session.client().VolumeList(deadline);
  if (!answer.ok()) {
    co_return co_await session.End(session.Refuse(console, answer.status()));
  }
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Key("volumes").BeginArray();
    for (const proto::VolumeState& state : answer->volumes()) {
      json.BeginObject();
      AddState(state, &json);
      json.EndObject();
    }
    json.EndArray();
    AddCounters(answer->server(), &json);
    json.EndObject();
    console->Print(json.text());
  } else {
    for (const proto::VolumeState& state : answer->volumes()) {
      console->Print(state.name() + "  page size " + std::to_string(state.page_size()) +
                     "  readable " + std::to_string(state.horizon_lsn()) + ".." +
                     std::to_string(state.applied_lsn()) +
                     (state.ingest_error().empty() ? "" : "  INGEST STOPPED"));
    }
  }
  co_return co_await session.End(kExitOk);
}

Task<int> VolumeCreate(Runtime* runtime, Console* console, ServerAddress server,
                       VolumeCreateOptions options) {
  Session session(runtime, server);
  proto::VolumeCreateRequest request;
  request.set_name(options.name);
  request.set_page_size(options.page_size);
  const TimePoint deadline = session.Deadline();
  const Result<proto::VolumeCreateResponse> answer =
      co_await session.client().VolumeCreate(std::move(request), deadline);
  if (!answer.ok()) {
    co_return co_await session.End(session.Refuse(console, answer.status()));
  }
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("name", options.name).Field("volume_id", answer->volume_id());
    json.EndObject();
    console->Print(json.text());
  } else {
    console->Print("created volume " + options.name);
  }
  co_return co_await session.End(kExitOk);
}

Task<int> VolumeStatus(Runtime* runtime, Console* console, ServerAddress server, std::string name) {
  Session session(runtime, server);
  proto::VolumeStatusRequest request;
  request.set_name(name);
  const TimePoint deadline = session.Deadline();
  const Result<proto::VolumeStatusResponse> answer =
      co_await session.client().VolumeStatus(std::move(request), deadline);
  if (!answer.ok()) {
    co_return co_await session.End(session.Refuse(console, answer.status()));
  }
  const proto::VolumeState& state = answer->volume();
  std::vector<SpaceFile> unsupported;
  if (state.unsupported_space_count() > 0) {
    unsupported = co_await UnsupportedSpaces(&session, state.volume_id());
  }
  const LogAnswer log = co_await AskLog(&session, state.volume_id());
  if (console->json()) {
    JsonWriter json;
    json.BeginObject();
    AddState(state, &json);
    AddLog(log, &json);
    json.Key("unsupported").BeginArray();
    for (const SpaceFile& space : unsupported) {
      json.BeginObject().Field("space", space.space.value()).Field("path", space.path);
      json.Field("reason", space.unsupported_reason).EndObject();
    }
    json.EndArray().EndObject();
    console->Print(json.text());
  } else {
    PrintState(state, unsupported, log, console);
  }
  co_return co_await session.End(kExitOk);
}

Task<int> VolumeDelete(Runtime* runtime, Console* console, ServerAddress server,
                       VolumeDeleteOptions options) {
  if (!options.confirmed) {
    co_return console->Fail(
        kExitUsage, InvalidArgument("deleting volume " + options.name +
                                    " removes its redo and every version of its pages; say --yes"));
  }
  Session session(runtime, server);
  proto::VolumeDeleteRequest request;
  request.set_name(options.name);
  request.set_confirm(options.name);
  const TimePoint deadline = session.Deadline();
  const Result<proto::VolumeDeleteResponse> answer =
      co_await session.client().VolumeDelete(std::move(request), deadline);
  if (!answer.ok()) {
    co_return co_await session.End(session.Refuse(console, answer.status()));
  }
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("deleted", options.name).EndObject();
    console->Print(json.text());
  } else {
    console->Print("deleted volume " + options.name);
  }
  co_return co_await session.End(kExitOk);
}

}  // namespace redoubt::ctl
