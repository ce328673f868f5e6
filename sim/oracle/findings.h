// SPDX-License-Identifier: MIT
//
// Where checkers report what must not be. A run has one; it keeps the first few findings in order.
#pragma once

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

class Findings {
 public:
  static constexpr size_t kKeptMax = 20;

  // Called with every finding, for the trace.
  void SetObserver(std::function<void(const Finding&)> observer) {
    observer_ = std::move(observer);
  }
  void Report(std::string_view checker, std::string what) {
    Finding finding{std::string(checker), std::move(what)};
    if (observer_) {
      observer_(finding);
    }
    if (all_.size() < kKeptMax) {
      all_.push_back(std::move(finding));
    }
  }
  bool empty() const { return all_.empty(); }
  const std::vector<Finding>& all() const { return all_; }

 private:
  std::function<void(const Finding&)> observer_;
  std::vector<Finding> all_;
};

}  // namespace redoubt::sim
