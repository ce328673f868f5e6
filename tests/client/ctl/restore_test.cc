// SPDX-License-Identifier: MIT
//
// Goal: a restored directory holds exactly the volume's bytes, is never called complete when it is
// not, and nothing is written where something already is. Method: a volume in memory, a real
// directory.
#include "client/ctl/restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/innodb/log_file.h"
#include "common/innodb/redo_record.h"
#include "tests/client/ctl/fake_reader.h"

namespace redoubt::ctl {
namespace {

using ::testing::HasSubstr;
constexpr SpaceId kTable{5};
constexpr SpaceId kOther{6};

Task<int> Drive(Restore* restore, Status* status) {
  *status = co_await restore->Run();
  co_return 0;
}

class RestoreTest : public CtlTest {
 protected:
  RestoreTest() {
    reader_.AddSpace(innodb::kSystemSpace, "./ibdata1", 3);
    reader_.AddSpace(kTable, "./db/t.ibd", 40);
    target_ = directory_ / "new" / "data";
    std::filesystem::create_directories(directory_ / "new");
  }

  Status Run() {
    RestoreOptions options;
    options.directory = target_.string();
    options.set_mode = [this](const std::string& path, uint32_t mode) {
      modes_[path] = mode;
      return Status::Ok();
    };
    restore_ = std::make_unique<Restore>(&world_.runtime(), &reader_, std::move(options));
    Status status;
    world_.Run(Drive(restore_.get(), &status));
    return status;
  }
  const RestoreSummary& summary() const { return restore_->summary(); }

  FakeReader reader_;
  std::filesystem::path target_;
  std::map<std::string, uint32_t> modes_;
  std::unique_ptr<Restore> restore_;
};

TEST_F(RestoreTest, WritesEveryPageAtItsPlaceHoweverTheScanIsCut) {
  for (const uint32_t page : {1U, 2U, 7U, 8U, 31U, 39U}) {
    reader_.AddPage(kTable, page, static_cast<uint8_t>(page));
  }
  reader_.AddPage(kTable, 41, 99);  // beyond the file at this LSN
  for (const uint32_t per_scan : {1U, 2U, 3U, 1000U}) {
    reader_.pages_per_scan_max = per_scan;
    std::filesystem::remove_all(target_);
    const Status done = Run();
    ASSERT_TRUE(done.ok()) << done.ToString();
    const Bytes file = ReadWhole(target_ / "db/t.ibd");
    ASSERT_EQ(file.size(), 40U * kTestPageBytes);
    for (uint32_t page = 0; page < 40; ++page) {
      const auto at = reader_.pages[kTable.value()].find(page);
      const Bytes expected =
          at == reader_.pages[kTable.value()].end() ? Bytes(kTestPageBytes) : at->second.image;
      const auto begin = file.begin() + static_cast<ptrdiff_t>(page) * kTestPageBytes;
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), begin)) << "page " << page;
    }
    EXPECT_EQ(summary().file_count, 2U);
    EXPECT_EQ(summary().pages_written, 8U);
    EXPECT_TRUE(summary().complete());
  }
}

TEST_F(RestoreTest, TheHeadersSizeExtendsAShorterListing) {
  reader_.spaces[1].page_count = 4;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(std::filesystem::file_size(target_ / "db/t.ibd"), 40U * kTestPageBytes);
}

TEST_F(RestoreTest, WritesARedoLogThatStartsAtOrAfterEveryPage) {
  innodb::TableDynamicMeta meta;
  meta.table_id = 1066;
  meta.version = 3;
  meta.auto_increment = 7000;
  innodb::EncodeTableDynamicMeta(meta, &reader_.dynamic_meta);
  ASSERT_TRUE(Run().ok());
  const Bytes file = ReadWhole(target_ / "#innodb_redo/#ib_redo0");
  ASSERT_GE(file.size(), innodb::kLogFileHeaderBytes + innodb::kLogBlockBytes);
  EXPECT_EQ(file.size() % kTestPageBytes, 0U);
  const auto lead = innodb::ParseLogFileLead(ByteView(file).first(innodb::kLogFileHeaderBytes));
  ASSERT_TRUE(lead.ok());
  EXPECT_GE(lead->header.start_lsn, kTestLsn);
  EXPECT_EQ(lead->checkpoint_lsn.value(), lead->header.start_lsn.value() + 12);
  const auto block = innodb::CheckLogBlock(
      ByteView(file).subspan(innodb::kLogFileHeaderBytes, innodb::kLogBlockBytes),
      lead->header.start_lsn);
  ASSERT_TRUE(block.valid());
  EXPECT_TRUE(std::equal(block.payload.begin(), block.payload.end(), reader_.dynamic_meta.begin(),
                         reader_.dynamic_meta.end()));
}

TEST_F(RestoreTest, WritesSideFilesWithTheirModesAndSkipsThoseThatLeadOut) {
  reader_.side_files = {{"auto.cnf", 0640, {'a'}},   {"mysql/general_log.CSV", 0600, {'b', 'c'}},
                        {"empty_schema/", 0750, {}}, {"../evil", 0644, {'x'}},
                        {"/evil", 0644, {'x'}},      {"db/t.ibd", 0644, {'x'}}};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(ReadWhole(target_ / "mysql/general_log.CSV"), (Bytes{'b', 'c'}));
  EXPECT_EQ(modes_[(target_ / "auto.cnf").string()], 0640U);
  EXPECT_TRUE(std::filesystem::is_directory(target_ / "empty_schema"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "new" / "evil"));
  EXPECT_EQ(summary().side_file_count, 2U);
  EXPECT_EQ(summary().skipped_files.size(), 3U);
  EXPECT_FALSE(summary().complete());
}

TEST_F(RestoreTest, LeavesOutUnsupportedSpacesByName) {
  reader_.AddSpace(kOther, "./db/zip.ibd", 4);
  reader_.spaces[2].unsupported_reason = "ROW_FORMAT=COMPRESSED";
  ASSERT_TRUE(Run().ok());
  ASSERT_EQ(summary().left_out.size(), 1U);
  EXPECT_EQ(summary().left_out[0].path, "./db/zip.ibd");
  EXPECT_FALSE(std::filesystem::exists(target_ / "db/zip.ibd"));
  EXPECT_FALSE(summary().complete());
}

TEST_F(RestoreTest, FailsWhenAServerCouldNotStartOnTheResult) {
  reader_.spaces[0].unsupported_reason = "encrypted";
  const Status done = Run();
  EXPECT_EQ(done.code(), StatusCode::kUnsupported);
  EXPECT_THAT(done.message(), HasSubstr("./ibdata1"));
  EXPECT_EQ(restore_->exit_code(), kExitProblem);
  EXPECT_FALSE(std::filesystem::exists(target_));
}

TEST_F(RestoreTest, AnUnknownPageLeavesItsSpaceOutUnlessItIsFree) {
  const Status hole(StatusCode::kHole, "no base");
  reader_.pages[kTable.value()][9] = {hole, {}};
  ASSERT_TRUE(Run().ok());
  ASSERT_EQ(summary().left_out.size(), 1U);
  EXPECT_THAT(summary().left_out[0].reason, HasSubstr("page 9"));
  EXPECT_FALSE(std::filesystem::exists(target_ / "db/t.ibd"));

  Bytes& header = reader_.pages[kTable.value()][0].image;
  MarkFree(&header, 9);
  std::filesystem::remove_all(target_);
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(summary().complete());
  EXPECT_EQ(summary().free_unknown_count, 1U);
}

TEST_F(RestoreTest, RefusesDamagedImagesAndThoseFromTheFuture) {
  reader_.AddPage(kTable, 3, 1);
  reader_.pages[kTable.value()][3].image[250] ^= 1;
  const Status damaged = Run();
  EXPECT_EQ(damaged.code(), StatusCode::kCorruption);
  EXPECT_THAT(damaged.message(), HasSubstr("page 3"));
  EXPECT_FALSE(std::filesystem::exists(target_ / "#innodb_redo"));

  std::filesystem::remove_all(target_);
  reader_.pages[kTable.value()][3].image =
      MakePage(kTable, PageNo(3), innodb::kPageTypeUndo, 1, Lsn(kTestLsn.value() + 1));
  EXPECT_THAT(Run().message(), HasSubstr("after LSN 100000"));
}

TEST_F(RestoreTest, RefusesATargetThatIsInUse) {
  WriteWhole(target_ / "precious", AsBytes("x"));
  const Status done = Run();
  EXPECT_EQ(done.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(done.message(), HasSubstr("not empty"));
  EXPECT_EQ(restore_->exit_code(), kExitUsage);
  EXPECT_EQ(ReadWhole(target_ / "precious"), (Bytes{'x'}));
}

TEST_F(RestoreTest, RefusesTwoSpacesInOneFile) {
  reader_.AddSpace(kOther, "db//t.ibd", 4);
  const Status done = Run();
  EXPECT_EQ(done.code(), StatusCode::kCorruption);
  EXPECT_THAT(done.message(), HasSubstr("both"));
}

TEST_F(RestoreTest, SharedSpacesOfOneNameGetTheirIdInIt) {
  constexpr uint32_t kSharedFlag = 1U << 11;
  reader_.AddSpace(kOther, "/mnt/a/gts.ibd", 4);
  reader_.AddSpace(SpaceId(7), "/mnt/b/gts.ibd", 4);
  reader_.spaces[2].flags = kSharedFlag;
  reader_.spaces[3].flags = kSharedFlag;
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(std::filesystem::exists(target_ / "gts.ibd"));
  EXPECT_TRUE(std::filesystem::exists(target_ / "gts.7.ibd"));
}

TEST_F(RestoreTest, SaysWhoseFaultItWas) {
  reader_.scan_failure = Unavailable("connection lost");
  EXPECT_EQ(Run().code(), StatusCode::kUnavailable);
  EXPECT_EQ(restore_->exit_code(), kExitServer);

  reader_.scan_failure = Status::Ok();
  WriteWhole(directory_ / "file", AsBytes("x"));
  target_ = directory_ / "file" / "data";
  EXPECT_FALSE(Run().ok());
  EXPECT_EQ(restore_->exit_code(), kExitFiles);
}

}  // namespace
}  // namespace redoubt::ctl
