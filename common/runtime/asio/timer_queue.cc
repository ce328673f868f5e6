// SPDX-License-Identifier: MIT
#include "common/runtime/asio/timer_queue.h"

#include "common/base/check.h"

namespace redoubt {

Scheduler::TimerId TimerQueue::Add(TimePoint when, std::coroutine_handle<> handle) {
  REDOUBT_CHECK(handle != nullptr);
  uint32_t slot_no;
  if (free_slot_nos_.empty()) {
    REDOUBT_CHECK(slots_.size() < UINT32_MAX);
    slot_no = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot_no = free_slot_nos_.back();
    free_slot_nos_.pop_back();
  }
  Slot& slot = slots_[slot_no];
  REDOUBT_CHECK(!slot.pending);
  slot.when = when;
  slot.sequence = next_sequence_++;
  slot.handle = handle;
  ++slot.generation;
  slot.pending = true;
  heap_.push_back(slot_no);
  const uint32_t last = static_cast<uint32_t>(heap_.size() - 1);
  slot.heap_index = last;
  SiftUp(last);
  return (static_cast<uint64_t>(slot.generation) << 32) | slot_no;
}

bool TimerQueue::Cancel(Scheduler::TimerId id) {
  const uint32_t slot_no = static_cast<uint32_t>(id);
  const uint32_t generation = static_cast<uint32_t>(id >> 32);
  REDOUBT_CHECK(slot_no < slots_.size());
  const Slot& slot = slots_[slot_no];
  if (!slot.pending || slot.generation != generation) {
    return false;
  }
  RemoveAt(slot.heap_index);
  return true;
}

TimePoint TimerQueue::earliest() const {
  REDOUBT_CHECK(!heap_.empty());
  return slots_[heap_.front()].when;
}

std::coroutine_handle<> TimerQueue::PopEarliest() {
  REDOUBT_CHECK(!heap_.empty());
  const std::coroutine_handle<> handle = slots_[heap_.front()].handle;
  RemoveAt(0);
  return handle;
}

bool TimerQueue::Before(uint32_t a, uint32_t b) const {
  const Slot& left = slots_[a];
  const Slot& right = slots_[b];
  return left.when != right.when ? left.when < right.when : left.sequence < right.sequence;
}

void TimerQueue::Place(uint32_t heap_index, uint32_t slot_no) {
  heap_[heap_index] = slot_no;
  slots_[slot_no].heap_index = heap_index;
}

void TimerQueue::SiftUp(uint32_t heap_index) {
  const uint32_t slot_no = heap_[heap_index];
  while (heap_index > 0) {
    const uint32_t parent = (heap_index - 1) / 2;
    if (!Before(slot_no, heap_[parent])) {
      break;
    }
    Place(heap_index, heap_[parent]);
    heap_index = parent;
  }
  Place(heap_index, slot_no);
}

void TimerQueue::SiftDown(uint32_t heap_index) {
  const uint32_t slot_no = heap_[heap_index];
  const uint32_t size = static_cast<uint32_t>(heap_.size());
  for (;;) {
    uint32_t child = 2 * heap_index + 1;
    if (child >= size) {
      break;
    }
    if (child + 1 < size && Before(heap_[child + 1], heap_[child])) {
      ++child;
    }
    if (!Before(heap_[child], slot_no)) {
      break;
    }
    Place(heap_index, heap_[child]);
    heap_index = child;
  }
  Place(heap_index, slot_no);
}

void TimerQueue::RemoveAt(uint32_t heap_index) {
  REDOUBT_CHECK(heap_index < heap_.size());
  Slot& slot = slots_[heap_[heap_index]];
  REDOUBT_CHECK(slot.pending && slot.heap_index == heap_index);
  slot.pending = false;
  slot.handle = nullptr;
  free_slot_nos_.push_back(heap_[heap_index]);
  const uint32_t moved = heap_.back();
  heap_.pop_back();
  if (heap_index < heap_.size()) {
    Place(heap_index, moved);
    SiftUp(heap_index);
    SiftDown(slots_[moved].heap_index);
  }
}

}  // namespace redoubt
