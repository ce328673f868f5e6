// SPDX-License-Identifier: MIT
#include "sim/trace/state_lines.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr size_t kLineBytesMax = 120;
constexpr int64_t kProgressNs = 500'000'000;
constexpr uint64_t kPowerCut = 1;  // KillKind::kPower, as a kill's first field

struct WordLetter {
  std::string_view word;
  char letter;
};
// Of lines of a log; the first that is found counts.
constexpr std::array kLogLetters{
    WordLetter{"ready at ", 'R'},       WordLetter{" promised, ", 'P'},
    WordLetter{" begins at LSN ", 'E'}, WordLetter{"writer of epoch ", 'W'},
    WordLetter{"error:", 'e'},          WordLetter{"warning:", 'w'},
};

char LetterOf(const TraceEvent& event) {
  switch (event.kind) {
    case TraceKind::kNodeStart:
      return 'S';
    case TraceKind::kNodeKill:
      return event.a == kPowerCut ? 'X' : 'K';
    case TraceKind::kNodePause:
      return 'Z';
    case TraceKind::kCrashImage:
      return 'C';
    case TraceKind::kFileFault:
      return 'D';
    case TraceKind::kPhase:
      return '=';
    case TraceKind::kFault:
      return 'F';
    case TraceKind::kOperation:
      return 'A';
    case TraceKind::kViolation:
      return '!';
    default:
      break;
  }
  for (const WordLetter& known : kLogLetters) {
    if (event.text.find(known.word) != std::string::npos) {
      return known.letter;
    }
  }
  return 'i';
}

std::string What(const TraceEvent& event) {
  switch (event.kind) {
    case TraceKind::kNodeStart:
      return "life " + std::to_string(event.a);
    case TraceKind::kNodeKill:
      return event.a == kPowerCut ? "power cut" : "kill -9";
    case TraceKind::kNodePause: {
      const int64_t pause_ns = static_cast<int64_t>(event.a) - event.time_ns;
      return "paused for " + std::to_string(pause_ns / 1'000'000) + " ms";
    }
    case TraceKind::kCrashImage:
      return std::to_string(event.b) + " of " + std::to_string(event.a) +
             " unsynced kept: " + event.text;
    case TraceKind::kFault: {
      std::string text = event.text;
      text += event.a == 0 ? "" : ' ' + std::to_string(event.a) + " ms";
      return text + (event.b == 0 ? "" : ", size " + std::to_string(event.b));
    }
    case TraceKind::kOperation:
      return event.text + ' ' + std::to_string(event.a);
    case TraceKind::kLog:
      return event.text.starts_with("info: ") ? event.text.substr(6) : event.text;
    default:
      return event.text;
  }
}

// How far `lsn` is behind `furthest`.
std::string Behind(uint64_t lsn, uint64_t furthest) {
  return lsn == 0 ? "." : lsn == furthest ? "=" : '-' + std::to_string(furthest - lsn);
}

std::string StateColumns(const TraceEvent& event) {
  const NodeState state = event.state.value_or(NodeState());
  const uint64_t furthest =
      std::max({state.end_lsn, state.commit_lsn, state.applied_lsn, state.persisted_lsn});
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "%c %4s %11s %7s %7s %7s %5s", state.role,
                state.epoch == 0 ? "." : std::to_string(state.epoch).c_str(),
                furthest == 0 ? "." : std::to_string(furthest).c_str(),
                Behind(state.commit_lsn, furthest).c_str(),
                Behind(state.applied_lsn, furthest).c_str(),
                Behind(state.persisted_lsn, furthest).c_str(),
                event.state.has_value() ? std::to_string(state.pending_count).c_str() : ".");
  return text.data();
}

}  // namespace

StateLines::StateLines(std::vector<std::string> node_names)
    : names_(std::move(node_names)), up_(names_.size(), false) {}

std::string_view StateLines::NameOf(NodeId node) const {
  return node < names_.size() ? std::string_view(names_[node]) : std::string_view("run");
}

void StateLines::NoteLife(const TraceEvent& event) {
  if (event.node >= up_.size()) {
    return;
  }
  if (event.kind == TraceKind::kNodeKill) {
    up_[event.node] = false;
  } else if (event.kind == TraceKind::kNodeStart || event.kind == TraceKind::kLog) {
    up_[event.node] = true;  // a trace that does not reach back to the start shows it so
  }
}

std::string StateLines::Picture(const TraceEvent& event, char letter) const {
  std::string picture(1, event.node < up_.size() ? ' ' : letter);
  for (NodeId node = 0; node < up_.size(); ++node) {
    picture += node == event.node ? letter : up_[node] ? '.' : '-';
  }
  return picture;
}

std::string StateLines::Head() const {
  std::string text = "columns: run";
  for (const std::string& name : names_) {
    text += ' ' + name;
  }
  std::array<char, 200> columns{};
  std::snprintf(columns.data(), columns.size(), "%11s %-*s %-8s r %4s %11s %7s %7s %7s %5s %s",
                "seconds", static_cast<int>(names_.size() + 1), "nodes", "node", "epo", "LSN",
                "commit", "applied", "on disk", "dirty", "what");
  return text + '\n' + columns.data() + '\n';
}

std::string StateLines::Line(const TraceEvent& event) {
  if (!IsTransition(event.kind)) {
    return "";
  }
  if (event.kind == TraceKind::kOperation) {
    if (event.time_ns < next_progress_ns_) {
      return "";
    }
    next_progress_ns_ = event.time_ns + kProgressNs;
  }
  NoteLife(event);
  const std::string_view name = NameOf(event.node);
  std::array<char, 64> head{};
  std::snprintf(head.data(), head.size(), "%11.6f ", static_cast<double>(event.time_ns) / 1e9);
  std::string line(head.data());
  line += Picture(event, LetterOf(event)) + ' ' + std::string(name);
  line.append(name.size() < 8 ? 8 - name.size() : 0, ' ');
  line += ' ' + StateColumns(event) + ' ' + What(event);
  for (char& c : line) {
    c = c == '\n' || c == '\t' ? ' ' : c;
  }
  if (line.size() > kLineBytesMax) {
    line.resize(kLineBytesMax - 1);
    line += '>';
  }
  return line + '\n';
}

}  // namespace redoubt::sim
