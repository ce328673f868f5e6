// SPDX-License-Identifier: MIT
#include "sim/cluster/store_neighbour.h"

#include <string>
#include <utility>

#include "pageserver/storage/keys.h"

namespace redoubt::sim {
namespace {

constexpr VolumeId kVolume(0xFFFF0000);  // no server has so many
constexpr uint64_t kPages = 6;
constexpr uint64_t kDeltaBytesMax = 2000;
constexpr uint64_t kImageBytes = 16384;

}  // namespace

// As a page role's: redo of a page, which is only added to, and an image of another one, which may
// be made again. Where a crash tears a batch it tears the image, most of the time.
KvBatch StoreNeighbour::NextBatch() {
  Random* const random = runtime_->random;
  const PageId page{SpaceId(1), PageNo(static_cast<uint32_t>(random->Below(kPages)))};
  const uint64_t delta_bytes = random->Below(kDeltaBytesMax);
  const uint64_t lsn = random->Next() >> 1;
  const char fill = static_cast<char>(random->Below(256));
  KvBatch batch;
  batch.Put(KvFamily::kDelta, DeltaKey(kVolume, page, Lsn(lsn)), std::string(delta_bytes, fill));
  batch.Put(KvFamily::kImage, ImageKey(kVolume, page, Lsn(1)), std::string(kImageBytes, fill));
  return batch;
}

// As a volume does, it writes no more after an error of its own; others' errors it does not see.
Task<void> StoreNeighbour::Run() {
  bool flush = false;
  Status status;
  while (status.ok() || status.code() == StatusCode::kNoSpace) {
    const auto bound = static_cast<uint64_t>(2 * interval_ns_);
    const auto pause = static_cast<int64_t>(runtime_->random->Below(bound));
    co_await group_.stop_event().Wait(runtime_->scheduler->Now() + Duration(pause));
    if (group_.stopping()) {
      co_return;
    }
    KvBatch batch = NextBatch();
    status = co_await store_->Write(std::move(batch));
    flush = !flush;
    if (flush && status.ok()) {
      status = co_await store_->Flush();
    }
  }
}

Task<void> StoreNeighbour::Stop() {
  group_.Stop();
  co_await group_.Join();
}

}  // namespace redoubt::sim
