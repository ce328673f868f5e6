// SPDX-License-Identifier: MIT
#include "client/boot_bundle.h"

#include <utility>

#include "client/page_routing.h"
#include "client/replica_calls.h"

namespace redoubt {
namespace {

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

// Asks one server as of `lsn`, once it has applied that.
template <typename Request, typename Answer>
Task<Status> AskAsOf(Runtime* runtime, PageReplica::Reached server, Lsn lsn, TimePoint deadline,
                     Task<Result<Answer>> (VolumeClient::*ask)(Request, TimePoint), Answer* out) {
  const Status applied = co_await WaitApplied(runtime, server, lsn, deadline);
  if (!applied.ok()) {
    co_return applied;
  }
  VolumeClient client(server.channel);
  Request request;
  request.set_volume_id(server.volume.value());
  request.set_read_lsn(lsn.value());
  Result<Answer> answer = co_await (client.*ask)(std::move(request), deadline);
  if (answer.ok()) {
    *out = std::move(*answer);
  }
  co_return answer.status();
}

Task<Status> AskSpaces(Runtime* runtime, PageReplica::Reached server, Lsn lsn, TimePoint deadline,
                       proto::SpaceListResponse* out) {
  return AskAsOf(runtime, server, lsn, deadline, &VolumeClient::SpaceList, out);
}

Task<Status> AskDynamicMeta(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                            TimePoint deadline, WithPayload<proto::DynamicMetaResponse>* out) {
  return AskAsOf(runtime, server, lsn, deadline, &VolumeClient::DynamicMeta, out);
}

Task<Status> AskSideFiles(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                          TimePoint deadline, WithPayload<proto::SideFileListResponse>* out) {
  const Status asked =
      co_await AskAsOf(runtime, server, lsn, deadline, &VolumeClient::SideFileList, out);
  if (!asked.ok()) {
    co_return asked;
  }
  size_t total = 0;
  for (const proto::SideFile& file : out->message.files()) {
    total += file.size_bytes();
  }
  if (total != out->payload.size()) {
    co_return Corruption("SideFileList: the payload is not as long as its files together");
  }
  co_return Status::Ok();
}

// From whichever server answers.
template <typename Answer>
Task<Result<Answer>> ReadFromAny(Runtime* runtime, PageClient* pages, Lsn lsn, TimePoint deadline,
                                 Task<Status> (*ask)(Runtime*, PageReplica::Reached, Lsn, TimePoint,
                                                     Answer*)) {
  Answer answer;
  ReplicaCall call = [runtime, lsn, ask, to = &answer](PageReplica::Reached server,
                                                       TimePoint until) {
    return ask(runtime, server, lsn, until, to);
  };
  const Status status = co_await CallAnyReplica(runtime, pages, std::move(call), deadline);
  if (!status.ok()) {
    co_return status;
  }
  co_return answer;
}

}  // namespace

Task<Result<SpaceBundle>> ReadSpaces(Runtime* runtime, PageClient* pages, Lsn lsn,
                                     TimePoint deadline) {
  Result<proto::SpaceListResponse> list =
      co_await ReadFromAny(runtime, pages, lsn, deadline, &AskSpaces);
  if (!list.ok()) {
    co_return list.status();
  }
  SpaceBundle bundle;
  bundle.list = std::move(*list);
  std::vector<PageId> first_pages;
  for (const proto::SpaceInfo& space : bundle.list.spaces()) {
    first_pages.push_back({SpaceId(space.space()), PageNo(0)});
  }
  const Lsn at(bundle.list.read_lsn());
  bundle.first_pages = co_await pages->GetPages(std::move(first_pages), at, Lsn{}, deadline);
  for (const Result<FetchedPage>& page : bundle.first_pages) {
    // What a page server cannot answer now is no part of a bundle that is to be whole.
    if (!page.ok() && KindOf(page.status()) == AnswerKind::kTrouble) {
      co_return page.status();
    }
  }
  co_return bundle;
}

Task<Result<WithPayload<proto::DynamicMetaResponse>>> ReadDynamicMeta(Runtime* runtime,
                                                                      PageClient* pages, Lsn lsn,
                                                                      TimePoint deadline) {
  return ReadFromAny(runtime, pages, lsn, deadline, &AskDynamicMeta);
}

Task<Result<WithPayload<proto::SideFileListResponse>>> ReadSideFiles(Runtime* runtime,
                                                                     PageClient* pages, Lsn lsn,
                                                                     TimePoint deadline) {
  return ReadFromAny(runtime, pages, lsn, deadline, &AskSideFiles);
}

}  // namespace redoubt
