// SPDX-License-Identifier: MIT
//
// The name under which a page server reads from log servers, which keep redo for it: drawn once,
// kept in its data directory. A page server that lost its disk is another reader; the old name
// keeps redo until somebody says that it will not come back. A copy of a data directory must not
// run beside the original: both would speak for one name.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/runtime/runtime.h"

namespace redoubt {

// "page-" and 16 hexadecimal digits. Durable on OK. kCorruption: the file holds something else.
// Otherwise disk errors.
Task<Result<std::string>> ReaderNameOf(Runtime* runtime, std::string data_dir);

}  // namespace redoubt
