// SPDX-License-Identifier: MIT
#include "sim/runtime/trace.h"

#include <array>
#include <cstdio>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/hash.h"

namespace redoubt::sim {

bool IsReadable(TraceKind kind) {
  return kind != TraceKind::kResume && kind != TraceKind::kWorldEvent &&
         kind != TraceKind::kRandomDraw && kind != TraceKind::kBlockingWork;
}

bool IsTransition(TraceKind kind) {
  switch (kind) {
    case TraceKind::kNodeStart:
    case TraceKind::kNodeKill:
    case TraceKind::kNodePause:
    case TraceKind::kCrashImage:
    case TraceKind::kFileFault:
    case TraceKind::kLog:
    case TraceKind::kPhase:
    case TraceKind::kFault:
    case TraceKind::kOperation:
    case TraceKind::kViolation:
      return true;
    default:
      return false;
  }
}

std::string_view TraceKindName(TraceKind kind) {
  switch (kind) {
    case TraceKind::kResume:
      return "resume";
    case TraceKind::kWorldEvent:
      return "world";
    case TraceKind::kNodeStart:
      return "START";
    case TraceKind::kNodeKill:
      return "KILL";
    case TraceKind::kNodePause:
      return "PAUSE";
    case TraceKind::kRandomDraw:
      return "draw";
    case TraceKind::kConnect:
      return "connect";
    case TraceKind::kAccept:
      return "accept";
    case TraceKind::kSend:
      return "send";
    case TraceKind::kDeliver:
      return "deliver";
    case TraceKind::kClose:
      return "close";
    case TraceKind::kLost:
      return "lost";
    case TraceKind::kLink:
      return "LINK";
    case TraceKind::kFileOp:
      return "file";
    case TraceKind::kFileFault:
      return "FILEFAULT";
    case TraceKind::kCrashImage:
      return "CRASHIMAGE";
    case TraceKind::kBlockingWork:
      return "work";
    case TraceKind::kLog:
      return "log";
    case TraceKind::kPhase:
      return "PHASE";
    case TraceKind::kFault:
      return "FAULT";
    case TraceKind::kOperation:
      return "op";
    case TraceKind::kViolation:
      return "VIOLATION";
  }
  return "unknown";
}

Trace::Trace(Keep keep, size_t recent_count) : keep_(keep), recent_count_(recent_count) {}

void Trace::Record(TraceEvent event, uint64_t draw_count) {
  event.seq = ++event_count_;
  hash_ = HashMix(hash_, static_cast<uint64_t>(event.time_ns));
  hash_ = HashMix(hash_, (static_cast<uint64_t>(event.node) << 32) | event.incarnation);
  hash_ = HashMix(hash_, (static_cast<uint64_t>(event.kind) << 56) ^ draw_count);
  hash_ = HashMix(hash_, event.a);
  hash_ = HashMix(hash_, event.b);
  if (!event.text.empty()) {
    hash_ = HashBytes(hash_, AsBytes(event.text));
  }
  if (event_count_ % kCheckpointEvents == 0) {
    checkpoints_.push_back(hash_);
  }
  if (observer_) {
    observer_(event);
  }
  if (event.kind == TraceKind::kFault) {
    faults_.push_back(event);
    if (faults_.size() > kFaultsKept) {
      faults_.pop_front();
    }
  }
  if (keep_ == Keep::kNothing || (keep_ == Keep::kRecent && !IsReadable(event.kind))) {
    return;
  }
  events_.push_back(std::move(event));
  if (keep_ == Keep::kRecent && events_.size() > recent_count_) {
    events_.pop_front();
  }
}

std::string FormatTraceEvent(const TraceEvent& event, std::string_view node_name) {
  std::array<char, 160> head{};
  std::snprintf(head.data(), head.size(), "%14.6f %-10.*s #%-3u %-10.*s",
                static_cast<double>(event.time_ns) / 1e9, static_cast<int>(node_name.size()),
                node_name.data(), event.incarnation,
                static_cast<int>(TraceKindName(event.kind).size()),
                TraceKindName(event.kind).data());
  std::string line(head.data());
  line += ' ' + std::to_string(event.a) + ' ' + std::to_string(event.b);
  if (!event.text.empty()) {
    line += ' ';
    line += event.text;
  }
  return line;
}

}  // namespace redoubt::sim
