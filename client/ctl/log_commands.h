// SPDX-License-Identifier: MIT
//
// The log side of a volume on one server: who reads its redo, what its log refused, and how a
// reader that will not come back is told to leave.
#pragma once

#include <string>

#include "client/ctl/commands.h"
#include "client/ctl/json.h"
#include "client/ctl/session.h"
#include "proto/log_service.pb.h"

namespace redoubt::ctl {

// What a server knows of a volume's log, as far as it has one.
struct LogAnswer {
  proto::LogStatusResponse status;  // empty: no log, or none that answers
  bool has_log = true;
  Status problem;  // why the log does not answer; OK also for a server without a log role
};

Task<LogAnswer> AskLog(Session* session, uint32_t volume_id);

// The fields "has_log", "log_problem" (empty: none), "readers" and "log_kept_from_lsn"; the last
// two are null while nothing is known of them.
void AddLog(const LogAnswer& log, JsonWriter* json);

// The field "refused": how many requests, by reason.
void AddRefused(const google::protobuf::RepeatedPtrField<proto::RefusedCount>& counts,
                JsonWriter* json);

}  // namespace redoubt::ctl
