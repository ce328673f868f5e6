// SPDX-License-Identifier: MIT
//
// redoubt_client and the creation of volumes.
#include <utility>
#include <vector>

#include "client/abi/handles.h"
#include "client/volume_creation.h"

namespace redoubt::abi {
namespace {

struct Creation {
  std::vector<std::string> addresses;
  proto::VolumeCreateRequest request;
  TimePoint deadline{};
  Status status;
};

Task<void> RunCreation(Runtime* runtime, Creation* creation) {
  std::vector<std::string> addresses = creation->addresses;
  proto::VolumeCreateRequest request = creation->request;
  creation->status =
      co_await CreateVolume(runtime, std::move(addresses), std::move(request), creation->deadline);
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
