// SPDX-License-Identifier: MIT
//
// redo_record --base DIR --final DIR --out FILE: turns a pair of data directories
// (ci/offline_pair.py) into a recording for the simulator (proto/recording.proto), and prints what
// is in it.
#include <zstd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"
#include "proto/recording.pb.h"
#include "tests/tools/page_store.h"
#include "tests/tools/redo_source.h"

namespace redoubt::tools {
namespace {

using namespace innodb;  // NOLINT: a tool about nothing else

constexpr int kZstdLevel = 19;
constexpr int kZstdWindowLog = 27;

// What the redo does: the bytes, and which pages it changes how.
struct Stream {
  Lsn begin;
  Lsn end;
  uint64_t mtr_count = 0;
  Bytes payload;
  std::map<PageId, bool> pages;  // true: its first change initialises it
  std::set<SpaceId> created;

  Status operator()(const MtrView& mtr) {
    ++mtr_count;
    payload.insert(payload.end(), mtr.bytes.begin(), mtr.bytes.end());
    for (const RedoRecord& record : mtr.records) {
      if (record.type == RedoType::kFileCreate) {
        created.insert(record.page.space);
      }
      if (record.type == RedoType::kIndexLoad) {
        return Unsupported(Describe(record) + ": pages were built that the redo does not have");
      }
      if (ChangesPage(record.type)) {
        pages.emplace(record.page, InitializesPage(record.type));
      }
    }
    return Status::Ok();
  }
};

// Every byte from the first mtr at or behind the base's checkpoint on: what is before is in the
// base's files.
Result<Stream> ReadStream(const std::string& base, const RedoSource& redo) {
  REDOUBT_ASSIGN_OR_RETURN(const RedoSource base_redo, RedoSource::Open(base));
  REDOUBT_ASSIGN_OR_RETURN(const Lsn start, redo.FirstMtr(base_redo.checkpoint_lsn()));
  Stream stream;
  stream.begin = base_redo.checkpoint_lsn();
  bool begun = false;
  MtrAssembler assembler(start);
  const auto sink = [&](const MtrView& mtr) {
    if (mtr.start_lsn < base_redo.checkpoint_lsn()) {
      return Status::Ok();
    }
    if (!begun) {
      stream.begin = mtr.start_lsn;
      begun = true;
    }
    return stream(mtr);
  };
  REDOUBT_RETURN_IF_ERROR(
      redo.ReadFrom(start, [&](ByteView payload) { return assembler.Feed(payload, sink); }));
  stream.end = assembler.end_lsn();
  // Groups without records (dummies) are shown to nobody: with one inside, the LSNs would shift.
  if (AdvanceLsn(stream.begin, stream.payload.size()) != stream.end) {
    return Unsupported("the redo has bytes that belong to no mtr; record again");
  }
  return stream;
}

void AddPage(PageId id, ByteView image, proto::RecordedPage* page) {
  page->set_space_id(id.space.value());
  page->set_page_no(id.page_no.value());
  page->set_image(image.data(), image.size());
}

void AddBase(const Stream& stream, const PageStore& store, PageStore* spaces,
             proto::Recording* recording) {
  std::set<SpaceId> added;
  Bytes buffer;
  for (const auto& [id, initialised] : stream.pages) {
    const Space* space = spaces->Find(id.space);
    if (space == nullptr || IsTemporarySpace(id.space)) {
      continue;
    }
    if (added.insert(id.space).second) {
      proto::RecordedSpace* one = recording->add_spaces();
      one->set_space_id(id.space.value());
      one->set_flags(space->flags.raw);
      one->set_path(space->name);
      one->set_page_count(static_cast<uint32_t>(space->pages.size()));
    }
    const ByteView image = store.Read(*space, id.page_no, &buffer);
    if (!initialised && !IsZero(image)) {
      AddPage(id, image, recording->add_base_pages());
    }
  }
}

void AddFinal(const Stream& stream, PageStore* store, proto::Recording* recording) {
  Bytes buffer;
  Bytes xdes;
  for (const auto& [id, initialised] : stream.pages) {
    const Space* space = store->Find(id.space);
    if (space == nullptr || IsTemporarySpace(id.space) ||
        IsOldDoublewrite(id, store->page_size())) {
      continue;
    }
    const PageNo xdes_page = XdesPageOf(id.page_no, store->page_size());
    if (!IsPageFree(store->Read(*space, xdes_page, &xdes), id.page_no)) {
      AddPage(id, store->Read(*space, id.page_no, &buffer), recording->add_final_pages());
    }
  }
}

Status Write(const proto::Recording& recording, const std::string& path) {
  const std::string plain = recording.SerializeAsString();
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kZstdLevel);
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, kZstdWindowLog);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  const size_t size =
      ZSTD_compress2(context, packed.data(), packed.size(), plain.data(), plain.size());
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(size) != 0) {
    return IoError(std::string("zstd: ") + ZSTD_getErrorName(size));
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(packed.data(), static_cast<std::streamsize>(size));
  out.close();
  if (!out) {
    return IoError("cannot write " + path);
  }
  std::printf("%s, page size %u, LSN %llu .. %llu: %zu bytes of redo, %d base pages of %d spaces, ",
              recording.server().c_str(), recording.page_size(),
              static_cast<unsigned long long>(recording.begin_lsn()),
              static_cast<unsigned long long>(recording.end_lsn()), recording.payload().size(),
              recording.base_pages_size(), recording.spaces_size());
  std::printf("%d final pages; %zu bytes, %zu stored\n", recording.final_pages_size(), plain.size(),
              size);
  return Status::Ok();
}

Status Run(const std::string& base, const std::string& final, const std::string& out) {
  REDOUBT_ASSIGN_OR_RETURN(PageStore before, PageStore::Open(base));
  REDOUBT_ASSIGN_OR_RETURN(PageStore after, PageStore::Open(final));
  REDOUBT_ASSIGN_OR_RETURN(const RedoSource redo, RedoSource::Open(final));
  REDOUBT_ASSIGN_OR_RETURN(const Stream stream, ReadStream(base, redo));
  proto::Recording recording;
  recording.set_server(redo.creator());
  recording.set_page_size(after.page_size());
  recording.set_begin_lsn(stream.begin.value());
  recording.set_end_lsn(stream.end.value());
  recording.set_payload(stream.payload.data(), stream.payload.size());
  AddBase(stream, before, &before, &recording);
  AddFinal(stream, &after, &recording);
  std::printf("%llu mtrs change %zu pages; %zu spaces are created\n",
              static_cast<unsigned long long>(stream.mtr_count), stream.pages.size(),
              stream.created.size());
  return Write(recording, out);
}

}  // namespace
}  // namespace redoubt::tools

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    flags[argv[i]] = argv[i + 1];
  }
  if (flags["--base"].empty() || flags["--final"].empty() || flags["--out"].empty()) {
    std::fprintf(stderr, "usage: redo_record --base DIR --final DIR --out FILE\n");
    return 2;
  }
  const redoubt::Status status =
      redoubt::tools::Run(flags["--base"], flags["--final"], flags["--out"]);
  if (!status.ok()) {
    std::fprintf(stderr, "redo_record: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
