// SPDX-License-Identifier: MIT
//
// Measures a running page server over its native protocol; one JSON object on the last line of
// stdout.
//
//   rpc_bench ingest  --server HOST:PORT --volume NAME --redo DIR/#innodb_redo
//     Replays real redo through LogWriter. mb_per_second counts redo that was acknowledged as
//     synced, parsed and readable, and in the ordered store (the slower of the two). Then small
//     appends, one at a time: visible_* is from an append's acknowledgement to a read position that
//     has it.
//   rpc_bench getpage --server HOST:PORT --volume NAME --clients N --seconds S
//     Reads hot pages of a volume of its own (NAME.pages), one page a request, one connection a
//     client.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "client/volume_client.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"
#include "common/runtime/asio/asio_world.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/task_group.h"
#include "tests/tools/redo_source.h"

namespace redoubt {
namespace {

struct Flags {
  std::string server;
  std::string volume = "bench";
  std::string redo;
  uint32_t page_size = 16384;
  size_t chunk_bytes = 256 << 10;
  size_t small_appends = 400;
  size_t small_bytes = 4096;
  size_t clients = 1;
  double seconds = 5;
  uint32_t pages = 1000;
};

constexpr auto kPatience = std::chrono::minutes(5);

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Microseconds at a quantile of sorted nanoseconds.
double Quantile(const std::vector<int64_t>& sorted, double q) {
  if (sorted.empty()) {
    return 0;
  }
  const auto index = static_cast<size_t>(q * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[index]) / 1000;
}

int Fail(const Status& status) {
  std::fprintf(stderr, "rpc_bench: %s\n", status.ToString().c_str());
  return 1;
}

// Payload of a redo directory from its first whole mtr on, and where mtrs begin and end.
struct RedoStream {
  Lsn start;
  Bytes payload;
  std::vector<uint64_t> mtr_starts;  // offsets in payload, ascending

  Lsn LsnAt(uint64_t offset) const { return innodb::AdvanceLsn(start, offset); }
  RedoAppend Cut(uint64_t begin, uint64_t end) const {
    RedoAppend append;
    append.range = {LsnAt(begin), LsnAt(end)};
    const auto first = std::lower_bound(mtr_starts.begin(), mtr_starts.end(), begin);
    if (first != mtr_starts.end() && *first < end) {
      append.first_mtr_lsn = LsnAt(*first);
    }
    append.payload = std::make_shared<const Bytes>(payload.begin() + static_cast<ptrdiff_t>(begin),
                                                   payload.begin() + static_cast<ptrdiff_t>(end));
    return append;
  }
};

Result<RedoStream> LoadRedo(const std::string& directory) {
  REDOUBT_ASSIGN_OR_RETURN(tools::RedoSource source,
                           tools::RedoSource::Open(std::filesystem::path(directory).parent_path()));
  RedoStream stream;
  REDOUBT_ASSIGN_OR_RETURN(stream.start, source.FirstMtr(Lsn(source.start_lsn().value() + 12)));
  const uint64_t base = innodb::ToSn(stream.start).value();
  innodb::MtrAssembler assembler(stream.start);
  const auto note = [&stream, base](const innodb::MtrView& mtr) {
    stream.mtr_starts.push_back(innodb::ToSn(mtr.start_lsn).value() - base);
    return Status::Ok();
  };
  const auto take = [&](ByteView payload) {
    stream.payload.insert(stream.payload.end(), payload.begin(), payload.end());
    return assembler.Feed(payload, note);
  };
  REDOUBT_RETURN_IF_ERROR(source.ReadFrom(stream.start, take));
  // What follows the last whole mtr is void.
  stream.payload.resize(innodb::ToSn(assembler.end_lsn()).value() - base);
  return stream;
}

class Bench {
 public:
  Bench(Runtime* runtime, Flags flags)
      : runtime_(runtime),
        flags_(std::move(flags)),
        channel_(runtime, flags_.server, ReconnectingChannelOptions()),
        client_(&channel_) {}

  Task<int> Ingest() {
    const Result<RedoStream> stream = LoadRedo(flags_.redo);
    if (!stream.ok()) {
      co_return Fail(stream.status());
    }
    const Status status = co_await IngestStream(&*stream);
    co_await channel_.Close();
    co_return status.ok() ? 0 : Fail(status);
  }

  Task<int> GetPage() {
    const Status status = co_await MeasureGetPage();
    co_await channel_.Close();
    co_return status.ok() ? 0 : Fail(status);
  }

 private:
  TimePoint Now() const { return runtime_->scheduler->Now(); }
  TimePoint Patience() const { return Now() + kPatience; }

  Task<Status> CreateVolume(std::string name) {
    proto::VolumeCreateRequest request;
    request.set_name(name);
    request.set_page_size(flags_.page_size);
    const Result<proto::VolumeCreateResponse> answer =
        co_await client_.VolumeCreate(std::move(request), Patience());
    co_return answer.status();
  }

  Task<Status> SetHorizon(VolumeId volume, Epoch epoch, Lsn lsn) {
    proto::SetHorizonRequest request;
    request.set_volume_id(volume.value());
    request.set_epoch(epoch.value());
    request.set_horizon_lsn(lsn.value());
    const Result<proto::SetHorizonResponse> answer =
        co_await client_.SetHorizon(std::move(request), Patience());
    co_return answer.status();
  }

  Task<Status> WaitReadable(Lsn lsn) {
    proto::WaitLsnRequest request;
    request.set_volume_id(volume_.value());
    request.set_lsn(lsn.value());
    request.set_deadline_ms(300'000);
    const Result<proto::WaitLsnResponse> answer =
        co_await client_.WaitLsn(std::move(request), Patience());
    co_return answer.status();
  }

  // Notes when the ordered store was last seen to have more.
  Task<void> WatchPersisted(TaskGroup* group) {
    while (!group->stopping()) {
      proto::VolumeStatusRequest request;
      request.set_name(flags_.volume);
      const Result<proto::VolumeStatusResponse> answer =
          co_await client_.VolumeStatus(std::move(request), Patience());
      if (answer.ok() && Lsn(answer->volume().persisted_lsn()) > persisted_) {
        persisted_ = Lsn(answer->volume().persisted_lsn());
        persisted_at_ = Now();
      }
      if (answer.ok() && !answer->volume().ingest_error().empty()) {
        std::fprintf(stderr, "rpc_bench: ingest stopped: %s\n",
                     answer->volume().ingest_error().c_str());
        std::exit(1);
      }
      co_await group->stop_event().Wait(Now() + std::chrono::milliseconds(20));
    }
  }

  Task<Status> IngestStream(const RedoStream* stream) {
    Status status = co_await CreateVolume(flags_.volume);
    if (!status.ok()) {
      co_return status;
    }
    LogWriterOptions options;
    options.volume = flags_.volume;
    std::vector<std::string> addresses{flags_.server};
    LogWriter writer(runtime_, std::move(addresses), std::move(options));
    status = co_await Replay(&writer, stream);
    co_await writer.Stop();
    co_return status;
  }

  Task<Status> Replay(LogWriter* writer, const RedoStream* stream) {
    const Result<LogPosition> position = co_await writer->Start(Epoch(0), Patience());
    if (!position.ok()) {
      co_return position.status();
    }
    volume_ = position->volume;
    std::string reason = "bench";
    Status status = co_await writer->StartAt(stream->start, std::move(reason), Patience());
    if (!status.ok()) {
      co_return status;
    }
    const size_t small_total = flags_.small_appends * flags_.small_bytes;
    const uint64_t bulk = stream->payload.size() > 4 * small_total
                              ? stream->payload.size() - small_total
                              : stream->payload.size();
    TaskGroup watch(runtime_->scheduler);
    watch.Spawn(WatchPersisted(&watch));
    const TimePoint began = Now();
    uint64_t sent = 0;
    while (sent < bulk && status.ok()) {
      const uint64_t end = std::min<uint64_t>(bulk, sent + flags_.chunk_bytes);
      RedoAppend append = stream->Cut(sent, end);
      status = co_await writer->Append(std::move(append), Patience());
      sent = end;
    }
    if (status.ok()) {
      status = co_await writer->WaitAcknowledged(stream->LsnAt(bulk), Patience());
    }
    const double acknowledged_seconds = Seconds(Now() - began);
    if (status.ok()) {
      status = co_await WaitReadable(LastMtrEnd(stream, bulk));
    }
    const TimePoint readable_at = Now();
    const double readable_seconds = Seconds(readable_at - began);
    watch.Stop();
    co_await watch.Join();
    // What the store had at its last visible step, which is at most one flush behind.
    const double persisted_seconds = Seconds(persisted_at_ - began);
    const uint64_t persisted_bytes =
        persisted_ > stream->start
            ? innodb::ToSn(persisted_).value() - innodb::ToSn(stream->start).value()
            : 0;
    if (status.ok()) {
      status = co_await MeasureVisible(writer, stream, bulk);
    }
    if (!status.ok()) {
      co_return status;
    }
    const double mb = static_cast<double>(bulk) / 1e6;
    const double persisted_rate =
        persisted_seconds > 0 ? static_cast<double>(persisted_bytes) / 1e6 / persisted_seconds : 0;
    const double rate = mb / readable_seconds;
    std::printf(
        "{\"redo_bytes\": %llu, \"mb_per_second\": %.1f, \"acknowledged_mb_per_second\": %.1f, "
        "\"readable_mb_per_second\": %.1f, \"stored_mb_per_second\": %.1f, "
        "\"visible_p50_us\": %.0f, \"visible_p99_us\": %.0f, \"append_p50_us\": %.0f, "
        "\"append_p99_us\": %.0f, \"small_appends\": %zu}\n",
        static_cast<unsigned long long>(bulk),
        persisted_rate > 0 ? std::min(rate, persisted_rate) : rate, mb / acknowledged_seconds, rate,
        persisted_rate, Quantile(visible_ns_, 0.5), Quantile(visible_ns_, 0.99),
        Quantile(append_ns_, 0.5), Quantile(append_ns_, 0.99), visible_ns_.size());
    co_return Status::Ok();
  }

  // End of the last mtr that ends at or below the offset; every mtr ends where the next begins.
  static Lsn LastMtrEnd(const RedoStream* stream, uint64_t offset) {
    const auto above =
        std::upper_bound(stream->mtr_starts.begin(), stream->mtr_starts.end(), offset);
    return above == stream->mtr_starts.begin() ? stream->start : stream->LsnAt(*(above - 1));
  }

  Task<Status> MeasureVisible(LogWriter* writer, const RedoStream* stream, uint64_t sent) {
    while (sent < stream->payload.size()) {
      const uint64_t end = std::min<uint64_t>(stream->payload.size(), sent + flags_.small_bytes);
      RedoAppend append = stream->Cut(sent, end);
      const Lsn wanted = LastMtrEnd(stream, end);
      const TimePoint began = Now();
      Status status = co_await writer->Append(std::move(append), Patience());
      if (status.ok()) {
        status = co_await writer->WaitAcknowledged(stream->LsnAt(end), Patience());
      }
      const TimePoint acknowledged = Now();
      if (status.ok()) {
        status = co_await WaitReadable(wanted);
      }
      if (!status.ok()) {
        co_return status;
      }
      append_ns_.push_back((acknowledged - began).count());
      visible_ns_.push_back((Now() - acknowledged).count());
      sent = end;
    }
    std::sort(visible_ns_.begin(), visible_ns_.end());
    std::sort(append_ns_.begin(), append_ns_.end());
    co_return Status::Ok();
  }

  // ---- GetPage ----

  // A volume with `pages` images and nothing else; kept for the next run.
  Task<Status> MakePages() {
    const std::string name = flags_.volume + ".pages";
    const Status created = co_await CreateVolume(name);
    if (!created.ok() && created.code() != StatusCode::kAlreadyExists) {
      co_return created;
    }
    proto::PrepareRequest prepare;
    prepare.set_volume(name);
    const Result<proto::PrepareResponse> prepared =
        co_await client_.Prepare(std::move(prepare), Patience());
    if (!prepared.ok()) {
      co_return prepared.status();
    }
    volume_ = VolumeId(prepared->volume_id());
    const Epoch epoch(prepared->epoch());
    if (prepared->end_lsn() != 0) {
      co_return Status::Ok();
    }
    proto::LogEpochStartRequest begin;
    begin.set_volume_id(volume_.value());
    begin.set_epoch(epoch.value());
    begin.set_member_count(1);
    begin.mutable_epochs()->CopyFrom(prepared->epochs());
    begin.add_epochs()->set_epoch(epoch.value());
    const Result<proto::LogEpochStartResponse> begun =
        co_await client_.LogEpochStart(std::move(begin), Patience());
    if (!begun.ok()) {
      co_return begun.status();
    }
    proto::StartAtRequest start;
    start.set_volume_id(volume_.value());
    start.set_epoch(epoch.value());
    start.set_start_lsn(innodb::kFirstDataLsn.value());
    const Result<proto::StartAtResponse> started =
        co_await client_.StartAt(std::move(start), Patience());
    if (!started.ok()) {
      co_return started.status();
    }
    proto::SpacePutRequest space;
    space.set_volume_id(volume_.value());
    space.set_epoch(epoch.value());
    proto::SpaceEvent* event = space.add_events();
    event->set_kind(proto::SpaceEvent::PRESENT);
    event->set_space(kSpace);
    event->set_lsn(innodb::kFirstDataLsn.value());
    event->set_path("./bench/pages.ibd");
    event->set_page_count(flags_.pages);
    const Result<proto::SpacePutResponse> present =
        co_await client_.SpacePut(std::move(space), Patience());
    if (!present.ok()) {
      co_return present.status();
    }
    constexpr uint32_t kPagesPerRequest = 64;
    for (uint32_t first = 0; first < flags_.pages; first += kPagesPerRequest) {
      const uint32_t end = std::min(flags_.pages, first + kPagesPerRequest);
      const Status put = co_await PutPages(epoch, first, end);
      if (!put.ok()) {
        co_return put;
      }
    }
    // One record, so that there is something applied to read at.
    const Status appended = co_await AppendInit(epoch);
    if (!appended.ok()) {
      co_return appended;
    }
    const Status horizon = co_await SetHorizon(volume_, epoch, innodb::kFirstDataLsn);
    co_return horizon;
  }

  Task<Status> PutPages(Epoch epoch, uint32_t first, uint32_t end) {
    proto::PutImagesRequest request;
    request.set_volume_id(volume_.value());
    request.set_epoch(epoch.value());
    Bytes payload;
    for (uint32_t page_no = first; page_no < end; ++page_no) {
      proto::PageImage* image = request.add_images();
      image->set_space(kSpace);
      image->set_page_no(page_no);
      image->set_lsn(innodb::kFirstDataLsn.value());
      Bytes page(flags_.page_size);
      for (size_t i = 38; i + 8 < page.size(); ++i) {
        page[i] = static_cast<uint8_t>(runtime_->random->Next());
      }
      StoreBe32(page.data() + 4, page_no);
      StoreBe32(page.data() + 34, kSpace);
      innodb::StampPage(MutableByteView(page), innodb::kFirstDataLsn);
      payload.insert(payload.end(), page.begin(), page.end());
    }
    auto shared = std::make_shared<const Bytes>(std::move(payload));
    const Result<proto::PutImagesResponse> answer =
        co_await client_.PutImages(std::move(request), std::move(shared), Patience());
    co_return answer.status();
  }

  Task<Status> AppendInit(Epoch epoch) {
    // MLOG_INIT_FILE_PAGE2 as an mtr of its own, for a page that is not read here.
    const Bytes record{0x80 | 59, kSpace + 1, 1};
    proto::AppendRequest request;
    request.set_volume_id(volume_.value());
    request.set_epoch(epoch.value());
    request.set_start_lsn(innodb::kFirstDataLsn.value());
    request.set_end_lsn(innodb::AdvanceLsn(innodb::kFirstDataLsn, record.size()).value());
    request.set_first_mtr_lsn(innodb::kFirstDataLsn.value());
    request.set_mtr_end_lsn(request.end_lsn());
    auto payload = std::make_shared<const Bytes>(record);
    const Result<proto::AppendResponse> answer =
        co_await client_.Append(std::move(request), std::move(payload), Patience());
    if (!answer.ok()) {
      co_return answer.status();
    }
    const Status readable = co_await WaitReadable(Lsn(answer->end_lsn()));
    co_return readable;
  }

  struct Reader {
    std::vector<int64_t> latency_ns;
    Status status;
  };

  Task<Status> ReadOne(VolumeClient* client, uint32_t page_no) {
    proto::GetPagesRequest request;
    request.set_volume_id(volume_.value());
    proto::PageRef* ref = request.add_pages();
    ref->set_space(kSpace);
    ref->set_page_no(page_no);
    const Result<WithPayload<proto::GetPagesResponse>> answer =
        co_await client->GetPages(std::move(request), Patience());
    if (!answer.ok()) {
      co_return answer.status();
    }
    if (answer->payload.size() != flags_.page_size) {
      co_return Corruption("no image: " + answer->message.ShortDebugString());
    }
    co_return Status::Ok();
  }

  Task<void> ReadLoop(Reader* reader, TimePoint until) {
    ReconnectingChannel channel(runtime_, flags_.server, ReconnectingChannelOptions());
    VolumeClient client(&channel);
    while (reader->status.ok() && Now() < until) {
      const auto page_no = static_cast<uint32_t>(runtime_->random->Below(flags_.pages));
      const TimePoint began = Now();
      reader->status = co_await ReadOne(&client, page_no);
      reader->latency_ns.push_back((Now() - began).count());
    }
    co_await channel.Close();
  }

  Task<Status> MeasureGetPage() {
    const Status made = co_await MakePages();
    if (!made.ok()) {
      co_return made;
    }
    for (uint32_t page_no = 0; page_no < flags_.pages; ++page_no) {
      const Status warm = co_await ReadOne(&client_, page_no);
      if (!warm.ok()) {
        co_return warm;
      }
    }
    std::vector<Reader> readers(flags_.clients);
    TaskGroup group(runtime_->scheduler);
    const TimePoint began = Now();
    const auto length = Duration(static_cast<int64_t>(flags_.seconds * 1e9));
    for (Reader& reader : readers) {
      group.Spawn(ReadLoop(&reader, began + length));
    }
    co_await group.Join();
    const double seconds = Seconds(Now() - began);
    std::vector<int64_t> all;
    for (const Reader& reader : readers) {
      if (!reader.status.ok()) {
        co_return reader.status;
      }
      all.insert(all.end(), reader.latency_ns.begin(), reader.latency_ns.end());
    }
    std::sort(all.begin(), all.end());
    std::printf(
        "{\"clients\": %zu, \"requests\": %zu, \"per_second\": %.0f, \"mb_per_second\": %.0f, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
        flags_.clients, all.size(), static_cast<double>(all.size()) / seconds,
        static_cast<double>(all.size()) * flags_.page_size / 1e6 / seconds, Quantile(all, 0.5),
        Quantile(all, 0.99));
    co_return Status::Ok();
  }

  static constexpr uint8_t kSpace = 7;

  Runtime* runtime_;
  Flags flags_;
  ReconnectingChannel channel_;
  VolumeClient client_;
  VolumeId volume_;
  Lsn persisted_;
  TimePoint persisted_at_{};
  std::vector<int64_t> visible_ns_;
  std::vector<int64_t> append_ns_;
};

int Main(int argc, char** argv) {
  Flags flags;
  bool json = false;
  CLI::App app("Measures a running page server");
  app.require_subcommand(1);
  CLI::App* ingest = app.add_subcommand("ingest", "Replay redo");
  CLI::App* getpage = app.add_subcommand("getpage", "Read hot pages");
  for (CLI::App* part : {ingest, getpage}) {
    part->add_option("--server", flags.server, "HOST:PORT")->required();
    part->add_option("--volume", flags.volume)->capture_default_str();
    part->add_option("--page-size", flags.page_size)->capture_default_str();
    part->add_flag("--json", json, "The only output there is");
  }
  ingest->add_option("--redo", flags.redo, "An #innodb_redo directory at rest")->required();
  ingest->add_option("--chunk-bytes", flags.chunk_bytes)->capture_default_str();
  ingest->add_option("--small-appends", flags.small_appends)->capture_default_str();
  ingest->add_option("--small-bytes", flags.small_bytes)->capture_default_str();
  getpage->add_option("--clients", flags.clients)->capture_default_str();
  getpage->add_option("--seconds", flags.seconds)->capture_default_str();
  getpage->add_option("--pages", flags.pages)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  AsioWorld world;
  Bench bench(&world.runtime(), flags);
  return world.Run(ingest->parsed() ? bench.Ingest() : bench.GetPage());
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) { return redoubt::Main(argc, argv); }
