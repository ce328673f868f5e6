// SPDX-License-Identifier: MIT
//
// Request/response over the native frames on loopback, to be held against redis-server's GET of the
// same size. A request is a frame with a short header; the answer carries `--bytes` of payload.
//
//   rpc_echo_bench --connections 16 --requests 200000     server and clients in two processes
//   rpc_echo_bench --listen 127.0.0.1:7777                server only
//   rpc_echo_bench --to 127.0.0.1:7777 ...                clients only
//
// Prints one line: requests per second, and the latency at 50, 99 and 99.9 percent in microseconds.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/runtime/asio/asio_world.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/task_group.h"

namespace redoubt {
namespace {

struct BenchOptions {
  std::string listen = "127.0.0.1:0";
  std::string to;
  size_t connections = 1;
  size_t requests = 100000;
  size_t bytes = 16384;
};

Task<void> ServeConnection(std::unique_ptr<Connection> connection, const Bytes* answer) {
  FrameReader reader(connection.get(), FrameLimits{});
  for (;;) {
    const Result<Frame> request = co_await reader.Next();
    if (!request.ok()) {
      co_return;
    }
    FrameView view{2, request->request_id, ByteView(request->header), ByteView(*answer)};
    const Status sent = co_await WriteFrame(connection.get(), view);
    if (!sent.ok()) {
      co_return;
    }
  }
}

// `ready_fd`: where the port is written, or -1.
Task<int> Serve(AsioWorld* world, BenchOptions options, int ready_fd) {
  const Bytes answer(options.bytes, 0x5A);
  Task<Result<std::unique_ptr<Listener>>> listening =
      world->runtime().network->Listen(options.listen);
  Result<std::unique_ptr<Listener>> listener = co_await listening;
  REDOUBT_CHECK(listener.ok());
  const std::string address = (*listener)->address();
  if (ready_fd >= 0) {
    REDOUBT_CHECK(write(ready_fd, address.data(), address.size()) ==
                  static_cast<ssize_t>(address.size()));
    close(ready_fd);
  }
  TaskGroup connections(world->runtime().scheduler);
  for (;;) {
    Result<std::unique_ptr<Connection>> connection = co_await (*listener)->Accept();
    if (!connection.ok()) {
      co_return 0;
    }
    connections.Spawn(ServeConnection(std::move(*connection), &answer));
  }
}

struct ClientTotals {
  size_t left = 0;
  std::vector<int64_t> latencies_ns;
};

Task<void> RunClient(Runtime* runtime, BenchOptions options, ClientTotals* totals) {
  const TimePoint deadline = runtime->scheduler->Now() + std::chrono::seconds(5);
  Result<std::unique_ptr<Connection>> connected =
      co_await runtime->network->Connect(options.to, deadline);
  REDOUBT_CHECK(connected.ok());
  const std::unique_ptr<Connection> connection = std::move(*connected);
  FrameReader reader(connection.get(), FrameLimits{});
  const std::array<uint8_t, 24> header{};
  while (totals->left > 0) {
    const uint64_t request_id = totals->left--;
    const TimePoint start = runtime->scheduler->Now();
    FrameView view{1, request_id, ByteView(header), ByteView()};
    const Status sent = co_await WriteFrame(connection.get(), view);
    REDOUBT_CHECK(sent.ok());
    const Result<Frame> answer = co_await reader.Next();
    REDOUBT_CHECK(answer.ok());
    REDOUBT_CHECK(answer->request_id == request_id);
    REDOUBT_CHECK(answer->payload.size() == options.bytes);
    totals->latencies_ns.push_back((runtime->scheduler->Now() - start).count());
  }
}

double Percentile(const std::vector<int64_t>& sorted, double share) {
  const size_t index = static_cast<size_t>(share * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[index]) / 1000.0;
}

Task<int> RunClients(AsioWorld* world, BenchOptions options) {
  Runtime* const runtime = &world->runtime();
  ClientTotals totals;
  totals.left = options.requests;
  totals.latencies_ns.reserve(options.requests);
  TaskGroup clients(runtime->scheduler);
  const TimePoint start = runtime->scheduler->Now();
  for (size_t i = 0; i < options.connections; ++i) {
    clients.Spawn(RunClient(runtime, options, &totals));
  }
  co_await clients.Join();
  const double seconds =
      static_cast<double>((runtime->scheduler->Now() - start).count()) / 1'000'000'000.0;
  std::sort(totals.latencies_ns.begin(), totals.latencies_ns.end());
  std::printf(
      "connections %zu bytes %zu requests_per_second %.0f p50_us %.1f p99_us %.1f p99.9_us %.1f\n",
      options.connections, options.bytes, static_cast<double>(totals.latencies_ns.size()) / seconds,
      Percentile(totals.latencies_ns, 0.5), Percentile(totals.latencies_ns, 0.99),
      Percentile(totals.latencies_ns, 0.999));
  co_return 0;
}

int ServeInChild(const BenchOptions& options, int ready_fd) {
  AsioWorldOptions world_options;
  world_options.handle_signals = false;
  AsioWorld world(world_options);
  return world.Run(Serve(&world, options, ready_fd));
}

int Main(int argc, char** argv) {
  BenchOptions options;
  bool listen_only = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* const value = argv[i + 1];
    if (name == "--listen") {
      options.listen = value;
      listen_only = true;
    } else if (name == "--to") {
      options.to = value;
    } else if (name == "--connections") {
      options.connections = std::strtoul(value, nullptr, 10);
    } else if (name == "--requests") {
      options.requests = std::strtoul(value, nullptr, 10);
    } else if (name == "--bytes") {
      options.bytes = std::strtoul(value, nullptr, 10);
    } else {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      return 2;
    }
  }
  if (listen_only) {
    return ServeInChild(options, STDOUT_FILENO);
  }
  pid_t server = -1;
  if (options.to.empty()) {
    std::array<int, 2> ready{};
    REDOUBT_CHECK(pipe(ready.data()) == 0);
    server = fork();
    if (server == 0) {
      close(ready[0]);
      _exit(ServeInChild(options, ready[1]));
    }
    close(ready[1]);
    std::array<char, 64> address{};
    const ssize_t got = read(ready[0], address.data(), address.size());
    REDOUBT_CHECK(got > 0);
    options.to.assign(address.data(), static_cast<size_t>(got));
  }
  int exit_code = 0;
  {
    AsioWorld world;
    exit_code = world.Run(RunClients(&world, options));
  }
  if (server > 0) {
    kill(server, SIGKILL);
    waitpid(server, nullptr, 0);
  }
  return exit_code;
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) { return redoubt::Main(argc, argv); }
