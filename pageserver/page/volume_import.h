// SPDX-License-Identifier: MIT
//
// What comes into a volume beside redo: page images, what a client knows of tablespaces, side
// files, the horizon. Each call is durable when it returns OK.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pageserver/page/volume_state.h"

namespace redoubt {

inline constexpr size_t kSideFileBytesMax = 16 << 20;

class VolumeImport {
 public:
  explicit VolumeImport(VolumeState* state) : state_(state) {}

  Task<Status> PutImages(std::vector<PageImageIn> images);
  Task<Status> PutSpaceEvents(std::vector<SpaceEventIn> events);
  // kResourceExhausted: the newest versions of all files would be more than 16 MiB together.
  Task<Status> PutSideFile(SideFile file, bool deleted);
  Task<Status> SetHorizon(Lsn horizon);

  // The newest version of every side file at or below `read_lsn`, by path.
  Task<Result<std::vector<SideFile>>> ListSideFiles(Lsn read_lsn);

  // Fills the table of newest side files. Blocking.
  Status Load();

 private:
  struct Newest {
    Lsn lsn;
    size_t bytes = 0;
    uint32_t mode = 0;
    uint64_t hash = 0;
    bool deleted = false;
  };
  Status CheckImage(const PageImageIn& image) const;
  // Deletes images that were made from older bases than `images`: an image is put because what was
  // there could not be relied on.
  Task<Status> DropDerived(const std::vector<PageImageIn>* images, KvBatch* batch);
  Task<Status> WriteDurably(KvBatch batch);

  VolumeState* state_;
  std::map<std::string, Newest> side_files_;
};

}  // namespace redoubt
