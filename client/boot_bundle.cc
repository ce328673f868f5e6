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

Task<Status> AskSpaces(Runtime* runtime, PageReplica::Reached server, Lsn lsn, TimePoint deadline,
                       proto::SpaceListResponse* out) {
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
    *out = std::move(*answer);
  }
  co_return answer.status();
}

Task<Status> AskDynamicMeta(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                            TimePoint deadline, WithPayload<proto::DynamicMetaResponse>* out) {
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
    *out = std::move(*answer);
  }
  co_return answer.status();
}

Task<Status> AskSideFiles(Runtime* runtime, PageReplica::Reached server, Lsn lsn,
                          TimePoint deadline, WithPayload<proto::SideFileListResponse>* out) {
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
  *out = std::move(*answer);
  co_return Status::Ok();
}

}  // namespace

Task<Result<SpaceBundle>> ReadSpaces(Runtime* runtime, PageClient* pages, Lsn lsn,
                                     TimePoint deadline) {
  SpaceBundle bundle;
  ReplicaCall ask = [runtime, lsn, to = &bundle.list](PageReplica::Reached server,
                                                      TimePoint until) {
    return AskSpaces(runtime, server, lsn, until, to);
  };
  const Status status = co_await CallAnyReplica(runtime, pages, std::move(ask), deadline);
  if (!status.ok()) {
    co_return status;
  }
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
  WithPayload<proto::DynamicMetaResponse> answer;
  ReplicaCall ask = [runtime, lsn, to = &answer](PageReplica::Reached server, TimePoint until) {
    return AskDynamicMeta(runtime, server, lsn, until, to);
  };
  const Status status = co_await CallAnyReplica(runtime, pages, std::move(ask), deadline);
  if (!status.ok()) {
    co_return status;
  }
  co_return answer;
}

Task<Result<WithPayload<proto::SideFileListResponse>>> ReadSideFiles(Runtime* runtime,
                                                                     PageClient* pages, Lsn lsn,
                                                                     TimePoint deadline) {
  WithPayload<proto::SideFileListResponse> answer;
  ReplicaCall ask = [runtime, lsn, to = &answer](PageReplica::Reached server, TimePoint until) {
    return AskSideFiles(runtime, server, lsn, until, to);
  };
  const Status status = co_await CallAnyReplica(runtime, pages, std::move(ask), deadline);
  if (!status.ok()) {
    co_return status;
  }
  co_return answer;
}

}  // namespace redoubt
