// SPDX-License-Identifier: MIT
//
// The boot bundle (what a server without local files starts from) and seeding (what redo does not
// say), as calls on a redoubt_reader.
#include <algorithm>
#include <optional>
#include <utility>

#include "client/abi/reader.h"
#include "client/boot_bundle.h"
#include "client/volume_client.h"

namespace redoubt::abi {
namespace {

// Results as the C structure first, and behind it what its pointers point into.
struct SpaceList : redoubt_space_list {
  SpaceBundle bundle;
  std::vector<redoubt_space> entries;
};
struct Metadata : redoubt_metadata {
  Bytes bytes;
};
struct SideFileList : redoubt_side_file_list {
  proto::SideFileListResponse message;
  std::vector<redoubt_side_file> entries;
  Bytes bytes;
};

// Runs `read`, one of boot_bundle.h, on the loop and waits.
template <typename T>
Result<T> ReadOnLoop(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                     Task<Result<T>> (*read)(Runtime*, PageClient*, Lsn, TimePoint)) {
  struct Work {
    Task<Result<T>> (*read)(Runtime*, PageClient*, Lsn, TimePoint);
    PageClient* pages;
    Lsn lsn;
    TimePoint deadline;
    std::optional<Result<T>> result;

    static Task<void> Run(Runtime* runtime, Work* work) {
      work->result = co_await work->read(runtime, work->pages, work->lsn, work->deadline);
    }
  };
  Work work{read, reader->pages.get(), Lsn(lsn), DeadlineAfter(timeout_ms), std::nullopt};
  reader->client->loop.Call([&work](Runtime* runtime) { return Work::Run(runtime, &work); });
  return std::move(*work.result);
}

void FillIn(SpaceList* list, uint32_t page_size) {
  for (size_t i = 0; i < list->bundle.first_pages.size(); ++i) {
    const proto::SpaceInfo& space = list->bundle.list.spaces(static_cast<int>(i));
    const Result<FetchedPage>& page = list->bundle.first_pages[i];
    redoubt_space entry{};
    entry.space = space.space();
    entry.page_count = space.page_count();
    entry.flags = space.flags();
    entry.path = space.path().c_str();
    entry.unsupported_reason = space.unsupported_reason().c_str();
    entry.page0_code = static_cast<int>(page.status().code());
    if (page.ok()) {
      entry.page0 = page->image.data();
      entry.page0_lsn = page->page_lsn.value();
    }
    list->entries.push_back(entry);
  }
  list->count = list->entries.size();
  list->spaces = list->entries.data();
  list->lsn = list->bundle.list.read_lsn();
  list->page_size = page_size;
}

void FillIn(SideFileList* list) {
  size_t offset = 0;
  for (const proto::SideFile& file : list->message.files()) {
    list->entries.push_back(
        {file.path().c_str(), file.mode(), file.size_bytes(), list->bytes.data() + offset});
    offset += file.size_bytes();
  }
  list->count = list->entries.size();
  list->files = list->entries.data();
}

// ---- seeding

Task<Status> SendSpaceEvent(PageReplica::Reached server, const proto::SpacePutRequest* prepared,
                            TimePoint deadline) {
  VolumeClient client(server.channel);
  proto::SpacePutRequest request = *prepared;
  request.set_volume_id(server.volume.value());
  const Result<proto::SpacePutResponse> answer =
      co_await client.SpacePut(std::move(request), deadline);
  co_return answer.status();
}

Task<Status> SendImages(PageReplica::Reached server, const proto::PutImagesRequest* prepared,
                        SharedPayload payload, TimePoint deadline) {
  VolumeClient client(server.channel);
  proto::PutImagesRequest request = *prepared;
  request.set_volume_id(server.volume.value());
  const Result<proto::PutImagesResponse> answer =
      co_await client.PutImages(std::move(request), std::move(payload), deadline);
  co_return answer.status();
}

Task<Status> SendSideFile(PageReplica::Reached server, const proto::SideFilePutRequest* prepared,
                          SharedPayload payload, TimePoint deadline) {
  VolumeClient client(server.channel);
  proto::SideFilePutRequest request = *prepared;
  request.set_volume_id(server.volume.value());
  const Result<proto::SideFilePutResponse> answer =
      co_await client.SideFilePut(std::move(request), std::move(payload), deadline);
  co_return answer.status();
}

Task<Status> SendHorizon(PageReplica::Reached server, uint64_t epoch, uint64_t lsn,
                         TimePoint deadline) {
  VolumeClient client(server.channel);
  proto::SetHorizonRequest request;
  request.set_volume_id(server.volume.value());
  request.set_epoch(epoch);
  request.set_horizon_lsn(lsn);
  const Result<proto::SetHorizonResponse> answer =
      co_await client.SetHorizon(std::move(request), deadline);
  co_return answer.status();
}

constexpr size_t kImageBytesMax = 16 << 20;

}  // namespace
}  // namespace redoubt::abi

using redoubt::Bytes;
using redoubt::InvalidArgument;
using redoubt::Lsn;
using redoubt::PageReplica;
using redoubt::Runtime;
using redoubt::SharedPayload;
using redoubt::Status;
using redoubt::TimePoint;
using redoubt::abi::DeadlineAfter;
using redoubt::abi::Finish;
namespace abi = redoubt::abi;
namespace proto = redoubt::proto;

extern "C" {

int redoubt_reader_spaces(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                          redoubt_space_list** out, redoubt_error* error) {
  redoubt::Result<redoubt::SpaceBundle> bundle =
      abi::ReadOnLoop(reader, lsn, timeout_ms, &redoubt::ReadSpaces);
  if (bundle.ok()) {
    auto list = std::make_unique<abi::SpaceList>();
    list->bundle = std::move(*bundle);
    abi::FillIn(list.get(), reader->page_size);
    *out = list.release();
  }
  return Finish(bundle.status(), error);
}

void redoubt_space_list_free(redoubt_space_list* list) {
  delete static_cast<abi::SpaceList*>(list);
}

int redoubt_reader_metadata(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                            redoubt_metadata** out, redoubt_error* error) {
  redoubt::Result<redoubt::WithPayload<proto::DynamicMetaResponse>> answer =
      abi::ReadOnLoop(reader, lsn, timeout_ms, &redoubt::ReadDynamicMeta);
  if (answer.ok()) {
    auto metadata = std::make_unique<abi::Metadata>();
    metadata->bytes = std::move(answer->payload);
    metadata->table_count = answer->message.table_count();
    metadata->records = metadata->bytes.data();
    metadata->size = metadata->bytes.size();
    *out = metadata.release();
  }
  return Finish(answer.status(), error);
}

void redoubt_metadata_free(redoubt_metadata* metadata) {
  delete static_cast<abi::Metadata*>(metadata);
}

int redoubt_reader_side_files(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                              redoubt_side_file_list** out, redoubt_error* error) {
  redoubt::Result<redoubt::WithPayload<proto::SideFileListResponse>> answer =
      abi::ReadOnLoop(reader, lsn, timeout_ms, &redoubt::ReadSideFiles);
  if (answer.ok()) {
    auto list = std::make_unique<abi::SideFileList>();
    list->message = std::move(answer->message);
    list->bytes = std::move(answer->payload);
    abi::FillIn(list.get());
    *out = list.release();
  }
  return Finish(answer.status(), error);
}

void redoubt_side_file_list_free(redoubt_side_file_list* list) {
  delete static_cast<abi::SideFileList*>(list);
}

int redoubt_reader_put_space(redoubt_reader* reader, uint64_t epoch, uint64_t lsn, uint32_t space,
                             const char* path, uint32_t flags, uint32_t page_count,
                             uint32_t timeout_ms, redoubt_error* error) {
  proto::SpacePutRequest request;
  request.set_epoch(epoch);
  proto::SpaceEvent* event = request.add_events();
  event->set_kind(proto::SpaceEvent::PRESENT);
  event->set_space(space);
  event->set_lsn(lsn);
  event->set_path(abi::ToString(path));
  event->set_flags(flags);
  event->set_page_count(page_count);
  const Status status = abi::CallEvery(
      reader,
      [&request](PageReplica::Reached server, TimePoint until) {
        return abi::SendSpaceEvent(server, &request, until);
      },
      DeadlineAfter(timeout_ms));
  return Finish(status, error);
}

int redoubt_reader_put_images(redoubt_reader* reader, uint64_t epoch, const redoubt_image* images,
                              size_t count, uint32_t timeout_ms, redoubt_error* error) {
  if (count > abi::kImageBytesMax / reader->page_size) {
    return Finish(InvalidArgument(std::to_string(count) + " images are more than 16 MiB"), error);
  }
  proto::PutImagesRequest request;
  request.set_epoch(epoch);
  Bytes bytes;
  bytes.reserve(count * reader->page_size);
  for (size_t i = 0; i < count; ++i) {
    proto::PageImage* image = request.add_images();
    image->set_space(images[i].space);
    image->set_page_no(images[i].page_no);
    image->set_lsn(images[i].lsn);
    const auto* from = static_cast<const uint8_t*>(images[i].bytes);
    bytes.insert(bytes.end(), from, from + reader->page_size);
  }
  const SharedPayload payload = std::make_shared<const Bytes>(std::move(bytes));
  const Status status = abi::CallEvery(
      reader,
      [&request, payload](PageReplica::Reached server, TimePoint until) {
        return abi::SendImages(server, &request, payload, until);
      },
      DeadlineAfter(timeout_ms));
  return Finish(status, error);
}

int redoubt_reader_put_side_file(redoubt_reader* reader, uint64_t epoch, uint64_t lsn,
                                 const char* path, uint32_t mode, const void* bytes, size_t size,
                                 uint32_t timeout_ms, redoubt_error* error) {
  proto::SideFilePutRequest request;
  request.set_epoch(epoch);
  request.set_lsn(lsn);
  request.set_path(abi::ToString(path));
  request.set_mode(mode);
  request.set_deleted(bytes == nullptr);
  const auto* from = static_cast<const uint8_t*>(bytes);
  const SharedPayload payload =
      bytes == nullptr ? nullptr : std::make_shared<const Bytes>(from, from + size);
  const Status status = abi::CallEvery(
      reader,
      [&request, payload](PageReplica::Reached server, TimePoint until) {
        return abi::SendSideFile(server, &request, payload, until);
      },
      DeadlineAfter(timeout_ms));
  return Finish(status, error);
}

int redoubt_reader_set_horizon(redoubt_reader* reader, uint64_t epoch, uint64_t lsn,
                               uint32_t timeout_ms, redoubt_error* error) {
  const Status status = abi::CallEvery(
      reader,
      [epoch, lsn](PageReplica::Reached server, TimePoint until) {
        return abi::SendHorizon(server, epoch, lsn, until);
      },
      DeadlineAfter(timeout_ms));
  return Finish(status, error);
}

}  // extern "C"
