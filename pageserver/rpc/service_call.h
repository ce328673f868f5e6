// SPDX-License-Identifier: MIT
//
// The frame of every method that concerns one volume: decode, find the volume, run, encode.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"
#include "pageserver/rpc/rpc_handler.h"
#include "pageserver/volume_registry.h"
#include "proto/common.pb.h"

namespace redoubt {

// What one request reads and one answer is made of, while the method runs.
template <typename Request, typename Response>
struct ServiceCall {
  Request request;
  Bytes payload;     // of the request
  VolumeRef volume;  // never null when the method runs
  Response response;
  std::vector<ReplyPart> payload_out;
};

template <typename Message>
Status DecodeRequest(const Frame& frame, Message* message) {
  const bool good =
      message->ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()));
  return good ? Status::Ok()
              : InvalidArgument("the request's header is no " + message->GetTypeName());
}

// What a volume refused, as answers tell it.
inline void AddRefused(const RefusedRequests& refused,
                       google::protobuf::RepeatedPtrField<proto::RefusedCount>* out) {
  for (const auto& [code, count] : refused.counts()) {
    proto::RefusedCount* entry = out->Add();
    entry->set_reason(std::string(StatusCodeName(code)));
    entry->set_count(count);
  }
}

// Runs `(service->*method)(&call)`; its Status becomes the answer's and is counted at the volume.
// `Service::Served(volume)`: OK, or why the service's part of the volume cannot be served.
template <typename Service, typename Request, typename Response>
Task<RpcReply> RunOnVolume(Service* service, VolumeRegistry* registry, Frame frame,
                           Task<Status> (Service::*method)(ServiceCall<Request, Response>*)) {
  ServiceCall<Request, Response> call;
  Status status = DecodeRequest(frame, &call.request);
  if (status.ok()) {
    Result<VolumeRef> volume = registry->Find(VolumeId(call.request.volume_id()));
    status = volume.status();
    if (status.ok()) {
      call.volume = std::move(*volume);
      call.payload = std::move(frame.payload);
      status = call.volume->refused.NotedUnserved(Service::Served(*call.volume.get()));
      if (status.ok()) {
        status = co_await (service->*method)(&call);
        status = call.volume->refused.Noted(std::move(status));
      }
    }
  }
  ToProto(status, call.response.mutable_status());
  RpcReply reply = MakeReply(call.response);
  if (status.ok()) {
    reply.payload = std::move(call.payload_out);
  }
  co_return reply;
}

// A request's deadline_ms as a point in time; 0 means ten seconds, more than ten minutes is ten
// minutes.
inline TimePoint DeadlineOf(Scheduler* scheduler, uint32_t deadline_ms) {
  constexpr uint32_t kDefaultMs = 10 * 1000;
  constexpr uint32_t kMostMs = 600 * 1000;
  const uint32_t ms = deadline_ms == 0 ? kDefaultMs : std::min(deadline_ms, kMostMs);
  return scheduler->Now() + std::chrono::milliseconds(ms);
}

// Most bytes of images or redo in one answer; well below the frame limit.
inline constexpr size_t kAnswerBytesMax = 16 << 20;

}  // namespace redoubt
