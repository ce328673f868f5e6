// SPDX-License-Identifier: MIT
#include <fstream>
#include <iostream>

#include "sim/command/commands.h"
#include "sim/trace/probes.h"

namespace redoubt::sim {

int ShowProbes(const std::string& history) {
  ProbeTable table;
  if (history.empty()) {
    std::cout << table.Text();
    return 0;
  }
  std::ifstream file(history);
  if (!file) {
    std::cerr << "cannot read " << history << '\n';
    return CodeOf(Outcome::kHarnessError);
  }
  constexpr std::string_view kField = "\"probes\":\"";
  std::string line;
  uint64_t others = 0;
  while (std::getline(file, line)) {
    const size_t at = line.find(kField);
    const size_t begin = at == line.npos ? line.size() : at + kField.size();
    const size_t end = std::min(line.find('"', begin), line.size());
    others += table.Add(std::string_view(line).substr(begin, end - begin)) ? 0 : 1;
  }
  std::cout << table.Text();
  if (others > 0) {
    std::cout << others << " lines are of canaries, of runs that died, or of another catalogue\n";
  }
  if (table.run_count() == 0) {
    std::cerr << history << " has no run of this catalogue\n";
    return CodeOf(Outcome::kHarnessError);
  }
  size_t broken = 0;
  for (size_t i = 0; i < ProbeCatalogue().size(); ++i) {
    broken += table.Broken(i) ? 1 : 0;
  }
  std::cout << broken << " of " << ProbeCatalogue().size() << " probes are not as they should be\n";
  return broken == 0 ? 0 : CodeOf(Outcome::kIdle);
}

}  // namespace redoubt::sim
