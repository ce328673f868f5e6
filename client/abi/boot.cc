// SPDX-License-Identifier: MIT
//
// The boot bundle (what a server without local files starts from) and seeding (what redo does not
// say), as calls on a redoubt_reader.
#include <algorithm>
#include <utility>

#include "client/abi/reader.h"
#include "client/volume_client.h"

namespace redoubt::abi {
namespace {

// Results as the C structure first, and behind it what its pointers point into.
struct SpaceList : redoubt_space_list {
  proto::SpaceListResponse message;
  std::vector<redoubt_space> entries;
  std::vector<std::shared_ptr<const Bytes>> images;
};
struct Metadata : redoubt_metadata {
  Bytes bytes;
};
struct SideFileList : redoubt_side_file_list {
  proto::SideFileListResponse message;
  std::vector<redoubt_side_file> entries;
  Bytes bytes;
};

// The server has applied `lsn`; 0 asks for nothing.
Task<Status> WaitApplied(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                         TimePoint deadline) {
  VolumeClient client(server.channel);
  proto::WaitLsnRequest request;
  request.set_volume_id(server.volume.value());
  request.set_lsn(lsn.value());
  request.set_deadline_ms(DeadlineMs(runtime->scheduler->Now(), deadline));
  const Result<proto::WaitLsnResponse> answer =
      co_await client.WaitLsn(std::move(request), deadline);
  co_return answer.status();
}

Task<Status> AskSpaces(Runtime* runtime, PageReplica::Reached server, Lsn lsn, TimePoint deadline,
                       SpaceList* out) {
  const Status applied = co_await WaitApplied(runtime, server, lsn, deadline);
  if (!applied.ok()) {
    co_return applied;
  }
  VolumeClient client(server.channel);
  proto::SpaceListRequest request;
  request.set_volume_id(server.volume.value());
  request.set_read_lsn(lsn.value());
  Result<proto::SpaceListResponse> answer = co_await client.SpaceList(std::move(request), deadline);
  if (answer.ok()) {
    out->message = std::move(*answer);
  }
  co_return answer.status();
}

Task<Status> AskMetadata(Runtime* runtime, PageReplica::Reached server, Lsn lsn, TimePoint deadline,
                         Metadata* out) {
  const Status applied = co_await WaitApplied(runtime, server, lsn, deadline);
  if (!applied.ok()) {
    co_return applied;
  }
  VolumeClient client(server.channel);
  proto::DynamicMetaRequest request;
  request.set_volume_id(server.volume.value());
  request.set_read_lsn(lsn.value());
  Result<WithPayload<proto::DynamicMetaResponse>> answer =
      co_await client.DynamicMeta(std::move(request), deadline);
  if (answer.ok()) {
    out->bytes = std::move(answer->payload);
    out->table_count = answer->message.table_count();
    out->records = out->bytes.data();
    out->size = out->bytes.size();
  }
  co_return answer.status();
}

Task<Status> AskSideFiles(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                          TimePoint deadline, SideFileList* out) {
  const Status applied = co_await WaitApplied(runtime, server, lsn, deadline);
  if (!applied.ok()) {
    co_return applied;
  }
  VolumeClient client(server.channel);
  proto::SideFileListRequest request;
  request.set_volume_id(server.volume.value());
  request.set_read_lsn(lsn.value());
  Result<WithPayload<proto::SideFileListResponse>> answer =
      co_await client.SideFileList(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  size_t total = 0;
  for (const proto::SideFile& file : answer->message.files()) {
    total += file.size_bytes();
  }
  if (total != answer->payload.size()) {
    co_return Corruption("SideFileList: the payload is not as long as its files together");
  }
  out->message = std::move(answer->message);
  out->bytes = std::move(answer->payload);
  co_return Status::Ok();
}

// Page 0 of every space, in the order of the list.
Task<void> ReadFirstPages(redoubt_reader* reader, Lsn lsn, TimePoint deadline, SpaceList* list,
                          std::vector<Result<FetchedPage>>* out) {
  std::vector<PageId> pages;
  for (const proto::SpaceInfo& space : list->message.spaces()) {
    pages.push_back({SpaceId(space.space()), PageNo(0)});
  }
  *out = co_await reader->pages->GetPages(std::move(pages), lsn, Lsn{}, deadline);
}

void FillIn(SpaceList* list, std::vector<Result<FetchedPage>>* first_pages) {
  for (size_t i = 0; i < first_pages->size(); ++i) {
    const proto::SpaceInfo& space = list->message.spaces(static_cast<int>(i));
    const Result<FetchedPage>& page = (*first_pages)[i];
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
      list->images.push_back(page->buffer);
    }
    list->entries.push_back(entry);
  }
  list->count = list->entries.size();
  list->spaces = list->entries.data();
}

Status ListSpaces(redoubt_reader* reader, Lsn lsn, TimePoint deadline, SpaceList* list) {
  Runtime* const runtime = reader->client->loop.runtime();
  REDOUBT_RETURN_IF_ERROR(CallAny(
      reader,
      [runtime, lsn, list](PageReplica::Reached server, TimePoint until) {
        return AskSpaces(runtime, server, lsn, until, list);
      },
      deadline));
  const Lsn at(list->message.read_lsn());
  std::vector<Result<FetchedPage>> first_pages;
  reader->client->loop.Call([reader, at, deadline, list, &first_pages](Runtime*) {
    return ReadFirstPages(reader, at, deadline, list, &first_pages);
  });
  for (const Result<FetchedPage>& page : first_pages) {
    // What a page server cannot answer now is no part of a bundle that is to be whole.
    if (!page.ok() && KindOf(page.status()) == AnswerKind::kTrouble) {
      return page.status();
    }
  }
  FillIn(list, &first_pages);
  list->lsn = at.value();
  list->page_size = reader->page_size;
  return Status::Ok();
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
  auto list = std::make_unique<abi::SpaceList>();
  const Status status = abi::ListSpaces(reader, Lsn(lsn), DeadlineAfter(timeout_ms), list.get());
  if (status.ok()) {
    *out = list.release();
  }
  return Finish(status, error);
}

void redoubt_space_list_free(redoubt_space_list* list) {
  delete static_cast<abi::SpaceList*>(list);
}

int redoubt_reader_metadata(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                            redoubt_metadata** out, redoubt_error* error) {
  auto metadata = std::make_unique<abi::Metadata>();
  Runtime* const runtime = reader->client->loop.runtime();
  const Status status = abi::CallAny(
      reader,
      [runtime, lsn, to = metadata.get()](PageReplica::Reached server, TimePoint until) {
        return abi::AskMetadata(runtime, server, Lsn(lsn), until, to);
      },
      DeadlineAfter(timeout_ms));
  if (status.ok()) {
    *out = metadata.release();
  }
  return Finish(status, error);
}

void redoubt_metadata_free(redoubt_metadata* metadata) {
  delete static_cast<abi::Metadata*>(metadata);
}

int redoubt_reader_side_files(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                              redoubt_side_file_list** out, redoubt_error* error) {
  auto list = std::make_unique<abi::SideFileList>();
  Runtime* const runtime = reader->client->loop.runtime();
  const Status status = abi::CallAny(
      reader,
      [runtime, lsn, to = list.get()](PageReplica::Reached server, TimePoint until) {
        return abi::AskSideFiles(runtime, server, Lsn(lsn), until, to);
      },
      DeadlineAfter(timeout_ms));
  if (status.ok()) {
    abi::FillIn(list.get());
    *out = list.release();
  }
  return Finish(status, error);
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
