// SPDX-License-Identifier: MIT
//
// The three services as typed calls, one method per message of proto/. A status that the server put
// into its answer comes back as the Result's status, with the method's name as context; per-page
// statuses stay in the answer. Transport errors are those of Channel::Call.
//
// Requests are sent once, never repeated. Name the request before the call (GCC 12 destroys
// temporaries in co_await expressions twice):
//   proto::WaitLsnRequest request;  ...
//   const Result<proto::WaitLsnResponse> answer = co_await client.WaitLsn(std::move(request),
//   deadline);
#pragma once

#include "common/base/result.h"
#include "common/runtime/rpc/channel.h"
#include "common/runtime/rpc/typed_call.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"
#include "proto/admin_service.pb.h"
#include "proto/log_service.pb.h"
#include "proto/page_service.pb.h"

namespace redoubt {

class VolumeClient {
 public:
  // `channel` outlives the client and every call.
  explicit VolumeClient(Channel* channel) : channel_(channel) {}

  // admin_service.proto
  Task<Result<proto::VolumeCreateResponse>> VolumeCreate(proto::VolumeCreateRequest request,
                                                         TimePoint deadline);
  Task<Result<proto::VolumeListResponse>> VolumeList(TimePoint deadline);
  Task<Result<proto::VolumeStatusResponse>> VolumeStatus(proto::VolumeStatusRequest request,
                                                         TimePoint deadline);
  Task<Result<proto::VolumeDeleteResponse>> VolumeDelete(proto::VolumeDeleteRequest request,
                                                         TimePoint deadline);

  // log_service.proto
  Task<Result<proto::PrepareResponse>> Prepare(proto::PrepareRequest request, TimePoint deadline);
  Task<Result<proto::LogEpochStartResponse>> LogEpochStart(proto::LogEpochStartRequest request,
                                                           TimePoint deadline);
  // `payload`: the redo payload of [start_lsn, end_lsn); payload_crc32c is filled in here when
  // zero.
  Task<Result<proto::AppendResponse>> Append(proto::AppendRequest request, SharedPayload payload,
                                             TimePoint deadline);
  Task<Result<proto::StartAtResponse>> StartAt(proto::StartAtRequest request, TimePoint deadline);
  Task<Result<proto::LogCommitResponse>> LogCommit(proto::LogCommitRequest request,
                                                   TimePoint deadline);
  Task<Result<WithPayload<proto::LogReadResponse>>> LogRead(proto::LogReadRequest request,
                                                            TimePoint deadline);
  Task<Result<proto::LogStatusResponse>> LogStatus(proto::LogStatusRequest request,
                                                   TimePoint deadline);

  // page_service.proto
  // Payload: images of the pages whose own status is OK, in order, page_size bytes each.
  Task<Result<WithPayload<proto::GetPagesResponse>>> GetPages(proto::GetPagesRequest request,
                                                              TimePoint deadline);
  Task<Result<WithPayload<proto::ScanPagesResponse>>> ScanPages(proto::ScanPagesRequest request,
                                                                TimePoint deadline);
  Task<Result<proto::PageHistoryResponse>> PageHistory(proto::PageHistoryRequest request,
                                                       TimePoint deadline);
  Task<Result<proto::PutImagesResponse>> PutImages(proto::PutImagesRequest request,
                                                   SharedPayload payload, TimePoint deadline);
  Task<Result<proto::SpaceListResponse>> SpaceList(proto::SpaceListRequest request,
                                                   TimePoint deadline);
  Task<Result<proto::SpacePutResponse>> SpacePut(proto::SpacePutRequest request,
                                                 TimePoint deadline);
  Task<Result<proto::SideFilePutResponse>> SideFilePut(proto::SideFilePutRequest request,
                                                       SharedPayload payload, TimePoint deadline);
  Task<Result<WithPayload<proto::SideFileListResponse>>> SideFileList(
      proto::SideFileListRequest request, TimePoint deadline);
  Task<Result<WithPayload<proto::DynamicMetaResponse>>> DynamicMeta(
      proto::DynamicMetaRequest request, TimePoint deadline);
  Task<Result<proto::LsnAtTimeResponse>> LsnAtTime(proto::LsnAtTimeRequest request,
                                                   TimePoint deadline);
  Task<Result<proto::WaitLsnResponse>> WaitLsn(proto::WaitLsnRequest request, TimePoint deadline);
  Task<Result<proto::SetHorizonResponse>> SetHorizon(proto::SetHorizonRequest request,
                                                     TimePoint deadline);
  Task<Result<proto::SpaceVerifyResponse>> SpaceVerify(proto::SpaceVerifyRequest request,
                                                       TimePoint deadline);

 private:
  Channel* channel_;
};

}  // namespace redoubt
