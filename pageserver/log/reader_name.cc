// SPDX-License-Identifier: MIT
#include "pageserver/log/reader_name.h"

#include <algorithm>
#include <utility>

#include "pageserver/log/durable_files.h"

namespace redoubt {
namespace {

constexpr char kFileName[] = "reader";
constexpr std::string_view kPrefix = "page-";
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr size_t kDigitCount = 16;
constexpr size_t kBytesMax = 64;

std::string NameOf(uint64_t number) {
  std::string name(kPrefix);
  for (size_t i = 0; i < kDigitCount; ++i) {
    name += kDigits[(number >> (60 - 4 * i)) & 15];
  }
  return name;
}

bool IsName(std::string_view name) {
  return name.size() == kPrefix.size() + kDigitCount && name.starts_with(kPrefix) &&
         std::all_of(name.begin() + kPrefix.size(), name.end(),
                     [](char c) { return kDigits.find(c) != std::string_view::npos; });
}

}  // namespace

Task<Result<std::string>> ReaderNameOf(Runtime* runtime, std::string data_dir) {
  const std::string path = data_dir + "/" + kFileName;
  const Result<Bytes> bytes = co_await ReadWholeFile(runtime->files, path, kBytesMax);
  if (bytes.ok()) {
    std::string name(AsText(*bytes));
    while (name.ends_with('\n')) {
      name.pop_back();
    }
    if (!IsName(name)) {
      co_return Corruption(path + " does not hold the name of this page server for log servers");
    }
    co_return name;
  }
  if (bytes.status().code() != StatusCode::kNotFound) {
    co_return bytes.status();
  }
  std::string name = NameOf(runtime->random->Next());
  const std::string line = name + "\n";
  Bytes content(line.begin(), line.end());
  std::string file = kFileName;
  const Status written = co_await ReplaceFile(runtime->files, std::move(data_dir), std::move(file),
                                              std::move(content));
  if (!written.ok()) {
    co_return written;
  }
  co_return name;
}

}  // namespace redoubt
