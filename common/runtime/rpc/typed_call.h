// SPDX-License-Identifier: MIT
//
// A message of proto/ sent over a channel, and its answer as a message. A status that the server
// put into its answer comes back as the Result's status, with the method's name as context;
// transport errors are those of Channel::Call. Nothing is ever repeated.
//
// `method` is a literal. Name the request before the call (GCC 12 destroys temporaries in co_await
// expressions twice).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "common/runtime/rpc/channel.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt {

// An answer whose frame carries raw bytes as well.
template <typename Message>
struct WithPayload {
  Message message;
  Bytes payload;
};

// kCorruption: `header` is no Response.
template <typename Response>
Result<Response> DecodeAnswer(std::string_view method, ByteView header) {
  Response response;
  if (!response.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return Corruption(std::string(method) + ": the answer is no " + response.GetTypeName());
  }
  const Status status = FromProto(response.status());
  if (!status.ok()) {
    return status.WithContext(method);
  }
  return response;
}

template <typename Response, typename Request>
Task<Result<Response>> Invoke(Channel* channel, std::string_view method, uint16_t type,
                              Request request, SharedPayload payload, TimePoint deadline) {
  RpcRequest rpc{type, Serialise(request), std::move(payload)};
  const Result<Frame> frame = co_await channel->Call(std::move(rpc), deadline);
  if (!frame.ok()) {
    co_return frame.status().WithContext(method);
  }
  co_return DecodeAnswer<Response>(method, frame->header);
}

template <typename Response, typename Request>
Task<Result<WithPayload<Response>>> InvokeWithPayload(Channel* channel, std::string_view method,
                                                      uint16_t type, Request request,
                                                      SharedPayload payload, TimePoint deadline) {
  RpcRequest rpc{type, Serialise(request), std::move(payload)};
  Result<Frame> frame = co_await channel->Call(std::move(rpc), deadline);
  if (!frame.ok()) {
    co_return frame.status().WithContext(method);
  }
  Result<Response> response = DecodeAnswer<Response>(method, frame->header);
  if (!response.ok()) {
    co_return response.status();
  }
  co_return WithPayload<Response>{std::move(*response), std::move(frame->payload)};
}

}  // namespace redoubt
