// SPDX-License-Identifier: MIT
#include "client/volume_client.h"

#include <string>
#include <utility>

#include "common/base/crc32c.h"

namespace redoubt {

Task<Result<proto::VolumeCreateResponse>> VolumeClient::VolumeCreate(
    proto::VolumeCreateRequest request, TimePoint deadline) {
  return Invoke<proto::VolumeCreateResponse>(channel_, "VolumeCreate", proto::VOLUME_CREATE,
                                             std::move(request), nullptr, deadline);
}

Task<Result<proto::VolumeStatusResponse>> VolumeClient::VolumeStatus(
    proto::VolumeStatusRequest request, TimePoint deadline) {
  return Invoke<proto::VolumeStatusResponse>(channel_, "VolumeStatus", proto::VOLUME_STATUS,
                                             std::move(request), nullptr, deadline);
}

Task<Result<proto::VolumeDeleteResponse>> VolumeClient::VolumeDelete(
    proto::VolumeDeleteRequest request, TimePoint deadline) {
  return Invoke<proto::VolumeDeleteResponse>(channel_, "VolumeDelete", proto::VOLUME_DELETE,
                                             std::move(request), nullptr, deadline);
}

Task<Result<proto::PrepareResponse>> VolumeClient::Prepare(proto::PrepareRequest request,
                                                           TimePoint deadline) {
  return Invoke<proto::PrepareResponse>(channel_, "Prepare", proto::LOG_PREPARE, std::move(request),
                                        nullptr, deadline);
}

Task<Result<proto::LogEpochStartResponse>> VolumeClient::LogEpochStart(
    proto::LogEpochStartRequest request, TimePoint deadline) {
  return Invoke<proto::LogEpochStartResponse>(channel_, "LogEpochStart", proto::LOG_EPOCH_START,
                                              std::move(request), nullptr, deadline);
}

Task<Result<proto::StartAtResponse>> VolumeClient::StartAt(proto::StartAtRequest request,
                                                           TimePoint deadline) {
  return Invoke<proto::StartAtResponse>(channel_, "StartAt", proto::LOG_START_AT,
                                        std::move(request), nullptr, deadline);
}

Task<Result<proto::LogCommitResponse>> VolumeClient::LogCommit(proto::LogCommitRequest request,
                                                               TimePoint deadline) {
  return Invoke<proto::LogCommitResponse>(channel_, "LogCommit", proto::LOG_COMMIT,
                                          std::move(request), nullptr, deadline);
}

Task<Result<WithPayload<proto::LogReadResponse>>> VolumeClient::LogRead(
    proto::LogReadRequest request, TimePoint deadline) {
  return InvokeWithPayload<proto::LogReadResponse>(channel_, "LogRead", proto::LOG_READ,
                                                   std::move(request), nullptr, deadline);
}

Task<Result<proto::LogStatusResponse>> VolumeClient::LogStatus(proto::LogStatusRequest request,
                                                               TimePoint deadline) {
  return Invoke<proto::LogStatusResponse>(channel_, "LogStatus", proto::LOG_STATUS,
                                          std::move(request), nullptr, deadline);
}

Task<Result<WithPayload<proto::GetPagesResponse>>> VolumeClient::GetPages(
    proto::GetPagesRequest request, TimePoint deadline) {
  return InvokeWithPayload<proto::GetPagesResponse>(channel_, "GetPages", proto::PAGE_GET,
                                                    std::move(request), nullptr, deadline);
}

Task<Result<WithPayload<proto::ScanPagesResponse>>> VolumeClient::ScanPages(
    proto::ScanPagesRequest request, TimePoint deadline) {
  return InvokeWithPayload<proto::ScanPagesResponse>(channel_, "ScanPages", proto::PAGE_SCAN,
                                                     std::move(request), nullptr, deadline);
}

Task<Result<proto::PageHistoryResponse>> VolumeClient::PageHistory(
    proto::PageHistoryRequest request, TimePoint deadline) {
  return Invoke<proto::PageHistoryResponse>(channel_, "PageHistory", proto::PAGE_HISTORY,
                                            std::move(request), nullptr, deadline);
}

Task<Result<proto::PutImagesResponse>> VolumeClient::PutImages(proto::PutImagesRequest request,
                                                               SharedPayload payload,
                                                               TimePoint deadline) {
  return Invoke<proto::PutImagesResponse>(channel_, "PutImages", proto::PAGE_PUT_IMAGES,
                                          std::move(request), std::move(payload), deadline);
}

Task<Result<proto::SpaceListResponse>> VolumeClient::SpaceList(proto::SpaceListRequest request,
                                                               TimePoint deadline) {
  return Invoke<proto::SpaceListResponse>(channel_, "SpaceList", proto::SPACE_LIST,
                                          std::move(request), nullptr, deadline);
}

Task<Result<proto::SpacePutResponse>> VolumeClient::SpacePut(proto::SpacePutRequest request,
                                                             TimePoint deadline) {
  return Invoke<proto::SpacePutResponse>(channel_, "SpacePut", proto::SPACE_PUT, std::move(request),
                                         nullptr, deadline);
}

Task<Result<proto::SideFilePutResponse>> VolumeClient::SideFilePut(
    proto::SideFilePutRequest request, SharedPayload payload, TimePoint deadline) {
  return Invoke<proto::SideFilePutResponse>(channel_, "SideFilePut", proto::SIDE_FILE_PUT,
                                            std::move(request), std::move(payload), deadline);
}

Task<Result<WithPayload<proto::SideFileListResponse>>> VolumeClient::SideFileList(
    proto::SideFileListRequest request, TimePoint deadline) {
  return InvokeWithPayload<proto::SideFileListResponse>(
      channel_, "SideFileList", proto::SIDE_FILE_LIST, std::move(request), nullptr, deadline);
}

Task<Result<WithPayload<proto::DynamicMetaResponse>>> VolumeClient::DynamicMeta(
    proto::DynamicMetaRequest request, TimePoint deadline) {
  return InvokeWithPayload<proto::DynamicMetaResponse>(
      channel_, "DynamicMeta", proto::DYNAMIC_META_GET, std::move(request), nullptr, deadline);
}

Task<Result<proto::LsnAtTimeResponse>> VolumeClient::LsnAtTime(proto::LsnAtTimeRequest request,
                                                               TimePoint deadline) {
  return Invoke<proto::LsnAtTimeResponse>(channel_, "LsnAtTime", proto::LSN_AT_TIME,
                                          std::move(request), nullptr, deadline);
}

Task<Result<proto::WaitLsnResponse>> VolumeClient::WaitLsn(proto::WaitLsnRequest request,
                                                           TimePoint deadline) {
  return Invoke<proto::WaitLsnResponse>(channel_, "WaitLsn", proto::WAIT_LSN, std::move(request),
                                        nullptr, deadline);
}

Task<Result<proto::SetHorizonResponse>> VolumeClient::SetHorizon(proto::SetHorizonRequest request,
                                                                 TimePoint deadline) {
  return Invoke<proto::SetHorizonResponse>(channel_, "SetHorizon", proto::SET_HORIZON,
                                           std::move(request), nullptr, deadline);
}

Task<Result<proto::SpaceVerifyResponse>> VolumeClient::SpaceVerify(
    proto::SpaceVerifyRequest request, TimePoint deadline) {
  return Invoke<proto::SpaceVerifyResponse>(channel_, "SpaceVerify", proto::SPACE_VERIFY,
                                            std::move(request), nullptr, deadline);
}

Task<Result<proto::VolumeListResponse>> VolumeClient::VolumeList(TimePoint deadline) {
  return Invoke<proto::VolumeListResponse>(channel_, "VolumeList", proto::VOLUME_LIST,
                                           proto::VolumeListRequest(), nullptr, deadline);
}

Task<Result<proto::AppendResponse>> VolumeClient::Append(proto::AppendRequest request,
                                                         SharedPayload payload,
                                                         TimePoint deadline) {
  if (request.payload_crc32c() == 0 && payload != nullptr) {
    request.set_payload_crc32c(Crc32c(*payload));
  }
  return Invoke<proto::AppendResponse>(channel_, "Append", proto::LOG_APPEND, std::move(request),
                                       std::move(payload), deadline);
}

}  // namespace redoubt
