// SPDX-License-Identifier: MIT
//
// admin_service.proto: decode, validate, call VolumeRegistry, encode.
#pragma once

#include "pageserver/rpc/service_call.h"
#include "proto/admin_service.pb.h"

namespace redoubt {

class AdminService {
 public:
  explicit AdminService(VolumeRegistry* registry) : registry_(registry) {}

  Task<RpcReply> Create(Frame frame);
  Task<RpcReply> List(Frame frame);
  Task<RpcReply> Status(Frame frame);
  Task<RpcReply> Delete(Frame frame);

 private:
  VolumeId IdOf(const std::string& name);
  void FillState(const VolumeRegistry::Listed& listed, proto::VolumeState* state);
  static void FillPages(const PageVolumeStatus& pages, proto::VolumeState* state);

  VolumeRegistry* registry_;
};

}  // namespace redoubt
