// SPDX-License-Identifier: MIT
//
// Goal: no 512 bytes make the block check, and no 2048 bytes the file head, crash or over-read;
// what is called valid has sane lengths. Method: the first byte says whether number, epoch and
// checksum are repaired, so that the fuzzer also gets behind those checks.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/log_block.h"
#include "common/innodb/log_file.h"

namespace {

using redoubt::Bytes;
using redoubt::ByteView;
using redoubt::Lsn;
using namespace redoubt::innodb;  // NOLINT: a test about nothing else

constexpr Lsn kBlockLsn{8192 + 512};

void CheckBlock(ByteView input, uint8_t repair) {
  Bytes block(kLogBlockBytes, 0);
  std::copy_n(input.begin(), std::min(input.size(), block.size()), block.begin());
  if ((repair & 1) != 0) {
    Bytes good(kLogBlockBytes);
    WriteLogBlock(kBlockLsn, {}, 0, good);
    std::copy_n(good.begin(), 4, block.begin());
    std::copy_n(good.begin() + 8, 4, block.begin() + 8);
  }
  if ((repair & 2) != 0) {
    redoubt::StoreBe32(block.data() + 508, redoubt::Crc32c(ByteView(block).first(508)));
  }
  const LogBlockCheck check = CheckLogBlock(block, kBlockLsn);
  REDOUBT_CHECK(check.valid() || check.payload.empty());
  REDOUBT_CHECK(check.payload.size() <= kLogBlockPayloadBytes);
  REDOUBT_CHECK((check.state == LogBlockState::kFull) ==
                (check.payload.size() == kLogBlockPayloadBytes));
}

void CheckLead(ByteView input, uint8_t repair) {
  Bytes lead(kLogFileHeaderBytes, 0);
  std::copy_n(input.begin(), std::min(input.size(), lead.size()), lead.begin());
  for (size_t at = 0; (repair & 4) != 0 && at < lead.size(); at += kLogBlockBytes) {
    redoubt::StoreBe32(lead.data() + at + 508, redoubt::Crc32c(ByteView(lead).subspan(at, 508)));
  }
  const auto parsed = ParseLogFileLead(lead);
  REDOUBT_CHECK(!parsed.ok() || parsed->header.format == kLogFormat);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const ByteView input(data + 1, size - 1);
  CheckBlock(input, data[0]);
  CheckLead(input, data[0]);
  return 0;
}
