// SPDX-License-Identifier: MIT
//
// A few mtrs of a made-up server, for tests.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/log_writer.h"
#include "common/innodb/log_block.h"
#include "sim/workload/redo_encoder.h"

namespace redoubt {

// Redo for a made-up server: pages of space 5 get initialised and written to.
class RedoMaker {
 public:
  static constexpr Lsn kStart{8204};

  explicit RedoMaker(Lsn start = kStart) : end_(start) {}

  Lsn end() const { return end_; }
  // An mtr that formats the page.
  Bytes InitPage(uint32_t page_no) {
    encoder_.InitPage({SpaceId(5), PageNo(page_no)});
    return Take();
  }
  // An mtr that writes 8 bytes at offset 100.
  Bytes Write(uint32_t page_no, uint64_t value) {
    encoder_.WriteNumber({SpaceId(5), PageNo(page_no)}, 100, 8, value);
    return Take();
  }

  // An mtr that writes 8 bytes at offset 100, and `noise` at offset 200.
  Bytes WriteWithNoise(uint32_t page_no, uint64_t value, ByteView noise) {
    encoder_.WriteNumber({SpaceId(5), PageNo(page_no)}, 100, 8, value);
    encoder_.WriteString({SpaceId(5), PageNo(page_no)}, 200, noise);
    return Take();
  }

  // The same as something to append.
  RedoAppend AppendInit(uint32_t page_no) {
    const Lsn start = end_;
    return Wrap(start, InitPage(page_no));
  }
  RedoAppend AppendWrite(uint32_t page_no, uint64_t value) {
    const Lsn start = end_;
    return Wrap(start, Write(page_no, value));
  }

 private:
  RedoAppend Wrap(Lsn start, Bytes bytes) const {
    RedoAppend append;
    append.range = {start, end_};
    append.first_mtr_lsn = start;
    append.payload = std::make_shared<const Bytes>(std::move(bytes));
    return append;
  }
  Bytes Take() {
    Bytes bytes = encoder_.Finish();
    end_ = innodb::AdvanceLsn(end_, bytes.size());
    return bytes;
  }
  sim::MtrEncoder encoder_;
  Lsn end_;
};

// The mtr at `start` as two appends, the first with `cut` bytes; as one if that leaves one empty.
inline std::vector<RedoAppend> AppendsOf(Lsn start, const Bytes& mtr, size_t cut) {
  if (cut >= mtr.size()) {
    cut = 0;
  }
  const Lsn middle = innodb::AdvanceLsn(start, cut);
  const auto split = mtr.begin() + static_cast<ptrdiff_t>(cut);
  std::vector<RedoAppend> appends;
  if (cut > 0) {
    RedoAppend& head = appends.emplace_back();
    head.range = {start, middle};
    head.first_mtr_lsn = start;
    head.payload = std::make_shared<const Bytes>(mtr.begin(), split);
  }
  RedoAppend& rest = appends.emplace_back();
  rest.range = {middle, innodb::AdvanceLsn(start, mtr.size())};
  rest.first_mtr_lsn = cut > 0 ? Lsn{} : start;
  rest.payload = std::make_shared<const Bytes>(split, mtr.end());
  return appends;
}

}  // namespace redoubt
