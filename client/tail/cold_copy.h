// SPDX-License-Identifier: MIT
//
// The base copy of a server that is not running: every page as of its clean shutdown, put into an
// empty volume whose log begins at that LSN. Whatever writes redo from there on (a mysqld that
// streams) continues it.
#pragma once

#include <string>

#include "client/tail/source_probe.h"
#include "client/tail/volume_sink.h"
#include "common/base/result.h"
#include "common/runtime/runtime.h"
#include "common/runtime/sync.h"

namespace redoubt::tail {

// Readable from the LSN that `datadir` (absolute) was shut down at, on kOk. Can be repeated after a
// failure as long as nothing was appended. kInvalidArgument: a server has the files open, it was
// not shut down cleanly, pages are damaged, or the volume has a log already. kCancelled: `stop`.
Task<Status> CopyCold(Runtime* runtime, VolumeSink* sink, SourceProbe* probe, Event* stop,
                      std::string datadir);

}  // namespace redoubt::tail
