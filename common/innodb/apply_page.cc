// SPDX-License-Identifier: MIT
//
// Records that make a page what it is: zeroed with its identity, an empty index page, an ibuf
// bitmap.
#include <algorithm>

#include "common/innodb/apply_internal.h"

namespace redoubt::innodb {
namespace {

constexpr size_t kIbufBitmapOffset = 94;

void InitFilePage(const ApplyInput& input) {
  std::fill(input.page.begin(), input.page.end(), uint8_t{0});
  StoreBe32(input.page.data() + kPageNoOffset, input.id.page_no.value());
  StoreBe32(input.page.data() + kPageSpaceIdOffset, input.id.space.value());
}

// Four bits for each page that the bitmap page describes.
void InitIbufBitmap(const ApplyInput& input) {
  StoreBe16(input.page.data() + kPageTypeOffset, kPageTypeIbufBitmap);
  const MutableByteView bitmap = input.page.subspan(kIbufBitmapOffset, input.page.size() / 2);
  std::fill(bitmap.begin(), bitmap.end(), uint8_t{0});
}

}  // namespace

Problem ApplyPage(const ApplyInput& input) {
  if (!input.body.empty()) {
    return "page creation: body is not empty";
  }
  switch (input.type) {
    case RedoType::kInitFilePage:
    case RedoType::kInitFilePageOld:
      InitFilePage(input);
      return kNoProblem;
    case RedoType::kIbufBitmapInit:
      InitIbufBitmap(input);
      return kNoProblem;
    case RedoType::kPageCreateRedundant:
      IndexPage(input.page).Create(false, kPageTypeIndex);
      return kNoProblem;
    case RedoType::kPageCreateCompact:
      IndexPage(input.page).Create(true, kPageTypeIndex);
      return kNoProblem;
    case RedoType::kPageCreateRtreeRedundant:
      IndexPage(input.page).Create(false, kPageTypeRtree);
      return kNoProblem;
    case RedoType::kPageCreateRtreeCompact:
      IndexPage(input.page).Create(true, kPageTypeRtree);
      return kNoProblem;
    case RedoType::kPageCreateSdiRedundant:
      IndexPage(input.page).Create(false, kPageTypeSdi);
      return kNoProblem;
    case RedoType::kPageCreateSdiCompact:
      IndexPage(input.page).Create(true, kPageTypeSdi);
      return kNoProblem;
    default:
      return "not a page creation";
  }
}

}  // namespace redoubt::innodb
