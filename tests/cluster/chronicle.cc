// SPDX-License-Identifier: MIT
#include "tests/cluster/chronicle.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/base/check.h"

namespace redoubt::cluster {
namespace {

constexpr std::array<std::string_view, 9> kNames{"starting",      "promised", "acknowledged",
                                                 "refused",       "asked",    "positions",
                                                 "pages_checked", "finding",  "restarted"};

}  // namespace

std::string ToLine(const Entry& event) {
  std::string line(kNames[static_cast<size_t>(event.kind)]);
  line += ' ' + event.who;
  for (const uint64_t number : event.numbers) {
    line += ' ' + std::to_string(number);
  }
  line += ' ';
  for (const char c : event.text) {
    line += c == '\n' ? ' ' : c;
  }
  return line;
}

bool ParseLine(std::string_view line, Entry* event) {
  std::istringstream words{std::string(line)};
  std::string name;
  words >> name >> event->who;
  const auto kind = std::find(kNames.begin(), kNames.end(), name);
  if (kind == kNames.end()) {
    return false;
  }
  event->kind = static_cast<Kind>(kind - kNames.begin());
  for (uint64_t& number : event->numbers) {
    words >> number;
  }
  if (!words || words.get() != ' ') {
    return false;
  }
  event->text.clear();
  std::getline(words, event->text);
  return true;
}

Chronicle::Chronicle(const std::string& path, std::string who)
    : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)),
      who_(std::move(who)) {
  REDOUBT_CHECK(fd_ >= 0);
  REDOUBT_CHECK(!who_.empty() && who_.find(' ') == std::string::npos);
}

Chronicle::~Chronicle() { close(fd_); }

void Chronicle::Add(Kind kind, std::array<uint64_t, 5> numbers, std::string text) {
  const std::string line = ToLine(Entry{kind, who_, numbers, std::move(text)}) + '\n';
  // A line that is not wholly there would be taken for one that never was.
  REDOUBT_CHECK(write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
}

uint64_t Chronicle::Ask() {
  Add(Kind::kAsked, {++tickets_});
  return tickets_;
}

std::vector<Entry> Chronicle::Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream whole;
  whole << file.rdbuf();
  std::string text = whole.str();
  text.resize(text.find_last_of('\n') == text.npos ? 0 : text.find_last_of('\n') + 1);
  std::istringstream lines(text);
  std::vector<Entry> events;
  std::string line;
  while (std::getline(lines, line)) {
    Entry event;
    REDOUBT_CHECK(ParseLine(line, &event));
    events.push_back(std::move(event));
  }
  return events;
}

Judge::Server& Judge::ServerOf(const std::string& name) {
  return servers_.try_emplace(name, findings_).first->second;
}

void Judge::HearPositions(const Entry& event) {
  const auto& n = event.numbers;
  const auto asked = asked_.find({event.who, n[0]});
  REDOUBT_CHECK(asked != asked_.end());
  const Ticket ticket = asked->second[event.text];
  asked_.erase(asked);
  Server& server = ServerOf(event.text);
  ++observations_;
  if (ticket.life != server.life) {
    return;  // answered by a life that is over
  }
  const sim::ServerPositions seen{Lsn(n[1]), Lsn(n[2]), Lsn(n[3]), Lsn(n[4])};
  server.order.Observe(ticket.order, server.life, seen);
}

void Judge::HearFinding(const std::string& text) {
  const size_t blank = text.find(' ');
  findings_->Report(text.substr(0, blank), blank == text.npos ? "" : text.substr(blank + 1));
}

void Judge::Hear(const Entry& event) {
  const auto& n = event.numbers;
  switch (event.kind) {
    case Kind::kStarting:
      acknowledged_at_start_[event.who] = redo_.acknowledged();
      break;
    case Kind::kPromised:
      redo_.ServerEnd(Lsn(n[1]), acknowledged_at_start_[event.who], "Prepare of " + event.who);
      fence_.Promised(Epoch(n[0]), Lsn(n[1]));
      break;
    case Kind::kAcknowledged:
      fence_.Acknowledged(Epoch(n[0]), Lsn(n[1]));
      redo_.Acknowledged(Lsn(n[1]));
      break;
    case Kind::kRefused:
      fence_.Refused();
      break;
    case Kind::kAsked: {
      // Which server is asked is known with the answer: a ticket of each that is known.
      Tickets& tickets = asked_[{event.who, n[0]}];
      for (auto& [name, server] : servers_) {
        tickets[name] = {server.life, server.order.TakeTicket()};
      }
      break;
    }
    case Kind::kPositions:
      HearPositions(event);
      break;
    case Kind::kRestarted:
      ++ServerOf(event.text).life;
      break;
    case Kind::kPagesChecked:
      pages_checked_ += n[0];
      break;
    case Kind::kFinding:
      HearFinding(event.text);
      break;
  }
}

std::string Judge::Summary() const {
  return std::to_string(fence_.epoch_count()) + " epochs, " +
         std::to_string(fence_.refused_count()) + " writers fenced, " +
         std::to_string(pages_checked_) + " pages checked under faults, " +
         std::to_string(observations_) + " positions, acknowledged up to LSN " +
         std::to_string(redo_.acknowledged().value());
}

}  // namespace redoubt::cluster
