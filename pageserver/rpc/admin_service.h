// SPDX-License-Identifier: MIT
//
// admin_service.proto: decode, validate, call VolumeRegistry, encode.
#pragma once

#include "pageserver/rpc/rpc_server.h"
#include "pageserver/rpc/service_call.h"
#include "proto/admin_service.pb.h"

namespace redoubt {

class AdminService {
 public:
  explicit AdminService(VolumeRegistry* registry) : registry_(registry) {}

  // Counters to show beside the volumes; outlive the service.
  void ShowCounters(const RpcServerCounters* counters) { counters_ = counters; }

  Task<RpcReply> Create(Frame frame);
  Task<RpcReply> List(Frame frame);
  Task<RpcReply> Status(Frame frame);
  Task<RpcReply> Delete(Frame frame);

 private:
  VolumeId IdOf(const std::string& name);
  void FillState(const VolumeRegistry::Listed& listed, proto::VolumeState* state);
  static void FillPages(const PageVolumeStatus& pages, proto::VolumeState* state);

  void FillCounters(proto::ServerCounters* out) const;

  VolumeRegistry* registry_;
  const RpcServerCounters* counters_ = nullptr;
};

}  // namespace redoubt
