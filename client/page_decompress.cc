// SPDX-License-Identifier: MIT
#include "client/page_decompress.h"

#include <lz4.h>
#include <zlib.h>

#include <algorithm>
#include <string>

#include "common/innodb/page_format.h"

namespace redoubt {
namespace {

constexpr size_t kAlgorithmOffset = 27;
constexpr size_t kOriginalTypeOffset = 28;
constexpr size_t kOriginalBytesOffset = 30;
constexpr size_t kCompressedBytesOffset = 32;
constexpr uint8_t kZlib = 1;
constexpr uint8_t kLz4 = 2;

bool Inflate(ByteView from, MutableByteView into) {
  uLongf length = into.size();
  return uncompress(into.data(), &length, from.data(), from.size()) == Z_OK &&
         length == into.size();
}

bool DecodeLz4(ByteView from, MutableByteView into) {
  const int length = LZ4_decompress_safe(
      reinterpret_cast<const char*>(from.data()), reinterpret_cast<char*>(into.data()),
      static_cast<int>(from.size()), static_cast<int>(into.size()));
  return length == static_cast<int>(into.size());
}

}  // namespace

Status DecompressPage(MutableByteView page) {
  const uint8_t algorithm = page[kAlgorithmOffset];
  const uint16_t original_type = LoadBe16(page.data() + kOriginalTypeOffset);
  const size_t original_bytes = LoadBe16(page.data() + kOriginalBytesOffset);
  const size_t compressed_bytes = LoadBe16(page.data() + kCompressedBytesOffset);
  const size_t room = page.size() - innodb::kPageBodyOffset;
  if (original_bytes == 0 || original_bytes > room || compressed_bytes > room) {
    return Corruption("page compression header says " + std::to_string(compressed_bytes) + " of " +
                      std::to_string(original_bytes) + " bytes");
  }
  if (algorithm != kZlib && algorithm != kLz4) {
    return Unsupported("page compression algorithm " + std::to_string(algorithm));
  }
  Bytes body(original_bytes);
  const ByteView packed(page.data() + innodb::kPageBodyOffset, compressed_bytes);
  if (!(algorithm == kZlib ? Inflate(packed, body) : DecodeLz4(packed, body))) {
    return Corruption("compressed page body does not decompress");
  }
  uint8_t* const to = std::copy(body.begin(), body.end(), page.data() + innodb::kPageBodyOffset);
  std::fill(to, page.data() + page.size(), uint8_t{0});
  StoreBe16(page.data() + innodb::kPageTypeOffset, original_type);
  std::fill_n(page.data() + innodb::kPageFlushLsnOffset, 8, uint8_t{0});
  return Status::Ok();
}

}  // namespace redoubt
