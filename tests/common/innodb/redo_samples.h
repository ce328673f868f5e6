// SPDX-License-Identifier: MIT
//
// One or more well-formed records of every type, for framing tests. They are not meant to be
// applied.
#pragma once

#include <vector>

#include "tests/common/innodb/redo_builder.h"

namespace redoubt::innodb::test {

inline Bytes VersionedIndex() {
  // COMPACT | VERSIONED | INSTANT, four fields; field 2 was added in version 1, field 3 dropped in
  // version 2.
  return Body()
      .U8(1)
      .U8(7)
      .U16(4)
      .U16(3)
      .U16(1)
      .U16(0x8004)
      .U16(0x8006)
      .U16(0x0000)
      .U16(0x7FFF)
      .U16(2)
      .U16(2)
      .U16(0x8000 | 3)
      .U8(1)
      .U16(3)
      .U16(0x4000 | 2)
      .U8(2)
      .bytes();
}
inline Bytes RedundantVersionedIndex() {
  return Body().U8(1).U8(2).U16(3).U16(1).U16(2).U16(0xC002).U8(1).U8(4).bytes();
}

struct Sample {
  RedoType type;
  Bytes body;
};

inline std::vector<Sample> SampleBodies() {
  using enum RedoType;
  const Bytes compact = Body().CompactIndex({0x8004, 0x8006, 0x8007, 0, 0x7FFF}, 1).bytes();
  const Bytes redundant = Body().RedundantIndex().bytes();
  const auto with = [](const Bytes& index) { return Body().Raw(index); };
  const auto sys = [](Body body) { return body.C32(1).Text("ROLLPTR").C64(0x123456789AULL); };
  std::vector<Sample> samples = {
      {kWrite1, Body().U16(100).C32(0xFF).bytes()},
      {kWrite2, Body().U16(100).C32(0xFFFF).bytes()},
      {kWrite4, Body().U16(100).C32(0xFFFFFFFE).bytes()},
      {kWrite8, Body().U16(100).C64(0x1122334455667788ULL).bytes()},
      {kWriteString, Body().U16(200).U16(5).Text("hello").bytes()},
      {kWriteString, Body().U16(200).U16(0).bytes()},
      {kSecDeleteMark, Body().U8(1).U16(130).bytes()},
      {kUndoInsert, Body().U16(3).Text("abc").bytes()},
      {kUndoEraseEnd, {}},
      {kUndoInit, Body().C32(2).bytes()},
      {kUndoHeaderReuse, Body().C64(777).bytes()},
      {kUndoHeaderCreate, Body().C64(0x1234567890ULL).bytes()},
      {kMinMarkRedundant, Body().U16(130).bytes()},
      {kMinMarkCompact, Body().U16(130).bytes()},
      {kFileCreate, Body().U32(0x4021).U16(9).Text(std::string_view("./a/b.ib\0", 9)).bytes()},
      {kFileRename, Body()
                        .U16(8)
                        .Text(std::string_view("./a.ibd\0", 8))
                        .U16(8)
                        .Text(std::string_view("./b.ibd\0", 8))
                        .bytes()},
      {kFileDelete, Body().U16(8).Text(std::string_view("./b.ibd\0", 8)).bytes()},
      {kFileExtend, Body().U64(1 << 20).U64(4 << 20).bytes()},
      {kIndexLoad, Body().U64(157).bytes()},
      {kTest, Body().U64(1).U64(2).U16(3).Text("xyz").U64(4).U64(5).bytes()},
      {kZipWriteNodePtr, Body().U16(1).U16(2).U32(3).bytes()},
      {kZipWriteBlobPtr, Body().U16(1).U16(2).Text("twenty bytes of refer").bytes()},
      {kZipWriteHeader, Body().U8(38).U8(2).U16(7).bytes()},
      {kZipPageCompress, Body().U16(3).U16(2).U64(0).Text("abcde").bytes()},
      {kZipPageReorganize, with(compact).U8(6).bytes()},
      {kZipPageCompressNoData, with(compact).U8(6).bytes()},
      {kListEndCopyCreated, with(compact).U32(9).Text("ninebytes").bytes()},
      {kRecordInsert, with(compact).U16(99).C32(6 << 1).Text("sixsix").bytes()},
      {kRecordInsert,
       with(redundant).U16(101).C32(4 << 1 | 1).U8(0x20).C32(7).C32(300).Text("four").bytes()},
      {kUpdateInPlace, sys(with(compact).U8(0))
                           .U16(130)
                           .U8(0)
                           .C32(2)
                           .C32(3)
                           .C32(2)
                           .Text("ab")
                           .C32(4)
                           .C32(0xFFFFFFFF)
                           .bytes()},
      {kClustDeleteMark, sys(with(redundant).U8(0).U8(1)).U16(130).bytes()},
  };
  samples[21].body.resize(24);  // kZipWriteBlobPtr: exactly 4 + 20 bytes
  for (const RedoType empty :
       {kPageCreateRedundant, kIbufBitmapInit, kInitFilePageOld, kPageCreateCompact,
        kPageCreateRtreeRedundant, kPageCreateRtreeCompact, kInitFilePage, kPageCreateSdiRedundant,
        kPageCreateSdiCompact}) {
    samples.push_back({empty, {}});
  }
  for (const Bytes& index : {compact, redundant, VersionedIndex(), RedundantVersionedIndex()}) {
    samples.push_back({kPageReorganize, index});
    for (const RedoType type : {kRecordDelete, kListEndDelete, kListStartDelete}) {
      samples.push_back({type, with(index).U16(130).bytes()});
    }
  }
  return samples;
}

inline std::vector<Bytes> SampleRecords() {
  std::vector<Bytes> records;
  uint32_t n = 0;
  for (const Sample& sample : SampleBodies()) {
    const PageId page{SpaceId(n % 3 == 0 ? 0xFFFFFFFE : n * 100), PageNo(n * n * n)};
    records.push_back(Record(sample.type, page, sample.body));
    ++n;
  }
  records.push_back(Body().U8(62).M64(1060).M64(3).U8(2).M64(0x123456789ABCULL).bytes());
  records.push_back(
      Body().U8(62).M64(1ULL << 40).M64(3).U8(1).U8(2).U32(5).U64(6).U32(7).U64(8).bytes());
  return records;
}

}  // namespace redoubt::innodb::test
