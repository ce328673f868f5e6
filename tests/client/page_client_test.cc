// SPDX-License-Identifier: MIT
//
// Goal: reads succeed while one replica can answer, go to the right one, and their cost is bounded.
// Method: page servers that are a Channel each, on a scheduler with virtual time; each can be
// behind, slow, silent, gone, wiped or damaged. redoubt_client_test.c does it with real ones.
#include "client/page_client.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/innodb/page_format.h"
#include "common/runtime/rpc/wire_message.h"
#include "tests/common/runtime/test_scheduler.h"

namespace redoubt {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kPageBytes = 4096;
constexpr uint64_t kUid = 77;

class SeededRandom final : public Random {
 public:
  uint64_t Next() override { return HashMix(9, ++draw_); }

 private:
  uint64_t draw_ = 0;
};

class QuietLog final : public EventLog {
 public:
  void Write(LogLevel /*level*/, std::string_view /*message*/) override {}
};

// One page server. What it answers can be changed at any time.
class FakeServer final : public Channel {
 public:
  FakeServer(Scheduler* scheduler, uint32_t volume) : scheduler_(scheduler), volume_(volume) {}

  Task<Result<Frame>> Call(RpcRequest request, TimePoint deadline) override {
    const TimePoint answer_at = scheduler_->Now() + delay;
    if (silent || answer_at > deadline) {
      co_await scheduler_->SleepUntil(deadline);
      co_return DeadlineExceeded("no answer in time");
    }
    co_await scheduler_->SleepUntil(answer_at);
    if (down) {
      co_return Unavailable("connection refused");
    }
    Frame frame;
    if (request.type == proto::PAGE_GET) {
      ++reads;
      proto::GetPagesRequest message;
      EXPECT_TRUE(
          message.ParseFromArray(request.header.data(), static_cast<int>(request.header.size())));
      read_times.push_back(scheduler_->Now());
      const Lsn wanted(message.not_modified_since() != 0
                           ? std::min(message.not_modified_since(), message.read_lsn())
                           : message.read_lsn());
      while (applied < wanted && scheduler_->Now() < deadline) {
        co_await scheduler_->Sleep(milliseconds(1));
      }
      AnswerPages(message, wanted, &frame);
    } else if (request.type == proto::VOLUME_STATUS) {
      ++lookups;
      proto::VolumeStatusResponse answer;
      if (no_volume) {
        ToProto(NotFound("no volume v"), answer.mutable_status());
      }
      answer.mutable_volume()->set_volume_id(volume_);
      answer.mutable_volume()->set_volume_uid(uid);
      answer.mutable_volume()->set_horizon_lsn(horizon);
      answer.mutable_volume()->set_page_size(kPageBytes);
      answer.mutable_volume()->set_applied_lsn(applied.value());
      frame.header = Serialise(answer);
    } else {
      EXPECT_EQ(request.type, proto::WAIT_LSN);
      ++refreshes;
      proto::WaitLsnResponse answer;
      answer.set_applied_lsn(applied.value());
      frame.header = Serialise(answer);
    }
    co_return frame;
  }

  Lsn applied{1000};
  Duration delay = milliseconds(1);
  bool down = false;
  bool silent = false;
  bool no_volume = false;
  bool wrong_checksum = false;
  uint64_t uid = kUid;
  uint64_t horizon = 1;                // 0: no import has finished
  Status of_request;                   // instead of pages
  std::map<uint32_t, Status> of_page;  // by page number
  int reads = 0;
  int lookups = 0;
  int refreshes = 0;
  std::vector<TimePoint> read_times;

 private:
  void AnswerPages(const proto::GetPagesRequest& message, Lsn wanted, Frame* frame) {
    proto::GetPagesResponse answer;
    if (no_volume || message.volume_id() != volume_) {
      ToProto(NotFound("no volume " + std::to_string(message.volume_id())),
              answer.mutable_status());
    } else if (applied < wanted) {
      ToProto(DeadlineExceeded("behind"), answer.mutable_status());
    } else if (!of_request.ok()) {
      ToProto(of_request, answer.mutable_status());
    } else {
      answer.set_read_lsn(message.read_lsn() == 0 ? applied.value() : message.read_lsn());
      answer.set_applied_lsn(applied.value());
      answer.set_page_size(kPageBytes);
      for (const proto::PageRef& ref : message.pages()) {
        AddPage(ref, &answer, frame);
      }
    }
    frame->header = Serialise(answer);
  }
  void AddPage(const proto::PageRef& ref, proto::GetPagesResponse* answer, Frame* frame) {
    proto::PageResult* result = answer->add_pages();
    const auto bad = of_page.find(ref.page_no());
    if (bad != of_page.end()) {
      ToProto(bad->second, result->mutable_status());
      return;
    }
    Bytes image(kPageBytes);
    StoreBe32(image.data() + innodb::kPageNoOffset, ref.page_no());
    StoreBe32(image.data() + innodb::kPageSpaceIdOffset, ref.space());
    innodb::StampPage(image, Lsn(900));
    if (wrong_checksum) {
      image[200] ^= 1;
    }
    result->set_page_lsn(900);
    frame->payload.insert(frame->payload.end(), image.begin(), image.end());
  }

  Scheduler* scheduler_;
  uint32_t volume_;
};

struct Outcome {
  bool done = false;
  Status status;
  uint32_t page_no = 0;
  TimePoint at{};
};

class PageClientTest : public testing::Test {
 protected:
  PageClientTest() {
    runtime_.scheduler = &scheduler_;
    runtime_.random = &random_;
    runtime_.log = &log_;
    options_.volume = "v";
    options_.volume_uid = kUid;
  }
  ~PageClientTest() override {
    if (client_ != nullptr) {
      Drive(client_->Stop());
    }
  }

  // Numbers of the volume differ from server to server.
  void Make(size_t count) {
    std::vector<Channel*> channels;
    for (size_t i = 0; i < count; ++i) {
      servers_.push_back(
          std::make_unique<FakeServer>(&scheduler_, static_cast<uint32_t>(7 + 3 * i)));
      channels.push_back(servers_.back().get());
    }
    client_ = std::make_unique<PageClient>(&runtime_, channels, options_);
  }
  void Drive(Task<void> task) {
    TaskGroup group(&scheduler_);
    group.Spawn(std::move(task));
    while (group.running_count() > 0) {
      scheduler_.RunReady();
      if (group.running_count() > 0) {
        Step();
      }
    }
  }
  void Step() {
    now_ += std::chrono::microseconds(100);
    scheduler_.AdvanceTo(now_);
    scheduler_.RunReady();
  }
  void RunFor(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) {
      Step();
    }
  }
  static Task<void> ReadOne(PageClient* client, Scheduler* scheduler, uint32_t page_no, Lsn lsn,
                            TimePoint deadline, Outcome* outcome) {
    const Result<FetchedPage> page =
        co_await client->GetPage({SpaceId(5), PageNo(page_no)}, lsn, Lsn{}, deadline);
    outcome->status = page.status();
    outcome->page_no = page.ok() ? innodb::PageNoOf(page->image) : 0;
    outcome->at = scheduler->Now();
    outcome->done = true;
  }
  Outcome Read(uint32_t page_no, Lsn lsn = Lsn(950), Duration patience = milliseconds(5000)) {
    Outcome outcome;
    Drive(ReadOne(client_.get(), &scheduler_, page_no, lsn, now_ + patience, &outcome));
    EXPECT_TRUE(outcome.done);
    EXPECT_TRUE(!outcome.status.ok() || outcome.page_no == page_no);
    return outcome;
  }
  // Every server was read from and is known.
  void WarmUp() {
    for (int i = 0; i < 30; ++i) {
      ASSERT_TRUE(Read(1).status.ok());
      RunFor(milliseconds(5));
    }
    RunFor(milliseconds(2500));
    for (const auto& server : servers_) {
      EXPECT_GT(server->reads, 0);
      server->reads = 0;
      server->read_times.clear();
    }
    before_ = client_->counters();
  }
  int reads(size_t server) const { return servers_[server]->reads; }

  TestScheduler scheduler_;
  SeededRandom random_;
  QuietLog log_;
  Runtime runtime_;
  PageClientOptions options_;
  std::vector<std::unique_ptr<FakeServer>> servers_;
  std::unique_ptr<PageClient> client_;
  PageClientCounters before_;
  TimePoint now_{};
};

TEST_F(PageClientTest, FindsTheVolumeByNameOnEachServerOnce) {
  Make(3);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(Read(static_cast<uint32_t>(i)).status.ok());
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GT(reads(i), 10) << "equal servers share the work";
    EXPECT_EQ(servers_[i]->lookups, 1);
  }
  EXPECT_EQ(client_->counters().requests, 60U);
  EXPECT_EQ(client_->counters().hedges_sent, 0U);
}

// What has not been imported yet would be given as pages that were never written.
TEST_F(PageClientTest, DoesNotReadFromAServerThatIsStillBeingSeeded) {
  Make(2);
  servers_[0]->horizon = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Read(static_cast<uint32_t>(i)).status.ok());
  }
  EXPECT_EQ(reads(0), 0);
  servers_[0]->horizon = 1;
  RunFor(milliseconds(5000));  // until it is not avoided any more
  WarmUp();
}

TEST_F(PageClientTest, AsksAReplicaThatIsBehindOnlyIfNoBetterOneIsThere) {
  Make(3);
  servers_[1]->applied = Lsn(500);
  WarmUp();
  for (int i = 0; i < 40; ++i) {
    const Outcome read = Read(1, Lsn(950));
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
  }
  EXPECT_EQ(reads(1), 0);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(Read(1, Lsn(400)).status.ok());
  }
  EXPECT_GT(reads(1), 5) << "an old LSN it has";
  servers_[0]->down = true;
  servers_[2]->down = true;
  servers_[1]->reads = 0;
  TaskGroup group(&scheduler_);
  Outcome late;
  group.Spawn(ReadOne(client_.get(), &scheduler_, 1, Lsn(950), now_ + milliseconds(5000), &late));
  RunFor(milliseconds(300));
  EXPECT_FALSE(late.done);
  EXPECT_GT(reads(1), 0);
  servers_[1]->applied = Lsn(960);
  RunFor(milliseconds(300));
  EXPECT_TRUE(late.done && late.status.ok()) << late.status.ToString();
}

TEST_F(PageClientTest, AReplicaThatCaughtUpIsAskedAgain) {
  Make(2);
  servers_[1]->applied = Lsn(500);
  WarmUp();
  ASSERT_TRUE(Read(1).status.ok());
  EXPECT_EQ(reads(1), 0);
  servers_[1]->applied = Lsn(2000);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Read(1).status.ok());
    RunFor(milliseconds(10));
  }
  EXPECT_GT(servers_[1]->refreshes, 0);
  EXPECT_GT(reads(1), 20);
}

TEST_F(PageClientTest, ADeadReplicaCostsOneFailoverAndIsThenAvoided) {
  Make(3);
  WarmUp();
  servers_[0]->down = true;
  for (int i = 0; i < 60; ++i) {
    const Outcome read = Read(1);
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
  }
  EXPECT_GE(client_->counters().failovers - before_.failovers, 1U);
  EXPECT_LE(reads(0) + static_cast<int>(client_->counters().failovers - before_.failovers), 4);
  servers_[0]->down = false;
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(Read(1).status.ok());
    RunFor(milliseconds(10));
  }
  EXPECT_GT(reads(0), 20) << "it is back";
}

TEST_F(PageClientTest, AHedgeAnswersForASilentReplica) {
  Make(2);
  WarmUp();
  servers_[0]->silent = true;
  Duration longest{};
  for (int i = 0; i < 20; ++i) {
    const TimePoint began = now_;
    const Outcome read = Read(1);
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
    longest = std::max(longest, Duration(read.at - began));
  }
  const PageClientCounters& counters = client_->counters();
  EXPECT_GE(counters.hedges_won - before_.hedges_won, 1U);
  EXPECT_LE(counters.hedges_sent - before_.hedges_sent, 3U) << "then it is avoided";
  EXPECT_LE(longest, options_.hedge_delay_min + milliseconds(5));
}

TEST_F(PageClientTest, HedgesAreBoundedToAShareOfTheReads) {
  options_.hedge_percent = 5;
  Make(2);
  WarmUp();
  // Both slow down by turns, so that an answer is always unusually late.
  for (int i = 0; i < 400; ++i) {
    servers_[0]->delay = milliseconds(i % 2 == 0 ? 60 : 1);
    servers_[1]->delay = milliseconds(i % 2 == 0 ? 60 : 1);
    ASSERT_TRUE(Read(1).status.ok());
    RunFor(milliseconds(60));
  }
  const PageClientCounters& counters = client_->counters();
  const uint64_t hedges = counters.hedges_sent - before_.hedges_sent;
  EXPECT_GT(hedges, 0U);
  EXPECT_LE(hedges, HedgeBudget::kSavedMax + 400 * 5 / 100);
  EXPECT_EQ(counters.requests - before_.requests, 400 + hedges);
}

TEST_F(PageClientTest, NoHedgesWhenTheyAreSwitchedOff) {
  options_.hedge_percent = 0;
  options_.attempt_timeout = milliseconds(300);
  Make(2);
  WarmUp();
  servers_[0]->silent = true;
  servers_[1]->silent = true;
  const Outcome read = Read(1, Lsn(950), milliseconds(1000));
  EXPECT_EQ(read.status.code(), StatusCode::kDeadlineExceeded) << read.status.ToString();
  EXPECT_EQ(client_->counters().hedges_sent, 0U);
}

TEST_F(PageClientTest, ASilentReplicaWithoutHedgesIsLeftAfterAnAttempt) {
  options_.hedge_percent = 0;
  options_.attempt_timeout = milliseconds(300);
  Make(2);
  WarmUp();
  servers_[0]->silent = true;
  for (int i = 0; i < 4; ++i) {
    const TimePoint began = now_;
    const Outcome read = Read(1);
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
    EXPECT_LE(read.at - began, milliseconds(320));
  }
}

TEST_F(PageClientTest, ADamagedCopyIsReadFromAnotherReplica) {
  Make(2);
  WarmUp();
  servers_[0]->of_page[3] = Corruption("checksum of a stored image is wrong");
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Read(3).status.ok());
  }
  EXPECT_GT(client_->counters().failovers, before_.failovers);
  servers_[1]->of_page[3] = Corruption("here, too");
  const TimePoint began = now_;
  const Outcome read = Read(3);
  EXPECT_EQ(read.status.code(), StatusCode::kCorruption) << "both were asked: final";
  EXPECT_LE(read.at - began, milliseconds(50)) << "without waiting for the deadline";
}

TEST_F(PageClientTest, AnImageWithAWrongChecksumCountsAsDamage) {
  Make(2);
  WarmUp();
  servers_[0]->wrong_checksum = true;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Read(3).status.ok());
  }
  servers_[1]->down = true;
  const Outcome read = Read(3, Lsn(950), milliseconds(500));
  EXPECT_EQ(read.status.code(), StatusCode::kCorruption) << read.status.ToString();
}

TEST_F(PageClientTest, DamageIsNotFinalWhileAnotherReplicaMayComeBack) {
  Make(2);
  WarmUp();
  servers_[0]->of_page[3] = Corruption("damaged");
  servers_[1]->down = true;
  TaskGroup group(&scheduler_);
  Outcome late;
  group.Spawn(ReadOne(client_.get(), &scheduler_, 3, Lsn(950), now_ + milliseconds(5000), &late));
  RunFor(milliseconds(700));
  EXPECT_FALSE(late.done);
  servers_[1]->down = false;
  RunFor(milliseconds(1500));
  EXPECT_TRUE(late.done && late.status.ok()) << late.status.ToString();
}

TEST_F(PageClientTest, AClaimIsBelievedOnlyWhenTheOthersWereAsked) {
  for (const StatusCode code : {StatusCode::kNotFound, StatusCode::kHole, StatusCode::kBelowHorizon,
                                StatusCode::kUnsupported}) {
    SCOPED_TRACE(StatusCodeName(code));
    client_ = nullptr;
    servers_.clear();
    Make(2);
    WarmUp();
    servers_[0]->of_page[3] = Status(code, "says one");
    for (int i = 0; i < 6; ++i) {
      EXPECT_TRUE(Read(3).status.ok()) << "the other one has it";
    }
    servers_[1]->of_page[3] = Status(code, "says the other");
    EXPECT_EQ(Read(3).status.code(), code);
    servers_[1]->down = true;
    const TimePoint began = now_;
    const Outcome read = Read(3);
    EXPECT_EQ(read.status.code(), code) << read.status.ToString();
    EXPECT_LE(read.at - began, milliseconds(100)) << "a dead server does not hold up a claim";
    Drive(client_->Stop());
  }
}

TEST_F(PageClientTest, ARequestThatIsRefusedAsAWholeIsAskedOfTheOther) {
  Make(2);
  WarmUp();
  servers_[0]->of_request = Status(StatusCode::kBelowHorizon, "kept from LSN 990 on");
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(Read(3).status.ok());
  }
}

TEST_F(PageClientTest, AWipedServerIsNotBelievedAndIsLookedUpAgain) {
  Make(2);
  WarmUp();
  servers_[0]->no_volume = true;
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(Read(3).status.ok());
  }
  servers_[1]->down = true;
  const Outcome read = Read(3, Lsn(950), milliseconds(500));
  EXPECT_EQ(read.status.code(), StatusCode::kUnavailable) << read.status.ToString();
  servers_[1]->down = false;
  servers_[1]->no_volume = true;
  EXPECT_EQ(Read(3).status.code(), StatusCode::kNotFound) << "nobody has the volume";
}

TEST_F(PageClientTest, AnotherVolumeOfThatNameIsNotRead) {
  Make(2);
  servers_[0]->uid = kUid + 1;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Read(3).status.ok());
  }
  EXPECT_EQ(reads(0), 0);
  servers_[1]->uid = kUid + 1;
  client_ = nullptr;
  std::vector<Channel*> channels{servers_[0].get(), servers_[1].get()};
  client_ = std::make_unique<PageClient>(&runtime_, channels, options_);
  EXPECT_EQ(Read(3).status.code(), StatusCode::kInvalidArgument);
}

TEST_F(PageClientTest, RetriesWithGrowingDelaysUntilTheDeadline) {
  Make(2);
  WarmUp();
  servers_[0]->down = true;
  servers_[1]->down = true;
  const TimePoint began = now_;
  const Outcome read = Read(3, Lsn(950), milliseconds(3000));
  EXPECT_EQ(read.status.code(), StatusCode::kUnavailable) << read.status.ToString();
  EXPECT_GE(read.at - began, milliseconds(1900));
  EXPECT_LE(read.at - began, milliseconds(3000));
  const uint64_t rounds = client_->counters().retry_rounds - before_.retry_rounds;
  EXPECT_GE(rounds, 5U);
  EXPECT_LE(rounds, 12U) << "delays double";
  TaskGroup group(&scheduler_);
  Outcome late;
  group.Spawn(ReadOne(client_.get(), &scheduler_, 3, Lsn(950), now_ + milliseconds(5000), &late));
  RunFor(milliseconds(500));
  servers_[0]->down = false;
  RunFor(milliseconds(1500));
  EXPECT_TRUE(late.done && late.status.ok()) << late.status.ToString();
}

TEST_F(PageClientTest, PagesOfOneRequestComeFromSeveralReplicas) {
  Make(2);
  WarmUp();
  servers_[0]->of_page[1] = Corruption("damaged");
  servers_[1]->of_page[2] = Corruption("damaged");
  std::vector<Result<FetchedPage>> results;
  struct Reader {
    static Task<void> Run(PageClient* client, std::vector<Result<FetchedPage>>* out) {
      std::vector<PageId> pages;
      for (uint32_t i = 0; i < 4; ++i) {
        pages.push_back({SpaceId(5), PageNo(i)});
      }
      *out = co_await client->GetPages(std::move(pages), Lsn(950), Lsn{}, AtMs(1'000'000));
    }
  };
  Drive(Reader::Run(client_.get(), &results));
  ASSERT_EQ(results.size(), 4U);
  for (uint32_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(results[i].ok()) << results[i].status().ToString();
    EXPECT_EQ(innodb::PageNoOf(results[i]->image), i);
  }
}

TEST_F(PageClientTest, StopEndsReadsThatWait) {
  Make(2);
  servers_[0]->down = true;
  servers_[1]->down = true;
  TaskGroup group(&scheduler_);
  Outcome outcome;
  group.Spawn(ReadOne(client_.get(), &scheduler_, 3, Lsn(950), kNever, &outcome));
  RunFor(milliseconds(100));
  Drive(client_->Stop());
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.status.code(), StatusCode::kCancelled) << outcome.status.ToString();
}

TEST(ChooseReplica, PrefersHealthOverProgressOverLoad) {
  std::vector<ReplicaView> views(3);
  for (ReplicaView& view : views) {
    view.applied_known = true;
  }
  views[0].applied = Lsn(100);
  views[1].applied = Lsn(200);
  views[2].applied = Lsn(200);
  views[1].latency = milliseconds(1);
  views[1].in_flight = 4;
  views[2].latency = milliseconds(2);
  EXPECT_EQ(ChooseReplica(views, Lsn(150), AtMs(0), 0), 2U) << "2 ms alone beats 1 ms behind four";
  EXPECT_EQ(ChooseReplica(views, Lsn(90), AtMs(0), 0), 0U) << "unknown latency is worth a try";
  views[2].avoid_until = AtMs(10);
  EXPECT_EQ(ChooseReplica(views, Lsn(150), AtMs(0), 0), 1U);
  views[1].avoid_until = AtMs(10);
  EXPECT_EQ(ChooseReplica(views, Lsn(150), AtMs(0), 0), 0U) << "the only one that works";
  EXPECT_EQ(ChooseReplica(views, Lsn(150), AtMs(10), 0), 2U);
  for (ReplicaView& view : views) {
    view.excluded = true;
  }
  EXPECT_EQ(ChooseReplica(views, Lsn(150), AtMs(10), 0), std::nullopt);
}

TEST(ChooseReplica, WhereNobodyHasEnoughALittleLessIsAsGood) {
  std::vector<ReplicaView> views(2);
  views[0].applied_known = true;
  views[1].applied_known = true;
  views[0].applied = Lsn(10 * kAppliedSlackBytes);
  views[1].applied = Lsn(10 * kAppliedSlackBytes - 100);
  EXPECT_EQ(ChooseReplica(views, kMaxLsn, AtMs(0), 1), 1U);
  views[1].applied = Lsn(8 * kAppliedSlackBytes);
  EXPECT_EQ(ChooseReplica(views, kMaxLsn, AtMs(0), 1), 0U);
}

}  // namespace
}  // namespace redoubt
