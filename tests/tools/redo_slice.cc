// SPDX-License-Identifier: MIT
//
// redo_slice --base DIR --final DIR: cuts the history of single pages out of real redo, for golden
// tests and as seeds for the fuzzers.
//
// --list                 one line for every page whose history here begins with its initialisation:
//                        page, type, records, bytes of redo
// --page S:P --out FILE  FILE = that page's records, one group for each mtr, as logged; FILE.page =
// the page in
//                        FINAL, as the server wrote it
#include <charconv>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "common/innodb/mtr_assembler.h"
#include "common/innodb/packed_reader.h"
#include "tests/tools/page_store.h"
#include "tests/tools/redo_source.h"

namespace redoubt::tools {
namespace {

using namespace innodb;  // NOLINT: a tool about nothing else

struct History {
  uint64_t records = 0;
  Bytes redo;
};

void AppendGroup(const std::vector<const RedoRecord*>& records, History* history) {
  Bytes& out = history->redo;
  for (const RedoRecord* record : records) {
    const auto type = static_cast<uint8_t>(record->type);
    out.push_back(records.size() == 1 ? type | kSingleRecordFlag : type);
    AppendC32(record->page.space.value(), &out);
    AppendC32(record->page.page_no.value(), &out);
    out.insert(out.end(), record->body.begin(), record->body.end());
  }
  if (records.size() > 1) {
    out.push_back(static_cast<uint8_t>(RedoType::kMultiRecordEnd));
  }
  history->records += records.size();
}

class Slicer {
 public:
  Status operator()(const MtrView& mtr) {
    std::map<PageId, std::vector<const RedoRecord*>> pages;
    for (const RedoRecord& record : mtr.records) {
      if (!ChangesPage(record.type)) {
        continue;
      }
      if (InitializesPage(record.type)) {
        histories[record.page] = {};
        pages[record.page].clear();
      }
      if (histories.contains(record.page)) {
        pages[record.page].push_back(&record);
      }
    }
    for (const auto& [page, records] : pages) {
      AppendGroup(records, &histories[page]);
    }
    return Status::Ok();
  }
  std::map<PageId, History> histories;
};

void Write(const std::string& path, ByteView bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

Result<PageId> ParsePageId(std::string_view text) {
  uint32_t space = 0;
  uint32_t page_no = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, space);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':' ||
      std::from_chars(first.ptr + 1, end, page_no).ptr != end) {
    return InvalidArgument("page must be SPACE:PAGE");
  }
  return PageId{SpaceId(space), PageNo(page_no)};
}

Status Run(const std::string& base, const std::string& final, const std::string& page,
           const std::string& out) {
  REDOUBT_ASSIGN_OR_RETURN(PageStore store, PageStore::Open(final));
  REDOUBT_ASSIGN_OR_RETURN(const RedoSource base_redo, RedoSource::Open(base));
  REDOUBT_ASSIGN_OR_RETURN(const RedoSource redo, RedoSource::Open(final));
  REDOUBT_ASSIGN_OR_RETURN(const Lsn start, redo.FirstMtr(base_redo.checkpoint_lsn()));
  Slicer slicer;
  MtrAssembler assembler(start);
  REDOUBT_RETURN_IF_ERROR(
      redo.ReadFrom(start, [&](ByteView payload) { return assembler.Feed(payload, slicer); }));
  Bytes buffer;
  if (page.empty()) {
    for (const auto& [id, history] : slicer.histories) {
      const Space* space = store.Find(id.space);
      if (space != nullptr) {
        const ByteView image = store.Read(*space, id.page_no, &buffer);
        std::printf("%s %s %llu %zu %s\n", ToString(id).c_str(),
                    PageTypeName(PageTypeOf(image)).c_str(),
                    static_cast<unsigned long long>(history.records), history.redo.size(),
                    space->name.c_str());
      }
    }
    return Status::Ok();
  }
  REDOUBT_ASSIGN_OR_RETURN(const PageId id, ParsePageId(page));
  const Space* space = store.Find(id.space);
  if (!slicer.histories.contains(id) || space == nullptr) {
    return NotFound("page " + page + " is not initialised in this redo");
  }
  Write(out, slicer.histories[id].redo);
  Write(out + ".page", store.Read(*space, id.page_no, &buffer));
  return Status::Ok();
}

}  // namespace
}  // namespace redoubt::tools

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    flags[name] = name != "--list" && i + 1 < argc ? argv[++i] : "";
  }
  if (flags["--base"].empty() || flags["--final"].empty() ||
      flags.contains("--list") == flags.contains("--page")) {
    std::fprintf(stderr,
                 "usage: redo_slice --base DIR --final DIR (--list | --page S:P --out FILE)\n");
    return 2;
  }
  const redoubt::Status status =
      redoubt::tools::Run(flags["--base"], flags["--final"], flags["--page"], flags["--out"]);
  if (!status.ok()) {
    std::fprintf(stderr, "redo_slice: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
