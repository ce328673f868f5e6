// SPDX-License-Identifier: MIT
#include "sim/command/build_info.h"

#include <array>
#include <filesystem>
#include <fstream>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "sim/command/commands.h"
#include "sim/command/commit.h"

namespace redoubt::sim {

std::string BuildCommit() { return REDOUBT_COMMIT; }

std::string ProgramPath() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path here = std::filesystem::current_path(error);
  const std::filesystem::path relative = program.lexically_relative(here);
  return (relative.empty() || *relative.begin() == ".." ? program : relative).string();
}

std::string BuildId() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::array<char, 1 << 16> chunk{};
  uint64_t hash = 0;
  uint64_t size = 0;
  while (file.read(chunk.data(), chunk.size()) || file.gcount() > 0) {
    const std::string_view bytes(chunk.data(), static_cast<size_t>(file.gcount()));
    hash = HashBytes(hash, AsBytes(bytes));
    size += bytes.size();
  }
  return size == 0 ? "unknown" : HashText(hash);
}

}  // namespace redoubt::sim
