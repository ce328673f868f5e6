// SPDX-License-Identifier: MIT
//
// Goal: no redo makes the applier crash, hang, or read or write outside page and body. Method: the
// first two bytes choose page size and initial page (zeros, created, or the input's own bytes); the
// rest is a sequence of records, applied until one is refused. Page and bodies are exactly sized,
// so that ASan sees one byte too many.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/innodb/apply.h"
#include "common/innodb/index_page.h"
#include "common/innodb/redo_parser.h"

namespace {

using redoubt::Bytes;
using redoubt::ByteView;
using redoubt::Lsn;
using namespace redoubt::innodb;  // NOLINT: a test about nothing else

Bytes FirstPage(uint8_t size_choice, uint8_t kind, ByteView* rest) {
  Bytes page(size_t{4096} << (size_choice % 5), 0);
  switch (kind % 4) {
    case 0:
      break;
    case 1:
      IndexPage(page).Create(true, kPageTypeIndex);
      break;
    case 2:
      IndexPage(page).Create(false, kPageTypeIndex);
      break;
    default: {
      const size_t taken = std::min(rest->size() / 2, page.size());
      std::copy_n(rest->begin(), taken, page.begin());
      *rest = rest->subspan(taken);
    }
  }
  return page;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) {
    return 0;
  }
  static PageApplier applier;
  ByteView rest(data + 2, size - 2);
  Bytes page = FirstPage(data[0], data[1], &rest);
  page.shrink_to_fit();
  while (!rest.empty()) {
    const ParsedRecord parsed = ParseRecord(rest);
    if (parsed.outcome != ParseOutcome::kComplete) {
      break;
    }
    if (ChangesPage(parsed.type)) {
      const Bytes body(rest.begin() + static_cast<ptrdiff_t>(parsed.body_offset),
                       rest.begin() + static_cast<ptrdiff_t>(parsed.length));
      if (!applier.ApplyRecord({parsed.type, parsed.page, Lsn(8204), body}, page).ok()) {
        break;
      }
      (void)CheckIndexPage(page);
    }
    rest = rest.subspan(parsed.length);
  }
  return 0;
}
