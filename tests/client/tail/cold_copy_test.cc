// SPDX-License-Identifier: MIT
//
// Goal: a directory that was shut down cleanly becomes a volume that is readable from that LSN; any
// other directory, and a volume that has redo, is refused before anything is fenced or put.
// Method: files on the simulated disk, a volume in memory.
#include "client/tail/cold_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

using testing::HasSubstr;

constexpr uint32_t kSpace = 5;
constexpr Lsn kShutdown{20500};

class ColdCopyTest : public testing::Test {
 protected:
  void SetUp() override {
    source_.Create();
    Bytes system = MakePage0(0, 1, 0, Lsn(9000));
    StoreBe64(system.data() + 26, kShutdown.value());
    source_.PutSpace("ibdata1", {system});
    source_.PutSpace("db/t.ibd",
                     {MakePage0(kSpace, 2, 0, Lsn(9100)), MakePage(kSpace, 1, kShutdown)});
    const std::string identity = "[auto]\nserver-uuid=u-u-i-d\n";
    source_.WriteAt("auto.cnf", 0, Bytes(identity.begin(), identity.end()));
    source_.WriteAt("redoubt_epoch", 0, Bytes(4, '7'));
    source_.StopCleanly();
  }
  Status Copy() {
    return node_.Await(CopyCold(node_.runtime(), &sink_, &source_, &stop_, "/data"));
  }

  NodeHarness node_;
  FakeSource source_{&node_};
  FakeSink sink_{node_.runtime()};
  Event stop_{node_.runtime()->scheduler};
};

TEST_F(ColdCopyTest, TheVolumeBeginsAtTheShutdownWithEveryPage) {
  const Status status = Copy();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(sink_.begin, kShutdown);
  EXPECT_EQ(sink_.horizon, kShutdown);
  EXPECT_EQ(sink_.source_id, "u-u-i-d");
  EXPECT_EQ(sink_.images.size(), 3U);
  EXPECT_EQ(sink_.order.back(), "horizon 20500");
  EXPECT_THAT(sink_.side_files, testing::Contains(std::pair<std::string, bool>("auto.cnf", false)));
  EXPECT_THAT(sink_.side_files, testing::Not(testing::Contains(testing::Key("redoubt_epoch"))))
      << "it is about the directory, not about the database";
}

TEST_F(ColdCopyTest, CanBeRepeated) {
  ASSERT_TRUE(Copy().ok());
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(sink_.start_reasons.size(), 1U);
}

TEST_F(ColdCopyTest, AServerThatRunsIsRefused) {
  source_.StartAgain();
  const Status status = Copy();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("shut it down"));
}

TEST_F(ColdCopyTest, APageBehindTheShutdownIsRefused) {
  source_.WriteAt("db/t.ibd", 16384, MakePage(kSpace, 1, Lsn(20501)));
  const Status status = Copy();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("./db/t.ibd has a page with LSN 20501"));
  EXPECT_EQ(sink_.horizon, Lsn{});
}

TEST_F(ColdCopyTest, ADamagedPageIsRefused) {
  source_.WriteAt("db/t.ibd", 16384 + 5000, Bytes{1, 2, 3});
  const Status status = Copy();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("page 1 of /data/db/t.ibd"));
  EXPECT_EQ(sink_.horizon, Lsn{});
}

TEST_F(ColdCopyTest, AVolumeInUseIsRefusedWithoutFencingItsWriter) {
  sink_.end = Lsn(30000);
  const Status status = Copy();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("has redo up to LSN 30000"));
  EXPECT_EQ(sink_.source_id, "");  // Open was not called
  EXPECT_TRUE(sink_.order.empty());
}

}  // namespace
}  // namespace redoubt::tail
