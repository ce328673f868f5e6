// SPDX-License-Identifier: MIT
//
// Goal: a dump starts at an mtr, ends where the log ends, and says why. Method: log files made by
// hand, then cut, damaged and split.
#include "client/ctl/redo_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/innodb/redo_record.h"
#include "tests/client/ctl/fake_reader.h"

namespace redoubt::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kRecords = 200;  // a few blocks

class RedoDumpTest : public CtlTest {
 protected:
  RedoDumpTest() : path_(directory_ / "#innodb_redo" / "#ib_redo0") {
    Bytes records;
    for (uint64_t i = 0; i < kRecords; ++i) {
      innodb::TableDynamicMeta meta;
      meta.table_id = 1000 + i;
      meta.version = 1;
      meta.auto_increment = i;
      innodb::EncodeTableDynamicMeta(meta, &records);
    }
    innodb::LogSetOptions options;
    options.file_bytes = 64 << 10;
    const Result<Bytes> built = innodb::BuildLogSet(Lsn(10000), records, options);
    EXPECT_TRUE(built.ok());
    file_ = *built;
    start_ = innodb::ParseLogFileHeader(ByteView(file_).first(512))->start_lsn;
  }

  static Task<int> Drive(Runtime* runtime, Console* console, RedoDumpOptions options) {
    co_return co_await DumpRedo(runtime, console, std::move(options));
  }
  // Writes file_ and dumps; what was printed is in out_.
  int Run(RedoDumpOptions options = {}, bool json = false) {
    WriteWhole(path_, file_);
    if (options.path.empty()) {
      options.path = directory_.string();
    }
    const std::filesystem::path out = directory_ / "out";
    ConsoleOptions console_options;
    console_options.json = json;
    console_options.out = std::fopen(out.c_str(), "w");
    console_options.err = console_options.out;
    Console console(world_.runtime().scheduler, console_options);
    const int code = world_.Run(Drive(&world_.runtime(), &console, std::move(options)));
    std::fclose(console_options.out);
    const Bytes text = ReadWhole(out);
    out_ = AsText(text);
    return code;
  }

  std::filesystem::path path_;
  Bytes file_;
  Lsn start_;
  std::string out_;
};

TEST_F(RedoDumpTest, ShowsEveryRecordFromFileOrDirectory) {
  EXPECT_EQ(Run(), kExitOk);
  EXPECT_THAT(out_, HasSubstr("table=1000 version=1 auto_increment=0\n"));
  EXPECT_THAT(out_, HasSubstr("table=1199 version=1 auto_increment=199\n"));
  EXPECT_THAT(out_, HasSubstr("200 mtrs, 200 records"));
  RedoDumpOptions options;
  options.path = path_.string();
  EXPECT_EQ(Run(options), kExitOk);
  EXPECT_THAT(out_, HasSubstr("200 mtrs, 200 records"));
}

TEST_F(RedoDumpTest, StartsAtTheFirstMtrOfTheRangeAndEndsBeforeItsEnd) {
  RedoDumpOptions options;
  options.from = Lsn(start_.value() + 512);
  EXPECT_EQ(Run(options), kExitOk);
  EXPECT_THAT(out_, Not(HasSubstr("table=1000 ")));
  EXPECT_THAT(out_, HasSubstr("table=1199 "));
  options.from.reset();
  options.to = Lsn(start_.value() + 512);
  EXPECT_EQ(Run(options), kExitOk);
  EXPECT_THAT(out_, HasSubstr("table=1000 "));
  EXPECT_THAT(out_, Not(HasSubstr("table=1199 ")));
  EXPECT_THAT(out_, HasSubstr("end of the range"));
}

TEST_F(RedoDumpTest, EndsLoudlyAtADamagedBlock) {
  file_[innodb::kLogFileHeaderBytes + 512 + 100] ^= 1;
  EXPECT_EQ(Run({}, true), kExitProblem);
  EXPECT_THAT(out_, HasSubstr("\"problem\":true"));
  EXPECT_THAT(out_, HasSubstr("at LSN " + std::to_string(start_.value() + 512)));
}

TEST_F(RedoDumpTest, EndsLoudlyAtExchangedBlocks) {
  const auto block = file_.begin() + innodb::kLogFileHeaderBytes + 512;
  std::swap_ranges(block, block + 512, block + 512);
  EXPECT_EQ(Run({}, true), kExitProblem);
  EXPECT_THAT(out_, HasSubstr("\"problem\":true"));
  EXPECT_THAT(out_, HasSubstr("at LSN " + std::to_string(start_.value() + 512)));
}

TEST_F(RedoDumpTest, EndsLoudlyWhereTheFileWasCut) {
  file_.resize(innodb::kLogFileHeaderBytes + 512 + 300);
  EXPECT_EQ(Run({}, true), kExitFiles);
  EXPECT_THAT(out_, HasSubstr("#ib_redo0"));
}

TEST_F(RedoDumpTest, EndsQuietlyAtABlankBlock) {
  std::fill_n(file_.begin() + innodb::kLogFileHeaderBytes + 512, 512, uint8_t{0});
  EXPECT_EQ(Run(), kExitOk);
  EXPECT_THAT(out_, HasSubstr("blank"));
}

TEST_F(RedoDumpTest, NamesWhatIsNoRedo) {
  EXPECT_EQ(Run(RedoDumpOptions{(directory_ / "absent").string(), {}, {}, {}}), kExitFiles);
  EXPECT_THAT(out_, HasSubstr("absent"));
  file_[20] ^= 1;
  EXPECT_EQ(Run(), kExitFiles);
  EXPECT_THAT(out_, HasSubstr("#ib_redo0"));
  std::filesystem::create_directories(directory_ / "empty");
  EXPECT_EQ(Run(RedoDumpOptions{(directory_ / "empty").string(), {}, {}, {}}), kExitFiles);
  EXPECT_THAT(out_, HasSubstr("no redo files"));
}

}  // namespace
}  // namespace redoubt::ctl
