// SPDX-License-Identifier: MIT
#include "tests/client/feed_cluster.h"

#include <algorithm>

#include "client/log_writer.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "tests/support/page_server_program.h"

namespace redoubt {

Task<void> ServeForever(Runtime* runtime, std::string address, ServerRole role,
                        std::vector<std::string> feeders) {
  PageServerOptions options = InMemoryPageServer(std::move(address));
  options.role = role;
  options.volumes.log_tail_bytes = 4 << 10;
  options.volumes.log_segment_bytes = 4 << 10;
  options.volumes.page_batch_bytes = 4 << 10;
  if (role == ServerRole::kPage) {
    options.volumes.log_servers = std::move(feeders);
  } else {
    options.open_store = PageServerOptions().open_store;  // which nothing may open
  }
  return RunPageServer(runtime, std::move(options));
}

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

namespace {

// What was made and is not sent yet: perhaps the end of one mtr, then others.
struct Unsent {
  Lsn start;
  Lsn first_mtr;
  Bytes bytes;

  void Add(Lsn mtr_start, const Bytes& mtr) {
    start = bytes.empty() ? mtr_start : start;
    first_mtr = first_mtr == Lsn{} ? mtr_start : first_mtr;
    bytes.insert(bytes.end(), mtr.begin(), mtr.end());
  }
  RedoAppend AllBut(size_t keep) {
    const auto middle = bytes.end() - static_cast<ptrdiff_t>(keep);
    RedoAppend append;
    append.payload = std::make_shared<const Bytes>(bytes.begin(), middle);
    append.range = {start, innodb::AdvanceLsn(start, append.payload->size())};
    append.first_mtr_lsn = first_mtr;
    bytes.erase(bytes.begin(), middle);
    start = append.range.end;
    first_mtr = Lsn{};
    return append;
  }
};

Task<Status> Send(Runtime* runtime, LogWriter* writer, RedoAppend append) {
  Status status(StatusCode::kDeadlineExceeded, "not tried");
  while (status.code() == StatusCode::kDeadlineExceeded) {
    RedoAppend copy = append;
    status = co_await writer->Append(std::move(copy), In(runtime, 500));
  }
  co_return status;
}

Task<Status> Stream(Runtime* runtime, Notes* notes, LogWriter* writer, RedoMaker* redo) {
  Unsent unsent;
  while (!notes->calm) {
    const Lsn start = redo->end();
    const bool first = notes->writes.size() < kPageCount;
    const uint32_t page_no =
        static_cast<uint32_t>(first ? notes->writes.size() : runtime->random->Below(kPageCount));
    const uint64_t value = first ? 0 : notes->next_value++;
    const Bytes mtr = first ? redo->InitPage(page_no) : redo->Write(page_no, value);
    notes->writes[start] = {redo->end(), page_no, value};
    unsent.Add(start, mtr);
    // Now and then the mtr's end leaves with the next one.
    const size_t most = std::min<size_t>(4, mtr.size() - 1);
    const size_t keep = runtime->random->Below(3) == 0 ? runtime->random->Below(most + 1) : 0;
    const Status sent = co_await Send(runtime, writer, unsent.AllBut(keep));
    if (!sent.ok()) {
      co_return sent;
    }
    notes->acknowledged = std::max(notes->acknowledged, writer->commit());
    co_await runtime->scheduler->Sleep(std::chrono::milliseconds(3 + runtime->random->Below(12)));
  }
  if (!unsent.bytes.empty()) {
    const Status sent = co_await Send(runtime, writer, unsent.AllBut(0));
    if (!sent.ok()) {
      co_return sent;
    }
  }
  const Status drained = co_await writer->WaitAcknowledged(redo->end(), In(runtime, 60'000));
  notes->acknowledged = std::max(notes->acknowledged, writer->commit());
  co_return drained;
}

}  // namespace

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

Task<Status> CheckAt(VolumeClient* client, const Notes* notes, Lsn lsn, TimePoint deadline) {
  std::map<uint32_t, uint64_t> expected;  // the last one of each page
  auto later = notes->writes.lower_bound(lsn);
  while (later != notes->writes.begin() && expected.size() < kPageCount) {
    const Notes::Write& write = (--later)->second;
    if (write.end <= lsn) {
      expected.emplace(write.page_no, write.value);
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

namespace {

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

}  // namespace

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

}  // namespace redoubt
