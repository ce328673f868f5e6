// SPDX-License-Identifier: MIT
#include "pageserver/refused_requests.h"

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

}  // namespace redoubt
