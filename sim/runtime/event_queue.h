// SPDX-License-Identifier: MIT
//
// The simulator's one queue of things to happen: a heap over virtual time.
//
// Order: (time, round, tie, seq). `tie` is a seeded number, so events of the same time are permuted
// by seed; `seq` makes the order total. What is scheduled for the present time while an event runs
// goes into the next round: everything that was ready before runs first, so no coroutine can starve
// others by yielding in a loop.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/runtime/trace.h"

namespace redoubt::sim {

class EventQueue {
 public:
  using EventId = uint64_t;  // never 0

  struct Event {
    int64_t time_ns = 0;
    // What the node's clock has to show; 0: a clock that has become slower does not matter.
    int64_t local_due_ns = 0;
    uint64_t seq = 0;
    uint64_t cause_seq = 0;
    NodeId node = kWorldNode;
    uint32_t incarnation = 0;
    std::coroutine_handle<> handle;  // or
    std::function<void()> callback;  // if the handle is null
  };

  EventQueue() = default;
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // `event.time_ns` must not lie in the past. `tie` from the run's schedule stream.
  EventId Push(Event event, uint32_t tie);
  // True when the event was pending; it will not happen.
  bool Cancel(EventId id);
  // The same for the pending resume of `handle` by this incarnation of the node, of which there is
  // at most one. Looks at every pending event: for the rare end of a coroutine that is being
  // resumed.
  bool CancelResume(NodeId node, uint32_t incarnation, std::coroutine_handle<> handle);
  // The next event leaves the queue, and the time moves to it. False when there is none, or none at
  // or before `limit_ns` (then the time is left as it is).
  bool Pop(int64_t limit_ns, Event* event);

  int64_t now_ns() const { return now_ns_; }
  // For a world that has nothing more to do until then.
  void AdvanceTo(int64_t time_ns);
  size_t pending_count() const { return pending_count_; }
  // Looks at every event.
  size_t PendingCountOf(NodeId node, uint32_t incarnation) const;

 private:
  struct Slot {
    Event event;
    uint32_t generation = 1;
    bool used = false;
  };
  struct Entry {
    int64_t time_ns;
    uint64_t order;  // round << 32 | tie
    uint64_t seq;
    uint32_t slot;
    uint32_t generation;
  };
  static bool Later(const Entry& a, const Entry& b);
  void Release(uint32_t slot);
  void ReleaseCancelled(uint32_t slot);
  void DropCancelled();

  int64_t now_ns_ = 0;
  uint32_t round_ = 0;
  uint64_t next_seq_ = 1;
  size_t pending_count_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<Entry> heap_;
};

}  // namespace redoubt::sim
