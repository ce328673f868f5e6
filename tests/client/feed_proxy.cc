// SPDX-License-Identifier: MIT
#include "tests/client/feed_proxy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/innodb/log_block.h"
#include "common/runtime/rpc/reconnecting_channel.h"
#include "common/runtime/sync.h"
#include "pageserver/rpc/rpc_server.h"
#include "proto/admin_service.pb.h"
#include "proto/log_service.pb.h"

namespace redoubt {
namespace {

class Proxy final : public RpcHandler {
 public:
  Proxy(Runtime* runtime, std::string behind, ProxyMood* mood)
      : runtime_(runtime),
        channel_(runtime, std::move(behind), ReconnectingChannelOptions()),
        mood_(mood) {}

  Task<RpcReply> Handle(Frame request) override {
    const uint16_t type = request.type;
    RpcRequest rpc;
    rpc.type = type;
    rpc.header = std::move(request.header);
    rpc.payload = std::make_shared<const Bytes>(std::move(request.payload));
    const TimePoint deadline = runtime_->scheduler->Now() + std::chrono::seconds(20);
    Result<Frame> frame = co_await channel_.Call(std::move(rpc), deadline);
    co_await runtime_->scheduler->Sleep(mood_->delay);
    if (!frame.ok()) {
      co_return MakeErrorReply<proto::LogStatusResponse>(frame.status());
    }
    RpcReply reply;
    reply.header = std::move(frame->header);
    if (type == proto::LOG_STATUS) {
      reply.header = ClampStatus(reply.header);
    }
    if (type == proto::LOG_READ) {
      ChangeRead(&reply.header, &frame->payload);
    }
    if (!frame->payload.empty()) {
      reply.payload.emplace_back(std::make_shared<const Bytes>(std::move(frame->payload)));
    }
    co_return reply;
  }

 private:
  Bytes ClampStatus(const Bytes& header) const {
    proto::LogStatusResponse answer;
    EXPECT_TRUE(answer.ParseFromArray(header.data(), static_cast<int>(header.size())));
    if (mood_->commit_max != Lsn{}) {
      answer.set_commit_lsn(std::min(answer.commit_lsn(), mood_->commit_max.value()));
    }
    return Serialise(answer);
  }
  void ChangeRead(Bytes* header, Bytes* payload) {
    proto::LogReadResponse answer;
    EXPECT_TRUE(answer.ParseFromArray(header->data(), static_cast<int>(header->size())));
    if (mood_->commit_max != Lsn{} && answer.commit_lsn() > mood_->commit_max.value()) {
      const uint64_t most = mood_->commit_max.value();
      answer.set_commit_lsn(most);
      size_t kept = 0;
      int count = 0;
      for (const proto::ChunkHeader& chunk : answer.chunks()) {
        if (chunk.end_lsn() > most) {
          break;
        }
        kept += innodb::ToSn(Lsn(chunk.end_lsn())).value() -
                innodb::ToSn(Lsn(chunk.start_lsn())).value();
        ++count;
      }
      answer.mutable_chunks()->DeleteSubrange(count, answer.chunks_size() - count);
      if (count == 0) {
        answer.clear_written_under();
      }
      payload->resize(kept);
    }
    mood_->reads += payload->empty() ? 0 : 1;
    if (mood_->damages && !payload->empty()) {
      payload->at(payload->size() / 2) ^= 4;
      ++mood_->damaged;
    }
    *header = Serialise(answer);
  }

  Runtime* runtime_;
  ReconnectingChannel channel_;
  ProxyMood* mood_;
};

}  // namespace

Task<void> ProxyForever(Runtime* runtime, std::string address, std::string behind,
                        ProxyMood* mood) {
  Proxy proxy(runtime, std::move(behind), mood);
  RpcServerOptions options;
  options.listen = std::move(address);
  RpcServer server(runtime, &proxy, options);
  const Status started = co_await server.Start();
  EXPECT_TRUE(started.ok()) << started.ToString();
  Event never(runtime->scheduler);
  co_await never.Wait();
}

}  // namespace redoubt
