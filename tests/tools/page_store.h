// SPDX-License-Identifier: MIT
//
// The tablespaces of a data directory at rest, as pages that redo can be applied to. Base files are
// mapped copy-on-write; new and grown spaces live in memory.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/page_format.h"
#include "tests/tools/mapped_file.h"

namespace redoubt::tools {

struct StoredPage {
  uint8_t* data = nullptr;  // nullptr = zeros that were never written
  Lsn applied_end;          // end of the last mtr applied, Lsn(0) = none
  bool broken = false;      // a record could not be applied: nothing more is, until initialised
};

struct Space {
  SpaceId id;
  std::string name;  // path relative to the data directory; empty if only redo knows it
  innodb::SpaceFlags flags;
  std::string unsupported;  // why its pages cannot be followed; empty = they can
  bool deleted = false;
  bool index_loaded = false;  // an unlogged build was announced
  bool imported = false;      // page records came after its deletion: IMPORT TABLESPACE
  std::vector<StoredPage> pages;
  std::vector<MappedFile> files;
  std::vector<std::unique_ptr<uint8_t[]>> chunks;
};

class PageStore {
 public:
  // Maps every persistent tablespace file below `data_dir`.
  static Result<PageStore> Open(const std::filesystem::path& data_dir);

  uint32_t page_size() const { return page_size_; }
  std::map<SpaceId, Space>& spaces() { return spaces_; }
  // nullptr if unknown.
  Space* Find(SpaceId id);
  Space& Create(SpaceId id, std::string name, innodb::SpaceFlags flags);
  // The page's record, which gets memory if it had none.
  StoredPage& Writable(Space* space, PageNo page_no);
  // Zeros for a page that has no bytes.
  ByteView Read(const Space& space, PageNo page_no) const;

 private:
  Status AddFile(const std::filesystem::path& path, std::string name);

  uint32_t page_size_ = 0;
  std::map<SpaceId, Space> spaces_;
  Bytes zeros_;
};

}  // namespace redoubt::tools
