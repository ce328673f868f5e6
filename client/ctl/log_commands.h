// SPDX-License-Identifier: MIT
//
// The log side of a volume on one server: who reads its redo, what its log refused, and how a
// reader that will not come back is told to leave.
#pragma once

#include <optional>
#include <string>

#include "client/ctl/commands.h"
#include "client/ctl/json.h"
#include "client/ctl/session.h"
#include "proto/log_service.pb.h"

namespace redoubt::ctl {

// nullopt: the server has no log role, or its log answers nothing now.
Task<std::optional<proto::LogStatusResponse>> AskLog(Session* session, uint32_t volume_id);

// The fields "readers", "log_kept_from_lsn" and "refused"; empty and 0 without a log.
void AddLog(const std::optional<proto::LogStatusResponse>& log, JsonWriter* json);

}  // namespace redoubt::ctl
