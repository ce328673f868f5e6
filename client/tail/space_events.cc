// SPDX-License-Identifier: MIT
#include "client/tail/space_events.h"

#include <utility>

namespace redoubt::tail {

proto::SpaceEvent PresentEvent(const SpaceFile& file, std::string path, Lsn lsn) {
  proto::SpaceEvent event;
  event.set_kind(proto::SpaceEvent::PRESENT);
  event.set_space(file.space.value());
  event.set_lsn(lsn.value());
  event.set_path(std::move(path));
  event.set_flags(file.flags);
  event.set_page_count(file.page_count);
  return event;
}

proto::SpaceEvent UnsupportedEvent(SpaceId space, const std::string& path,
                                   const std::string& reason, Lsn lsn) {
  proto::SpaceEvent event;
  event.set_kind(proto::SpaceEvent::UNSUPPORTED);
  event.set_space(space.value());
  event.set_lsn(lsn.value());
  event.set_path(path);
  event.set_reason(path + ": " + reason);
  return event;
}

}  // namespace redoubt::tail
