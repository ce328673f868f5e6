// SPDX-License-Identifier: MIT
//
// Goal: what is printed is right and can be parsed. Method: small inputs built by hand, exact
// outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ctl/console.h"
#include "client/ctl/json.h"
#include "client/ctl/page_dump.h"
#include "client/ctl/redo_text.h"
#include "common/innodb/page_format.h"

namespace redoubt::ctl {
namespace {

using innodb::RedoRecord;
using innodb::RedoType;
using ::testing::HasSubstr;

TEST(JsonWriter, PutsCommasWhereTheyBelongAndEscapes) {
  JsonWriter json;
  json.BeginObject().Field("a", 1).Field("b", "x\"\\\n").Key("c").BeginArray().EndArray();
  json.Key("d").BeginArray().Number(uint64_t{18446744073709551615U}).Bool(false);
  json.BeginObject().EndObject().EndArray().Field("e", true).EndObject();
  EXPECT_EQ(json.text(),
            R"({"a":1,"b":"x\"\\\u000a","c":[],"d":[18446744073709551615,false,{}],"e":true})");
}

TEST(FormatProgress, SaysHowFarAndHowFast) {
  EXPECT_EQ(FormatProgress("restore", 0, 200, "pages", 0), "restore: 0 % (0 of 200 pages)");
  EXPECT_EQ(FormatProgress("verify", 50, 200, "pages", 2),
            "verify: 25 % (50 of 200 pages, 25 pages/s)");
  EXPECT_EQ(FormatProgress("verify", 300, 200, "pages", 0), "verify: 100 % (300 of 200 pages)");
  EXPECT_EQ(FormatProgress("verify", 7, 0, "pages", 0), "verify: (7 pages)");
}

TEST(FormatBar, IsNeverAsWideAsTheTerminal) {
  const std::string text = "restore: 41 % (118900 of 290000 pages, 31000 pages/s)";
  EXPECT_EQ(FormatBar(text, 1, 2, 200), "[############............] " + text);
  EXPECT_EQ(FormatBar(text, 118900, 290000, 80), "[#########..............] " + text);
  EXPECT_EQ(FormatBar(text, 1, 2, 60), text);
  EXPECT_EQ(FormatBar(text, 1, 2, 21), text.substr(0, 20));
  EXPECT_EQ(FormatBar("verify: (7 pages)", 7, 0, 80), "verify: (7 pages)");
  for (size_t columns = 1; columns < 120; ++columns) {
    EXPECT_LT(FormatBar(text, 118900, 290000, columns).size(), columns);
  }
}

TEST(HexDump, FoldsRepeatedLinesAndEndsWithTheLast) {
  Bytes bytes(64, 0);
  bytes[0] = 'A';
  bytes[1] = 0xFF;
  const std::string zeroes =
      " 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n";
  EXPECT_EQ(HexDump(bytes),
            "000000  41 ff 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |A...............|\n"
            "000010 " +
                zeroes + "*\n" + "000030 " + zeroes);
  EXPECT_EQ(HexDump(ByteView(bytes).first(3)),
            "000000  41 ff 00                                          |A..|\n");
  EXPECT_EQ(HexDump({}), "");
}

TEST(DescribePage, DecodesTheHeader) {
  Bytes page(16384);
  EXPECT_THAT(DescribePage(page), HasSubstr("never written"));
  StoreBe32(page.data() + innodb::kPageNoOffset, 17);
  StoreBe32(page.data() + innodb::kPageSpaceIdOffset, 5);
  StoreBe32(page.data() + innodb::kPageNextOffset, innodb::kNoPage);
  StoreBe16(page.data() + innodb::kPageTypeOffset, innodb::kPageTypeIndex);
  innodb::StampPage(page, Lsn(9000));
  const std::string text = DescribePage(page);
  EXPECT_THAT(text, HasSubstr("page            5:17\n"));
  EXPECT_THAT(text, HasSubstr("page lsn        9000\n"));
  EXPECT_THAT(text, HasSubstr("next            none\n"));
  EXPECT_THAT(text, HasSubstr("records         0\n"));
  page[100] ^= 1;
  EXPECT_THAT(DescribePage(page), HasSubstr(innodb::PageStateName(innodb::PageState::kCorrupt)));
}

RedoRecord Record(RedoType type, const Bytes& body) {
  return {type, PageId{SpaceId(5), PageNo(17)}, Lsn(9000), body};
}

TEST(DescribeBody, DecodesPlainWrites) {
  const Bytes write4 = {0, 46, 0x85, 0x00};  // offset 46, c32 0x0500
  EXPECT_EQ(DescribeBody(Record(RedoType::kWrite4, write4)), "offset=46 value=1280");
  const Bytes text = {0, 100, 0, 3, 'a', 'b', 'c'};
  EXPECT_EQ(DescribeBody(Record(RedoType::kWriteString, text)), "offset=100 length=3 bytes=616263");
  EXPECT_EQ(DescribeBody(Record(RedoType::kInitFilePage, {})), "");
}

TEST(DescribeBody, DecodesAnInsertWithItsIndex) {
  // COMPACT, n = 2, n_uniq = 1, one fixed 4-byte and one variable field; cursor 99; 2 bytes, all
  // new.
  const Bytes body = {1, 1, 0, 2, 0, 1, 0x80, 4, 0x80, 0, 0, 99, 5, 0x10, 6, 0, 0xAA, 0xBB};
  EXPECT_EQ(DescribeBody(Record(RedoType::kRecordInsert, body)),
            "cursor=99 info_status=16 origin_offset=6 mismatch=0 end_segment=2 bytes=aabb "
            "index=compact,n=2,clustered");
}

TEST(DescribeBody, NeverFailsOnWhatItCannotRead) {
  const Bytes cut = {1, 1, 0};
  EXPECT_EQ(DescribeBody(Record(RedoType::kRecordInsert, cut)),
            "undecodable length=3 bytes=010100");
  const Bytes longer = {0, 46, 5, 5};
  EXPECT_EQ(DescribeBody(Record(RedoType::kWrite1, longer)), "undecodable length=4 bytes=002e0505");
}

TEST(Mtr, IsShownWholeOrOnlyForOnePage) {
  const Bytes write = {0, 46, 7};
  std::vector<RedoRecord> records = {Record(RedoType::kWrite1, write),
                                     Record(RedoType::kInitFilePage, {})};
  records[1].page = PageId{SpaceId(6), PageNo(1)};
  records[1].start_lsn = Lsn(9006);
  const Bytes raw(9);
  const innodb::MtrView mtr{Lsn(9000), Lsn(9009), records, raw};
  EXPECT_EQ(MtrText(mtr, std::nullopt),
            "mtr 9000..9009 2 records, 9 bytes\n"
            "  9000 MLOG_1BYTE 5:17 offset=46 value=7\n"
            "  9006 MLOG_INIT_FILE_PAGE2 6:1\n");
  const PageId second{SpaceId(6), PageNo(1)};
  EXPECT_EQ(MtrText(mtr, second),
            "mtr 9000..9009 2 records, 9 bytes\n  9006 MLOG_INIT_FILE_PAGE2 6:1\n");
  const PageId other{SpaceId(7), PageNo(1)};
  EXPECT_EQ(MtrText(mtr, other), "");
  JsonWriter json;
  EXPECT_FALSE(MtrJson(mtr, other, &json));
  EXPECT_TRUE(MtrJson(mtr, second, &json));
  EXPECT_EQ(json.text(),
            R"({"start_lsn":9000,"end_lsn":9009,"bytes":9,"record_count":2,"records":[)"
            R"({"lsn":9006,"type":"MLOG_INIT_FILE_PAGE2","space":6,"page":1,"body":""}]})");
}

}  // namespace
}  // namespace redoubt::ctl
