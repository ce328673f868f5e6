// SPDX-License-Identifier: MIT
//
// The tablespaces of a data directory at rest, as pages that redo can be applied to. A page is read
// from its file when it is first touched; from then on it, and everything new, lives in memory.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/types.h"
#include "common/innodb/page_format.h"
#include "tests/tools/input_file.h"

namespace redoubt::tools {

struct StoredPage {
  uint8_t* data = nullptr;  // nullptr = as in the file, or zeros behind its end
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
  // Files in order, each with the number of its first page. Emptied when the space is deleted.
  std::vector<std::pair<size_t, InputFile>> files;
};

class PageStore {
 public:
  // Opens every persistent tablespace file below `data_dir`.
  static Result<PageStore> Open(const std::filesystem::path& data_dir);

  // The same spaces with no contents: a page counts as broken until it is initialised.
  PageStore EmptyCopy() const;

  uint32_t page_size() const { return page_size_; }
  std::map<SpaceId, Space>& spaces() { return spaces_; }
  // nullptr if unknown.
  Space* Find(SpaceId id);
  Space& Create(SpaceId id, std::string name, innodb::SpaceFlags flags);
  void Delete(Space* space);
  // The page's record, read into memory if it was not there.
  StoredPage& Writable(Space* space, PageNo page_no);
  // Borrowed from the store or from `buffer`, which must outlive the answer.
  ByteView Read(const Space& space, PageNo page_no, Bytes* buffer) const;

 private:
  Status AddFile(const std::filesystem::path& path, std::string name);
  // False if no file holds the page: it is zeros.
  bool ReadFile(const Space& space, PageNo page_no, MutableByteView out) const;

  uint32_t page_size_ = 0;
  std::map<SpaceId, Space> spaces_;
  std::unique_ptr<PageArena> arena_;
};

}  // namespace redoubt::tools
