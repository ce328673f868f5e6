// SPDX-License-Identifier: MIT
//
// What the files of the applier share: the input of one record's application and the entry of each
// family. Not for use outside apply*.cc.
#pragma once

#include "common/base/bytes.h"
#include "common/base/types.h"
#include "common/innodb/index_info.h"
#include "common/innodb/index_page.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/problem.h"
#include "common/innodb/record_format.h"
#include "common/innodb/redo_type.h"

namespace redoubt::innodb {

struct ApplyScratch {
  ApplyScratch() : record(kMaxPageBytes), page(kMaxPageBytes) {}

  IndexInfoCache indexes;
  FieldEnds ends;
  Bytes record;  // the image of a record that is being inserted
  Bytes page;    // the page as it was, while it is rebuilt
  bool inexact = false;
};

struct ApplyInput {
  RedoType type;
  PageId id;
  ByteView body;
  MutableByteView page;
  ApplyScratch* scratch;
};

// Generic writes, 1 2 4 8 30.
Problem ApplyWrite(const ApplyInput& input);
// Page initialisation and creation, 19 27 29 37 57 58 59 63 64.
Problem ApplyPage(const ApplyInput& input);
// Undo pages, 20 21 22 24 25.
Problem ApplyUndo(const ApplyInput& input);
// One record of an index page, 11 26 36 67 68 69 70.
Problem ApplyIndexRecord(const ApplyInput& input);
// Many records of an index page, 71 72 75 76.
Problem ApplyIndexList(const ApplyInput& input);

// Reads the index info at the start of *body and checks that the page is an index page of its row
// format.
Problem OpenIndexPage(const ApplyInput& input, ByteView* body, const IndexInfo** index);
// Reads one short insert and inserts the record behind `cursor`.
Problem InsertShort(IndexPage* page, const IndexInfo& index, uint32_t cursor, PackedReader* reader,
                    ApplyScratch* scratch, uint32_t* inserted);

}  // namespace redoubt::innodb
