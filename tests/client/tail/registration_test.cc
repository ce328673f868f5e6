// SPDX-License-Identifier: MIT
//
// Goal: the registration holds redo back while we read, and never when we do not: bytes, seconds, a
// silent session. Method: a fake server that knows one consumer, and the simulated clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/tail/redo_registration.h"
#include "tests/client/tail/fake_source.h"

namespace redoubt::tail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RegistrationTest : public testing::Test {
 protected:
  void Begin(RedoRegistrationOptions options) {
    source_.Create();
    registration_ = std::make_unique<RedoRegistration>(node_.runtime(), &source_, &watch_, options);
    group_ = std::make_unique<TaskGroup>(node_.runtime()->scheduler);
    group_->Spawn(watch_.Run(group_.get()));
    group_->Spawn(registration_->Run(group_.get()));
    node_.RunFor(seconds(1));
  }
  void TearDown() override {
    group_->Stop();
    node_.Await(group_->Join());
    EXPECT_EQ(source_.consumer_session, 0U);
    group_ = nullptr;
  }

  NodeHarness node_;
  FakeSource source_{&node_};
  ServerWatch watch_{node_.runtime(), &source_, &source_, ServerWatchOptions()};
  std::unique_ptr<RedoRegistration> registration_;
  std::unique_ptr<TaskGroup> group_;
};

TEST_F(RegistrationTest, TellsTheServerWhatMayGo) {
  Begin({});
  EXPECT_TRUE(registration_->registered());
  source_.Log(LongMtr(5, 5000));
  registration_->Release(Lsn(9000));
  node_.RunFor(seconds(1));
  EXPECT_EQ(source_.consumer_lsn, Lsn(9000));
}

TEST_F(RegistrationTest, LetsGoWhenTooManyBytesWait) {
  RedoRegistrationOptions options;
  options.bytes_max = 10'000;
  Begin(options);
  registration_->Release(innodb::kFirstDataLsn);
  source_.Log(LongMtr(5, 12'000));
  node_.RunFor(seconds(1));
  EXPECT_FALSE(registration_->registered());
  EXPECT_EQ(source_.consumer_session, 0U);
  EXPECT_EQ(registration_->let_go_count(), 1U);
  // Not again before the backlog is small.
  node_.RunFor(seconds(20));
  EXPECT_FALSE(registration_->registered());
  registration_->Release(source_.current());
  node_.RunFor(seconds(10));
  EXPECT_TRUE(registration_->registered());
}

TEST_F(RegistrationTest, LetsGoWhenNothingMoves) {
  RedoRegistrationOptions options;
  options.seconds_max = 10;
  Begin(options);
  registration_->Release(innodb::kFirstDataLsn);
  source_.Log(WriteMtr(5, 3, 1));
  node_.RunFor(seconds(8));
  EXPECT_TRUE(registration_->registered());
  node_.RunFor(seconds(4));
  EXPECT_EQ(source_.consumer_session, 0U);
  EXPECT_EQ(registration_->let_go_count(), 1U);
}

TEST_F(RegistrationTest, StandingStillOnAnIdleServerIsNoFault) {
  RedoRegistrationOptions options;
  options.seconds_max = 10;
  Begin(options);
  source_.Log(WriteMtr(5, 3, 1));
  registration_->Release(source_.current());
  node_.RunFor(seconds(120));
  EXPECT_TRUE(registration_->registered());
  EXPECT_EQ(registration_->let_go_count(), 0U);
}

TEST_F(RegistrationTest, WaitsForAnotherConsumerToLeave) {
  source_.consumer_session = 999;
  Begin({});
  EXPECT_FALSE(registration_->registered());
  EXPECT_TRUE(registration_->failure().ok());
  source_.consumer_session = 0;
  node_.RunFor(seconds(10));
  EXPECT_TRUE(registration_->registered());
}

TEST_F(RegistrationTest, SaysWhichPrivilegeIsMissing) {
  source_.refuse_register = Status(StatusCode::kUnauthenticated, "Access denied");
  Begin({});
  EXPECT_EQ(registration_->failure().code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(registration_->failure().message(), testing::HasSubstr("BACKUP_ADMIN"));
}

TEST_F(RegistrationTest, IsTakenAnewWhileTheServerIsAsked) {
  Begin({});
  source_.Log(LongMtr(5, 5000));
  registration_->Release(Lsn(9000));
  source_.answer_after = seconds(1);
  node_.RunFor(seconds(1) / 2);
  registration_->Restart();
  EXPECT_FALSE(registration_->registered());
  node_.RunFor(seconds(10));
  EXPECT_TRUE(registration_->registered());
  EXPECT_NE(source_.consumer_session, 0U);
}

TEST_F(RegistrationTest, ComesBackAfterTheServerDoes) {
  Begin({});
  source_.StopCleanly();
  node_.RunFor(seconds(2));
  EXPECT_FALSE(registration_->registered());
  source_.StartAgain();
  node_.RunFor(seconds(10));
  EXPECT_TRUE(registration_->registered());
}

}  // namespace
}  // namespace redoubt::tail
