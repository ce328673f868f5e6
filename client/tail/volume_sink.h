// SPDX-License-Identifier: MIT
//
// Where the tailer puts what it reads: a volume of a page server (RemoteSink), or nowhere
// (DryRunSink).
//
// Every Put is idempotent; implementations try again while the page server is away, until they are
// closed. So an error that comes back is final: kStaleEpoch (somebody else writes this volume now),
// kGap (the volume's log ends elsewhere than thought: Open again), kCancelled (closing), or what
// the server refused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/log_writer.h"
#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/types.h"
#include "common/runtime/task.h"
#include "proto/admin_service.pb.h"
#include "proto/page_service.pb.h"

namespace redoubt::tail {

// Who is followed.
struct SourceIdentity {
  std::string server_uuid;
  uint32_t page_size = 0;
};

// Images of consecutive calls to Add, back to back in one buffer.
struct ImageBatch {
  std::vector<proto::PageImage> images;
  Bytes bytes;
};

struct SideFileContent {
  std::string path;  // relative to the data directory
  uint32_t mode = 0;
  Bytes bytes;
  bool deleted = false;
};

class VolumeSink {
 public:
  virtual ~VolumeSink() = default;

  // Connects, creates the volume when it is missing, fences older writers. Says where the log ends
  // (Lsn{0}: empty). May be called again after a final error. kInvalidArgument: the volume belongs
  // to another server or has another page size. kUnavailable: no page server now.
  virtual Task<Result<Lsn>> Open(SourceIdentity identity) = 0;
  // The volume as the page server sees it. kUnavailable, kDeadlineExceeded: not now.
  virtual Task<Result<proto::VolumeState>> Look() = 0;
  // What the volume knows of tablespaces, also behind lost redo that no import has repaired yet.
  virtual Task<Result<std::vector<proto::SpaceInfo>>> Spaces() = 0;

  // Begins the log, or declares the hole [end, start), which must not be empty to tell that
  // anything was lost.
  virtual Task<Status> StartAt(Lsn start, std::string reason) = 0;
  // Takes a chunk; waits while too much is under way. Durable once acknowledged() covers it.
  virtual Task<Status> Append(RedoAppend chunk) = 0;
  virtual Lsn acknowledged() const = 0;
  virtual Lsn next_lsn() const = 0;
  // OK while appends are possible. A lost connection is no failure.
  virtual Status failure() const = 0;
  // Whether the redo of [chunk.range) that the volume holds is these bytes. kCorruption: it is not.
  // Anything else than OK: cannot be said.
  virtual Task<Status> Compare(RedoAppend chunk) = 0;

  virtual Task<Status> PutImages(ImageBatch batch) = 0;
  virtual Task<Status> PutSpaces(std::vector<proto::SpaceEvent> events) = 0;
  virtual Task<Status> PutSideFile(SideFileContent file, Lsn lsn) = 0;
  virtual Task<Status> SetHorizon(Lsn horizon) = 0;

  // Ends waits and retries with kCancelled, now and later.
  virtual void Interrupt() = 0;
  // Closes connections, when no other call runs any more.
  virtual Task<void> Close() = 0;
};

}  // namespace redoubt::tail
