// SPDX-License-Identifier: MIT
#include "common/base/types.h"

namespace redoubt {

std::string ToString(PageId id) {
  return std::to_string(id.space.value()) + ":" + std::to_string(id.page_no.value());
}

}  // namespace redoubt
