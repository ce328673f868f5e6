// SPDX-License-Identifier: MIT
//
// Redo that means nothing, for a gap in which no redo was made and none was lost: a server that
// begins a new set of redo files does so at the start of a block. Each byte is an mtr of its own,
// MLOG_DUMMY_RECORD (redo-format.md; seen where stock servers pad a block).
#pragma once

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/log_block.h"
#include "common/innodb/redo_type.h"

namespace redoubt {

// Payload of `gap`, whose ends are data LSNs.
inline Bytes DummyRedo(LsnRange gap) {
  return Bytes(innodb::PayloadBytes(gap), static_cast<uint8_t>(innodb::RedoType::kDummy));
}

}  // namespace redoubt
