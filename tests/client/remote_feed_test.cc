// SPDX-License-Identifier: MIT
//
// Goal: page servers that get their redo from log servers elsewhere show every page as it was at
// every LSN, whichever log server or page server dies or loses its disk meanwhile. Method: three
// log servers, two page servers and a writer as simulated machines; the writer notes what it wrote
// where; at the end every version of every page is read from both page servers and held against
// the notes.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/base/hash.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "pageserver/server.h"
#include "pageserver/storage/memory_kv_store.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt {
namespace {

constexpr uint64_t kUid = 77;
constexpr uint32_t kPageCount = 12;
const std::vector<std::string> kLogServers{"log1:7000", "log2:7000", "log3:7000"};
const std::vector<std::string> kPageServers{"page1:7000", "page2:7000"};

TimePoint In(Runtime* runtime, int ms) {
  return runtime->scheduler->Now() + std::chrono::milliseconds(ms);
}

// What the log holds, as far as it was not cut off by a later epoch.
struct Notes {
  struct Write {
    Lsn end;
    uint32_t page_no;
    uint64_t value;
  };
  std::map<Lsn, Write> writes;  // by start
  Lsn acknowledged;
  uint64_t next_value = 1;
  bool calm = false;
  bool quiet = false;  // the writer has ended
  uint64_t epochs = 0;
};

Task<void> ServeForever(Runtime* runtime, std::string address, ServerRole role) {
  PageServerOptions options;
  options.role = role;
  options.data_dir = "/data";
  options.listen = std::move(address);
  options.volumes.log_tail_bytes = 4 << 10;
  options.volumes.log_segment_bytes = 4 << 10;
  options.volumes.page_batch_bytes = 4 << 10;
  if (role == ServerRole::kPage) {
    options.volumes.log_servers = kLogServers;
    options.open_store = [](Runtime* r, std::string path) {
      return MemoryKvStore::Open(r, std::move(path));
    };
  }
  PageServer server(runtime, std::move(options));
  const Status started = co_await server.Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  Event never(runtime->scheduler);
  co_await never.Wait();
}

// Tried until it works.
Task<uint32_t> MakeVolume(Runtime* runtime, std::string address, uint64_t uid, uint32_t page_size) {
  ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  uint32_t id = 0;
  while (id == 0) {
    proto::VolumeCreateRequest create;
    create.set_name("v");
    create.set_page_size(page_size);
    create.set_uid(uid);
    const auto created = co_await client.VolumeCreate(std::move(create), In(runtime, 6000));
    if (created.status().code() == StatusCode::kAlreadyExists) {
      id = 1;
    }
    id = created.ok() ? created->volume_id() : id;
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(50));
  }
  co_await channel.Close();
  co_return id;
}

Task<Result<proto::VolumeState>> StateOf(Runtime* runtime, std::string address) {
  ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  proto::VolumeStatusRequest ask;
  ask.set_name("v");
  const auto answer = co_await client.VolumeStatus(std::move(ask), In(runtime, 1000));
  co_await channel.Close();
  if (!answer.ok()) {
    co_return answer.status();
  }
  co_return answer->volume();
}

// The volume everywhere: asked for by uid at the log servers, by name at the page servers.
Task<void> MakeVolumes(Runtime* runtime, bool* done) {
  for (const std::string& address : kLogServers) {
    co_await MakeVolume(runtime, address, kUid, 16384);
  }
  for (const std::string& address : kPageServers) {
    co_await MakeVolume(runtime, address, 0, 0);
    const Result<proto::VolumeState> state = co_await StateOf(runtime, address);
    EXPECT_TRUE(state.ok()) << state.status().ToString();
    EXPECT_EQ(state->volume_uid(), kUid);
    EXPECT_EQ(state->page_size(), 16384U);
  }
  *done = true;
}

// One page server's horizon, tried until it has it.
Task<Status> SetHorizon(Runtime* runtime, std::string address, Epoch epoch) {
  ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  Status status = Unavailable("not tried");
  for (int i = 0; i < 50 && status.code() == StatusCode::kUnavailable; ++i) {
    proto::SetHorizonRequest horizon;
    horizon.set_volume_id(1);
    horizon.set_epoch(epoch.value());
    horizon.set_horizon_lsn(RedoMaker::kStart.value());
    const auto set = co_await client.SetHorizon(std::move(horizon), In(runtime, 5000));
    status = set.status();
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(100));
  }
  co_await channel.Close();
  co_return status;
}

Task<Status> Stream(Runtime* runtime, Notes* notes, LogWriter* writer, RedoMaker* redo) {
  while (!notes->calm) {
    const Lsn start = redo->end();
    const bool first = notes->writes.size() < kPageCount;
    const uint32_t page_no =
        static_cast<uint32_t>(first ? notes->writes.size() : runtime->random->Below(kPageCount));
    const uint64_t value = first ? 0 : notes->next_value++;
    const Bytes bytes = first ? redo->InitPage(page_no) : redo->Write(page_no, value);
    notes->writes[start] = {redo->end(), page_no, value};
    // Now and then an mtr leaves in two chunks.
    const size_t cut = runtime->random->Below(3) == 0 ? 1 + runtime->random->Below(4) : 0;
    const Lsn middle = innodb::AdvanceLsn(start, cut);
    for (const LsnRange range : {LsnRange{start, middle}, LsnRange{middle, redo->end()}}) {
      if (range.empty()) {
        continue;
      }
      RedoAppend append;
      append.range = range;
      append.first_mtr_lsn = range.start == start ? start : Lsn{};
      const auto split = bytes.begin() + static_cast<ptrdiff_t>(cut);
      append.payload = range.start == start && cut > 0
                           ? std::make_shared<const Bytes>(bytes.begin(), split)
                           : std::make_shared<const Bytes>(split, bytes.end());
      Status status(StatusCode::kDeadlineExceeded, "not tried");
      while (status.code() == StatusCode::kDeadlineExceeded) {
        RedoAppend copy = append;
        status = co_await writer->Append(std::move(copy), In(runtime, 500));
      }
      if (!status.ok()) {
        co_return status;
      }
    }
    notes->acknowledged = std::max(notes->acknowledged, writer->acknowledged());
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(1 + runtime->random->Below(8)));
  }
  const Status drained = co_await writer->WaitAcknowledged(redo->end(), In(runtime, 60'000));
  notes->acknowledged = std::max(notes->acknowledged, writer->acknowledged());
  co_return drained;
}

Task<void> WriteUntilCalm(Runtime* runtime, Notes* notes) {
  LogWriterOptions options;
  options.volume = "v";
  options.window_bytes = 4000;
  options.append_timeout = std::chrono::seconds(1);
  options.prepare_timeout = std::chrono::milliseconds(300);
  Status status = Unavailable("not tried");
  while (!status.ok()) {
    LogWriter writer(runtime, kLogServers, options);
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
    status = position.status();
    Lsn begin = position.ok() ? position->end : Lsn{};
    if (position.ok() && begin == Lsn{}) {
      begin = RedoMaker::kStart;
      std::string reason = "first";
      status = co_await writer.StartAt(begin, std::move(reason), In(runtime, 3000));
      for (const std::string& address : kPageServers) {
        const Status set = co_await SetHorizon(runtime, address, writer.epoch());
        EXPECT_TRUE(set.ok()) << set.ToString();
      }
    }
    if (status.ok()) {
      EXPECT_GE(begin, notes->acknowledged);
      ++notes->epochs;
      notes->writes.erase(notes->writes.lower_bound(begin), notes->writes.end());
      RedoMaker redo(begin);
      status = co_await Stream(runtime, notes, &writer, &redo);
    }
    co_await writer.Stop();
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(100));
  }
  notes->quiet = true;
}

// Every page at `lsn`, from one page server.
Task<Status> CheckAt(VolumeClient* client, const Notes* notes, Lsn lsn, TimePoint deadline) {
  std::map<uint32_t, uint64_t> expected;
  for (const auto& [start, write] : notes->writes) {
    if (write.end <= lsn) {
      expected[write.page_no] = write.value;
    }
  }
  proto::GetPagesRequest request;
  request.set_volume_id(1);
  request.set_read_lsn(lsn.value());
  request.set_deadline_ms(20'000);
  for (const auto& [page_no, value] : expected) {
    proto::PageRef* ref = request.add_pages();
    ref->set_space(5);
    ref->set_page_no(page_no);
  }
  const auto answer = co_await client->GetPages(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  size_t offset = 0;
  size_t index = 0;
  for (const auto& [page_no, value] : expected) {
    const proto::PageResult& page = answer->message.pages(static_cast<int>(index++));
    if (page.status().code() != 0) {
      co_return Corruption("page " + std::to_string(page_no) + " at LSN " +
                           std::to_string(lsn.value()) + ": " + page.status().message());
    }
    const uint64_t there = LoadBe64(answer->payload.data() + offset + 100);
    offset += 16384;
    if (there != value) {
      co_return Corruption("page " + std::to_string(page_no) + " at LSN " +
                           std::to_string(lsn.value()) + " holds " + std::to_string(there) +
                           ", not " + std::to_string(value));
    }
  }
  co_return Status::Ok();
}

struct Verdict {
  bool done = false;
  Status status;
  Lsn trimmed_below;  // the lowest of all log servers
};

Task<Status> CheckServer(Runtime* runtime, const Notes* notes, std::string address) {
  ReconnectingChannel channel(runtime, address, ReconnectingChannelOptions());
  VolumeClient client(&channel);
  Status status = Unavailable("not tried");
  for (int i = 0; i < 100 && status.code() == StatusCode::kUnavailable; ++i) {
    status = co_await CheckAt(&client, notes, notes->acknowledged, In(runtime, 30'000));
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(50));
  }
  size_t count = 0;
  for (const auto& [start, write] : notes->writes) {
    if (status.ok() && ++count % 25 == 0) {
      status = co_await CheckAt(&client, notes, write.end, In(runtime, 30'000));
    }
  }
  co_await channel.Close();
  co_return status.WithContext(address);
}

Task<void> Check(Runtime* runtime, const Notes* notes, Verdict* verdict) {
  for (const std::string& address : kPageServers) {
    const Status status = co_await CheckServer(runtime, notes, address);
    verdict->status = verdict->status.ok() ? status : verdict->status;
  }
  Lsn lowest = kMaxLsn;
  for (const std::string& address : kLogServers) {
    const Result<proto::VolumeState> state = co_await StateOf(runtime, address);
    lowest = std::min(lowest, state.ok() ? Lsn(state->log_begin_lsn()) : Lsn{});
  }
  verdict->trimmed_below = lowest;
  verdict->done = true;
}

// Three log servers, two page servers and a writer at work.
struct Cluster {
  explicit Cluster(uint64_t seed) : world(seed, WithJitter()) {
    for (const std::string& address : kLogServers) {
      Add(address, ServerRole::kLog, &log_servers);
    }
    for (const std::string& address : kPageServers) {
      Add(address, ServerRole::kPage, &page_servers);
    }
    writer = world.world.AddNode("writer");
    admin = world.world.AddNode("admin");
  }
  static sim::SimOptions WithJitter() {
    sim::SimOptions options;
    options.resume_jitter_ppm = 50'000;
    return options;
  }
  struct Machine {
    sim::NodeId node;
    sim::ProgramFactory program;
  };
  void Add(std::string address, ServerRole role, std::vector<Machine>* to) {
    const sim::NodeId node = world.world.AddNode(address.substr(0, address.find(':')));
    to->push_back({node, sim::Program([address, role](Runtime* r) {
                     return ServeForever(r, address, role);
                   })});
    world.world.StartNode(node, to->back().program);
  }
  void Do(sim::ProgramFactory program) {
    world.world.KillNode(admin, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
    world.world.StartNode(admin, std::move(program));
  }
  bool Until(const bool* flag, int64_t seconds) {
    world.world.RunUntil(
        world.world.now_ns() + seconds * sim::kSecond, [flag] { return *flag; }, sim::kEventLimit);
    return *flag;
  }
  void Start() {
    bool made = false;
    world.world.StartNode(admin,
                          sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
    ASSERT_TRUE(Until(&made, 60));
    StartWriter();
  }
  void StartWriter() {
    world.world.StartNode(writer,
                          sim::Program([this](Runtime* r) { return WriteUntilCalm(r, &notes); }));
  }
  void Stop(const Machine& machine, bool power) {
    world.world.KillNode(machine.node, power ? sim::KillKind::kPower : sim::KillKind::kProcess,
                         sim::CrashPolicy::kSeeded);
  }
  void Wipe(const Machine& machine) {
    Stop(machine, true);
    world.world.DiskOf(machine.node).Wipe();
    world.world.StartNode(machine.node, machine.program);
  }
  // The writer ends, then everything is compared.
  Verdict Finish() {
    notes.calm = true;
    EXPECT_TRUE(Until(&notes.quiet, 120));
    Verdict verdict;
    Do(sim::Program([this, &verdict](Runtime* r) { return Check(r, &notes, &verdict); }));
    EXPECT_TRUE(Until(&verdict.done, 600));
    return verdict;
  }
  proto::VolumeState State(const std::string& address) {
    bool done = false;
    Result<proto::VolumeState> state = Unavailable("not asked");
    Do(sim::Program([&](Runtime* r) { return AskState(r, address, &state, &done); }));
    EXPECT_TRUE(Until(&done, 10));
    EXPECT_TRUE(state.ok()) << state.status().ToString();
    return state.ok() ? *state : proto::VolumeState();
  }
  static Task<void> AskState(Runtime* runtime, std::string address,
                             Result<proto::VolumeState>* into, bool* done) {
    *into = co_await StateOf(runtime, std::move(address));
    *done = true;
  }

  Notes notes;
  sim::TestWorld world;
  std::vector<Machine> log_servers;
  std::vector<Machine> page_servers;
  sim::NodeId writer;
  sim::NodeId admin;
};

enum class Harm { kKill, kWipeLog };

void RunSeed(uint64_t seed, Harm harm, int rounds) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Cluster cluster(seed);
  cluster.Start();
  uint64_t draw = 0;
  const auto next = [&](uint64_t below) { return HashMix(seed, ++draw) % below; };
  for (int round = 0; round < rounds; ++round) {
    cluster.world.RunFor(static_cast<int64_t>(200'000'000 + next(1'500'000'000)));
    const uint64_t what = next(8);
    if (what == 0) {
      cluster.world.world.KillNode(cluster.writer, sim::KillKind::kProcess, sim::CrashPolicy::kAll);
      cluster.StartWriter();
      continue;
    }
    const bool pages = what < 4;
    const auto& machines = pages ? cluster.page_servers : cluster.log_servers;
    const Cluster::Machine& victim = machines[next(machines.size())];
    cluster.Stop(victim, next(2) == 0);
    cluster.world.RunFor(static_cast<int64_t>(next(4'000'000'000)));
    if (!pages && harm == Harm::kWipeLog) {
      cluster.world.world.DiskOf(victim.node).Wipe();
    }
    cluster.world.world.StartNode(victim.node, victim.program);
    if (!pages && harm == Harm::kWipeLog) {
      cluster.world.RunFor(8 * sim::kSecond);
    }
  }
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_GT(cluster.notes.writes.size(), 500U);
  EXPECT_GT(verdict.trimmed_below, RedoMaker::kStart) << "nothing was trimmed, nothing is shown";
}

TEST(RemoteFeed, PagesAreRightWhicheverServerDies) {
  for (uint64_t seed = 1; seed <= 4 && !testing::Test::HasFailure(); ++seed) {
    RunSeed(seed, Harm::kKill, 20);
  }
}

TEST(RemoteFeed, PagesAreRightWhenALogServerLosesItsDisk) {
  for (uint64_t seed = 11; seed <= 13 && !testing::Test::HasFailure(); ++seed) {
    RunSeed(seed, Harm::kWipeLog, 8);
  }
}

// A page server that lost its disk builds its pages anew from a log that was not trimmed yet.
TEST(RemoteFeed, AWipedPageServerCatchesUpFromTheLog) {
  Cluster cluster(21);
  cluster.Start();
  cluster.world.RunFor(sim::kSecond);
  cluster.Wipe(cluster.page_servers[1]);
  bool made = false;
  cluster.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  EXPECT_EQ(cluster.State(kLogServers[0]).log_begin_lsn(), RedoMaker::kStart.value());
  cluster.notes.calm = true;
  ASSERT_TRUE(cluster.Until(&cluster.notes.quiet, 60));
  // What it held of the import is gone with its disk.
  bool set = false;
  const Epoch epoch(cluster.State(kPageServers[1]).epoch());
  struct Horizon {
    static Task<void> Set(Runtime* runtime, Epoch epoch, bool* done) {
      std::string address = kPageServers[1];
      const Status stale = co_await SetHorizon(runtime, address, Epoch(epoch.value() - 1));
      EXPECT_EQ(stale.code(), StatusCode::kStaleEpoch) << stale.ToString();
      const Status early = co_await SetHorizon(runtime, address, Epoch(epoch.value() + 1));
      EXPECT_EQ(early.code(), StatusCode::kInvalidArgument) << early.ToString();
      const Status now = co_await SetHorizon(runtime, address, epoch);
      EXPECT_TRUE(now.ok()) << now.ToString();
      *done = true;
    }
  };
  cluster.Do(sim::Program([&set, epoch](Runtime* r) { return Horizon::Set(r, epoch, &set); }));
  ASSERT_TRUE(cluster.Until(&set, 30));
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
}

// And says so when the redo is gone.
TEST(RemoteFeed, AWipedPageServerSaysThatTheLogWasTrimmed) {
  Cluster cluster(22);
  cluster.Start();
  cluster.world.RunFor(40 * sim::kSecond);
  for (const std::string& address : kLogServers) {
    EXPECT_GT(cluster.State(address).log_begin_lsn(), RedoMaker::kStart.value()) << address;
  }
  cluster.Wipe(cluster.page_servers[1]);
  bool made = false;
  cluster.Do(sim::Program([&made](Runtime* r) { return MakeVolumes(r, &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  cluster.world.RunFor(3 * sim::kSecond);
  const proto::VolumeState state = cluster.State(kPageServers[1]);
  EXPECT_NE(state.ingest_error().find("was trimmed by all log servers"), std::string::npos)
      << state.ShortDebugString();
  EXPECT_EQ(state.applied_lsn(), 0U);
  const proto::VolumeState other = cluster.State(kPageServers[0]);
  EXPECT_EQ(other.ingest_error(), "");
  EXPECT_FALSE(other.feed_server().empty());
}

// With no log server left a page server goes on serving what it has, and says why it has no more.
TEST(RemoteFeed, SaysWhyItGetsNoRedo) {
  Cluster cluster(23);
  cluster.Start();
  cluster.world.RunFor(3 * sim::kSecond);
  for (const Cluster::Machine& machine : cluster.log_servers) {
    cluster.Stop(machine, false);
  }
  cluster.world.RunFor(6 * sim::kSecond);
  const proto::VolumeState state = cluster.State(kPageServers[0]);
  EXPECT_EQ(state.ingest_error(), "");
  EXPECT_NE(state.feed_problem().find("log3:7000"), std::string::npos) << state.feed_problem();
  EXPECT_GT(state.applied_lsn(), RedoMaker::kStart.value());
  for (const Cluster::Machine& machine : cluster.log_servers) {
    cluster.world.world.StartNode(machine.node, machine.program);
  }
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_EQ(cluster.State(kPageServers[0]).feed_problem(), "");
}

// A volume of the same name and number that belongs to somebody else, with a little in its log.
Task<void> MakeForeignVolume(Runtime* runtime, std::string address, bool* done) {
  co_await MakeVolume(runtime, address, 88, 16384);
  LogWriterOptions options;
  options.volume = "v";
  std::vector<std::string> addresses{address};
  LogWriter writer(runtime, std::move(addresses), options);
  const Result<LogPosition> position = co_await writer.Start(Epoch(0), In(runtime, 3000));
  EXPECT_TRUE(position.ok()) << position.status().ToString();
  std::string reason = "first";
  Status status = co_await writer.StartAt(RedoMaker::kStart, std::move(reason), In(runtime, 3000));
  RedoMaker redo;
  RedoAppend append = redo.AppendInit(3);
  status = co_await writer.Append(std::move(append), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  status = co_await writer.WaitAcknowledged(redo.end(), In(runtime, 3000));
  EXPECT_TRUE(status.ok()) << status.ToString();
  co_await writer.Stop();
  *done = true;
}

// A log server that comes back with the disk of another one: neither writer nor page servers touch
// or believe what it holds, although name, number and epoch are the same.
TEST(RemoteFeed, AnotherServersDiskIsRefusedByWriterAndReaders) {
  Cluster cluster(31);
  std::vector<Cluster::Machine> others;
  cluster.Add("other:7000", ServerRole::kLog, &others);
  cluster.Start();
  bool made = false;
  cluster.Do(
      sim::Program([&made](Runtime* r) { return MakeForeignVolume(r, "other:7000", &made); }));
  ASSERT_TRUE(cluster.Until(&made, 30));
  const proto::VolumeState before = cluster.State("other:7000");
  cluster.world.RunFor(5 * sim::kSecond);
  const Cluster::Machine& victim = cluster.log_servers[2];
  const auto swap = [&] {
    cluster.Stop(victim, true);
    cluster.Stop(others[0], true);
    cluster.world.world.SwapDisks(victim.node, others[0].node);
    cluster.world.world.StartNode(victim.node, victim.program);
    cluster.world.world.StartNode(others[0].node, others[0].program);
  };
  swap();
  const Lsn then = cluster.notes.acknowledged;
  cluster.world.RunFor(10 * sim::kSecond);
  EXPECT_GT(cluster.notes.acknowledged, then) << "the two others go on";
  const proto::VolumeState foreign = cluster.State(kLogServers[2]);
  EXPECT_EQ(foreign.volume_uid(), 88U);
  EXPECT_EQ(foreign.commit_lsn(), before.commit_lsn()) << "nothing was written there";
  EXPECT_EQ(foreign.epoch(), before.epoch()) << "nor promised";
  swap();
  const Verdict verdict = cluster.Finish();
  EXPECT_TRUE(verdict.status.ok()) << verdict.status.ToString();
  EXPECT_EQ(cluster.State(kLogServers[2]).volume_uid(), kUid);
}

}  // namespace
}  // namespace redoubt
