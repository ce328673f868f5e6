// SPDX-License-Identifier: MIT
//
// Pending timers, earliest first; timers of one moment fire in the order they were added.
// A binary heap of slots; each slot knows its place in the heap, so that any timer is cancelled in
// O(log n). A TimerId is slot number and generation: the id of a fired or cancelled timer never
// names a later one.
#pragma once

#include <coroutine>
#include <cstdint>
#include <vector>

#include "common/runtime/scheduler.h"

namespace redoubt {

class TimerQueue {
 public:
  Scheduler::TimerId Add(TimePoint when, std::coroutine_handle<> handle);
  // False when `id` has been popped or cancelled before.
  bool Cancel(Scheduler::TimerId id);
  bool empty() const { return heap_.empty(); }
  // Require !empty().
  TimePoint earliest() const;
  std::coroutine_handle<> PopEarliest();

 private:
  struct Slot {
    TimePoint when;
    uint64_t sequence = 0;
    std::coroutine_handle<> handle;
    uint32_t generation = 0;
    uint32_t heap_index = 0;
    bool pending = false;
  };
  bool Before(uint32_t a, uint32_t b) const;
  void Place(uint32_t heap_index, uint32_t slot_no);
  void SiftUp(uint32_t heap_index);
  void SiftDown(uint32_t heap_index);
  void RemoveAt(uint32_t heap_index);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slot_nos_;
  std::vector<uint32_t> heap_;  // slot numbers
  uint64_t next_sequence_ = 0;
};

}  // namespace redoubt
