// SPDX-License-Identifier: MIT
//
// Message type -> method.
#pragma once

#include "pageserver/rpc/admin_service.h"
#include "pageserver/rpc/log_service.h"
#include "pageserver/rpc/page_service.h"
#include "pageserver/rpc/rpc_handler.h"

namespace redoubt {

class Dispatcher final : public RpcHandler {
 public:
  Dispatcher(Runtime* runtime, VolumeRegistry* registry)
      : log_(runtime, registry), page_(runtime, registry), admin_(registry) {}

  Task<RpcReply> Handle(Frame request) override;

 private:
  Task<RpcReply> Unknown(uint16_t type);

  LogService log_;
  PageService page_;
  AdminService admin_;
};

}  // namespace redoubt
