// SPDX-License-Identifier: MIT
#include "sim/workload/recording.h"

#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPlainBytesMax = uint64_t{1} << 30;

std::optional<fs::path> FindUpwards(fs::path from, const std::string& name) {
  std::error_code error;
  while (!from.empty()) {
    if (fs::is_regular_file(from / name, error)) {
      return from / name;
    }
    if (from == from.parent_path()) {
      break;
    }
    from = from.parent_path();
  }
  return std::nullopt;
}

std::optional<fs::path> Find(const std::string& name) {
  std::error_code error;
  std::optional<fs::path> found = FindUpwards(fs::current_path(error), name);
  if (!found.has_value()) {
    found = FindUpwards(fs::read_symlink("/proc/self/exe", error).parent_path(), name);
  }
  return found;
}

Result<std::string> Unpack(const std::string& packed) {
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kPlainBytesMax) {
    return Corruption("no zstd frame of known size");
  }
  std::string plain(size, '\0');
  const size_t unpacked = ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
  if (ZSTD_isError(unpacked) != 0 || unpacked != plain.size()) {
    return Corruption("the zstd frame is damaged");
  }
  return plain;
}

Status CheckPages(const proto::Recording& content) {
  for (const auto* pages : {&content.base_pages(), &content.final_pages()}) {
    for (const proto::RecordedPage& page : *pages) {
      if (page.image().size() != content.page_size()) {
        return Corruption("a page image has not the size of a page");
      }
    }
  }
  return Status::Ok();
}

Status CheckContent(const proto::Recording& content) {
  const Lsn begin(content.begin_lsn());
  if (!innodb::IsPageSize(content.page_size()) || !innodb::IsDataLsn(begin) ||
      content.payload().empty() ||
      innodb::AdvanceLsn(begin, content.payload().size()) != Lsn(content.end_lsn())) {
    return Corruption("page size, LSNs and redo do not belong together");
  }
  return CheckPages(content);
}

}  // namespace

Result<std::unique_ptr<const LoadedRecording>> LoadRecording(const std::string& name) {
  const std::optional<fs::path> path = Find(name);
  if (!path.has_value()) {
    return NotFound("recording " + name +
                    " is neither below this directory or one above it, nor beside the program");
  }
  std::ifstream file(*path, std::ios::binary);
  const std::string packed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const Result<std::string> plain = Unpack(packed);
  if (!plain.ok()) {
    return plain.status().WithContext("recording " + name);
  }
  auto loaded = std::make_unique<LoadedRecording>();
  if (!loaded->content.ParseFromString(*plain)) {
    return Corruption("recording " + name + ": not what proto/recording.proto says");
  }
  REDOUBT_RETURN_IF_ERROR(CheckContent(loaded->content).WithContext("recording " + name));
  loaded->file_crc32c = Crc32c(AsBytes(packed));
  return std::unique_ptr<const LoadedRecording>(std::move(loaded));
}

std::unique_ptr<const LoadedRecording> LoadKnownRecording(const std::string& name) {
  Result<std::unique_ptr<const LoadedRecording>> recording = LoadRecording(name);
  REDOUBT_CHECK(recording.ok());
  return *std::move(recording);
}

}  // namespace redoubt::sim
