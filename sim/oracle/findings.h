// SPDX-License-Identifier: MIT
//
// Where checkers report what must not be. A run has one; it keeps the first few findings in order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::sim {

struct Finding {
  std::string checker;  // "C1", "C2", ...
  std::string what;
};

// C11 is no finding: a run that did too little is idle.
inline constexpr std::array<std::string_view, 10> kCheckerNames{"C1", "C2", "C3", "C4", "C5",
                                                                "C6", "C7", "C8", "C9", "C10"};

class Findings {
 public:
  static constexpr size_t kKeptMax = 20;

  // Called with every finding, for the trace.
  void SetObserver(std::function<void(const Finding&)> observer) {
    observer_ = std::move(observer);
  }
  // From now on what others report is forgotten; empty: nobody's is.
  void CountOnly(std::vector<std::string> checkers) { counted_ = std::move(checkers); }
  void Report(std::string_view checker, std::string what) {
    if (!counted_.empty() &&
        std::find(counted_.begin(), counted_.end(), checker) == counted_.end()) {
      return;
    }
    Finding finding{std::string(checker), std::move(what)};
    if (observer_) {
      observer_(finding);
    }
    if (all_.size() < kKeptMax) {
      all_.push_back(std::move(finding));
    }
  }
  // Something that was promised is gone, and whoever asks is told so. A finding too, unless faults
  // have taken away the only copy of it (AllowLoss).
  void ReportLoss(std::string_view checker, std::string what) {
    if (loss_allowed_) {
      ++loss_count_;
    } else {
      Report(checker, std::move(what));
    }
  }
  void AllowLoss() { loss_allowed_ = true; }
  bool loss_allowed() const { return loss_allowed_; }
  uint64_t loss_count() const { return loss_count_; }
  bool empty() const { return all_.empty(); }
  const std::vector<Finding>& all() const { return all_; }

 private:
  std::function<void(const Finding&)> observer_;
  std::vector<std::string> counted_;
  std::vector<Finding> all_;
  bool loss_allowed_ = false;
  uint64_t loss_count_ = 0;
};

}  // namespace redoubt::sim
