// SPDX-License-Identifier: MIT
//
// What is said of a tablespace file that was found: it is there, or cannot be followed.
#pragma once

#include <string>

#include "client/tail/space_files.h"
#include "common/base/types.h"
#include "proto/page_service.pb.h"

namespace redoubt::tail {

// `path` as redo names it.
proto::SpaceEvent PresentEvent(const SpaceFile& file, std::string path, Lsn lsn);
proto::SpaceEvent UnsupportedEvent(SpaceId space, const std::string& path,
                                   const std::string& reason, Lsn lsn);

}  // namespace redoubt::tail
