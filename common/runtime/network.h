// SPDX-License-Identifier: MIT
//
// Reliable byte streams between addresses "host:port". One reader and one writer at a time per
// connection.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/task.h"

namespace redoubt {

class Connection {
 public:
  // Closes.
  virtual ~Connection() = default;
  // Reads at least one byte into `into` (borrowed until the task ends); 0 means that the peer has
  // closed. kUnavailable: connection lost, or Close was called here.
  virtual Task<Result<size_t>> Read(MutableByteView into) = 0;
  // Writes all parts in order (borrowed until the task ends). OK means handed to the network, not
  // received. kUnavailable as for Read.
  virtual Task<Status> Write(std::span<const ByteView> parts) = 0;
  // Ends pending reads and writes with kUnavailable. Idempotent.
  virtual void Close() = 0;
  virtual std::string peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // kCancelled after Close.
  virtual Task<Result<std::unique_ptr<Connection>>> Accept() = 0;
  virtual void Close() = 0;
  // The address that peers connect to: port 0 in Listen is resolved here.
  virtual std::string address() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // kUnavailable: refused or unreachable. kDeadlineExceeded. kInvalidArgument: not "host:port".
  virtual Task<Result<std::unique_ptr<Connection>>> Connect(std::string address,
                                                            TimePoint deadline) = 0;
  // kInvalidArgument, kIoError (address in use).
  virtual Task<Result<std::unique_ptr<Listener>>> Listen(std::string address) = 0;
};

}  // namespace redoubt
