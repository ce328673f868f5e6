// SPDX-License-Identifier: MIT
//
// page_service.proto: decode, validate, call PageVolume, encode. Images are sent from the page
// cache's memory.
#pragma once

#include <map>
#include <memory>

#include "pageserver/rpc/image_crc.h"
#include "pageserver/rpc/service_call.h"
#include "proto/page_service.pb.h"

namespace redoubt {

class PageService {
 public:
  PageService(Runtime* runtime, VolumeRegistry* registry)
      : runtime_(runtime), registry_(registry) {}

  static Status Served(const Volume& volume) { return volume.pages_failure; }

  Task<RpcReply> GetPages(Frame frame);
  Task<RpcReply> Scan(Frame frame);
  Task<RpcReply> History(Frame frame);
  Task<RpcReply> PutImages(Frame frame);
  Task<RpcReply> SpaceList(Frame frame);
  Task<RpcReply> SpacePut(Frame frame);
  Task<RpcReply> SideFilePut(Frame frame);
  Task<RpcReply> SideFileList(Frame frame);
  Task<RpcReply> DynamicMeta(Frame frame);
  Task<RpcReply> LsnAtTime(Frame frame);
  Task<RpcReply> WaitLsn(Frame frame);
  Task<RpcReply> SetHorizon(Frame frame);
  Task<RpcReply> SpaceVerify(Frame frame);

 private:
  using GetPagesCall = ServiceCall<proto::GetPagesRequest, proto::GetPagesResponse>;
  using ScanCall = ServiceCall<proto::ScanPagesRequest, proto::ScanPagesResponse>;
  using HistoryCall = ServiceCall<proto::PageHistoryRequest, proto::PageHistoryResponse>;
  using PutImagesCall = ServiceCall<proto::PutImagesRequest, proto::PutImagesResponse>;
  using SpaceListCall = ServiceCall<proto::SpaceListRequest, proto::SpaceListResponse>;
  using SpacePutCall = ServiceCall<proto::SpacePutRequest, proto::SpacePutResponse>;
  using SideFilePutCall = ServiceCall<proto::SideFilePutRequest, proto::SideFilePutResponse>;
  using SideFileListCall = ServiceCall<proto::SideFileListRequest, proto::SideFileListResponse>;
  using DynamicMetaCall = ServiceCall<proto::DynamicMetaRequest, proto::DynamicMetaResponse>;
  using LsnAtTimeCall = ServiceCall<proto::LsnAtTimeRequest, proto::LsnAtTimeResponse>;
  using WaitLsnCall = ServiceCall<proto::WaitLsnRequest, proto::WaitLsnResponse>;
  using SetHorizonCall = ServiceCall<proto::SetHorizonRequest, proto::SetHorizonResponse>;
  using SpaceVerifyCall = ServiceCall<proto::SpaceVerifyRequest, proto::SpaceVerifyResponse>;

  Task<Status> DoGetPages(GetPagesCall* call);
  Task<Status> DoScan(ScanCall* call);
  Task<Status> DoHistory(HistoryCall* call);
  Task<Status> DoPutImages(PutImagesCall* call);
  Task<Status> DoSpaceList(SpaceListCall* call);
  Task<Status> DoSpacePut(SpacePutCall* call);
  Task<Status> DoSideFilePut(SideFilePutCall* call);
  Task<Status> DoSideFileList(SideFileListCall* call);
  Task<Status> DoDynamicMeta(DynamicMetaCall* call);
  Task<Status> DoLsnAtTime(LsnAtTimeCall* call);
  Task<Status> DoWaitLsn(WaitLsnCall* call);
  Task<Status> DoSetHorizon(SetHorizonCall* call);
  Task<Status> DoSpaceVerify(SpaceVerifyCall* call);

  // The image of a page that is OK; zeroes for one that was never written.
  std::shared_ptr<const Bytes> ImageOf(const PageRead& read, uint32_t page_size);

  Runtime* runtime_;
  VolumeRegistry* registry_;
  std::map<uint32_t, std::shared_ptr<const Bytes>> zero_pages_;  // by page size
  ImageCrcMemo image_crcs_;
};

}  // namespace redoubt
