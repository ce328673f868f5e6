// SPDX-License-Identifier: MIT
//
// Requests other than page reads to the page servers of a volume: to one of them, whichever
// answers, or to each of them.
//
// Suspends: all functions.
#pragma once

#include <functional>

#include "client/page_client.h"

namespace redoubt {

// One request to one server. A plain function that returns a coroutine, which may use what outlives
// the call below.
using ReplicaCall = std::function<Task<Status>(PageReplica::Reached server, TimePoint deadline)>;

// Until one server says OK: the replicas one after the other, best first, and again with growing,
// jittered delays while one may still answer. kCancelled: the client was stopped. Otherwise the
// gravest verdict when all gave one (page_routing.h), or what was in the way at the deadline.
Task<Status> CallAnyReplica(Runtime* runtime, PageClient* pages, ReplicaCall call,
                            TimePoint deadline);

// OK when every server said so; each is tried until the deadline unless it refuses. The call must
// be one that may be repeated. An error names the server; others may have done it.
Task<Status> CallEveryReplica(Runtime* runtime, PageClient* pages, ReplicaCall call,
                              TimePoint deadline);

}  // namespace redoubt
