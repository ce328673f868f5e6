// SPDX-License-Identifier: MIT
//
// The bed of the tests of RemoteFeed: three log servers, two page servers and a writer as simulated
// machines. The writer notes what it wrote where; at the end versions of every page are read from
// both page servers and held against the notes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/volume_client.h"
#include "common/base/result.h"
#include "pageserver/server.h"
#include "tests/pageserver/rpc/redo_maker.h"
#include "tests/sim/sim_test_util.h"

namespace redoubt {

inline constexpr uint64_t kUid = 77;
inline constexpr uint32_t kPageCount = 12;
inline const std::vector<std::string> kLogServers{"log1:7000", "log2:7000", "log3:7000"};
inline const std::vector<std::string> kPageServers{"page1:7000", "page2:7000"};

inline TimePoint In(Runtime* runtime, int ms) {
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
  Lsn acknowledged;             // whole mtrs only
  uint64_t next_value = 1;
  bool calm = false;
  bool quiet = false;  // the writer has ended
  uint64_t epochs = 0;
};

struct Verdict {
  bool done = false;
  Status status;
  Lsn trimmed_below;  // the lowest of all log servers
};

// A server for as long as its machine lives; one of pages gets its redo from `feeders`.
Task<void> ServeForever(Runtime* runtime, std::string address, ServerRole role,
                        std::vector<std::string> feeders);
// Tried until it works.
Task<uint32_t> MakeVolume(Runtime* runtime, std::string address, uint64_t uid, uint32_t page_size);
Task<Result<proto::VolumeState>> StateOf(Runtime* runtime, std::string address);
// The volume everywhere: asked for by uid at the log servers, by name at the page servers.
Task<void> MakeVolumes(Runtime* runtime, bool* done);
// One page server's horizon, tried until it has it.
Task<Status> SetHorizon(Runtime* runtime, std::string address, Epoch epoch);
Task<void> WriteUntilCalm(Runtime* runtime, Notes* notes);
// Every page at `lsn`, from one page server.
Task<Status> CheckAt(VolumeClient* client, const Notes* notes, Lsn lsn, TimePoint deadline);
Task<void> Check(Runtime* runtime, const Notes* notes, Verdict* verdict);

// How many requests the volume refused for this reason.
inline uint64_t CountOf(const proto::VolumeState& state, const std::string& reason) {
  uint64_t count = 0;
  for (const proto::RefusedCount& refused : state.refused()) {
    count += refused.reason() == reason ? refused.count() : 0;
  }
  return count;
}

// Three log servers, two page servers and a writer at work.
struct Cluster {
  // `feeders`: what page servers are told to read redo from.
  explicit Cluster(uint64_t seed, std::vector<std::string> feeders = kLogServers)
      : world(seed, WithJitter()) {
    for (const std::string& address : kLogServers) {
      Add(address, ServerRole::kLog, &log_servers);
    }
    for (const std::string& address : kPageServers) {
      Add(address, ServerRole::kPage, &page_servers, feeders);
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
  void Add(std::string address, ServerRole role, std::vector<Machine>* to,
           std::vector<std::string> feeders = {}) {
    const sim::NodeId node = world.world.AddNode(address.substr(0, address.find(':')));
    to->push_back({node, sim::Program([address, role, feeders](Runtime* r) {
                     return ServeForever(r, address, role, feeders);
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

}  // namespace redoubt
