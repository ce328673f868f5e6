// SPDX-License-Identifier: MIT
//
// log_service.proto: decode, validate, call LogVolume, encode.
#pragma once

#include "pageserver/rpc/service_call.h"
#include "proto/log_service.pb.h"

namespace redoubt {

class LogService {
 public:
  LogService(Runtime* runtime, VolumeRegistry* registry) : runtime_(runtime), registry_(registry) {}

  // A volume whose log cannot be served is not served at all.
  static redoubt::Status Served(const Volume& /*volume*/) { return redoubt::Status::Ok(); }

  Task<RpcReply> Prepare(Frame frame);
  Task<RpcReply> EpochStart(Frame frame);
  // Takes its place in the order of appends before it returns.
  Task<RpcReply> Append(Frame frame);
  Task<RpcReply> StartAt(Frame frame);
  Task<RpcReply> Commit(Frame frame);
  Task<RpcReply> Read(Frame frame);
  Task<RpcReply> Status(Frame frame);

 private:
  using EpochStartCall = ServiceCall<proto::LogEpochStartRequest, proto::LogEpochStartResponse>;
  using StartAtCall = ServiceCall<proto::StartAtRequest, proto::StartAtResponse>;
  using CommitCall = ServiceCall<proto::LogCommitRequest, proto::LogCommitResponse>;
  using ReadCall = ServiceCall<proto::LogReadRequest, proto::LogReadResponse>;
  using StatusCall = ServiceCall<proto::LogStatusRequest, proto::LogStatusResponse>;

  Task<RpcReply> FinishAppend(VolumeRef volume, std::shared_ptr<LogVolume::Ticket> ticket);
  Task<RpcReply> Refuse(redoubt::Status status);
  Task<redoubt::Status> DoEpochStart(EpochStartCall* call);
  Task<redoubt::Status> DoStartAt(StartAtCall* call);
  Task<redoubt::Status> DoCommit(CommitCall* call);
  Task<Result<FeedBatch>> ReadBatch(ReadCall* call);
  // A request that names another volume than its number does here, or a reader.
  Task<redoubt::Status> NoteReader(Volume* volume, uint64_t volume_uid, std::string reader,
                                   Lsn persisted);
  static redoubt::Status CheckHistory(const ReadCall& call, const FeedBatch& batch);
  Task<redoubt::Status> DoRead(ReadCall* call);
  Task<redoubt::Status> DoStatus(StatusCall* call);

  Runtime* runtime_;
  VolumeRegistry* registry_;
};

}  // namespace redoubt
