// SPDX-License-Identifier: MIT
//
// Compares every page of every persistent tablespace file of a data directory, whose server was
// shut down cleanly, with the page that Redoubt rebuilds at an LSN. The arbiter of the whole
// project.
//
// Excused are exactly: the bytes that ComparePages masks; pages that their extent descriptor in the
// file marks free (they are counted); the old doublewrite area of the system tablespace; temporary
// tablespaces; spaces that the page server has declared unsupported (they are named). A file
// without a space, a space without a file and a file of another size count as unequal. Format:
// common/innodb/README.md, "What may differ".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/ctl/console.h"
#include "client/ctl/volume_reader.h"
#include "client/ctl/volume_scan.h"
#include "common/runtime/runtime.h"

namespace redoubt::ctl {

struct Unequal {
  // "page": bytes differ from `offset` on; "unknown": the server has no image; "file_only",
  // "space_only"; "file_size".
  std::string kind;
  SpaceId space;
  PageNo page_no;
  std::string path;
  uint32_t offset = 0;      // first differing byte
  uint32_t byte_count = 0;  // differing bytes
  std::string page_type;    // in the file
  Lsn rebuilt_lsn;
  Lsn file_lsn;
  std::string detail;
};

struct CompareSummary {
  Lsn lsn;
  uint64_t file_count = 0;
  uint64_t pages_compared = 0;
  uint64_t pages_unequal = 0;            // everything in `unequal`, also what is not listed
  uint64_t pages_masked = 0;             // equal only thanks to a mask beyond the stamp
  uint64_t pages_free_excused = 0;       // unequal, but marked free
  std::vector<Unequal> unequal;          // the first ones
  std::vector<std::string> unsupported;  // files that were not compared, and why
  bool equal() const { return pages_unequal == 0 && pages_compared > 0; }
};

struct CompareOptions {
  std::string datadir;
  size_t unequal_listed_max = 200;
  std::function<void(uint64_t done, uint64_t total)> on_progress;
};

class Compare final : private ScanVisitor {
 public:
  // `runtime` and `reader` outlive the comparison.
  Compare(Runtime* runtime, VolumeReader* reader, CompareOptions options);
  Task<Status> Run();
  const CompareSummary& summary() const { return summary_; }
  ExitCode exit_code() const { return exit_code_; }

 private:
  // A piece of a space: a file, which begins at page `first_page` (not 0 only for the second and
  // later files of the system tablespace).
  struct DataFile {
    std::string path;
    PageNo first_page;
    uint32_t page_count = 0;
    std::unique_ptr<File> file;
  };
  // A space with its files; the index is that of spaces_.
  struct Pair {
    std::vector<DataFile> files;  // ascending by first_page
    uint32_t page_count = 0;      // of the files together
    Bytes xdes;                   // one extent descriptor page of the files
    PageNo xdes_no{0xFFFFFFFF};
  };

  Task<Status> FindFiles(std::string folder);
  // Those outside the data directory (DATA DIRECTORY, ADD DATAFILE), at the paths that were
  // recorded.
  Task<Status> FindExternalFiles(const std::vector<SpaceFile>* listed);
  Task<Status> AddFile(std::string path);
  Status MatchSpaces(std::vector<SpaceFile> listed);
  Task<Status> OnBegin(size_t index) override;
  Task<Status> OnPages(size_t index, PageNo first, PageNo end, const PageBatch* batch) override;
  Task<Status> OnEnd(size_t index) override;
  Task<Status> ComparePage(size_t index, PageNo page_no, ByteView original,
                           const BatchPage* rebuilt);
  Task<Result<bool>> IsFree(size_t index, PageNo page_no);
  // Fills `into` from the files of the space; beyond their end with zeroes.
  Task<Status> ReadFiles(const Pair* pair, PageNo first, MutableByteView into);
  void Report(Unequal unequal);

  Runtime* runtime_;
  VolumeReader* reader_;
  CompareOptions options_;
  CompareSummary summary_;
  ExitCode exit_code_ = kExitServer;
  std::map<uint32_t, Pair> found_;  // by space id, until they are matched
  std::vector<SpaceFile> spaces_;
  std::vector<Pair> pairs_;
  uint64_t pages_done_ = 0;
  uint64_t pages_total_ = 0;
};

}  // namespace redoubt::ctl
