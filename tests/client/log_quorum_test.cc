// SPDX-License-Identifier: MIT
//
// Goal: with three log servers nothing that a writer was told to be durable is ever lost or
// changed, whichever one of them dies, loses power or its disk, and whichever writer takes over,
// the old one being alive or dead; nor with a single one that dies; and no writer ever goes on
// behind half an mtr. Method: three page servers, or one, and two writers as simulated machines;
// the writers note every acknowledged mtr; at the end a last writer reads the log back.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/epoch_negotiation.h"
#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/innodb/mtr_assembler.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "pageserver/server.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"
#include "tests/support/page_server_program.h"

namespace redoubt {
namespace {

constexpr uint64_t kUid = 77;
const std::vector<std::string> kThree{"log1:7000", "log2:7000", "log3:7000"};
const std::vector<std::string> kOne{"log1:7000"};

// What clients were told. Shared by all lives of all writers.
struct Ledger {
  std::vector<std::string> addresses;
  struct Mtr {
    Lsn end;
    uint32_t crc;
  };
  std::map<Lsn, Mtr> acknowledged;  // by start
  Lsn end;                          // of what is acknowledged
  uint64_t next_value = 1;
  uint64_t epochs = 0;
  uint64_t fenced = 0;
  bool calm = false;
  bool verified = false;
};

TimePoint In(Runtime* runtime, int ms) {
  return runtime->scheduler->Now() + std::chrono::milliseconds(ms);
}

Task<void> ServeForever(Runtime* runtime, std::string address) {
  PageServerOptions options = InMemoryPageServer(std::move(address));
  // One segment: nothing is trimmed, whatever the page role has stored.
  options.volumes.log_tail_bytes = 8 << 10;
  return RunPageServer(runtime, std::move(options));
}

// At every server, once, before anything goes wrong.
Task<void> MakeVolumes(Runtime* runtime, const Ledger* ledger, bool* done) {
  for (const std::string& address : ledger->addresses) {
    ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    Status status = Unavailable("not tried");
    while (!status.ok()) {
      proto::VolumeCreateRequest create;
      create.set_name("v");
      create.set_page_size(16384);
      create.set_uid(kUid);
      const auto created = co_await client.VolumeCreate(std::move(create), In(runtime, 1000));
      status = created.status();
      co_await runtime->scheduler->Sleep(std::chrono::milliseconds(20));
    }
    co_await channel.Close();
  }
  *done = true;
}

LogWriterOptions Options() {
  LogWriterOptions options;
  options.volume = "v";
  options.window_bytes = 4000;
  options.append_timeout = std::chrono::seconds(1);
  options.prepare_timeout = std::chrono::milliseconds(300);
  return options;
}

struct Pending {
  Lsn start;
  Lsn end;
  uint32_t crc;
};

// What is acknowledged now goes into the ledger, unless another writer has gone on from before it.
void Note(Ledger* ledger, std::vector<Pending>* pending, Lsn acknowledged) {
  size_t count = 0;
  for (const Pending& mtr : *pending) {
    if (mtr.end > acknowledged) {
      break;
    }
    const auto [at, fresh] = ledger->acknowledged.insert({mtr.start, {mtr.end, mtr.crc}});
    EXPECT_TRUE(fresh || at->second.crc == mtr.crc)
        << "two writers were acknowledged at LSN " << mtr.start.value();
    ledger->end = std::max(ledger->end, mtr.end);
    ++count;
  }
  pending->erase(pending->begin(), pending->begin() + static_cast<ptrdiff_t>(count));
}

Task<Status> Stream(Runtime* runtime, Ledger* ledger, LogWriter* writer, RedoMaker* redo) {
  std::vector<Pending> pending;
  while (!ledger->calm) {
    Note(ledger, &pending, writer->acknowledged());
    const Lsn start = redo->end();
    const Bytes bytes =
        redo->Write(static_cast<uint32_t>(runtime->random->Below(10)), ledger->next_value++);
    pending.push_back({start, redo->end(), Crc32c(bytes)});
    // Now and then an mtr leaves in two chunks, so that one can be torn.
    const size_t cut = runtime->random->Below(3) == 0 ? 1 + runtime->random->Below(4) : 0;
    for (const RedoAppend& append : AppendsOf(start, bytes, cut)) {
      Status status(StatusCode::kDeadlineExceeded, "not tried");
      while (status.code() == StatusCode::kDeadlineExceeded) {
        RedoAppend copy = append;
        status = co_await writer->Append(std::move(copy), In(runtime, 500));
        Note(ledger, &pending, writer->acknowledged());
      }
      if (!status.ok()) {
        Note(ledger, &pending, writer->acknowledged());
        co_return status;
      }
    }
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(1 + runtime->random->Below(4)));
  }
  co_return Status::Ok();
}

Task<void> WriteForever(Runtime* runtime, Ledger* ledger, int pause_ms) {
  co_await runtime->scheduler->Sleep(std::chrono::milliseconds(pause_ms));
  while (!ledger->calm) {
    LogWriter writer(runtime, ledger->addresses, Options());
    const Lsn known = ledger->end;
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
    Status status = position.status();
    if (position.ok()) {
      ++ledger->epochs;
      EXPECT_GE(position->end, known) << "acknowledged before the epoch began";
      Lsn begin = position->end;
      if (begin == Lsn{}) {
        begin = RedoMaker::kStart;
        std::string reason = "first";
        status = co_await writer.StartAt(begin, std::move(reason), In(runtime, 3000));
      }
      if (status.ok()) {
        RedoMaker redo(begin);
        status = co_await Stream(runtime, ledger, &writer, &redo);
      }
    }
    co_await writer.Stop();
    ledger->fenced += status.code() == StatusCode::kStaleEpoch ? 1 : 0;
    co_await runtime->scheduler->Sleep(
        std::chrono::milliseconds(100 + runtime->random->Below(1500)));
  }
}

// Reads the whole log of every member and holds it against the ledger.
Task<Status> Verify(Runtime* runtime, const Ledger* ledger) {
  LogWriter writer(runtime, ledger->addresses, Options());
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 20'000));
  if (!position.ok()) {
    co_return position.status();
  }
  EXPECT_GE(position->end, ledger->end);
  // Every member, not only a majority, gets there.
  for (const std::string& address : ledger->addresses) {
    ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    proto::VolumeStatusRequest ask;
    ask.set_name("v");
    const auto state = co_await client.VolumeStatus(std::move(ask), In(runtime, 1000));
    if (!state.ok()) {
      co_return state.status();
    }
    if (ledger->addresses.size() == 1) {
      EXPECT_EQ(state->volume().ingest_error(), "") << "its page role never saw half an mtr";
    }
    std::map<Lsn, Ledger::Mtr> found;
    Lsn at = Lsn(state->volume().log_begin_lsn());
    Lsn begin;  // first mtr: what is kept may begin in the middle of one
    innodb::MtrAssembler assembler(at);
    for (int idle = 0; at < position->end && idle < 100;) {
      proto::LogReadRequest request;
      request.set_volume_id(state->volume().volume_id());
      request.set_start_lsn(at.value());
      request.set_bytes_max(1 << 20);
      request.set_deadline_ms(100);
      const auto answer = co_await client.LogRead(std::move(request), In(runtime, 5000));
      if (answer.status().code() == StatusCode::kBelowHorizon && ++idle < 100) {
        // Now that every member has it, redo that the pages hold is trimmed: what is kept counts.
        proto::LogStatusRequest again;
        again.set_volume_id(state->volume().volume_id());
        const auto log = co_await client.LogStatus(std::move(again), In(runtime, 1000));
        at = log.ok() ? Lsn(log->begin_lsn()) : at;
        begin = Lsn{};
        continue;
      }
      if (!answer.ok()) {
        co_return answer.status().WithContext(address);
      }
      ByteView payload = answer->payload;
      if (begin != Lsn{} && !answer->message.chunks().empty()) {
        // A chunk of which a part was read already comes whole.
        payload = payload.subspan(innodb::ToSn(at).value() -
                                  innodb::ToSn(Lsn(answer->message.chunks(0).start_lsn())).value());
      }
      if (begin == Lsn{} && !answer->message.chunks().empty()) {
        for (const proto::ChunkHeader& chunk : answer->message.chunks()) {
          begin = begin == Lsn{} ? Lsn(chunk.first_mtr_lsn()) : begin;
        }
        payload = payload.subspan(innodb::ToSn(begin).value() - innodb::ToSn(at).value());
        assembler.Reset(begin);
      }
      const Status fed = assembler.Feed(payload, [&found](const innodb::MtrView& mtr) {
        found[mtr.start_lsn] = {mtr.end_lsn, Crc32c(mtr.bytes)};
        return Status::Ok();
      });
      if (!fed.ok()) {
        co_return fed.WithContext(address);
      }
      idle = answer->message.chunks().empty() ? idle + 1 : 0;
      at = assembler.fed_lsn();
    }
    EXPECT_GE(at, position->end) << address;
    for (const auto& [start, mtr] : ledger->acknowledged) {
      if (start < begin) {
        continue;
      }
      const auto there = found.find(start);
      if (there == found.end() || there->second.crc != mtr.crc) {
        co_return Corruption(address + ": the acknowledged mtr at LSN " +
                             std::to_string(start.value()) +
                             (there == found.end() ? " is lost" : " has other bytes"));
      }
    }
    co_await channel.Close();
  }
  co_await writer.Stop();
  co_return Status::Ok();
}

Task<void> VerifyAndTell(Runtime* runtime, Ledger* ledger, Status* status) {
  *status = co_await Verify(runtime, ledger);
  ledger->verified = true;
}

enum class Harm { kKill, kWipe };

void RunSeed(uint64_t seed, Harm harm, int rounds, std::vector<std::string> addresses) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  sim::SimOptions options;
  options.resume_jitter_ppm = 50'000;
  sim::TestWorld world(seed, options);
  Ledger ledger;
  ledger.addresses = std::move(addresses);
  std::vector<sim::NodeId> servers;
  std::vector<sim::ProgramFactory> serve;
  for (const std::string& address : ledger.addresses) {
    servers.push_back(world.world.AddNode(address.substr(0, address.find(':'))));
    serve.push_back(sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
    world.world.StartNode(servers.back(), serve.back());
  }
  const sim::NodeId first = world.world.AddNode("writer1");
  const sim::NodeId second = world.world.AddNode("writer2");
  const sim::NodeId admin = world.world.AddNode("admin");
  bool made = false;
  world.world.StartNode(
      admin, sim::Program([&ledger, &made](Runtime* r) { return MakeVolumes(r, &ledger, &made); }));
  world.world.RunUntil(30 * sim::kSecond, [&made] { return made; }, sim::kEventLimit);
  ASSERT_TRUE(made);
  const auto write = [&ledger](int pause_ms) {
    return sim::Program(
        [&ledger, pause_ms](Runtime* r) { return WriteForever(r, &ledger, pause_ms); });
  };
  world.world.StartNode(first, write(0));
  world.world.StartNode(second, write(3000));
  uint64_t draw = 0;
  const auto next = [&](uint64_t below) { return HashMix(seed, ++draw) % below; };
  for (int round = 0; round < rounds; ++round) {
    world.RunFor(static_cast<int64_t>(200'000'000 + next(800'000'000)));
    if (next(4) == 0) {
      const sim::NodeId writer = next(2) == 0 ? first : second;
      world.world.KillNode(writer, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
      world.RunFor(static_cast<int64_t>(next(100'000'000)));
      world.world.StartNode(writer, write(static_cast<int>(next(1000))));
      continue;
    }
    const size_t victim = next(servers.size());
    const bool power = next(2) == 0;
    world.world.KillNode(servers[victim], power ? sim::KillKind::kPower : sim::KillKind::kProcess,
                         sim::CrashPolicy::kSeeded);
    world.RunFor(static_cast<int64_t>(next(3'000'000'000)));
    if (harm == Harm::kWipe) {
      world.world.DiskOf(servers[victim]).Wipe();
    }
    world.world.StartNode(servers[victim], serve[victim]);
    if (harm == Harm::kWipe) {
      // A disk that is lost before the last one was filled up again is one too many.
      world.RunFor(8 * sim::kSecond);
    }
  }
  ledger.calm = true;
  world.RunFor(5 * sim::kSecond);
  Status status;
  world.world.KillNode(admin, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  world.world.StartNode(admin, sim::Program([&ledger, &status](Runtime* r) {
                          return VerifyAndTell(r, &ledger, &status);
                        }));
  world.world.RunUntil(
      world.world.now_ns() + 60 * sim::kSecond, [&ledger] { return ledger.verified; },
      sim::kEventLimit);
  ASSERT_TRUE(ledger.verified);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_GT(ledger.acknowledged.size(), 500U);
  EXPECT_GT(ledger.epochs, 2U);
}

Task<void> StartOnce(Runtime* runtime, LogWriterOptions options, Status* status, int64_t* took_ms) {
  LogWriter writer(runtime, kThree, std::move(options));
  const TimePoint began = runtime->scheduler->Now();
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 20'000));
  *status = position.status();
  *took_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime->scheduler->Now() - began)
          .count();
  co_await writer.Stop();
}

// A machine without power says nothing at all, not even that nobody listens there.
TEST(LogQuorum, TakesOverAlthoughOneServerIsSilent) {
  for (size_t silent = 0; silent < kThree.size(); ++silent) {
    SCOPED_TRACE(kThree[silent]);
    sim::TestWorld world(1, sim::SimOptions());
    std::vector<sim::NodeId> servers;
    for (const std::string& address : kThree) {
      servers.push_back(world.world.AddNode(address.substr(0, address.find(':'))));
      world.world.StartNode(
          servers.back(), sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
    }
    const sim::NodeId admin = world.world.AddNode("admin");
    const sim::NodeId writer = world.world.AddNode("writer");
    bool made = false;
    Ledger ledger;
    ledger.addresses = kThree;
    world.world.StartNode(admin, sim::Program([&ledger, &made](Runtime* r) {
                            return MakeVolumes(r, &ledger, &made);
                          }));
    world.world.RunUntil(30 * sim::kSecond, [&made] { return made; }, sim::kEventLimit);
    ASSERT_TRUE(made);
    world.world.KillNode(servers[silent], sim::KillKind::kPower, sim::CrashPolicy::kSeeded);
    Status status = Unavailable("not tried");
    int64_t took_ms = -1;
    world.world.StartNode(writer, sim::Program([&](Runtime* r) {
                            return StartOnce(r, Options(), &status, &took_ms);
                          }));
    world.world.RunUntil(
        world.world.now_ns() + 30 * sim::kSecond, [&took_ms] { return took_ms >= 0; },
        sim::kEventLimit);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_LT(took_ms, 1000) << "two rounds that wait 300 ms each, and no more";
  }
}

// One log server cannot read its redo, another one is away for two seconds: a writer waits for that
// one instead of giving up over the first.
TEST(LogQuorum, DamageOfOneEndsNoStartWhileAnotherMayComeBack) {
  sim::TestWorld world(1, sim::SimOptions());
  std::vector<sim::NodeId> servers;
  std::vector<sim::ProgramFactory> serve;
  for (const std::string& address : kThree) {
    servers.push_back(world.world.AddNode(address.substr(0, address.find(':'))));
    serve.push_back(sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
    world.world.StartNode(servers.back(), serve.back());
  }
  const sim::NodeId admin = world.world.AddNode("admin");
  const sim::NodeId writer = world.world.AddNode("writer");
  bool made = false;
  Ledger ledger;
  ledger.addresses = kThree;
  world.world.StartNode(
      admin, sim::Program([&ledger, &made](Runtime* r) { return MakeVolumes(r, &ledger, &made); }));
  world.world.RunUntil(30 * sim::kSecond, [&made] { return made; }, sim::kEventLimit);
  ASSERT_TRUE(made);
  world.world.StartNode(
      writer, sim::Program([&ledger](Runtime* r) { return WriteForever(r, &ledger, 0); }));
  world.RunFor(2 * sim::kSecond);
  world.world.KillNode(writer, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  world.world.KillNode(servers[0], sim::KillKind::kPower, sim::CrashPolicy::kAll);
  sim::RandomRoot random(1);
  sim::SeededStream choice(&random, "damage", 0);
  ASSERT_TRUE(world.world.DiskOf(servers[0])
                  .DamageSector(sim::DamageKind::kUnreadable, ".redo", &choice)
                  .has_value());
  world.world.StartNode(servers[0], serve[0]);
  world.world.KillNode(servers[2], sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  Status status = Unavailable("not tried");
  int64_t took_ms = -1;
  world.world.StartNode(
      writer, sim::Program([&](Runtime* r) { return StartOnce(r, Options(), &status, &took_ms); }));
  world.RunFor(2 * sim::kSecond);
  EXPECT_EQ(took_ms, -1) << "it waits; it ended with " << status.ToString();
  world.world.StartNode(servers[2], serve[2]);
  world.world.RunUntil(
      world.world.now_ns() + 30 * sim::kSecond, [&took_ms] { return took_ms >= 0; },
      sim::kEventLimit);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(LogQuorum, NothingAcknowledgedIsLostWhenOneServerAtATimeDies) {
  for (uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    RunSeed(seed, Harm::kKill, 30, kThree);
  }
}

TEST(LogQuorum, AServerThatLostItsDiskIsFilledUpAgain) {
  for (uint64_t seed = 1; seed <= 3 && !HasFailure(); ++seed) {
    RunSeed(seed, Harm::kWipe, 6, kThree);
  }
}

struct Idling {
  Lsn away_from;  // where the log ended when the server went away
  bool idle = false;
  Lsn keep_from;
  bool asked = false;
};

// Appends, and again once a server is away; then only stands there.
Task<void> AppendAndIdle(Runtime* runtime, Idling* seen, const bool* away) {
  LogWriter writer(runtime, kThree, Options());
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  RedoMaker redo;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    if (i == 50) {
      co_await runtime->scheduler->Sleep(std::chrono::milliseconds(500));
      seen->away_from = redo.end();
      while (!*away) {
        co_await runtime->scheduler->Sleep(std::chrono::milliseconds(10));
      }
    }
    RedoAppend append = redo.AppendInit(static_cast<uint32_t>(i));
    status = co_await writer.Append(std::move(append), In(runtime, 3000));
  }
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await writer.WaitAcknowledged(redo.end(), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  seen->idle = true;
  Event never(runtime->scheduler);
  co_await never.Wait();
}

Task<void> AskKeepFrom(Runtime* runtime, Idling* seen) {
  ReconnectingChannel channel(runtime, kThree.front(), ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::LogStatusRequest request;
  request.set_volume_id(1);
  const auto answer = co_await client.LogStatus(std::move(request), In(runtime, 1000));
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  seen->keep_from = answer.ok() ? Lsn(answer->keep_from_lsn()) : Lsn{};
  co_await channel.Close();
  seen->asked = true;
}

// Goal: asking an idle server whether it is there does not take back what another one still wants.
TEST(LogQuorum, AnIdleWriterKeepsRedoForAServerThatIsAway) {
  sim::TestWorld world(1);
  Ledger ledger;
  ledger.addresses = kThree;
  std::vector<sim::NodeId> servers;
  for (const std::string& address : kThree) {
    servers.push_back(world.world.AddNode(address.substr(0, address.find(':'))));
    world.world.StartNode(servers.back(),
                          sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
  }
  const sim::NodeId admin = world.world.AddNode("admin");
  const sim::NodeId writer = world.world.AddNode("writer");
  bool made = false;
  world.world.StartNode(
      admin, sim::Program([&ledger, &made](Runtime* r) { return MakeVolumes(r, &ledger, &made); }));
  world.world.RunUntil(30 * sim::kSecond, [&made] { return made; }, sim::kEventLimit);
  ASSERT_TRUE(made);
  Idling seen;
  bool away = false;
  world.world.StartNode(
      writer, sim::Program([&seen, &away](Runtime* r) { return AppendAndIdle(r, &seen, &away); }));
  world.RunFor(3 * sim::kSecond);
  world.world.KillNode(servers.back(), sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  away = true;
  world.RunFor(5 * sim::kSecond);
  ASSERT_TRUE(seen.idle);
  world.world.KillNode(admin, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
  world.world.StartNode(admin, sim::Program([&seen](Runtime* r) { return AskKeepFrom(r, &seen); }));
  world.RunFor(2 * sim::kSecond);
  ASSERT_TRUE(seen.asked);
  EXPECT_GT(seen.keep_from, Lsn{}) << "somebody wants redo";
  EXPECT_LE(seen.keep_from, seen.away_from);
}

struct Left {
  Lsn end;
  bool streams = false;
  bool done = false;
  std::vector<Lsn> commits;  // by server, soon after
};

// Appends, waits until it is durable, and leaves at once.
Task<void> AppendAndStop(Runtime* runtime, Left* left) {
  LogWriter writer(runtime, kThree, Options());
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  RedoMaker redo;
  for (uint32_t i = 0; i < 20 && status.ok(); ++i) {
    if (i == 10) {
      left->streams = true;
      co_await runtime->scheduler->Sleep(std::chrono::seconds(2));
    }
    RedoAppend append = redo.AppendInit(i);
    status = co_await writer.Append(std::move(append), In(runtime, 3000));
  }
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await writer.WaitAcknowledged(redo.end(), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  const TimePoint before = runtime->scheduler->Now();
  co_await writer.Stop();
  EXPECT_LE(runtime->scheduler->Now() - before, std::chrono::milliseconds(510));
  left->end = redo.end();
  co_await runtime->scheduler->Sleep(std::chrono::milliseconds(100));  // the slowest one's sync
  for (const std::string& address : kThree) {
    ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    proto::LogStatusRequest request;
    request.set_volume_id(1);
    const auto answer = co_await client.LogStatus(std::move(request), In(runtime, 1000));
    left->commits.push_back(answer.ok() ? Lsn(answer->commit_lsn()) : Lsn{});
    co_await channel.Close();
  }
  left->done = true;
}

// Goal: a writer that ends leaves no log server that is there in ignorance of what is committed,
// and one that is silent does not hold it up: page servers get the last mtrs.
TEST(LogQuorum, AWriterThatEndsTellsWhatIsCommitted) {
  for (const bool one_away : {false, true}) {
    sim::TestWorld world(1);
    Ledger ledger;
    ledger.addresses = kThree;
    std::vector<sim::NodeId> servers;
    for (const std::string& address : kThree) {
      servers.push_back(world.world.AddNode(address.substr(0, address.find(':'))));
      world.world.StartNode(
          servers.back(), sim::Program([address](Runtime* r) { return ServeForever(r, address); }));
    }
    const sim::NodeId admin = world.world.AddNode("admin");
    bool made = false;
    world.world.StartNode(admin, sim::Program([&ledger, &made](Runtime* r) {
                            return MakeVolumes(r, &ledger, &made);
                          }));
    world.world.RunUntil(30 * sim::kSecond, [&made] { return made; }, sim::kEventLimit);
    ASSERT_TRUE(made);
    Left left;
    world.world.StartNode(world.world.AddNode("writer"),
                          sim::Program([&left](Runtime* r) { return AppendAndStop(r, &left); }));
    world.world.RunUntil(30 * sim::kSecond, [&left] { return left.streams; }, sim::kEventLimit);
    world.RunFor(sim::kSecond);
    if (one_away) {
      world.world.KillNode(servers[2], sim::KillKind::kPower, sim::CrashPolicy::kAll);
    }
    world.RunFor(15 * sim::kSecond);
    ASSERT_TRUE(left.done);
    EXPECT_EQ(left.commits[0], left.end);
    EXPECT_EQ(left.commits[1], left.end);
    EXPECT_EQ(left.commits[2], one_away ? Lsn{} : left.end);
  }
}

TEST(LogQuorum, ASingleServerIsAQuorumOfOne) {
  for (uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    RunSeed(seed, Harm::kKill, 30, kOne);
  }
}

}  // namespace
}  // namespace redoubt
