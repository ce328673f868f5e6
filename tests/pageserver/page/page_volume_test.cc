// SPDX-License-Identifier: MIT
//
// Goal: what a volume answers where there is no ordinary page to give: beyond applied, below the
// horizon, in holes, in spaces that are gone, unknown or cannot be followed; and what it keeps
// beside pages. Method: redo laid by hand, one machine, in-memory store.
#include "pageserver/page/page_volume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/innodb/redo_parser.h"
#include "pageserver/storage/keys.h"
#include "tests/pageserver/page/raw_records.h"
#include "tests/pageserver/page/volume_world.h"

namespace redoubt {
namespace {

using testing::HasSubstr;

constexpr Lsn kStart = innodb::ToLsn(Sn(100'000));
constexpr SpaceId kSpace{11};
constexpr PageId kPage{kSpace, PageNo(3)};

class PageVolumeTest : public testing::Test {
 protected:
  void SetUp() override {
    world.options.page_size = 4096;
    world.Open();
  }
  LsnRange Create(SpaceId space, std::string_view path, uint32_t flags = 0) {
    mtr.FileCreate(space, flags, path);
    const LsnRange created = redo.Add(&mtr);
    mtr.InitPage({space, PageNo(0)});
    mtr.WriteNumber({space, PageNo(0)}, innodb::kFspSizeOffset, 4, 7);
    redo.Add(&mtr);
    return created;
  }
  LsnRange Init(PageId page) {
    mtr.InitPage(page);
    return redo.Add(&mtr);
  }
  LsnRange Write(PageId page, uint32_t value) {
    mtr.WriteNumber(page, 100, 4, value);
    return redo.Add(&mtr);
  }
  void SendAndApply() {
    redo.Send();
    world.WaitApplied(redo.end());
  }
  uint32_t ValueOf(const PageRead& read) {
    EXPECT_TRUE(read.status.ok()) << read.status.ToString();
    EXPECT_NE(read.image, nullptr);
    return read.image == nullptr ? 0 : LoadBe32(read.image->data() + 100);
  }
  uint32_t ValueAt(PageId page, Lsn lsn) { return ValueOf(world.GetOne(page, lsn)); }
  SpaceEventIn Event(SpaceEventKind kind, SpaceId space, Lsn lsn) {
    SpaceEventIn event;
    event.kind = kind;
    event.space = space;
    event.lsn = lsn;
    event.path = "./db/t.ibd";
    event.page_count = 7;
    return event;
  }
  // Values of the delta family; what is still in memory does not count.
  int StoredDeltas(SpaceId space) {
    int count = 0;
    const std::unique_ptr<KvIterator> at = world.store->NewIterator(KvFamily::kDelta);
    for (at->Seek(VolumePrefix(world.options.volume)); at->Valid(); at->Next()) {
      const auto key = DecodeDeltaKey(at->key());
      EXPECT_TRUE(key.has_value());
      count += key.has_value() && key->page.space == space ? 1 : 0;
    }
    return count;
  }
  std::vector<SpaceState> Spaces(Lsn lsn) {
    Result<std::vector<SpaceState>> spaces = world.node.Await(world.volume->ListSpaces(lsn));
    EXPECT_TRUE(spaces.ok()) << spaces.status().ToString();
    return spaces.ok() ? *spaces : std::vector<SpaceState>();
  }

  VolumeWorld world;
  RedoWriter redo{&world.feed, kStart};
  sim::MtrEncoder mtr;
};

TEST_F(PageVolumeTest, AReadBeyondAppliedWaitsToItsDeadlineAndNamesBoth) {
  Create(kSpace, "./db/t.ibd");
  SendAndApply();
  const Lsn wanted(redo.end().value() + 10'000);
  const PageRead read = world.GetOne(kPage, wanted);
  EXPECT_EQ(read.status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(read.status.message(), HasSubstr(std::to_string(wanted.value())));
  EXPECT_THAT(read.status.message(), HasSubstr(std::to_string(redo.end().value())));
}

TEST_F(PageVolumeTest, NotModifiedSinceSparesTheWait) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange wrote = Write(kPage, 5);
  SendAndApply();
  const Lsn far(redo.end().value() + 1'000'000);
  Result<std::vector<PageRead>> reads =
      world.node.Await(world.volume->GetPages({kPage}, far, wrote.end, world.Soon()));
  ASSERT_TRUE(reads.ok()) << reads.status().ToString();
  EXPECT_EQ(ValueOf(reads->front()), 5U);
}

TEST_F(PageVolumeTest, AWaitingReadIsAnsweredWhenItsRedoComes) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  SendAndApply();
  const LsnRange wrote = Write(kPage, 9);
  bool answered = false;
  struct Waiter {
    static Task<void> Run(PageVolume* volume, Lsn lsn, TimePoint deadline, bool* answered) {
      std::vector<PageId> pages{kPage};
      Result<std::vector<PageRead>> reads =
          co_await volume->GetPages(std::move(pages), lsn, Lsn{}, deadline);
      EXPECT_TRUE(reads.ok());
      EXPECT_EQ(LoadBe32(reads->front().image->data() + 100), 9U);
      *answered = true;
    }
  };
  world.node.Spawn(Waiter::Run(world.volume.get(), wrote.end, world.Soon(), &answered));
  world.node.RunFor(std::chrono::milliseconds(100));
  EXPECT_FALSE(answered);
  redo.Send();
  world.node.RunFor(std::chrono::seconds(2));
  EXPECT_TRUE(answered);
}

TEST_F(PageVolumeTest, AnMtrIsVisibleWholeOrNotAtAll) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const PageId other{kSpace, PageNo(4)};
  Init(other);
  mtr.WriteNumber(kPage, 100, 4, 1);
  mtr.WriteNumber(other, 100, 4, 1);
  const LsnRange both = redo.Add(&mtr);
  SendAndApply();
  const Lsn inside(both.end.value() - 1);
  EXPECT_EQ(ValueAt(kPage, inside), 0U);
  EXPECT_EQ(ValueAt(other, inside), 0U);
  EXPECT_EQ(ValueAt(kPage, both.end), 1U);
  EXPECT_EQ(ValueAt(other, both.end), 1U);
}

TEST_F(PageVolumeTest, PagesHaveAValidStamp) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange wrote = Write(kPage, 5);
  SendAndApply();
  const PageRead read = world.GetOne(kPage, Lsn{});
  ASSERT_NE(read.image, nullptr);
  EXPECT_EQ(read.page_lsn, wrote.end);
  EXPECT_EQ(innodb::PageLsnOf(*read.image), wrote.end);
  EXPECT_EQ(innodb::VerifyPage(*read.image), innodb::PageState::kOk);
}

TEST_F(PageVolumeTest, NeverWrittenPagesAreZeroesInsideTheSpaceAndNotFoundBeyond) {
  Create(kSpace, "./db/t.ibd");
  redo.AddBytes(FileExtendMtr(kSpace, 7 * 4096, 3 * 4096));
  SendAndApply();
  const PageRead inside = world.GetOne({kSpace, PageNo(9)}, Lsn{});
  EXPECT_TRUE(inside.status.ok()) << inside.status.ToString();
  EXPECT_EQ(inside.image, nullptr);
  EXPECT_EQ(inside.page_lsn, Lsn{});
  EXPECT_EQ(world.GetOne({kSpace, PageNo(10)}, Lsn{}).status.code(), StatusCode::kNotFound);
  EXPECT_EQ(world.GetOne({SpaceId(999), PageNo(0)}, Lsn{}).status.code(), StatusCode::kNotFound);
}

TEST_F(PageVolumeTest, ListsSpacesAsOfAnLsn) {
  const LsnRange created = Create(kSpace, "./db/t.ibd");
  SendAndApply();
  const Lsn before_rename = redo.end();
  redo.AddBytes(FileRenameMtr(kSpace, "./db/t.ibd", "./db/u.ibd"));
  redo.AddBytes(FileExtendMtr(kSpace, 7 * 4096, 2 * 4096));
  const LsnRange deleted = redo.AddBytes(FileDeleteMtr(kSpace, "./db/u.ibd"));
  SendAndApply();
  EXPECT_TRUE(Spaces(created.start).empty());
  ASSERT_EQ(Spaces(before_rename).size(), 1U);
  EXPECT_EQ(Spaces(before_rename)[0].path, "./db/t.ibd");
  EXPECT_EQ(Spaces(before_rename)[0].page_count, 7U);
  EXPECT_EQ(Spaces(before_rename)[0].created, created.end);
  ASSERT_EQ(Spaces(deleted.start).size(), 1U);
  EXPECT_EQ(Spaces(deleted.start)[0].path, "./db/u.ibd");
  EXPECT_EQ(Spaces(deleted.start)[0].page_count, 9U);
  EXPECT_TRUE(Spaces(deleted.end).empty());
}

TEST_F(PageVolumeTest, ADroppedSpaceIsGoneFromThereOnAndStaysBefore) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  Write(kPage, 5);
  const LsnRange deleted = redo.AddBytes(FileDeleteMtr(kSpace, "./db/t.ibd"));
  SendAndApply();
  EXPECT_EQ(ValueAt(kPage, deleted.start), 5U);
  const PageRead after = world.GetOne(kPage, deleted.end);
  EXPECT_EQ(after.status.code(), StatusCode::kNotFound);
  EXPECT_THAT(after.status.message(), HasSubstr(std::to_string(deleted.end.value())));
}

TEST_F(PageVolumeTest, AnImportedSpaceOfADroppedIdShowsNothingOfTheOldOne) {
  Create(kSpace, "./db/t.ibd");
  const PageId old_only{kSpace, PageNo(4)};
  Init(kPage);
  Write(kPage, 5);
  Init(old_only);
  Write(old_only, 6);
  const LsnRange deleted = redo.AddBytes(FileDeleteMtr(kSpace, "./db/t.ibd"));
  mtr.InitPage({SpaceId(12), PageNo(1)});
  redo.Add(&mtr);
  SendAndApply();
  EXPECT_EQ(ValueAt(old_only, deleted.start), 6U);  // now in the cache
  const Lsn imported = redo.end();
  ASSERT_TRUE(world.PutImage(kPage, imported, StampedPage(kPage, 4096, imported, 0x22)).ok());
  ASSERT_TRUE(world.PutEvent(Event(SpaceEventKind::kPresent, kSpace, imported)).ok());
  const LsnRange wrote = Write(kPage, 7);
  SendAndApply();
  EXPECT_EQ(ValueAt(kPage, wrote.start), 0x22222222U);
  EXPECT_EQ(ValueAt(kPage, wrote.end), 7U);
  const PageRead gone = world.GetOne(old_only, wrote.end);
  EXPECT_TRUE(gone.status.ok()) << gone.status.ToString();
  EXPECT_EQ(gone.image, nullptr);
  EXPECT_EQ(ValueAt(kPage, deleted.start), 5U);
}

TEST_F(PageVolumeTest, AnUndoSpaceBeginsWithItsFirstInitialisedPage) {
  const PageId undo{innodb::kMaxUndoSpace, PageNo(1)};
  const LsnRange first = Init(undo);
  SendAndApply();
  EXPECT_TRUE(Spaces(first.start).empty());
  ASSERT_EQ(Spaces(first.end).size(), 1U);
  EXPECT_EQ(Spaces(first.end)[0].space, innodb::kMaxUndoSpace);
}

TEST_F(PageVolumeTest, SpacesThatCannotBeFollowedSaySoAndHoldNobodyUp) {
  Create(SpaceId(20), "./db/zip.ibd", 4U << 1);
  Create(SpaceId(21), "./db/crypt.ibd", 1U << 13);
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  Write(kPage, 5);
  SendAndApply();
  for (const uint32_t space : {20U, 21U}) {
    const PageRead read = world.GetOne({SpaceId(space), PageNo(0)}, Lsn{});
    EXPECT_EQ(read.status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(read.status.message(), HasSubstr("./db/"));
  }
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 5U);
  EXPECT_EQ(world.volume->status().unsupported_space_count, 2U);
}

TEST_F(PageVolumeTest, RedoThatNobodyCanEverReadIsNotStored) {
  const SpaceId zip(20);
  const SpaceId encrypted(21);
  const PageId zip_page{zip, PageNo(3)};
  const LsnRange created = Create(zip, "./db/zip.ibd", 4U << 1);
  Create(encrypted, "./db/crypt.ibd", 1U << 13);
  Create(kSpace, "./db/t.ibd");
  for (const SpaceId space : {zip, encrypted, kSpace}) {
    Init({space, PageNo(3)});
    Write({space, PageNo(3)}, 5);
  }
  SendAndApply();
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(Spaces(Lsn{created.end}).front().unsupported_from, created.end);
    EXPECT_EQ(world.GetOne(zip_page, Lsn{}).status.code(), StatusCode::kUnsupported);
    EXPECT_EQ(ValueAt(kPage, Lsn{}), 5U);
    world.Close();
    world.Open();
  }
  EXPECT_EQ(StoredDeltas(zip), 0);
  EXPECT_GT(StoredDeltas(encrypted), 0) << "it may be decrypted and imported again";
  EXPECT_GT(StoredDeltas(kSpace), 0);
  // The id comes back with another file (DISCARD and IMPORT TABLESPACE), which can be followed.
  redo.AddBytes(FileDeleteMtr(zip, "./db/zip.ibd"));
  Create(zip, "./db/zip.ibd");
  Init(zip_page);
  Write(zip_page, 6);
  SendAndApply();
  EXPECT_EQ(ValueAt(zip_page, Lsn{}), 6U);
  world.Close();
  world.Open();
  EXPECT_GT(StoredDeltas(zip), 0);
  EXPECT_EQ(ValueAt(zip_page, Lsn{}), 6U);
}

TEST_F(PageVolumeTest, UnsupportedHoldsFromItsLsnUntilSupported) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange wrote = Write(kPage, 5);
  const LsnRange later = Write(kPage, 6);
  SendAndApply();
  SpaceEventIn event = Event(SpaceEventKind::kUnsupported, kSpace, later.end);
  event.reason = "page compression";
  ASSERT_TRUE(world.PutEvent(event).ok());
  EXPECT_EQ(ValueAt(kPage, wrote.end), 5U);
  const PageRead read = world.GetOne(kPage, later.end);
  EXPECT_EQ(read.status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(read.status.message(), HasSubstr("page compression"));
  ASSERT_TRUE(world.PutEvent(Event(SpaceEventKind::kSupported, kSpace, later.end)).ok());
  EXPECT_EQ(ValueAt(kPage, later.end), 6U);
}

TEST_F(PageVolumeTest, AChainWithoutABaseIsAHoleAndAsksForImages) {
  ASSERT_TRUE(world.PutEvent(Event(SpaceEventKind::kPresent, kSpace, kStart)).ok());
  const LsnRange wrote = Write(kPage, 5);
  SendAndApply();
  const PageRead read = world.GetOne(kPage, Lsn{});
  EXPECT_EQ(read.status.code(), StatusCode::kHole);
  const Result<VerifyOutcome> verified =
      world.node.Await(world.volume->Verify(kSpace, PageNo(0), 100));
  ASSERT_TRUE(verified.ok());
  EXPECT_EQ(verified->problems.size(), 1U);
  EXPECT_THAT(read.status.message(), HasSubstr("11:3"));
  EXPECT_THAT(read.status.message(), HasSubstr(std::to_string(wrote.start.value())));
  EXPECT_THAT(world.volume->status().spaces_wanting_images, testing::ElementsAre(kSpace));
  ASSERT_TRUE(world.PutImage(kPage, kStart, StampedPage(kPage, 4096, kStart, 0x11)).ok());
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 5U);
  EXPECT_TRUE(world.volume->status().spaces_wanting_images.empty());
}

TEST_F(PageVolumeTest, AnIndexLoadWithoutImagesMakesItsSpaceUnsupported) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  Write(kPage, 5);
  const LsnRange load = redo.AddBytes(IndexLoadMtr(kPage, 77));
  SendAndApply();
  EXPECT_EQ(ValueAt(kPage, load.start), 5U);
  const PageRead read = world.GetOne(kPage, load.end);
  EXPECT_EQ(read.status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(read.status.message(), HasSubstr("index 77"));
}

TEST_F(PageVolumeTest, UnloggedChangesAreHolesUntilTheirImages) {
  Create(kSpace, "./db/t.ibd");
  const PageId built{kSpace, PageNo(4)};      // written without redo only
  const PageId filled{kSpace, PageNo(5)};     // logged creation, unlogged fill
  const PageId untouched{kSpace, PageNo(6)};  // ordinary changes all along
  Init(filled);
  Init(untouched);
  const LsnRange before = Write(untouched, 1);
  const LsnRange during = Write(untouched, 2);
  SendAndApply();
  const Lsn image_lsn = redo.end();
  Bytes untouched_image = *world.GetOne(untouched, Lsn{}).image;
  innodb::StampPage(untouched_image, image_lsn);
  ASSERT_TRUE(world.PutImage(built, image_lsn, StampedPage(built, 4096, image_lsn, 0x33)).ok());
  ASSERT_TRUE(world.PutImage(filled, image_lsn, StampedPage(filled, 4096, image_lsn, 0x44)).ok());
  ASSERT_TRUE(world.PutImage(untouched, image_lsn, untouched_image).ok());
  SpaceEventIn complete = Event(SpaceEventKind::kImagesComplete, kSpace, image_lsn);
  complete.hole_start = before.end;
  ASSERT_TRUE(world.PutEvent(complete).ok());
  redo.AddBytes(IndexLoadMtr(built, 77));
  const LsnRange after = Write(built, 7);
  SendAndApply();

  EXPECT_EQ(ValueAt(built, after.end), 7U);
  EXPECT_EQ(ValueAt(built, after.start), 0x33333333U);
  EXPECT_EQ(ValueAt(filled, after.end), 0x44444444U);
  for (const PageId page : {built, filled}) {
    const PageRead hole = world.GetOne(page, during.end > image_lsn ? during.start : before.end);
    EXPECT_EQ(hole.status.code(), StatusCode::kHole) << ToString(page);
  }
  EXPECT_EQ(ValueAt(untouched, before.end), 1U);
  // Before the build: zeroes, and the page as it was created.
  EXPECT_TRUE(world.GetOne(built, before.start).status.ok());
  EXPECT_EQ(ValueAt(filled, before.start), 0U);
  EXPECT_EQ(world.volume->status().unsupported_space_count, 0U);
  const Result<VerifyOutcome> verified =
      world.node.Await(world.volume->Verify(kSpace, PageNo(0), 100));
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->problems.empty()) << verified->problems.front().second.ToString();
}

TEST_F(PageVolumeTest, AnUnknownRecordStopsIngestLoudlyAndReadsGoOn) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange wrote = Write(kPage, 5);
  const LsnRange bad = redo.AddBytes(Bytes{0x80 | 9, 11, 3, 1, 2, 3, 4});
  redo.Send();
  world.node.RunFor(std::chrono::seconds(1));
  const PageVolumeStatus status = world.volume->status();
  EXPECT_THAT(status.ingest_error, HasSubstr("type 9"));
  EXPECT_THAT(status.ingest_error, HasSubstr(std::to_string(bad.start.value())));
  EXPECT_EQ(status.applied, wrote.end);
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 5U);
  world.Close();
  world.Open();
  EXPECT_EQ(world.volume->status().applied, wrote.end);
  EXPECT_EQ(ValueAt(kPage, wrote.end), 5U);
}

TEST_F(PageVolumeTest, AChunkWithAWrongChecksumStopsIngest) {
  const Bytes payload(100, 32);
  RedoChunk chunk;
  world.feed.Append({kStart, innodb::AdvanceLsn(kStart, payload.size())}, kStart, payload);
  world.feed.CorruptLast();
  world.node.RunFor(std::chrono::seconds(1));
  EXPECT_THAT(world.volume->status().ingest_error, HasSubstr("wrong checksum"));
}

TEST_F(PageVolumeTest, TheHorizonBoundsReadsBelow) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange first = Write(kPage, 1);
  const LsnRange second = Write(kPage, 2);
  SendAndApply();
  ASSERT_TRUE(world.node.Await(world.volume->SetHorizon(second.start)).ok());
  const PageRead below = world.GetOne(kPage, first.start);
  EXPECT_EQ(below.status.code(), StatusCode::kBelowHorizon);
  EXPECT_THAT(below.status.message(), HasSubstr(std::to_string(first.start.value())));
  EXPECT_THAT(below.status.message(), HasSubstr(std::to_string(second.start.value())));
  EXPECT_EQ(ValueAt(kPage, second.start), 1U);
  EXPECT_EQ(world.volume->status().horizon, second.start);
}

TEST_F(PageVolumeTest, AHorizonIsSaidOnlyWhenItIsDurable) {
  Create(kSpace, "./db/t.ibd");
  SendAndApply();
  world.node.disk().FailNext(sim::FileOp::kSync, "journal", StatusCode::kIoError, 1);
  EXPECT_FALSE(world.node.Await(world.volume->SetHorizon(kStart)).ok());
  EXPECT_EQ(world.volume->status().horizon, Lsn{});
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  EXPECT_EQ(world.volume->status().horizon, Lsn{});
  ASSERT_TRUE(world.node.Await(world.volume->SetHorizon(kStart)).ok());
  EXPECT_EQ(world.volume->status().horizon, kStart);
}

TEST_F(PageVolumeTest, LostRedoIsAHoleUntilTheNextImport) {
  ASSERT_TRUE(world.node.Await(world.volume->SetHorizon(kStart)).ok());
  Create(kSpace, "./db/t.ibd");
  const PageId unchanged{kSpace, PageNo(4)};
  const PageId forgotten{kSpace, PageNo(5)};
  Init(kPage);
  const LsnRange wrote = Write(kPage, 1);
  Init(unchanged);
  const LsnRange kept = Write(unchanged, 8);
  Init(forgotten);
  SendAndApply();
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 1U);
  const Lsn known_until = redo.end();
  const Lsn resumes_at = innodb::AdvanceLsn(known_until, 5'000);
  redo.SkipTo(resumes_at);
  const LsnRange after = Write(kPage, 3);
  Write(forgotten, 4);
  SendAndApply();

  EXPECT_THAT(world.volume->status().holes,
              testing::ElementsAre(LsnRange{known_until, resumes_at}));
  EXPECT_EQ(world.GetOne(kPage, Lsn(known_until.value() + 600)).status.code(), StatusCode::kHole);
  EXPECT_EQ(world.GetOne(kPage, after.end).status.code(), StatusCode::kHole);
  EXPECT_EQ(ValueAt(kPage, known_until), 1U);

  // The import: images of what changed, and of what did not.
  ASSERT_TRUE(world.PutEvent(Event(SpaceEventKind::kPresent, kSpace, resumes_at)).ok());
  ASSERT_TRUE(world.PutImage(kPage, resumes_at, StampedPage(kPage, 4096, resumes_at, 0x55)).ok());
  Bytes same = *world.GetOne(unchanged, known_until).image;
  ASSERT_TRUE(world.PutImage(unchanged, kept.end, same).ok());
  ASSERT_TRUE(world.node.Await(world.volume->SetHorizon(redo.end())).ok());
  EXPECT_EQ(ValueAt(kPage, redo.end()), 3U);
  EXPECT_EQ(ValueAt(unchanged, redo.end()), 8U);
  // Not imported although it changed: what was lost may have changed it too.
  EXPECT_EQ(world.GetOne(forgotten, redo.end()).status.code(), StatusCode::kHole);
  EXPECT_EQ(world.GetOne(kPage, after.start).status.code(), StatusCode::kHole);
  EXPECT_EQ(ValueAt(kPage, wrote.end), 1U);
  const Lsn end = redo.end();
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  world.WaitApplied(end);
  EXPECT_EQ(ValueAt(kPage, end), 3U);
  EXPECT_EQ(ValueAt(kPage, wrote.end), 1U);
  EXPECT_EQ(world.GetOne(kPage, resumes_at).status.code(), StatusCode::kHole);
}

TEST_F(PageVolumeTest, AHoleDropsThePartialMtrBeforeIt) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange whole = Write(kPage, 1);
  redo.AddBytes(Bytes{2, 11, 3, 0, 100});  // the begin of a group of several records
  redo.Send();
  redo.SkipTo(innodb::AdvanceLsn(redo.end(), 700));
  const LsnRange after = Init(kPage);
  redo.Send();
  world.WaitApplied(after.end);
  EXPECT_EQ(world.volume->status().ingest_error, "");
  ASSERT_EQ(world.volume->status().holes.size(), 1U);
  EXPECT_EQ(world.volume->status().holes[0].start, whole.end);
}

uint64_t CounterOf(ByteView records, uint64_t table_id) {
  while (!records.empty()) {
    const innodb::ParsedRecord parsed = innodb::ParseRecord(records);
    EXPECT_EQ(parsed.outcome, innodb::ParseOutcome::kComplete);
    const Result<innodb::TableDynamicMeta> meta = innodb::ParseTableDynamicMeta(
        records.subspan(parsed.body_offset, parsed.length - parsed.body_offset));
    EXPECT_TRUE(meta.ok());
    if (meta.ok() && meta->table_id == table_id) {
      return meta->auto_increment;
    }
    records = records.subspan(parsed.length);
  }
  return 0;
}

TEST_F(PageVolumeTest, CountersAreKnownAtEveryLsnAlsoAfterARestart) {
  std::vector<LsnRange> mtrs;
  for (uint64_t i = 1; i <= 40; ++i) {
    mtrs.push_back(redo.AddBytes(AutoIncrementMtr(5, 1, i * 10)));
    redo.AddBytes(AutoIncrementMtr(6, i, 1000 - i));  // a higher version wins over a larger counter
    if (i % 10 == 0) {
      SendAndApply();
      world.node.RunFor(std::chrono::seconds(2));
    }
  }
  for (int life = 0; life < 2; ++life) {
    for (uint64_t i = 1; i <= 40; ++i) {
      uint32_t count = 0;
      const Result<Bytes> records =
          world.node.Await(world.volume->DynamicMeta(mtrs[i - 1].end, &count));
      ASSERT_TRUE(records.ok());
      EXPECT_EQ(count, i == 1 ? 1U : 2U);
      EXPECT_EQ(CounterOf(*records, 5), i * 10);
      EXPECT_EQ(CounterOf(*records, 6), i == 1 ? 0 : 1000 - (i - 1));
    }
    world.CrashAndOpen(sim::CrashPolicy::kClean);
    world.WaitApplied(redo.end());
  }
}

TEST_F(PageVolumeTest, SideFilesAreKeptByLsnUpToTheLimit) {
  const auto put = [&](std::string path, Lsn lsn, std::string_view text, bool deleted = false) {
    SideFile file;
    file.path = std::move(path);
    file.mode = 0600;
    file.lsn = lsn;
    file.bytes.assign(AsBytes(text).begin(), AsBytes(text).end());
    return world.node.Await(world.volume->PutSideFile(std::move(file), deleted));
  };
  ASSERT_TRUE(put("auto.cnf", Lsn(100), "one").ok());
  ASSERT_TRUE(put("auto.cnf", Lsn(200), "two").ok());
  ASSERT_TRUE(put("ca.pem", Lsn(150), "cert").ok());
  ASSERT_TRUE(put("ca.pem", Lsn(300), "", true).ok());
  const auto list = [&](Lsn lsn) {
    Result<std::vector<SideFile>> files = world.node.Await(world.volume->ListSideFiles(lsn));
    EXPECT_TRUE(files.ok());
    std::string text;
    for (const SideFile& file : *files) {
      text += file.path + "=" + std::string(AsText(file.bytes)) + ";";
    }
    return text;
  };
  EXPECT_EQ(list(Lsn(99)), "");
  EXPECT_EQ(list(Lsn(160)), "auto.cnf=one;ca.pem=cert;");
  EXPECT_EQ(list(Lsn(250)), "auto.cnf=two;ca.pem=cert;");
  EXPECT_EQ(list(Lsn{}), "auto.cnf=two;");
  const std::string large(15 << 20, 'x');
  ASSERT_TRUE(put("large", Lsn(400), large).ok());
  const Status over = put("more", Lsn(400), std::string(2 << 20, 'y'));
  EXPECT_EQ(over.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(over.message(), HasSubstr("more"));
}

TEST_F(PageVolumeTest, RefusesBadImages) {
  Bytes torn = StampedPage(kPage, 4096, kStart, 1);
  torn[3000] ^= 1;
  EXPECT_EQ(world.PutImage(kPage, kStart, torn).code(), StatusCode::kCorruption);
  EXPECT_EQ(world.PutImage(kPage, kStart, Bytes(512)).code(), StatusCode::kInvalidArgument);
}

TEST_F(PageVolumeTest, AnImportedImageReplacesWhatWasMadeFromOlderOnes) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange unlogged_at = Write(kPage, 1);
  for (uint16_t i = 0; i < 900; ++i) {
    mtr.WriteNumber(kPage, static_cast<uint16_t>(200 + 4 * i), 4, i);
    redo.Add(&mtr);
  }
  SendAndApply();
  world.node.RunFor(std::chrono::seconds(3));
  ASSERT_GT(world.volume->status().materialized_images, 0U);
  // Byte 3900 was changed without redo before all that; the image says so only now.
  Bytes image = *world.GetOne(kPage, unlogged_at.end).image;
  image[3900] = 0x77;
  innodb::StampPage(image, unlogged_at.end);
  EXPECT_EQ((*world.GetOne(kPage, Lsn{}).image)[3900], 0);
  ASSERT_TRUE(world.PutImage(kPage, unlogged_at.end, image).ok());
  const PageRead read = world.GetOne(kPage, Lsn{});
  ASSERT_TRUE(read.status.ok());
  EXPECT_EQ((*read.image)[3900], 0x77);
  EXPECT_EQ(LoadBe32(read.image->data() + 200 + 4 * 899), 899U);
  // The chain is long again; the read that met it had it shortened.
  const uint64_t images = world.volume->status().materialized_images;
  world.node.RunFor(std::chrono::seconds(2));
  EXPECT_EQ(world.volume->status().materialized_images, images + 1);
  world.cache->Remove(world.options.volume, kPage);
  EXPECT_EQ((*world.GetOne(kPage, Lsn{}).image)[3900], 0x77);
}

TEST_F(PageVolumeTest, ListsTheVersionsOfAPage) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  const LsnRange wrote = Write(kPage, 5);
  SendAndApply();
  const Lsn image = redo.end();
  ASSERT_TRUE(world.PutImage(kPage, image, StampedPage(kPage, 4096, image, 1)).ok());
  const Result<std::vector<PageVersion>> versions =
      world.node.Await(world.volume->History(kPage, {Lsn{}, Lsn{}}, 10));
  ASSERT_TRUE(versions.ok());
  ASSERT_EQ(versions->size(), 3U);
  EXPECT_THAT((*versions)[0].record_types, testing::ElementsAre("MLOG_INIT_FILE_PAGE2"));
  EXPECT_EQ((*versions)[1].range, wrote);
  EXPECT_THAT((*versions)[1].record_types, testing::ElementsAre("MLOG_4BYTES"));
  EXPECT_TRUE((*versions)[2].is_image);
}

TEST_F(PageVolumeTest, AFullDiskHoldsIngestUpAndLosesNothing) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  Write(kPage, 1);
  redo.AddBytes(AutoIncrementMtr(77, 1, 10));
  SendAndApply();
  world.node.RunFor(std::chrono::seconds(2));
  const Lsn persisted = world.feed.persisted();
  world.node.disk().FailNext(sim::FileOp::kWrite, "journal", StatusCode::kNoSpace, 8);
  for (uint32_t i = 0; i < 6000; ++i) {
    Write(kPage, 100 + i);
    if (i % 1000 == 0) {
      redo.AddBytes(AutoIncrementMtr(77, 1, 100 + i));
      redo.Send();
    }
  }
  redo.Send();
  world.node.RunFor(std::chrono::seconds(4));
  EXPECT_EQ(world.volume->status().ingest_error, "");
  EXPECT_EQ(world.feed.persisted(), persisted) << "the log must keep what is not stored";
  const Lsn applied = world.volume->status().applied;
  EXPECT_TRUE(world.GetOne(kPage, applied).status.ok());
  // There is space again.
  world.WaitApplied(redo.end());
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 100U + 5999U);
  world.node.RunFor(std::chrono::seconds(5));
  EXPECT_GT(world.feed.persisted(), persisted);
  world.feed.Trim();
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  world.WaitApplied(redo.end());
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 100U + 5999U);
  uint32_t table_count = 0;
  const Result<Bytes> records = world.node.Await(world.volume->DynamicMeta(Lsn{}, &table_count));
  ASSERT_TRUE(records.ok()) << records.status().ToString();
  EXPECT_EQ(*records, AutoIncrementMtr(77, 1, 5100)) << "written twice, counted once";
}

TEST_F(PageVolumeTest, AWriteErrorStopsIngestAndLosesNothing) {
  Create(kSpace, "./db/t.ibd");
  Init(kPage);
  Write(kPage, 1);
  SendAndApply();
  world.node.RunFor(std::chrono::seconds(2));
  world.node.disk().FailNext(sim::FileOp::kWrite, "journal", StatusCode::kIoError, 1);
  for (uint32_t i = 0; i < 6000; ++i) {
    Write(kPage, 100 + i);
    if (i % 1000 == 0) {
      redo.Send();
    }
  }
  redo.Send();
  world.node.RunFor(std::chrono::seconds(5));
  EXPECT_THAT(world.volume->status().ingest_error, HasSubstr("journal"));
  const Lsn applied = world.volume->status().applied;
  EXPECT_TRUE(world.GetOne(kPage, applied).status.ok());
  world.CrashAndOpen(sim::CrashPolicy::kClean);
  world.WaitApplied(redo.end());
  EXPECT_EQ(ValueAt(kPage, Lsn{}), 100U + 5999U);
}

TEST_F(PageVolumeTest, AnotherPageSizeIsRefused) {
  Create(kSpace, "./db/t.ibd");
  SendAndApply();
  world.Close();
  world.Open();
  world.node.Await(world.volume->Stop());
  PageVolumeOptions options = world.options;
  options.page_size = 16384;
  PageVolume other(world.node.runtime(), world.store.get(), world.cache.get(), &world.feed,
                   options);
  const Status started = world.node.Await(other.Start());
  EXPECT_EQ(started.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(started.message(), HasSubstr("4096"));
}

}  // namespace
}  // namespace redoubt
