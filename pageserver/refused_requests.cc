// SPDX-License-Identifier: MIT
#include "pageserver/refused_requests.h"

#include <utility>

namespace redoubt {

Status RefusedRequests::Noted(Status status) {
  switch (status.code()) {
    case StatusCode::kStaleEpoch:
    case StatusCode::kInvalidArgument:
    case StatusCode::kCorruption:
    case StatusCode::kGap:
    case StatusCode::kNotFound:
    case StatusCode::kBelowHorizon:
    case StatusCode::kResourceExhausted:
    case StatusCode::kUnsupported:
      Note(status.code());
      break;
    default:
      break;
  }
  return status;
}

Status RefusedRequests::NotedUnserved(Status status) {
  if (status.code() == StatusCode::kIoError) {
    Note(status.code());
    return status;
  }
  return Noted(std::move(status));
}

}  // namespace redoubt
