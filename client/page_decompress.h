// SPDX-License-Identifier: MIT
//
// Undoes transparent page compression (CREATE TABLE ... COMPRESSION='zlib'|'lz4'), which exists
// only in the file: redo speaks of the logical page.
//
//   24 u16 14 | 26 u8 version | 27 u8 algorithm (1 zlib, 2 lz4) | 28 u16 original type |
//   30 u16 original body bytes | 32 u16 compressed body bytes | 38 compressed body ...
// Format: common/innodb/README.md, "Page".
#pragma once

#include "common/base/bytes.h"
#include "common/base/status.h"

namespace redoubt {

// Replaces `page` (exactly one page of type 14) by its logical page. kCorruption: torn or
// senseless, the page is unspecified then. kUnsupported: another algorithm.
Status DecompressPage(MutableByteView page);

}  // namespace redoubt
