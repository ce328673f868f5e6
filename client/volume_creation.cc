// SPDX-License-Identifier: MIT
#include "client/volume_creation.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"

namespace redoubt {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds(50);

struct Creation {
  proto::VolumeCreateRequest request;
  TimePoint deadline{};
};

bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

// The identity of the volume that the server has; 0: it has none.
Task<Result<uint64_t>> FindUid(Runtime* runtime, Channel* channel, const Creation* creation) {
  VolumeClient client(channel);
  for (;;) {
    proto::VolumeStatusRequest request;
    request.set_name(creation->request.name());
    const Result<proto::VolumeStatusResponse> answer =
        co_await client.VolumeStatus(std::move(request), creation->deadline);
    if (answer.ok()) {
      if (answer->volume().page_size() != creation->request.page_size()) {
        co_return InvalidArgument("its volume has pages of " +
                                  std::to_string(answer->volume().page_size()) + " bytes");
      }
      co_return answer->volume().volume_uid();
    }
    if (answer.status().code() == StatusCode::kNotFound) {
      co_return uint64_t{0};
    }
    if (!MayPass(answer.status()) ||
        runtime->scheduler->Now() + kRetryDelay >= creation->deadline) {
      co_return answer.status();
    }
    co_await runtime->scheduler->Sleep(kRetryDelay);
  }
}

Task<Status> CreateEverywhere(Runtime* runtime, Creation* creation,
                              std::vector<std::unique_ptr<ReconnectingChannel>>* channels) {
  std::vector<uint64_t> uids;
  uint64_t uid = 0;
  for (const std::unique_ptr<ReconnectingChannel>& channel : *channels) {
    const Result<uint64_t> found = co_await FindUid(runtime, channel.get(), creation);
    if (!found.ok()) {
      co_return found.status().WithContext(channel->address());
    }
    if (*found != 0 && uid != 0 && *found != uid) {
      co_return InvalidArgument(channel->address() + " has another volume of that name");
    }
    uid = *found != 0 ? *found : uid;
    uids.push_back(*found);
  }
  if (std::find(uids.begin(), uids.end(), 0) == uids.end()) {
    co_return Status(StatusCode::kAlreadyExists, "every server has the volume already");
  }
  while (uid == 0) {
    uid = runtime->random->Next();
  }
  creation->request.set_uid(uid);
  for (size_t i = 0; i < uids.size(); ++i) {
    if (uids[i] != 0) {
      continue;
    }
    VolumeClient client((*channels)[i].get());
    proto::VolumeCreateRequest request = creation->request;
    const Result<proto::VolumeCreateResponse> answer =
        co_await client.VolumeCreate(std::move(request), creation->deadline);
    if (!answer.ok()) {
      co_return answer.status().WithContext((*channels)[i]->address());
    }
  }
  co_return Status::Ok();
}

}  // namespace

Task<Status> CreateVolume(Runtime* runtime, std::vector<std::string> addresses,
                          proto::VolumeCreateRequest request, TimePoint deadline) {
  Creation creation{std::move(request), deadline};
  std::vector<std::unique_ptr<ReconnectingChannel>> channels;
  for (const std::string& address : addresses) {
    channels.push_back(
        std::make_unique<ReconnectingChannel>(runtime, address, ReconnectingChannelOptions()));
  }
  const Status status = co_await CreateEverywhere(runtime, &creation, &channels);
  for (const std::unique_ptr<ReconnectingChannel>& channel : channels) {
    co_await channel->Close();
  }
  co_return status;
}

}  // namespace redoubt
