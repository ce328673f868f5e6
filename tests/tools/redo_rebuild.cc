// SPDX-License-Identifier: MIT
//
// redo_rebuild --base DIR --final DIR: does our reading of the redo agree with the server's?
//
// BASE is a copy of a data directory (cold, crashed, or taken while the server ran); FINAL is the
// same directory after a clean shutdown. The redo in FINAL from BASE's checkpoint on is applied to
// BASE's pages; then every page of every persistent tablespace of FINAL is compared with the
// rebuilt one, masking only what README.md of common/innodb lists. Exit code 0 = something was
// compared and everything was equal.
//
// --check-each-mtr   check list, directory and heap of every index page after every mtr that
// touched it
// --parse-only       only read, check and parse FINAL's redo, from FINAL's own first readable block
// on
// --from-start       with --parse-only: from the oldest block of the files instead of the
// checkpoint
// --bench            first read, check and parse the same redo without applying it
// --json             one line of JSON instead of text
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"
#include "tests/tools/page_store.h"
#include "tests/tools/rebuilder.h"
#include "tests/tools/redo_source.h"

namespace redoubt::tools {
namespace {

using namespace innodb;  // NOLINT: a tool about nothing else

struct Flags {
  std::string base;
  std::string final;
  std::string redo;  // where the redo is read from; empty = final
  bool json = false;
  bool check_each_mtr = false;
  bool parse_only = false;
  bool from_start = false;
  bool bench = false;
};

struct Comparison {
  uint64_t spaces = 0;
  uint64_t compared = 0;
  uint64_t equal = 0;
  uint64_t unequal = 0;
  uint64_t unequal_unlogged = 0;  // in spaces that redo alone cannot rebuild
  uint64_t touched = 0;
  uint64_t free = 0;
  uint64_t skipped = 0;      // old doublewrite area
  uint64_t transformed = 0;  // compressed or encrypted in the file: the page itself is not visible
  uint64_t corrupt = 0;      // pages of FINAL that fail their checksum
  uint64_t lsn_behind = 0;   // FINAL's page LSN below ours: must not happen
  uint64_t lsn_ahead = 0;
  uint64_t stamp_checked = 0;
  uint64_t stamp_unequal = 0;  // same LSN, same bytes, but another stamp
  uint64_t masked_bytes = 0;
};

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

class Comparer {
 public:
  // `only_touched`: leave out pages that no redo built.
  Comparer(PageStore* rebuilt, PageStore* original, bool only_touched)
      : rebuilt_(rebuilt), original_(original), only_touched_(only_touched) {}

  void Run() {
    for (auto& [id, space] : original_->spaces()) {
      if (IsTemporarySpace(id)) {
        continue;
      }
      if (!space.unsupported.empty()) {
        std::printf("space %u %s is not compared: %s\n", id.value(), space.name.c_str(),
                    space.unsupported.c_str());
        continue;
      }
      ++result_.spaces;
      for (size_t i = 0; i < space.pages.size(); ++i) {
        ComparePage(space, PageNo(static_cast<uint32_t>(i)));
      }
    }
  }
  const Comparison& result() const { return result_; }

 private:
  void ComparePage(const Space& space, PageNo page_no) {
    const PageId id{space.id, page_no};
    const uint32_t page_size = original_->page_size();

    if (IsOldDoublewrite(id, page_size)) {
      ++result_.skipped;
      return;
    }
    const ByteView theirs = original_->Read(space, page_no, &theirs_buffer_);
    const PageState state = VerifyPage(theirs);
    if (state == PageState::kCompressed || state == PageState::kEncrypted) {
      ++result_.transformed;
      return;
    }
    const Space* ours = rebuilt_->Find(space.id);
    static const Space kNone;
    const ByteView mine = rebuilt_->Read(ours == nullptr ? kNone : *ours, page_no, &mine_buffer_);
    const bool broken = ours != nullptr && page_no.value() < ours->pages.size() &&
                        ours->pages[page_no.value()].broken;
    const bool touched = ours != nullptr && page_no.value() < ours->pages.size() &&
                         ours->pages[page_no.value()].applied_end != Lsn(0);
    if (only_touched_ && (!touched || broken)) {
      return;
    }
    const PageDifference difference = ComparePages(mine, theirs, id);
    if (!difference.equal() &&
        IsPageFree(original_->Read(space, XdesPageOf(page_no, page_size), &xdes_buffer_),
                   page_no)) {
      ++result_.free;
      return;
    }
    ++result_.compared;
    result_.touched += touched ? 1 : 0;
    result_.masked_bytes += difference.masked_count;
    result_.corrupt += state == PageState::kCorrupt ? 1 : 0;
    if (!difference.equal() || broken) {
      Report(space, id, mine, theirs, difference, ours);
      return;
    }
    ++result_.equal;
    if (touched) {
      CompareStamps(mine, theirs, difference);
    }
  }

  void CompareStamps(ByteView mine, ByteView theirs, const PageDifference& difference) {
    const Lsn ours = PageLsnOf(mine);
    const Lsn original = PageLsnOf(theirs);
    result_.lsn_behind += original < ours ? 1 : 0;
    result_.lsn_ahead += original > ours ? 1 : 0;
    // A server may be told to write another checksum than crc32, or none.
    const bool crc32 = LoadBe32(theirs.data() + kPageChecksumOffset) == PageChecksum(theirs);
    if (ours != original || difference.masked_count != 0 || !crc32) {
      return;
    }
    Bytes stamped(mine.begin(), mine.end());
    StampPage(stamped, ours);
    ++result_.stamp_checked;
    result_.stamp_unequal += AsText(stamped) == AsText(theirs) ? 0 : 1;
  }

  // Spaces whose pages redo alone cannot rebuild: an index was built unlogged, which
  // MLOG_INDEX_LOAD announces except for the auxiliary tables of a FULLTEXT index; or the space was
  // imported.
  static bool HasUnloggedPages(const Space* ours) {
    return ours != nullptr &&
           (ours->index_loaded || ours->imported || ours->name.find("/fts_0") != std::string::npos);
  }

  void Report(const Space& space, PageId id, ByteView mine, ByteView theirs,
              const PageDifference& difference, const Space* ours) {
    const bool unlogged = HasUnloggedPages(ours);
    ++(unlogged ? result_.unequal_unlogged : result_.unequal);
    if (++reported_ > 40) {
      return;
    }
    std::printf("%s %s page %s type %s (rebuilt %s) LSN %llu (rebuilt %llu): %u bytes differ",
                unlogged ? "unlogged-space" : "UNEQUAL", space.name.c_str(), ToString(id).c_str(),
                PageTypeName(PageTypeOf(theirs)).c_str(), PageTypeName(PageTypeOf(mine)).c_str(),
                static_cast<unsigned long long>(PageLsnOf(theirs).value()),
                static_cast<unsigned long long>(PageLsnOf(mine).value()), difference.count);
    for (const uint32_t offset : difference.offsets) {
      std::printf(" %u:%02x/%02x", offset, mine[offset], theirs[offset]);
    }
    std::printf("\n");
  }

  PageStore* rebuilt_;
  PageStore* original_;
  bool only_touched_;
  Bytes mine_buffer_;
  Bytes theirs_buffer_;
  Bytes xdes_buffer_;
  Comparison result_;
  uint64_t reported_ = 0;
};

// Reads and parses, and calls `sink` for each mtr.
template <typename Sink>
Status Replay(const RedoSource& source, Lsn start, uint64_t* bytes, Lsn* end, Sink&& sink) {
  MtrAssembler assembler(start);
  REDOUBT_RETURN_IF_ERROR(source.ReadFrom(start, [&](ByteView payload) {
    *bytes += payload.size();
    return assembler.Feed(payload, sink);
  }));
  *end = assembler.end_lsn();
  return Status::Ok();
}

int Fail(const Status& status) {
  std::fprintf(stderr, "redo_rebuild: %s\n", status.ToString().c_str());
  return 2;
}

int ParseOnly(const Flags& flags) {
  const Result<RedoSource> source = RedoSource::Open(flags.final);
  if (!source.ok()) {
    return Fail(source.status());
  }
  Lsn from = source->checkpoint_lsn();
  if (!flags.base.empty()) {
    const Result<RedoSource> base = RedoSource::Open(flags.base);
    if (!base.ok()) {
      return Fail(base.status());
    }
    from = base->checkpoint_lsn();
  }
  const Result<Lsn> start = source->FirstMtr(flags.from_start ? source->start_lsn() : from);
  if (!start.ok()) {
    return Fail(start.status());
  }
  uint64_t bytes = 0;
  uint64_t mtrs = 0;
  uint64_t records = 0;
  Lsn end;
  const auto begin = std::chrono::steady_clock::now();
  const Status status = Replay(*source, *start, &bytes, &end, [&](const MtrView& mtr) {
    ++mtrs;
    records += mtr.records.size();
    return Status::Ok();
  });
  const double seconds = Seconds(begin);
  if (!status.ok()) {
    return Fail(status);
  }
  std::printf(
      "creator \"%s\" checkpoint %llu end %llu (%s): %llu bytes %llu mtrs %llu records in %.3f s "
      "= %.0f MB/s\n",
      source->creator().c_str(), static_cast<unsigned long long>(source->checkpoint_lsn().value()),
      static_cast<unsigned long long>(end.value()), source->end_reason().c_str(),
      static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(mtrs),
      static_cast<unsigned long long>(records), seconds,
      seconds > 0 ? static_cast<double>(bytes) / seconds / 1e6 : 0);
  return 0;
}

struct RunTotals {
  Lsn start;
  Lsn end;
  uint64_t bytes = 0;
  double seconds = 0;
  double cpu_seconds = 0;  // of this process: fair on a busy machine
};

void PrintText(const RunTotals& run, const Rebuilder& rebuilder, const Comparison& c) {
  const auto u = [](uint64_t v) { return static_cast<unsigned long long>(v); };
  const Rebuilder::Counts& n = rebuilder.counts();
  std::printf(
      "redo %llu .. %llu: %llu bytes, %llu mtrs, %llu records in %.3f s "
      "(%.3f s of CPU) = %.0f MB/s, %.2f M records/s\n",
      u(run.start.value()), u(run.end.value()), u(run.bytes), u(n.mtrs), u(n.records), run.seconds,
      run.cpu_seconds, static_cast<double>(run.bytes) / run.seconds / 1e6,
      static_cast<double>(n.records) / run.seconds / 1e6);
  std::printf(
      "applied %llu, skipped: by LSN %llu, no such space %llu, broken page %llu; inexact %llu; "
      "apply errors %llu; page checks %llu, failed %llu\n",
      u(n.applied), u(n.skipped_by_lsn), u(n.skipped_space), u(n.skipped_broken), u(n.inexact),
      u(rebuilder.apply_error_count()), u(n.checks), u(n.check_failures));
  for (const std::string& error : rebuilder.apply_errors()) {
    std::printf("  %s\n", error.c_str());
  }
  std::printf("types:");
  for (size_t type = 0; type < n.by_type.size(); ++type) {
    if (n.by_type[type] != 0) {
      std::printf(" %zu:%llu", type, u(n.by_type[type]));
    }
  }
  std::printf(
      "\nspaces %llu, pages compared %llu, equal %llu, unequal %llu, unequal in spaces with "
      "unlogged "
      "pages %llu, touched %llu\n",
      u(c.spaces), u(c.compared), u(c.equal), u(c.unequal), u(c.unequal_unlogged), u(c.touched));
  std::printf(
      "free and different %llu, old doublewrite %llu, compressed or encrypted %llu, final corrupt "
      "%llu, final LSN behind %llu, "
      "ahead %llu, stamps compared %llu unequal %llu, masked bytes %llu\n",
      u(c.free), u(c.skipped), u(c.transformed), u(c.corrupt), u(c.lsn_behind), u(c.lsn_ahead),
      u(c.stamp_checked), u(c.stamp_unequal), u(c.masked_bytes));
}

void PrintJson(const RunTotals& run, const Rebuilder& rebuilder, const Comparison& c) {
  const auto u = [](uint64_t v) { return static_cast<unsigned long long>(v); };
  const Rebuilder::Counts& n = rebuilder.counts();
  std::printf(
      "{\"start_lsn\":%llu,\"end_lsn\":%llu,\"redo_bytes\":%llu,\"mtrs\":%llu,\"records\":%llu,"
      "\"applied\":%llu,\"skipped_by_lsn\":%llu,\"skipped_space\":%llu,\"seconds\":%.3f,"
      "\"cpu_seconds\":%.3f,"
      "\"mb_per_second\":%.1f,\"apply_errors\":%llu,\"check_failures\":%llu,",
      u(run.start.value()), u(run.end.value()), u(run.bytes), u(n.mtrs), u(n.records), u(n.applied),
      u(n.skipped_by_lsn), u(n.skipped_space), run.seconds, run.cpu_seconds,
      static_cast<double>(run.bytes) / run.seconds / 1e6, u(rebuilder.apply_error_count()),
      u(n.check_failures));
  std::printf(
      "\"spaces\":%llu,\"compared\":%llu,\"equal\":%llu,\"unequal\":%llu,\"unequal_unlogged\":%llu,"
      "\"touched\":%llu,\"free_different\":%llu,\"lsn_behind\":%llu,\"stamp_checked\":%llu,"
      "\"stamp_unequal\":%llu}\n",
      u(c.spaces), u(c.compared), u(c.equal), u(c.unequal), u(c.unequal_unlogged), u(c.touched),
      u(c.free), u(c.lsn_behind), u(c.stamp_checked), u(c.stamp_unequal));
}

int Rebuild(const Flags& flags) {
  Result<PageStore> original = PageStore::Open(flags.final);
  const Result<RedoSource> redo = RedoSource::Open(flags.redo.empty() ? flags.final : flags.redo);
  for (const Status& status : {original.status(), redo.status()}) {
    if (!status.ok()) {
      return Fail(status);
    }
  }
  Result<PageStore> base =
      flags.from_start ? Result<PageStore>(original->EmptyCopy()) : PageStore::Open(flags.base);
  Lsn checkpoint = redo->start_lsn();
  if (!flags.from_start) {
    const Result<RedoSource> base_redo = RedoSource::Open(flags.base);
    if (!base.ok() || !base_redo.ok()) {
      return Fail(base.ok() ? base_redo.status() : base.status());
    }
    checkpoint = base_redo->checkpoint_lsn();
  }
  const Result<Lsn> start = redo->FirstMtr(checkpoint);
  if (!start.ok()) {
    return Fail(start.status());
  }
  Rebuilder rebuilder(&*base, {flags.check_each_mtr});
  RunTotals run;
  run.start = *start;
  const std::clock_t cpu_begin = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  const Status status = Replay(*redo, *start, &run.bytes, &run.end, [&](const MtrView& mtr) {
    // Everything before the checkpoint is in the files, file operations included.
    return mtr.start_lsn < checkpoint ? Status::Ok() : rebuilder.Apply(mtr);
  });
  run.seconds = Seconds(begin);
  run.cpu_seconds = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  if (!status.ok()) {
    return Fail(status);
  }
  Comparer comparer(&*base, &*original, flags.from_start);
  comparer.Run();
  const Comparison& c = comparer.result();
  (flags.json ? PrintJson : PrintText)(run, rebuilder, c);
  const bool good = c.compared > 0 && c.unequal == 0 && c.lsn_behind == 0 && c.stamp_unequal == 0 &&
                    rebuilder.counts().check_failures == 0;
  return good ? 0 : 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--base" && i + 1 < argc) {
      flags.base = argv[++i];
    } else if (arg == "--final" && i + 1 < argc) {
      flags.final = argv[++i];
    } else if (arg == "--redo" && i + 1 < argc) {
      flags.redo = argv[++i];
    } else if (arg == "--json") {
      flags.json = true;
    } else if (arg == "--check-each-mtr") {
      flags.check_each_mtr = true;
    } else if (arg == "--parse-only") {
      flags.parse_only = true;
    } else if (arg == "--bench") {
      flags.bench = true;
    } else if (arg == "--from-start") {
      flags.from_start = true;
    } else {
      std::fprintf(stderr, "redo_rebuild: unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  if (flags.final.empty() || (flags.base.empty() && !flags.parse_only && !flags.from_start)) {
    std::fprintf(
        stderr,
        "usage: redo_rebuild --base DIR --final DIR [--redo DIR] [--check-each-mtr] [--bench] "
        "[--json] | --parse-only --final DIR [--base DIR | --from-start] | "
        "--from-start --final DIR\n");
    return 2;
  }
  if (flags.parse_only || flags.bench) {
    const int result = ParseOnly(flags);
    if (flags.parse_only || result != 0) {
      return result;
    }
  }
  return Rebuild(flags);
}

}  // namespace
}  // namespace redoubt::tools

int main(int argc, char** argv) { return redoubt::tools::Main(argc, argv); }
