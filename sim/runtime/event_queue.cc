// SPDX-License-Identifier: MIT
#include "sim/runtime/event_queue.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace redoubt::sim {

bool EventQueue::Later(const Entry& a, const Entry& b) {
  if (a.time_ns != b.time_ns) {
    return a.time_ns > b.time_ns;
  }
  if (a.order != b.order) {
    return a.order > b.order;
  }
  return a.seq > b.seq;
}

EventQueue::EventId EventQueue::Push(Event event, uint32_t tie) {
  REDOUBT_CHECK(event.time_ns >= now_ns_);
  REDOUBT_CHECK(static_cast<bool>(event.handle) != static_cast<bool>(event.callback));
  uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  event.seq = next_seq_++;
  const uint64_t round = event.time_ns == now_ns_ ? round_ + 1U : 0U;
  heap_.push_back(
      Entry{event.time_ns, (round << 32) | tie, event.seq, slot, slots_[slot].generation});
  std::push_heap(heap_.begin(), heap_.end(), Later);
  slots_[slot].event = std::move(event);
  slots_[slot].used = true;
  ++pending_count_;
  return (static_cast<uint64_t>(slots_[slot].generation) << 32) | slot;
}

void EventQueue::Release(uint32_t slot) {
  slots_[slot].used = false;
  ++slots_[slot].generation;
  slots_[slot].event = Event{};
  free_slots_.push_back(slot);
  --pending_count_;
}

bool EventQueue::Cancel(EventId id) {
  const auto slot = static_cast<uint32_t>(id & 0xFFFFFFFF);
  const auto generation = static_cast<uint32_t>(id >> 32);
  REDOUBT_CHECK(slot < slots_.size());
  if (!slots_[slot].used || slots_[slot].generation != generation) {
    return false;
  }
  ReleaseCancelled(slot);
  return true;
}

bool EventQueue::CancelResume(NodeId node, uint32_t incarnation, std::coroutine_handle<> handle) {
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const Event& event = slots_[slot].event;
    if (slots_[slot].used && event.handle == handle && event.node == node &&
        event.incarnation == incarnation) {
      ReleaseCancelled(slot);
      return true;
    }
  }
  return false;
}

void EventQueue::ReleaseCancelled(uint32_t slot) {
  Release(slot);
  if (heap_.size() > 4096 && pending_count_ * 4 < heap_.size()) {
    DropCancelled();
  }
}

// Deadlines are mostly cancelled long before they come: without this the heap would fill with them.
void EventQueue::DropCancelled() {
  std::erase_if(heap_, [this](const Entry& entry) {
    return slots_[entry.slot].generation != entry.generation;
  });
  std::make_heap(heap_.begin(), heap_.end(), Later);
}

bool EventQueue::Pop(int64_t limit_ns, Event* event) {
  while (!heap_.empty()) {
    const Entry top = heap_.front();
    const bool cancelled = slots_[top.slot].generation != top.generation;
    if (!cancelled && top.time_ns > limit_ns) {
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    heap_.pop_back();
    if (cancelled) {
      continue;
    }
    REDOUBT_CHECK(top.time_ns >= now_ns_);
    now_ns_ = top.time_ns;
    round_ = static_cast<uint32_t>(top.order >> 32);
    *event = std::move(slots_[top.slot].event);
    Release(top.slot);
    return true;
  }
  return false;
}

void EventQueue::AdvanceTo(int64_t time_ns) {
  REDOUBT_CHECK(time_ns >= now_ns_);
  REDOUBT_CHECK(heap_.empty() || heap_.front().time_ns >= time_ns);
  if (time_ns > now_ns_) {
    now_ns_ = time_ns;
    round_ = 0;
  }
}

size_t EventQueue::PendingCountOf(NodeId node, uint32_t incarnation) const {
  return static_cast<size_t>(std::count_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.used && slot.event.handle && slot.event.node == node &&
           slot.event.incarnation == incarnation;
  }));
}

}  // namespace redoubt::sim
