// SPDX-License-Identifier: MIT
//
// Measures quorum append: chunks of one size, so many in flight, for some seconds, to log servers
// that run. One JSON object on the last line of stdout. What fio does beside it is
// ci/log_bench.py's business.
//
//   log_bench --log-servers A,B,C --volume NAME --chunk-bytes 4096 --depth 1 --seconds 4
//
// The volume is made here. The redo is one mtr again and again, cut without regard to its borders.
// An append's time is from the call of Append to the acknowledgement by a majority.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/base/hash.h"
#include "common/innodb/log_block.h"
#include "common/runtime/asio/asio_world.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt {
namespace {

using std::chrono::seconds;

struct Flags {
  std::vector<std::string> log_servers;
  std::string volume = "bench";
  size_t chunk_bytes = 4096;
  size_t depth = 1;
  double seconds = 4;
};

constexpr size_t kRecordBytes = 900;

class LogBench {
 public:
  LogBench(Runtime* runtime, Flags flags) : runtime_(runtime), flags_(std::move(flags)) {
    sim::MtrEncoder encoder;
    const Bytes bytes(kRecordBytes, 0x5A);
    encoder.WriteString(PageId{SpaceId(7), PageNo(3)}, 200, bytes);
    mtr_ = encoder.Finish();
  }

  Task<int> Run() {
    Status status;
    for (const std::string& server : flags_.log_servers) {
      if (status.ok()) {
        status = co_await CreateVolume(server);
      }
    }
    if (status.ok()) {
      status = co_await Measure();
    }
    if (!status.ok()) {
      std::fprintf(stderr, "log_bench: %s\n", status.ToString().c_str());
    }
    co_return status.ok() ? 0 : 1;
  }

 private:
  TimePoint Now() const { return runtime_->scheduler->Now(); }

  Task<Status> CreateVolume(std::string server) {
    ReconnectingChannel channel(runtime_, std::move(server), ReconnectingChannelOptions());
    VolumeClient client(&channel);
    proto::VolumeCreateRequest request;
    request.set_name(flags_.volume);
    request.set_page_size(16384);
    request.set_uid(HashBytes(1, AsBytes(std::string_view(flags_.volume))));
    const Result<proto::VolumeCreateResponse> answer =
        co_await client.VolumeCreate(std::move(request), Now() + seconds(30));
    co_await channel.Close();
    co_return answer.status();
  }

  // The chunk at an offset of the endless row of equal mtrs.
  RedoAppend Chunk(uint64_t offset) const {
    RedoAppend append;
    append.range = {innodb::AdvanceLsn(innodb::kFirstDataLsn, offset),
                    innodb::AdvanceLsn(innodb::kFirstDataLsn, offset + flags_.chunk_bytes)};
    const uint64_t first = (offset + mtr_.size() - 1) / mtr_.size() * mtr_.size();
    if (first < offset + flags_.chunk_bytes) {
      append.first_mtr_lsn = innodb::AdvanceLsn(innodb::kFirstDataLsn, first);
    }
    Bytes payload(flags_.chunk_bytes);
    for (size_t i = 0; i < payload.size();) {
      const size_t at = (offset + i) % mtr_.size();
      const size_t count = std::min(payload.size() - i, mtr_.size() - at);
      std::copy_n(mtr_.begin() + static_cast<ptrdiff_t>(at), count,
                  payload.begin() + static_cast<ptrdiff_t>(i));
      i += count;
    }
    append.payload = std::make_shared<const Bytes>(std::move(payload));
    return append;
  }

  Task<Status> Measure() {
    LogWriterOptions options;
    options.volume = flags_.volume;
    LogWriter writer(runtime_, flags_.log_servers, std::move(options));
    const Result<LogPosition> position = co_await writer.Start(Epoch(0), Now() + seconds(30));
    Status status = position.status();
    if (status.ok()) {
      std::string reason = "bench";
      status =
          co_await writer.StartAt(innodb::kFirstDataLsn, std::move(reason), Now() + seconds(30));
    }
    if (status.ok()) {
      status = co_await Stream(&writer);
    }
    co_await writer.Stop();
    co_return status;
  }

  Task<Status> Stream(LogWriter* writer) {
    const TimePoint began = Now();
    const TimePoint end =
        began + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(flags_.seconds));
    uint64_t offset = 0;
    std::deque<std::pair<Lsn, TimePoint>> waiting;
    while (Now() < end || !waiting.empty()) {
      while (waiting.size() < flags_.depth && Now() < end) {
        RedoAppend append = Chunk(offset);
        offset += flags_.chunk_bytes;
        waiting.emplace_back(append.range.end, Now());
        const Status status = co_await writer->Append(std::move(append), Now() + seconds(30));
        if (!status.ok()) {
          co_return status;
        }
      }
      if (waiting.empty()) {
        break;
      }
      const Status status =
          co_await writer->WaitAcknowledged(waiting.front().first, Now() + seconds(30));
      if (!status.ok()) {
        co_return status;
      }
      while (!waiting.empty() && waiting.front().first <= writer->acknowledged()) {
        append_ns_.push_back((Now() - waiting.front().second).count());
        waiting.pop_front();
      }
    }
    Report(std::chrono::duration<double>(Now() - began).count());
    co_return Status::Ok();
  }

  void Report(double passed) {
    std::sort(append_ns_.begin(), append_ns_.end());
    const auto quantile = [this](double q) {
      const auto index = static_cast<size_t>(q * static_cast<double>(append_ns_.size() - 1));
      return append_ns_.empty() ? 0.0 : static_cast<double>(append_ns_[index]) / 1000;
    };
    const double count = static_cast<double>(append_ns_.size());
    std::printf(
        "{\"appends\": %zu, \"appends_per_second\": %.1f, \"mb_per_second\": %.2f, "
        "\"p50_us\": %.0f, \"p99_us\": %.0f}\n",
        append_ns_.size(), count / passed,
        count * static_cast<double>(flags_.chunk_bytes) / 1e6 / passed, quantile(0.5),
        quantile(0.99));
  }

  Runtime* runtime_;
  Flags flags_;
  Bytes mtr_;
  std::vector<int64_t> append_ns_;
};

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures quorum append on running log servers");
  app.add_option("--log-servers", flags.log_servers, "HOST:PORT,...")->delimiter(',')->required();
  app.add_option("--volume", flags.volume, "made here")->capture_default_str();
  app.add_option("--chunk-bytes", flags.chunk_bytes)->capture_default_str();
  app.add_option("--depth", flags.depth, "appends in flight")->capture_default_str();
  app.add_option("--seconds", flags.seconds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  AsioWorldOptions options;
  options.log_level_min = LogLevel::kWarning;
  AsioWorld world(options);
  LogBench bench(&world.runtime(), std::move(flags));
  return world.Run(bench.Run());
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) { return redoubt::Main(argc, argv); }
