// SPDX-License-Identifier: MIT
//
// Message type -> method.
#pragma once

#include <string>

#include "pageserver/rpc/admin_service.h"
#include "pageserver/rpc/log_service.h"
#include "pageserver/rpc/page_service.h"
#include "pageserver/rpc/rpc_handler.h"

namespace redoubt {

struct DispatcherRoles {
  bool log = true;
  bool page = true;
};

class Dispatcher final : public RpcHandler {
 public:
  // The messages of a role that is not there are refused.
  Dispatcher(Runtime* runtime, VolumeRegistry* registry, DispatcherRoles roles)
      : roles_(roles), log_(runtime, registry), page_(runtime, registry), admin_(registry) {}

  // Counters that VOLUME_LIST shows; outlive the dispatcher.
  void ShowCounters(const RpcServerCounters* counters) { admin_.ShowCounters(counters); }

  Task<RpcReply> Handle(Frame request) override;

 private:
  Task<RpcReply> HandleLog(Frame request);
  Task<RpcReply> HandlePage(Frame request);
  Task<RpcReply> Refuse(std::string why);
  Task<RpcReply> RefuseUnknown(uint16_t type);

  DispatcherRoles roles_;
  LogService log_;
  PageService page_;
  AdminService admin_;
};

}  // namespace redoubt
