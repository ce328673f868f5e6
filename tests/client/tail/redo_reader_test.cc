// SPDX-License-Identifier: MIT
//
// Goal: the reader returns exactly the payload that the server wrote and flushed, whatever happens
// to the files meanwhile, and says gap, tail, other log or corruption where there is one. Method: a
// fake server's files on the simulated disk.
#include "client/tail/redo_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/innodb/log_file.h"
#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

class RedoReaderTest : public testing::Test {
 protected:
  void SetUp() override { source_.Create(); }

  RedoRead Read(Lsn from, Lsn limit) {
    Result<RedoRead> read = node_.Await(reader_.Read(from, limit));
    EXPECT_TRUE(read.ok()) << read.status().ToString();
    return read.ok() ? std::move(*read) : RedoRead();
  }
  // Reads on until the limit or something else than "more" is met.
  Bytes ReadAll(Lsn from, Lsn limit, RedoReadEnd* end) {
    Bytes all;
    for (;;) {
      const RedoRead read = Read(from, limit);
      all.insert(all.end(), read.payload.begin(), read.payload.end());
      from = innodb::AdvanceLsn(from, read.payload.size());
      if (read.end != RedoReadEnd::kMore || read.payload.empty()) {
        *end = read.end;
        return all;
      }
    }
  }

  NodeHarness node_;
  FakeSource source_{&node_};
  RedoHold hold_{node_.runtime(), FakeSource::kRedo};
  RedoReader reader_{node_.runtime(), FakeSource::kRedo, &hold_};
};

TEST_F(RedoReaderTest, ReadsThePartialLastBlockAgainAsItFills) {
  source_.Log(WriteMtr(5, 3, 1));
  RedoRead read = Read(innodb::kFirstDataLsn, source_.flushed);
  EXPECT_EQ(read.payload, source_.history());
  EXPECT_EQ(read.end, RedoReadEnd::kLimit);
  const Lsn middle = source_.current();
  source_.Log(WriteMtr(5, 3, 2));
  read = Read(middle, source_.flushed);
  EXPECT_EQ(read.payload, WriteMtr(5, 3, 2));
}

TEST_F(RedoReaderTest, NeverReadsBeyondWhatIsFlushed) {
  source_.Log(LongMtr(5, 3000));
  const Lsn flushed = source_.flushed;
  source_.Log(LongMtr(5, 3000), /*flush=*/false);
  RedoReadEnd end{};
  const Bytes read = ReadAll(innodb::kFirstDataLsn, flushed, &end);
  EXPECT_EQ(end, RedoReadEnd::kLimit);
  EXPECT_EQ(innodb::AdvanceLsn(innodb::kFirstDataLsn, read.size()), flushed);
}

TEST_F(RedoReaderTest, TakesAnyFlushedLsnAsLimit) {
  // The server reports LSNs inside block headers and trailers, too.
  source_.Log(LongMtr(5, 3000));
  for (uint64_t limit = 8204; limit < source_.flushed.value(); ++limit) {
    RedoReadEnd end{};
    const Bytes read = ReadAll(innodb::kFirstDataLsn, Lsn(limit), &end);
    ASSERT_EQ(end, RedoReadEnd::kLimit) << limit;
    ASSERT_TRUE(std::equal(read.begin(), read.end(), source_.history().begin()));
    const Lsn reached = innodb::AdvanceLsn(innodb::kFirstDataLsn, read.size());
    ASSERT_TRUE(reached <= Lsn(limit) || reached.value() - limit <= 16) << limit;
  }
}

TEST_F(RedoReaderTest, FollowsFileSwitches) {
  for (int i = 0; i < 4; ++i) {
    source_.LogUntilSwitch();
  }
  RedoReadEnd end{};
  EXPECT_EQ(ReadAll(innodb::kFirstDataLsn, source_.flushed, &end), source_.history());
  EXPECT_EQ(end, RedoReadEnd::kLimit);
}

TEST_F(RedoReaderTest, SeesAGapWhenTheFileIsGone) {
  source_.LogUntilSwitch();
  source_.LogUntilSwitch();
  source_.DropOldest();
  const RedoRead read = Read(innodb::kFirstDataLsn, source_.flushed);
  EXPECT_EQ(read.end, RedoReadEnd::kGap);
  EXPECT_GT(read.lsn, innodb::kFirstDataLsn);
}

TEST_F(RedoReaderTest, SeesAGapWhenTheOpenFileIsRecycledInPlace) {
  // The reader has the file open; the server gives the same inode a new name, a new start LSN and
  // leaves the old blocks in it.
  source_.LogUntilSwitch();
  source_.LogUntilSwitch();
  const RedoRead first = Read(innodb::kFirstDataLsn, Lsn(9000));
  EXPECT_FALSE(first.payload.empty());
  source_.RecycleOldestInPlace();
  const RedoRead read = Read(Lsn(9000), source_.flushed);
  EXPECT_EQ(read.end, RedoReadEnd::kGap);
  EXPECT_TRUE(read.payload.empty());
}

TEST_F(RedoReaderTest, ReadsAHeldFileThatTheServerHasRemoved) {
  for (int i = 0; i < 3; ++i) {
    source_.LogUntilSwitch();
  }
  ASSERT_TRUE(node_.Await(hold_.Take(innodb::kFirstDataLsn)).ok());
  EXPECT_EQ(hold_.count(), 4U);
  source_.DropOldest();
  source_.DropOldest();
  RedoReadEnd end{};
  EXPECT_EQ(ReadAll(innodb::kFirstDataLsn, kMaxLsn, &end), source_.history());
  EXPECT_EQ(end, RedoReadEnd::kTail);
  hold_.Release(source_.current());
  EXPECT_EQ(hold_.count(), 1U);  // the newest, which is not read to its end
}

TEST_F(RedoReaderTest, AHeldFileThatWasUsedAgainIsAGap) {
  source_.LogUntilSwitch();
  source_.LogUntilSwitch();
  ASSERT_TRUE(node_.Await(hold_.Take(innodb::kFirstDataLsn)).ok());
  source_.RecycleOldestInPlace();
  const RedoRead read = Read(innodb::kFirstDataLsn, kMaxLsn);
  EXPECT_EQ(read.end, RedoReadEnd::kGap);
  EXPECT_TRUE(read.payload.empty());
}

TEST_F(RedoReaderTest, StaleBlocksOfARecycledFileEndADeadServersLog) {
  source_.LogUntilSwitch();
  source_.LogUntilSwitch();
  source_.RecycleOldestInPlace();  // the newest file now: header new, blocks old
  RedoReadEnd end{};
  const Lsn from(source_.current().value() / 512 * 512 + 12);
  const Bytes rest = ReadAll(from, kMaxLsn, &end);
  EXPECT_EQ(end, RedoReadEnd::kTail);
  EXPECT_EQ(innodb::AdvanceLsn(from, rest.size()), source_.current());
}

TEST_F(RedoReaderTest, ReadsADeadServersLogToItsEnd) {
  source_.LogUntilSwitch();
  source_.Log(LongMtr(5, 2000), /*flush=*/false);
  RedoReadEnd end{};
  EXPECT_EQ(ReadAll(innodb::kFirstDataLsn, kMaxLsn, &end), source_.history());
  EXPECT_EQ(end, RedoReadEnd::kTail);
}

TEST_F(RedoReaderTest, NamesAnotherLogSet) {
  source_.Log(WriteMtr(5, 3, 1));
  Read(innodb::kFirstDataLsn, source_.flushed);
  const Lsn end = source_.current();
  source_.StopCleanly();
  source_.RecreateRedo(Lsn(end.value() / 512 * 512 + 512));
  const RedoRead read = Read(end, source_.flushed);
  EXPECT_EQ(read.end, RedoReadEnd::kOtherLog);
  reader_.Expect(0);
  EXPECT_NE(Read(source_.first_lsn(), source_.flushed).end, RedoReadEnd::kOtherLog);
}

TEST_F(RedoReaderTest, NamesFileAndLsnOfADamagedBlock) {
  source_.Log(LongMtr(5, 5000));
  source_.Damage(Lsn(8192 + 3 * 512 + 100), {1, 2, 3});
  const RedoRead good = Read(innodb::kFirstDataLsn, source_.flushed);
  EXPECT_EQ(good.payload.size(), 3 * innodb::kLogBlockPayloadBytes);
  const Result<RedoRead> bad = node_.Await(reader_.Read(Lsn(8192 + 3 * 512 + 12), source_.flushed));
  ASSERT_EQ(bad.status().code(), StatusCode::kCorruption);
  EXPECT_THAT(bad.status().message(), testing::HasSubstr("#ib_redo0"));
  EXPECT_THAT(bad.status().message(), testing::HasSubstr("9728"));
}

TEST_F(RedoReaderTest, ATornBlockIsReadAgain) {
  source_.Log(LongMtr(5, 5000));
  const Lsn at(8192 + 3 * 512 + 100);
  const Bytes before(source_.history().begin() + 3 * 496 + 88,
                     source_.history().begin() + 3 * 496 + 91);
  source_.Damage(at, {static_cast<uint8_t>(before[0] ^ 1), before[1], before[2]});
  Result<RedoRead> read = RedoRead();
  bool done = false;
  struct Reading {
    static Task<void> Run(RedoReader* reader, Lsn from, Lsn limit, Result<RedoRead>* out,
                          bool* done) {
      *out = co_await reader->Read(from, limit);
      *done = true;
    }
  };
  node_.Spawn(Reading::Run(&reader_, Lsn(8192 + 3 * 512 + 12), source_.flushed, &read, &done));
  node_.RunFor(std::chrono::milliseconds(30));
  EXPECT_FALSE(done);
  source_.Damage(at, before);
  node_.TurnUntil([&done] { return done; });
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read->payload.empty());
}

TEST_F(RedoReaderTest, RefusesEncryptedRedo) {
  source_.Log(WriteMtr(5, 3, 1));
  Bytes info(512);
  const std::string magic = "lCC";
  std::copy(magic.begin(), magic.end(), info.begin() + 48);
  source_.WriteAt("#innodb_redo/#ib_redo0", innodb::kLogEncryptionOffset, info);
  const Result<RedoRead> read = node_.Await(reader_.Read(innodb::kFirstDataLsn, source_.flushed));
  ASSERT_EQ(read.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(read.status().message(), testing::HasSubstr("innodb_redo_log_encrypt"));
}

TEST_F(RedoReaderTest, RefusesAnUnknownFormat) {
  source_.Log(WriteMtr(5, 3, 1));
  Bytes block(512);
  innodb::LogFileHeader header;
  header.format = 7;
  header.start_lsn = Lsn(8192);
  innodb::WriteLogFileHeader(header, block);
  source_.WriteAt("#innodb_redo/#ib_redo0", 0, block);
  const Result<RedoRead> read = node_.Await(reader_.Read(innodb::kFirstDataLsn, source_.flushed));
  EXPECT_EQ(read.status().code(), StatusCode::kUnsupported) << read.status().ToString();
}

TEST_F(RedoReaderTest, FindsTheFirstMtrAtOrAfterACheckpoint) {
  source_.Log(LongMtr(5, 2000));  // begins at 8204, ends in the fifth block
  const Lsn second = source_.current();
  source_.Log(WriteMtr(5, 3, 1));
  const Result<Lsn> same_block = node_.Await(reader_.FindGroupStart(Lsn(8204)));
  ASSERT_TRUE(same_block.ok());
  EXPECT_EQ(*same_block, Lsn(8204));
  const Result<Lsn> inside = node_.Await(reader_.FindGroupStart(Lsn(8192 + 512 + 40)));
  ASSERT_TRUE(inside.ok()) << inside.status().ToString();
  EXPECT_EQ(*inside, second);
}

}  // namespace
}  // namespace redoubt::tail
