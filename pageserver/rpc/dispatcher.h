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

class Dispatcher final : public RpcHandler {
 public:
  // Without a page role every message of page_service.proto is refused.
  Dispatcher(Runtime* runtime, VolumeRegistry* registry, bool has_page_role)
      : has_page_role_(has_page_role),
        log_(runtime, registry),
        page_(runtime, registry),
        admin_(registry) {}

  Task<RpcReply> Handle(Frame request) override;

 private:
  Task<RpcReply> HandlePage(Frame request);
  Task<RpcReply> Refuse(std::string why);

  bool has_page_role_;
  LogService log_;
  PageService page_;
  AdminService admin_;
};

}  // namespace redoubt
