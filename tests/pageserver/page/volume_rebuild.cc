// SPDX-License-Identifier: MIT
//
// volume_rebuild --base DIR --final DIR [--store memory|rocksdb] [--dir DIR]: does a volume rebuild
// what a real server wrote, and how fast is it?
//
// The pages of BASE (a cold copy) are imported into a volume, the redo in FINAL from BASE's
// checkpoint on is fed to it, and every page that the volume gives at the end is compared with
// FINAL's file. Prints rates and memory; exit code 0 = something was compared and everything was
// equal.
//
// --chunk BYTES   payload bytes per chunk of the feed (default 262144)
// --volumes N     the same into N volumes of one store, one after the other: for measuring memory
// --verify        also: checks every version of every page
// --bench         also: parsing and grouping alone, and reads of pages that are in the cache
// --trust-index-load   take unlogged index builds as covered (their pages may come out unequal)
// --cache BYTES   page cache (default 64 MiB)      --no-compare   rates only
#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"
#include "common/runtime/asio/asio_world.h"
#include "pageserver/page/page_cache.h"
#include "pageserver/page/page_volume.h"
#include "pageserver/page/redo_grouper.h"
#include "pageserver/storage/memory_kv_store.h"
#include "pageserver/storage/rocksdb_kv_store.h"
#include "tests/tools/page_store.h"
#include "tests/tools/redo_source.h"

namespace redoubt::tools {
namespace {

struct Flags {
  std::string base;
  std::string final;
  std::string store = "rocksdb";
  std::string dir;
  size_t chunk_bytes = 256 << 10;
  size_t cache_bytes = 64 << 20;
  bool compare = true;
  bool trust_index_load = false;
  uint32_t volumes = 1;
  bool bench = false;
  bool verify = false;
};

// tidy: allow(clock): a measurement of real time
using Clock = std::chrono::steady_clock;
double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The redo of a directory at rest, handed out as fast as it is asked for.
class DirectoryFeed final : public RedoFeed {
 public:
  Status Load(const RedoSource& source, Lsn start, size_t chunk_bytes) {
    innodb::MtrAssembler assembler(start);
    Bytes all;
    std::vector<Lsn> starts;
    REDOUBT_RETURN_IF_ERROR(source.ReadFrom(start, [&](ByteView payload) {
      all.insert(all.end(), payload.begin(), payload.end());
      return assembler.Feed(payload, [&](const innodb::MtrView& mtr) {
        starts.push_back(mtr.start_lsn);
        return Status::Ok();
      });
    }));
    end_ = assembler.end_lsn();
    all.resize(innodb::ToSn(end_).value() - innodb::ToSn(start).value());
    size_t next_mtr = 0;
    for (size_t at = 0; at < all.size(); at += chunk_bytes) {
      const size_t bytes = std::min(chunk_bytes, all.size() - at);
      RedoChunk chunk;
      chunk.range = {innodb::AdvanceLsn(start, at), innodb::AdvanceLsn(start, at + bytes)};
      while (next_mtr < starts.size() && starts[next_mtr] < chunk.range.start) {
        ++next_mtr;
      }
      if (next_mtr < starts.size() && starts[next_mtr] < chunk.range.end) {
        chunk.first_mtr_lsn = starts[next_mtr];
      }
      const ByteView payload = ByteView(all).subspan(at, bytes);
      chunk.payload = std::make_shared<const Bytes>(payload.begin(), payload.end());
      chunk.payload_crc32c = Crc32c(payload);
      chunks_.push_back(std::move(chunk));
    }
    bytes_ = all.size();
    return Status::Ok();
  }
  Task<Result<FeedBatch>> Read(Lsn from, size_t bytes_max, TimePoint deadline) override {
    while (next_ < chunks_.size() && chunks_[next_].range.end <= from) {
      ++next_;
    }
    FeedBatch batch;
    size_t bytes = 0;
    for (size_t i = next_; i < chunks_.size() && bytes < bytes_max; ++i) {
      batch.chunks.push_back(chunks_[i]);
      bytes += chunks_[i].payload->size();
    }
    batch.commit_lsn = end_;
    if (batch.chunks.empty()) {
      co_await runtime->scheduler->SleepUntil(deadline);
    }
    co_return batch;
  }
  void Persisted(Lsn) override {}
  void Rewind() { next_ = 0; }
  const std::vector<RedoChunk>& chunks() const { return chunks_; }
  Lsn end() const { return end_; }
  size_t bytes() const { return bytes_; }

  Runtime* runtime = nullptr;

 private:
  std::vector<RedoChunk> chunks_;
  size_t next_ = 0;
  size_t bytes_ = 0;
  Lsn end_;
};

struct Counts {
  uint64_t compared = 0;
  uint64_t unequal = 0;
  uint64_t holes = 0;
  uint64_t free = 0;
  uint64_t missing = 0;
};

class Run {
 public:
  Run(Runtime* runtime, const Flags* flags) : runtime_(runtime), flags_(flags) {}

  Task<int> Main();

 private:
  Task<Status> Import(PageVolume* volume, PageStore* base, Lsn lsn);
  Task<Status> PutSpace(PageVolume* volume, const PageStore* base, const Space* space, Lsn lsn);
  static void Print(const char* what, const Status& status);
  static unsigned long long U(uint64_t number) { return number; }
  static void BenchGrouping(const DirectoryFeed& feed, Lsn start);
  static Task<void> BenchHotReads(PageVolume* volume);
  static Task<void> Verify(PageVolume* volume);
  Task<bool> Ingest(PageVolume* volume, const DirectoryFeed* feed);
  Task<int> OneVolume(KvStore* store, VolumeId id, DirectoryFeed* feed, PageStore* base,
                      Lsn checkpoint);
  Task<Status> Trust(PageVolume* volume, PageStore* original, Lsn lsn);
  Task<Status> Compare(PageVolume* volume, PageStore* original, Counts* counts);
  Task<Status> CompareSpace(PageVolume* volume, PageStore* original, const Space* space,
                            Counts* counts);
  void ComparePage(PageStore* original, const Space& space, PageNo page_no, const PageRead* read,
                   Counts* counts);

  Runtime* runtime_;
  const Flags* flags_;
};

Task<Status> Run::PutSpace(PageVolume* volume, const PageStore* base, const Space* space, Lsn lsn) {
  SpaceEventIn present;
  present.kind = SpaceEventKind::kPresent;
  present.space = space->id;
  present.lsn = lsn;
  present.path = space->name;
  present.flags = space->flags.raw;
  present.page_count = static_cast<uint32_t>(space->pages.size());
  std::vector<SpaceEventIn> events;
  events.push_back(present);
  if (!space->unsupported.empty()) {
    present.kind = SpaceEventKind::kUnsupported;
    present.reason = space->unsupported;
    events.push_back(present);
  }
  REDOUBT_CO_RETURN_IF_ERROR(co_await volume->PutSpaceEvents(std::move(events)));
  std::vector<Bytes> buffers;
  std::vector<PageImageIn> images;
  for (size_t i = 0; i < space->pages.size() && space->unsupported.empty(); ++i) {
    const PageId id{space->id, PageNo(static_cast<uint32_t>(i))};
    Bytes buffer;
    const ByteView page = base->Read(*space, id.page_no, &buffer);
    if (!innodb::IsZero(page) && !innodb::IsOldDoublewrite(id, base->page_size())) {
      buffers.emplace_back(page.begin(), page.end());
      images.push_back({id, innodb::PageLsnOf(page), ByteView(buffers.back())});
    }
    if (images.size() == 512 || i + 1 == space->pages.size()) {
      REDOUBT_CO_RETURN_IF_ERROR(co_await volume->PutImages(std::move(images)));
      images.clear();
      buffers.clear();
    }
  }
  co_return Status::Ok();
}

Task<Status> Run::Import(PageVolume* volume, PageStore* base, Lsn lsn) {
  for (auto& [id, space] : base->spaces()) {
    if (!innodb::IsTemporarySpace(id)) {
      REDOUBT_CO_RETURN_IF_ERROR(co_await PutSpace(volume, base, &space, lsn));
    }
  }
  co_return co_await volume->SetHorizon(lsn);
}

// Says of every space that the images of its unlogged pages are there.
Task<Status> Run::Trust(PageVolume* volume, PageStore* original, Lsn lsn) {
  std::vector<SpaceEventIn> events;
  for (const auto& [id, space] : original->spaces()) {
    SpaceEventIn event;
    event.kind = SpaceEventKind::kImagesComplete;
    event.space = id;
    event.lsn = lsn;
    event.hole_start = lsn;
    events.push_back(event);
  }
  co_return co_await volume->PutSpaceEvents(std::move(events));
}

void Run::ComparePage(PageStore* original, const Space& space, PageNo page_no, const PageRead* read,
                      Counts* counts) {
  const PageId id{space.id, page_no};
  if (innodb::IsOldDoublewrite(id, original->page_size())) {
    return;
  }
  Bytes buffer;
  const ByteView theirs = original->Read(space, page_no, &buffer);
  const Bytes zero(original->page_size());
  ByteView mine = zero;
  if (read != nullptr && read->status.code() == StatusCode::kHole) {
    ++counts->holes;
    return;
  }
  if (read != nullptr && read->image != nullptr) {
    mine = *read->image;
  }
  const innodb::PageDifference difference = innodb::ComparePages(mine, theirs, id);
  const bool failed = read != nullptr && !read->status.ok();
  if (!difference.equal() || failed) {
    Bytes xdes;
    if (innodb::IsPageFree(
            original->Read(space, innodb::XdesPageOf(page_no, original->page_size()), &xdes),
            page_no)) {
      ++counts->free;
      return;
    }
    if (++counts->unequal <= 20) {
      std::printf("UNEQUAL %s page %s: %u bytes differ%s %s\n", space.name.c_str(),
                  ToString(id).c_str(), difference.count, read == nullptr ? ", not there" : "",
                  failed ? read->status.ToString().c_str() : "");
    }
  }
  ++counts->compared;
}

Task<Status> Run::CompareSpace(PageVolume* volume, PageStore* original, const Space* space,
                               Counts* counts) {
  size_t next = 0;  // pages of the file that were compared
  PageNo first;
  for (bool done = false; !done;) {
    const Result<ScanOutcome> scan = co_await volume->Scan(space->id, Lsn{}, first, 512);
    if (!scan.ok()) {
      co_return scan.status();
    }
    for (const ScannedPage& page : scan->pages) {
      for (; next < page.page_no.value() && next < space->pages.size(); ++next) {
        ComparePage(original, *space, PageNo(static_cast<uint32_t>(next)), nullptr, counts);
      }
      if (next < space->pages.size()) {
        ComparePage(original, *space, page.page_no, &page.read, counts);
        ++next;
      }
    }
    first = scan->next_page_no;
    done = scan->done;
  }
  for (; next < space->pages.size(); ++next) {
    ComparePage(original, *space, PageNo(static_cast<uint32_t>(next)), nullptr, counts);
  }
  co_return Status::Ok();
}

Task<Status> Run::Compare(PageVolume* volume, PageStore* original, Counts* counts) {
  for (auto& [id, space] : original->spaces()) {
    if (innodb::IsTemporarySpace(id)) {
      continue;
    }
    const Status status = co_await CompareSpace(volume, original, &space, counts);
    if (!status.ok()) {
      std::printf("space %u %s: %s\n", id.value(), space.name.c_str(), status.ToString().c_str());
      ++counts->missing;
    }
  }
  co_return Status::Ok();
}

void Run::Print(const char* what, const Status& status) {
  std::fprintf(stderr, "volume_rebuild: %s: %s\n", what, status.ToString().c_str());
}

// Parsing and grouping alone, on one core.
void Run::BenchGrouping(const DirectoryFeed& feed, Lsn start) {
  const double cpu_before = CpuSeconds();
  RedoGrouper grouper(start);
  uint64_t records = 0;
  uint64_t encoded = 0;
  for (const RedoChunk& chunk : feed.chunks()) {
    RedoPiece piece;
    const ByteView payload(*chunk.payload);
    const Status status = grouper.Take({&payload, 1}, &piece);
    REDOUBT_CHECK(status.ok());
    encoded += piece.body.size();
    records += piece.runs.size();
  }
  const double seconds = CpuSeconds() - cpu_before;
  const double megabytes = static_cast<double>(feed.bytes()) / 1e6;
  std::printf("parse and group: %.1f MB in %.2f s = %.0f MB/s, %llu runs, %.2f bytes per byte\n",
              megabytes, seconds, megabytes / seconds, U(records),
              static_cast<double>(encoded) / static_cast<double>(feed.bytes()));
}

// Reads of the same 16 pages, all in the cache.
Task<void> Run::BenchHotReads(PageVolume* volume) {
  constexpr int kRounds = 100'000;
  std::vector<PageId> pages;
  for (uint32_t i = 0; i < 16; ++i) {
    pages.push_back({SpaceId(0), PageNo(i % 8)});
  }
  const double cpu_before = CpuSeconds();
  uint64_t found = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<PageId> asked = pages;
    const Result<std::vector<PageRead>> reads =
        co_await volume->GetPages(std::move(asked), Lsn{}, Lsn{}, kNever);
    found += reads.ok() && reads->front().image != nullptr ? 1 : 0;
  }
  const double seconds = CpuSeconds() - cpu_before;
  std::printf("hot reads of 16 pages: %.0f ns per page, %llu found\n", seconds * 1e9 / kRounds / 16,
              U(found));
}

// Pulls the feed's redo into the volume; false when it could not.
Task<bool> Run::Ingest(PageVolume* volume, const DirectoryFeed* feed) {
  const size_t resident_before = ResidentBytes();
  size_t resident_most = resident_before;
  const auto begin = Clock::now();
  const double cpu_before = CpuSeconds();
  const Status started = co_await volume->Start();
  if (!started.ok()) {
    Print("start", started);
    co_return false;
  }
  for (;;) {
    const TimePoint soon = runtime_->scheduler->Now() + std::chrono::milliseconds(20);
    const Status applied = co_await volume->WaitApplied(feed->end(), soon);
    resident_most = std::max(resident_most, ResidentBytes());
    if (applied.ok()) {
      break;
    }
    if (!volume->status().ingest_error.empty()) {
      std::fprintf(stderr, "%s\n", volume->status().ingest_error.c_str());
      co_return false;
    }
  }
  const double seconds = Seconds(begin);
  const double megabytes = static_cast<double>(feed->bytes()) / 1e6;
  std::printf(
      "redo %.1f MB applied in %.2f s = %.0f MB/s, cpu %.2f s, backlog %.1f MB; resident before "
      "%.0f MB, most %.0f MB\n",
      megabytes, seconds, megabytes / seconds, CpuSeconds() - cpu_before,
      static_cast<double>(volume->status().chain_backlog_bytes) / 1e6,
      static_cast<double>(resident_before) / 1e6, static_cast<double>(resident_most) / 1e6);
  co_return true;
}

Task<void> Run::Verify(PageVolume* volume) {
  const double cpu_before = CpuSeconds();
  uint64_t pages = 0;
  uint64_t versions = 0;
  uint64_t problems = 0;
  const Result<std::vector<SpaceState>> spaces = co_await volume->ListSpaces(Lsn{});
  REDOUBT_CHECK(spaces.ok());
  for (const SpaceState& space : *spaces) {
    PageNo next;
    for (bool done = !space.unsupported_reason.empty(); !done;) {
      const Result<VerifyOutcome> outcome = co_await volume->Verify(space.space, next, 1000);
      REDOUBT_CHECK(outcome.ok());
      pages += outcome->pages_checked;
      versions += outcome->versions_checked;
      for (const auto& [page_no, status] : outcome->problems) {
        if (++problems <= 5) {
          std::printf("problem: %s page %u: %s\n", space.path.c_str(), page_no.value(),
                      status.ToString().c_str());
        }
      }
      next = outcome->next_page_no;
      done = outcome->done;
    }
  }
  std::printf("verified %llu pages, %llu versions, %llu problems, cpu %.2f s\n", U(pages),
              U(versions), U(problems), CpuSeconds() - cpu_before);
}

Task<int> Run::OneVolume(KvStore* store, VolumeId id, DirectoryFeed* feed, PageStore* base,
                         Lsn checkpoint) {
  PageCache cache(flags_->cache_bytes);
  PageVolumeOptions options;
  options.volume = id;
  options.page_size = base->page_size();
  auto begin = Clock::now();
  {
    // Images first; then the volume is started.
    PageVolume volume(runtime_, store, &cache, feed, options);
    const Status imported = co_await Import(&volume, base, checkpoint);
    if (!imported.ok()) {
      Print("import", imported);
      co_return 2;
    }
    if (flags_->trust_index_load) {
      Result<PageStore> original = PageStore::Open(flags_->final);
      const Status trusted = co_await Trust(&volume, &*original, feed->end());
      REDOUBT_CHECK(trusted.ok());
    }
  }
  std::printf("volume %u: import %.2f s; ", id.value(), Seconds(begin));
  PageVolume volume(runtime_, store, &cache, feed, options);
  const bool ingested = co_await Ingest(&volume, feed);
  if (!ingested) {
    co_return 2;
  }
  Counts counts;
  if (flags_->compare) {
    Result<PageStore> original = PageStore::Open(flags_->final);
    begin = Clock::now();
    const double cpu_before = CpuSeconds();
    const Status compared = co_await Compare(&volume, &*original, &counts);
    REDOUBT_CHECK(compared.ok());
    std::printf(
        "compared %llu unequal %llu holes %llu free %llu spaces missing %llu in %.2f s, cpu %.2f "
        "s\n",
        U(counts.compared), U(counts.unequal), U(counts.holes), U(counts.free), U(counts.missing),
        Seconds(begin), CpuSeconds() - cpu_before);
  }
  if (flags_->bench) {
    co_await BenchHotReads(&volume);
  }
  if (flags_->verify) {
    co_await Verify(&volume);
  }
  begin = Clock::now();
  const uint64_t images = volume.status().materialized_images;
  co_await volume.Stop();
  std::printf("images made %llu, stop %.2f s\n", U(images), Seconds(begin));
  co_return counts.unequal == 0 && (counts.compared > 0 || !flags_->compare) ? 0 : 1;
}

Task<int> Run::Main() {
  Result<PageStore> base = PageStore::Open(flags_->base);
  const Result<RedoSource> base_redo = RedoSource::Open(flags_->base);
  const Result<RedoSource> redo = RedoSource::Open(flags_->final);
  for (const Status& status : {base.status(), base_redo.status(), redo.status()}) {
    if (!status.ok()) {
      Print("input", status);
      co_return 2;
    }
  }
  DirectoryFeed feed;
  feed.runtime = runtime_;
  const Lsn checkpoint = base_redo->checkpoint_lsn();
  const Status loaded = feed.Load(*redo, *redo->FirstMtr(checkpoint), flags_->chunk_bytes);
  if (!loaded.ok()) {
    Print("redo", loaded);
    co_return 2;
  }
  if (flags_->bench) {
    BenchGrouping(feed, *redo->FirstMtr(checkpoint));
  }
  const RocksdbKvStoreOptions rocksdb;
  Task<Result<std::unique_ptr<KvStore>>> open =
      flags_->store == "memory" ? MemoryKvStore::Open(runtime_, flags_->dir)
                                : RocksdbKvStore::Open(runtime_, flags_->dir, rocksdb);
  Result<std::unique_ptr<KvStore>> store = co_await open;
  if (!store.ok()) {
    Print("store", store.status());
    co_return 2;
  }
  int code = 0;
  for (uint32_t number = 1; number <= flags_->volumes && code == 0; ++number) {
    feed.Rewind();
    code = co_await OneVolume(store->get(), VolumeId(number), &feed, &*base, checkpoint);
  }
  const Status closed = co_await (*store)->Close();
  REDOUBT_CHECK(closed.ok());
  co_return code;
}

int Main(int argc, char** argv) {
  // As a server does that counts its memory: large blocks go back to the system when freed, and
  // threads share arenas.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const bool more = i + 1 < argc;
    if (arg == "--base" && more) {
      flags.base = argv[++i];
    } else if (arg == "--final" && more) {
      flags.final = argv[++i];
    } else if (arg == "--store" && more) {
      flags.store = argv[++i];
    } else if (arg == "--dir" && more) {
      flags.dir = argv[++i];
    } else if (arg == "--chunk" && more) {
      flags.chunk_bytes = std::strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--cache" && more) {
      flags.cache_bytes = std::strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--volumes" && more) {
      flags.volumes = static_cast<uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (arg == "--verify") {
      flags.verify = true;
    } else if (arg == "--bench") {
      flags.bench = true;
    } else if (arg == "--trust-index-load") {
      flags.trust_index_load = true;
    } else if (arg == "--no-compare") {
      flags.compare = false;
    } else {
      std::fprintf(stderr, "volume_rebuild: unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  const bool temporary = flags.dir.empty();
  if (temporary) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "volume_rebuild_XXXXXX").string();
    flags.dir = mkdtemp(pattern.data());
  }
  int code = 0;
  {
    AsioWorld world;
    Run run(&world.runtime(), &flags);
    code = world.Run(run.Main());
  }
  if (temporary) {
    std::filesystem::remove_all(flags.dir);
  }
  return code;
}

}  // namespace
}  // namespace redoubt::tools

int main(int argc, char** argv) { return redoubt::tools::Main(argc, argv); }
