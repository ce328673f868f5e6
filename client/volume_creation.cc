// SPDX-License-Identifier: MIT
#include "client/volume_creation.h"

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

// The volume as the server has it; of uid 0: it has none.
Task<Result<proto::VolumeState>> Find(Runtime* runtime, Channel* channel,
                                      const Creation* creation) {
  VolumeClient client(channel);
  for (;;) {
    proto::VolumeStatusRequest request;
    request.set_name(creation->request.name());
    Result<proto::VolumeStatusResponse> answer =
        co_await client.VolumeStatus(std::move(request), creation->deadline);
    if (answer.ok()) {
      if (answer->volume().page_size() != creation->request.page_size()) {
        co_return InvalidArgument("its volume has pages of " +
                                  std::to_string(answer->volume().page_size()) + " bytes");
      }
      co_return std::move(*answer->mutable_volume());
    }
    if (answer.status().code() == StatusCode::kNotFound) {
      co_return proto::VolumeState();
    }
    if (!MayPass(answer.status()) ||
        runtime->scheduler->Now() + kRetryDelay >= creation->deadline) {
      co_return answer.status();
    }
    co_await runtime->scheduler->Sleep(kRetryDelay);
  }
}

// Whether a writer has asked for an epoch there, or may have: a volume that is damaged does not
// say.
bool MayBeInUse(const proto::VolumeState& volume) {
  const std::string& problem = volume.ingest_error();
  return volume.epoch() != 0 || (!problem.empty() && !problem.starts_with("unavailable"));
}

// Of servers that have the volume.
Task<Result<bool>> AnyMayBeInUse(Runtime* runtime, const Creation* creation,
                                 const std::vector<ReconnectingChannel*>* having) {
  bool in_use = false;
  for (ReconnectingChannel* channel : *having) {
    const Result<proto::VolumeState> found = co_await Find(runtime, channel, creation);
    if (!found.ok()) {
      co_return found.status().WithContext(channel->address());
    }
    in_use = in_use || MayBeInUse(*found);
  }
  co_return in_use;
}

// Whether a server without the volume is one that would keep its redo.
Task<bool> HasLogRole(Channel* channel, TimePoint deadline) {
  VolumeClient client(channel);
  proto::LogStatusRequest request;
  const Result<proto::LogStatusResponse> answer =
      co_await client.LogStatus(std::move(request), deadline);
  co_return answer.status().code() != StatusCode::kUnsupported;
}

struct Servers {
  std::vector<ReconnectingChannel*> having;
  std::vector<ReconnectingChannel*> lacking;
  uint64_t uid = 0;  // of the volume at those that have it
};

Task<Status> FindEverywhere(Runtime* runtime, const Creation* creation,
                            const std::vector<std::unique_ptr<ReconnectingChannel>>* channels,
                            Servers* servers) {
  for (const std::unique_ptr<ReconnectingChannel>& channel : *channels) {
    const Result<proto::VolumeState> found = co_await Find(runtime, channel.get(), creation);
    if (!found.ok()) {
      co_return found.status().WithContext(channel->address());
    }
    const uint64_t uid = found->volume_uid();
    if (uid != 0 && servers->uid != 0 && uid != servers->uid) {
      co_return InvalidArgument(channel->address() + " has another volume of that name");
    }
    servers->uid = uid != 0 ? uid : servers->uid;
    (uid != 0 ? servers->having : servers->lacking).push_back(channel.get());
  }
  co_return Status::Ok();
}

// Takes log servers out of `lacking` that may have lost a disk with promises and redo on it, and
// answers their names. With an empty volume they would count towards a majority for what they have
// forgotten; the writer gives them one while its epoch stands without them (LogReplica). Nobody has
// promised anything when no epoch was asked for at those that have the volume, and that is asked
// here, after the others were found without: a writer that asks later makes sure of all its
// promises before it begins.
Task<Result<std::string>> LeaveOutLostOnes(Runtime* runtime, const Creation* creation,
                                           Servers* servers) {
  std::string lost;
  if (servers->having.empty() || servers->lacking.empty()) {
    co_return lost;
  }
  const Result<bool> in_use = co_await AnyMayBeInUse(runtime, creation, &servers->having);
  if (!in_use.ok()) {
    co_return in_use.status();
  }
  std::vector<ReconnectingChannel*> rest;
  for (ReconnectingChannel* channel : servers->lacking) {
    const bool left_out = *in_use && co_await HasLogRole(channel, creation->deadline);
    if (left_out) {
      lost += (lost.empty() ? "" : ", ") + channel->address();
    } else {
      rest.push_back(channel);
    }
  }
  servers->lacking = std::move(rest);
  co_return lost;
}

Task<Status> CreateEverywhere(Runtime* runtime, Creation* creation,
                              const std::vector<std::unique_ptr<ReconnectingChannel>>* channels) {
  Servers servers;
  const Status found = co_await FindEverywhere(runtime, creation, channels, &servers);
  if (!found.ok()) {
    co_return found;
  }
  const Result<std::string> lost = co_await LeaveOutLostOnes(runtime, creation, &servers);
  if (!lost.ok()) {
    co_return lost.status();
  }
  if (servers.lacking.empty() && lost->empty()) {
    co_return Status(StatusCode::kAlreadyExists, "every server has the volume already");
  }
  uint64_t uid = servers.uid;
  while (uid == 0) {
    uid = runtime->random->Next();
  }
  creation->request.set_uid(uid);
  for (ReconnectingChannel* channel : servers.lacking) {
    VolumeClient client(channel);
    proto::VolumeCreateRequest request = creation->request;
    const Result<proto::VolumeCreateResponse> answer =
        co_await client.VolumeCreate(std::move(request), creation->deadline);
    if (!answer.ok()) {
      co_return answer.status().WithContext(channel->address());
    }
  }
  if (!lost->empty()) {
    co_return Status(StatusCode::kAlreadyExists,
                     "the volume is in use, and " + *lost +
                         " may have lost it with its disk: a writer gives it back as soon as the "
                         "others have everything without");
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
