// SPDX-License-Identifier: MIT
//
// redoubt_client and the creation of volumes.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "client/abi/handles.h"
#include "client/volume_client.h"
#include "common/runtime/rpc/reconnecting_channel.h"

namespace redoubt::abi {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds(50);

struct Creation {
  std::vector<std::string> addresses;
  proto::VolumeCreateRequest request;
  TimePoint deadline{};
  Status status;
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

Task<void> RunCreation(Runtime* runtime, Creation* creation) {
  std::vector<std::unique_ptr<ReconnectingChannel>> channels;
  for (const std::string& address : creation->addresses) {
    channels.push_back(
        std::make_unique<ReconnectingChannel>(runtime, address, ReconnectingChannelOptions()));
  }
  creation->status = co_await CreateEverywhere(runtime, creation, &channels);
  for (const std::unique_ptr<ReconnectingChannel>& channel : channels) {
    co_await channel->Close();
  }
}

}  // namespace
}  // namespace redoubt::abi

using redoubt::InvalidArgument;
using redoubt::Status;
using redoubt::abi::Finish;

extern "C" {

uint32_t redoubt_client_version(void) { return REDOUBT_CLIENT_VERSION; }

const char* redoubt_code_name(int code) {
  if (code < 0 || code > UINT8_MAX) {
    return "unknown";
  }
  // Literals: they end with NUL.
  return redoubt::StatusCodeName(static_cast<redoubt::StatusCode>(code)).data();
}

void redoubt_client_options_init(redoubt_client_options* options) {
  *options = {};
  options->struct_size = sizeof *options;
  options->log_level_min = REDOUBT_LOG_INFO;
}

int redoubt_client_open(const redoubt_client_options* options, redoubt_client** out,
                        redoubt_error* error) {
  redoubt_client_options defaults;
  redoubt_client_options_init(&defaults);
  const redoubt_client_options& used = options == nullptr ? defaults : *options;
  const Status checked =
      redoubt::abi::CheckStructSize(used.struct_size, sizeof used, "redoubt_client_options");
  if (checked.ok()) {
    *out = new redoubt_client(used);
  }
  return Finish(checked, error);
}

int redoubt_client_close(redoubt_client* client, redoubt_error* error) {
  if (client != nullptr && client->handle_count.load() != 0) {
    return Finish(InvalidArgument(std::to_string(client->handle_count.load()) +
                                  " writers or readers are still open"),
                  error);
  }
  delete client;
  return Finish(Status::Ok(), error);
}

int redoubt_volume_create(redoubt_client* client, const char* const* addresses,
                          size_t address_count, const char* name, uint32_t page_size,
                          const char* source_id, uint32_t timeout_ms, redoubt_error* error) {
  redoubt::abi::Creation creation;
  creation.addresses.assign(addresses, addresses + address_count);
  creation.request.set_name(redoubt::abi::ToString(name));
  creation.request.set_page_size(page_size);
  creation.request.set_source_id(redoubt::abi::ToString(source_id));
  creation.deadline = redoubt::abi::DeadlineAfter(timeout_ms);
  if (address_count == 0) {
    return Finish(InvalidArgument("no server is named"), error);
  }
  client->loop.Call([&creation](redoubt::Runtime* runtime) {
    return redoubt::abi::RunCreation(runtime, &creation);
  });
  return Finish(creation.status.WithContext("volume " + creation.request.name()), error);
}

}  // extern "C"
