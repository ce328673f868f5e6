// SPDX-License-Identifier: MIT
//
// One volume of this server: its settings, its log role or the log servers that it follows, and its
// page role.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/base/types.h"
#include "common/runtime/sync.h"
#include "pageserver/log/log_volume.h"
#include "pageserver/log/remote_feed.h"
#include "pageserver/page/page_volume.h"
#include "pageserver/refused_requests.h"

namespace redoubt {

struct VolumeSettings {
  VolumeId id;
  // Random; in every file of the volume, so that another server's volume of the same number is
  // seen.
  uint64_t uid = 0;
  uint32_t page_size = 16384;
  std::string name;
  std::string source_id;
};

// Used by requests through VolumeRef; it is destroyed only when none is left.
struct Volume {
  Volume(Scheduler* scheduler, VolumeSettings volume_settings)
      : settings(std::move(volume_settings)), unused(scheduler) {}

  const VolumeSettings settings;
  std::unique_ptr<LogVolume> log;     // null on a server without a log role
  std::unique_ptr<RemoteFeed> feed;   // instead of it: redo comes from log servers elsewhere
  std::unique_ptr<PageVolume> pages;  // null on a server without a page role, and when damaged
  // Not OK: there is a page role, but the volume's pages cannot be served. Its log is.
  Status pages_failure;
  RefusedRequests refused;
  size_t use_count = 0;
  Condition unused;  // notified when use_count falls to 0
};

// A request's hold on a volume; movable, null when the volume does not exist.
class VolumeRef {
 public:
  VolumeRef() = default;
  explicit VolumeRef(Volume* volume) : volume_(volume) { ++volume_->use_count; }
  VolumeRef(VolumeRef&& other) noexcept : volume_(std::exchange(other.volume_, nullptr)) {}
  VolumeRef& operator=(VolumeRef&& other) noexcept {
    if (this != &other) {
      Release();
      volume_ = std::exchange(other.volume_, nullptr);
    }
    return *this;
  }
  VolumeRef(const VolumeRef&) = delete;
  VolumeRef& operator=(const VolumeRef&) = delete;
  ~VolumeRef() { Release(); }

  explicit operator bool() const { return volume_ != nullptr; }
  Volume* operator->() const { return volume_; }
  Volume* get() const { return volume_; }

 private:
  void Release() {
    if (volume_ != nullptr && --volume_->use_count == 0) {
      volume_->unused.NotifyAll();
    }
    volume_ = nullptr;
  }
  Volume* volume_ = nullptr;
};

}  // namespace redoubt
