// SPDX-License-Identifier: MIT
#include "pageserver/log/remote_volume.h"

#include <memory>
#include <utility>

#include "common/runtime/rpc/rpc_channel.h"
#include "common/runtime/rpc/typed_call.h"
#include "common/runtime/task_group.h"
#include "proto/admin_service.pb.h"

namespace redoubt {
namespace {

using Answer = Result<proto::VolumeStatusResponse>;

Task<Answer> AskOne(Runtime* runtime, std::string address, std::string name, TimePoint deadline) {
  Result<std::unique_ptr<RpcChannel>> channel =
      co_await RpcChannel::Connect(runtime, std::move(address), RpcChannelOptions(), deadline);
  if (!channel.ok()) {
    co_return channel.status();
  }
  proto::VolumeStatusRequest request;
  request.set_name(name);
  Answer answer = co_await Invoke<proto::VolumeStatusResponse>(
      channel->get(), "VolumeStatus", proto::VOLUME_STATUS, std::move(request), nullptr, deadline);
  co_await (*channel)->Close();
  co_return answer;
}

Task<void> AskInto(Runtime* runtime, std::string address, std::string name, TimePoint deadline,
                   Answer* into) {
  *into = co_await AskOne(runtime, std::move(address), std::move(name), deadline);
}

}  // namespace

Task<Result<RemoteVolumeInfo>> LookUpVolume(Runtime* runtime, std::vector<std::string> log_servers,
                                            std::string name, TimePoint deadline) {
  std::vector<Answer> answers(log_servers.size(), Answer(Unavailable("not asked")));
  {
    TaskGroup tasks(runtime->scheduler);
    for (size_t i = 0; i < log_servers.size(); ++i) {
      tasks.Spawn(AskInto(runtime, log_servers[i], name, deadline, &answers[i]));
    }
    co_await tasks.Join();
  }
  const size_t majority = log_servers.size() / 2 + 1;
  size_t found_count = 0;
  size_t missing_count = 0;
  Status failure;
  RemoteVolumeInfo info;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    if (!answer.ok()) {
      missing_count += answer.status().code() == StatusCode::kNotFound ? 1 : 0;
      failure = answer.status().WithContext("log server " + log_servers[i]);
      continue;
    }
    const proto::VolumeState& state = answer->volume();
    if (found_count++ > 0 &&
        (state.volume_uid() != info.uid || state.page_size() != info.page_size)) {
      co_return InvalidArgument("log server " + log_servers[i] + " holds another volume named " +
                                name + " than others do: has it another server's disk?");
    }
    info = {state.volume_uid(), state.page_size(), state.source_id()};
  }
  if (found_count >= majority) {
    co_return info;
  }
  if (missing_count >= majority) {
    co_return NotFound("a majority of the log servers has no volume " + name +
                       ": create it there first");
  }
  co_return Unavailable("no majority of the log servers says what volume " + name +
                        " is: " + failure.ToString());
}

}  // namespace redoubt
