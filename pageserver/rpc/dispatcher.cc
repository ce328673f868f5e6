// SPDX-License-Identifier: MIT
#include "pageserver/rpc/dispatcher.h"

#include <string>
#include <utility>

namespace redoubt {

Task<RpcReply> Dispatcher::Handle(Frame request) {
  switch (request.type) {
    case proto::VOLUME_CREATE:
      return admin_.Create(std::move(request));
    case proto::VOLUME_LIST:
      return admin_.List(std::move(request));
    case proto::VOLUME_STATUS:
      return admin_.Status(std::move(request));
    case proto::VOLUME_DELETE:
      return admin_.Delete(std::move(request));
    default:
      break;
  }
  return request.type < proto::PAGE_GET ? HandleLog(std::move(request))
                                        : HandlePage(std::move(request));
}

// Not a coroutine: appends take their order here.
Task<RpcReply> Dispatcher::HandleLog(Frame request) {
  if (!roles_.log && request.type != proto::MESSAGE_UNKNOWN) {
    return Refuse(
        "this server has no log role, it reads redo from log servers (--role page): ask one of "
        "those");
  }
  switch (request.type) {
    case proto::LOG_PREPARE:
      return log_.Prepare(std::move(request));
    case proto::LOG_EPOCH_START:
      return log_.EpochStart(std::move(request));
    case proto::LOG_APPEND:
      return log_.Append(std::move(request));
    case proto::LOG_START_AT:
      return log_.StartAt(std::move(request));
    case proto::LOG_COMMIT:
      return log_.Commit(std::move(request));
    case proto::LOG_READ:
      return log_.Read(std::move(request));
    case proto::LOG_STATUS:
      return log_.Status(std::move(request));
    default:
      return RefuseUnknown(request.type);
  }
}

Task<RpcReply> Dispatcher::HandlePage(Frame request) {
  const bool is_page = proto::PAGE_GET <= request.type && request.type < proto::VOLUME_CREATE;
  if (is_page && !roles_.page) {
    return Refuse(
        "this server has no page role, it only keeps redo (--role log): ask a server that has one");
  }
  switch (request.type) {
    case proto::PAGE_GET:
      return page_.GetPages(std::move(request));
    case proto::PAGE_SCAN:
      return page_.Scan(std::move(request));
    case proto::PAGE_HISTORY:
      return page_.History(std::move(request));
    case proto::PAGE_PUT_IMAGES:
      return page_.PutImages(std::move(request));
    case proto::SPACE_LIST:
      return page_.SpaceList(std::move(request));
    case proto::SPACE_PUT:
      return page_.SpacePut(std::move(request));
    case proto::SIDE_FILE_PUT:
      return page_.SideFilePut(std::move(request));
    case proto::SIDE_FILE_LIST:
      return page_.SideFileList(std::move(request));
    case proto::DYNAMIC_META_GET:
      return page_.DynamicMeta(std::move(request));
    case proto::LSN_AT_TIME:
      return page_.LsnAtTime(std::move(request));
    case proto::WAIT_LSN:
      return page_.WaitLsn(std::move(request));
    case proto::SET_HORIZON:
      return page_.SetHorizon(std::move(request));
    case proto::SPACE_VERIFY:
      return page_.SpaceVerify(std::move(request));
    default:
      return RefuseUnknown(request.type);
  }
}

Task<RpcReply> Dispatcher::RefuseUnknown(uint16_t type) {
  return Refuse("message type " + std::to_string(type) + " is not known to this server");
}

// Every response has its status in field 1, so this one can be read as any of them.
Task<RpcReply> Dispatcher::Refuse(std::string why) {
  const Status status = Unsupported(std::move(why));
  co_return MakeErrorReply<proto::SetHorizonResponse>(status);
}

}  // namespace redoubt
