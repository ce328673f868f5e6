// SPDX-License-Identifier: MIT
//
// Goal: no payload makes the parser or the assembler crash, over-read or disagree with itself.
// Method: the payload is fed whole and in pieces whose length the first byte gives; mtrs, records,
// bodies, end LSN and verdict must agree. Bodies of file records and dynamic metadata are decoded
// too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/redo_record.h"

namespace {

using redoubt::Bytes;
using redoubt::ByteView;
using redoubt::Lsn;
using redoubt::Status;
using namespace redoubt::innodb;  // NOLINT: a test about nothing else

void Decode(const RedoRecord& record) {
  (void)ParseFileCreate(record.body);
  (void)ParseFileRename(record.body);
  (void)ParseFileDelete(record.body);
  (void)ParseFileExtend(record.body);
  (void)ParseIndexLoad(record.body);
  const auto meta = ParseTableDynamicMeta(record.body);
  if (record.type == RedoType::kTableDynamicMeta && meta.ok()) {
    Bytes encoded;
    EncodeTableDynamicMeta(*meta, &encoded);
    const auto again = ParseTableDynamicMeta(ByteView(encoded).subspan(1));
    REDOUBT_CHECK(again.ok() && *again == *meta);
  }
}

struct SeenRecord {
  RedoType type;
  redoubt::PageId page;
  Lsn start_lsn;
  uint32_t body_crc;
  bool operator==(const SeenRecord&) const = default;
};

struct Seen {
  std::vector<Lsn> ends;
  std::vector<SeenRecord> records;
  Status operator()(const MtrView& mtr) {
    REDOUBT_CHECK(!mtr.records.empty());
    REDOUBT_CHECK(mtr.start_lsn < mtr.end_lsn);
    for (const RedoRecord& record : mtr.records) {
      REDOUBT_CHECK(mtr.start_lsn <= record.start_lsn && record.start_lsn < mtr.end_lsn);
      REDOUBT_CHECK(record.body.empty() || (record.body.data() >= mtr.bytes.data() &&
                                            record.body.data() + record.body.size() <=
                                                mtr.bytes.data() + mtr.bytes.size()));
      records.push_back({record.type, record.page, record.start_lsn, redoubt::Crc32c(record.body)});
      Decode(record);
    }
    ends.push_back(mtr.end_lsn);
    return Status::Ok();
  }
};

// What a failed assembler says, without the record's bytes: a cut stream shows fewer of them.
std::string Verdict(const Status& status) {
  return std::string(status.message().substr(0, status.message().find("; its first bytes")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const size_t step = size_t{data[0]} + 1;
  const ByteView input(data + 1, size - 1);
  Seen whole;
  MtrAssembler uncut(kFirstDataLsn);
  const Status whole_status = uncut.Feed(input, whole);

  Seen pieces;
  MtrAssembler cut(kFirstDataLsn);
  Status cut_status;
  for (size_t at = 0; at < input.size() && cut_status.ok(); at += step) {
    const ByteView part = input.subspan(at, std::min(step, input.size() - at));
    const Bytes copy(part.begin(), part.end());
    cut_status = cut.Feed(copy, pieces);
  }
  REDOUBT_CHECK(whole_status.code() == cut_status.code());
  REDOUBT_CHECK(Verdict(whole_status) == Verdict(cut_status));
  REDOUBT_CHECK(whole.ends == pieces.ends);
  REDOUBT_CHECK(whole.records == pieces.records);
  REDOUBT_CHECK(uncut.end_lsn() == cut.end_lsn());
  return 0;
}
