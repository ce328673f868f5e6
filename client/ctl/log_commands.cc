// SPDX-License-Identifier: MIT
#include "client/ctl/log_commands.h"

#include <utility>

namespace redoubt::ctl {
namespace {

bool HasReader(const proto::LogStatusResponse& log, const std::string& name) {
  for (const proto::LogReader& reader : log.readers()) {
    if (reader.name() == name) {
      return true;
    }
  }
  return false;
}

std::string NamesOf(const proto::LogStatusResponse& log) {
  std::string names;
  for (const proto::LogReader& reader : log.readers()) {
    names += (names.empty() ? "" : ", ") + reader.name();
  }
  return names.empty() ? "nobody reads it from outside" : "its readers are " + names;
}

Task<Result<proto::LogStatusResponse>> LogOf(Session* session, uint32_t volume_id,
                                             std::string leaving) {
  proto::LogStatusRequest request;
  request.set_volume_id(volume_id);
  request.set_reader_leaves(!leaving.empty());
  request.set_reader(std::move(leaving));
  const TimePoint deadline = session->Deadline();
  Result<proto::LogStatusResponse> answer =
      co_await session->client().LogStatus(std::move(request), deadline);
  co_return answer;
}

// The log without the reader.
Task<Result<proto::LogStatusResponse>> Forget(Session* session, ForgetReaderOptions options) {
  proto::VolumeStatusRequest find;
  find.set_name(options.volume);
  const TimePoint deadline = session->Deadline();
  const Result<proto::VolumeStatusResponse> volume =
      co_await session->client().VolumeStatus(std::move(find), deadline);
  if (!volume.ok()) {
    co_return volume.status();
  }
  const uint32_t id = volume->volume().volume_id();
  std::string nobody;
  const Result<proto::LogStatusResponse> before = co_await LogOf(session, id, std::move(nobody));
  if (!before.ok()) {
    co_return before.status();
  }
  if (!HasReader(*before, options.reader)) {
    co_return NotFound("the log of volume " + options.volume + " has no reader " + options.reader +
                       ": " + NamesOf(*before));
  }
  std::string leaving = options.reader;
  Result<proto::LogStatusResponse> after = co_await LogOf(session, id, std::move(leaving));
  co_return after;
}

void AddReaders(const proto::LogStatusResponse& log, JsonWriter* json) {
  json->Key("readers").BeginArray();
  for (const proto::LogReader& reader : log.readers()) {
    json->BeginObject().Field("name", reader.name());
    json->Field("persisted_lsn", reader.persisted_lsn()).EndObject();
  }
  json->EndArray().Field("log_kept_from_lsn", log.keep_from_lsn());
}

}  // namespace

Task<LogAnswer> AskLog(Session* session, uint32_t volume_id) {
  std::string nobody;
  Result<proto::LogStatusResponse> answer = co_await LogOf(session, volume_id, std::move(nobody));
  LogAnswer log;
  if (answer.ok()) {
    log.status = std::move(*answer);
  } else if (answer.status().code() == StatusCode::kUnsupported) {
    log.has_log = false;
  } else {
    log.problem = answer.status();
  }
  co_return log;
}

void AddRefused(const google::protobuf::RepeatedPtrField<proto::RefusedCount>& counts,
                JsonWriter* json) {
  json->Key("refused").BeginObject();
  for (const proto::RefusedCount& refused : counts) {
    json->Field(refused.reason(), refused.count());
  }
  json->EndObject();
}

void AddLog(const LogAnswer& log, JsonWriter* json) {
  json->Field("has_log", log.has_log);
  json->Field("log_problem", log.problem.ok() ? std::string() : log.problem.ToString());
  if (!log.has_log || !log.problem.ok()) {
    json->Key("readers").Null().Key("log_kept_from_lsn").Null();
    return;
  }
  AddReaders(log.status, json);
}

Task<int> ForgetReader(Runtime* runtime, Console* console, ServerAddress server,
                       ForgetReaderOptions options) {
  if (!options.confirmed) {
    co_return console->Fail(
        kExitUsage,
        InvalidArgument("without reader " + options.reader + " the log of volume " +
                        options.volume +
                        " may drop redo that it has not persisted, and if it does come back it may "
                        "have to be built anew; say --yes"));
  }
  Session session(runtime, server);
  const Result<proto::LogStatusResponse> left = co_await Forget(&session, options);
  if (left.status().code() == StatusCode::kNotFound) {
    co_return co_await session.End(console->Fail(kExitProblem, left.status()));
  }
  if (!left.ok()) {
    co_return co_await session.End(session.Refuse(console, left.status()));
  }
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("forgotten", options.reader);
    AddReaders(*left, &json);
    AddRefused(left->refused(), &json);
    json.EndObject();
    console->Print(json.text());
  } else {
    console->Print("redo of volume " + options.volume + " is no longer kept here for reader " +
                   options.reader + "; " + NamesOf(*left));
  }
  co_return co_await session.End(kExitOk);
}

}  // namespace redoubt::ctl
