// SPDX-License-Identifier: MIT
#include "sim/cluster/base_import.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr size_t kPagesPerRequest = 32;

proto::SpacePutRequest SpacesOf(const FollowedServer& server, const WriterOf& writer) {
  proto::SpacePutRequest request;
  request.set_volume_id(writer.volume.value());
  request.set_epoch(writer.epoch.value());
  for (const BaseSpace& space : server.base_spaces()) {
    proto::SpaceEvent* event = request.add_events();
    event->set_kind(proto::SpaceEvent::PRESENT);
    event->set_space(space.space.value());
    event->set_lsn(server.begin_lsn().value());
    event->set_path(space.path);
    event->set_flags(space.flags);
    event->set_page_count(space.page_count);
  }
  return request;
}

}  // namespace

Task<Status> ImportBase(Runtime* runtime, VolumeClient* client, const FollowedServer* server,
                        WriterOf writer, Duration deadline) {
  if (server->base_spaces().empty()) {
    co_return Status::Ok();
  }
  proto::SpacePutRequest spaces = SpacesOf(*server, writer);
  const Result<proto::SpacePutResponse> put =
      co_await client->SpacePut(std::move(spaces), runtime->scheduler->Now() + deadline);
  if (!put.ok()) {
    co_return put.status();
  }
  const std::vector<BasePage>& pages = server->base_pages();
  for (size_t begin = 0; begin < pages.size(); begin += kPagesPerRequest) {
    proto::PutImagesRequest request;
    request.set_volume_id(writer.volume.value());
    request.set_epoch(writer.epoch.value());
    auto payload = std::make_shared<Bytes>();
    for (size_t i = begin; i < std::min(pages.size(), begin + kPagesPerRequest); ++i) {
      proto::PageImage* image = request.add_images();
      image->set_space(pages[i].page.space.value());
      image->set_page_no(pages[i].page.page_no.value());
      image->set_lsn(pages[i].lsn.value());
      payload->insert(payload->end(), pages[i].image.begin(), pages[i].image.end());
    }
    SharedPayload shared = std::move(payload);
    const Result<proto::PutImagesResponse> answer = co_await client->PutImages(
        std::move(request), std::move(shared), runtime->scheduler->Now() + deadline);
    if (!answer.ok()) {
      co_return answer.status();
    }
  }
  co_return Status::Ok();
}

}  // namespace redoubt::sim
