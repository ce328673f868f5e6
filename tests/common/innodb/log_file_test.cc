// SPDX-License-Identifier: MIT
#include "common/innodb/log_file.h"

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "common/innodb/mtr_assembler.h"

namespace redoubt::innodb {
namespace {

Bytes HeaderBlock(const LogFileHeader& header) {
  Bytes block(kLogBlockBytes);
  WriteLogFileHeader(header, block);
  return block;
}

TEST(LogFile, HeaderReadsBack) {
  const LogFileHeader header{kLogFormat, 0xABCD1234, Lsn(8192), "MySQL 9.7.4", kLogFileFull};
  const Result<LogFileHeader> read = ParseLogFileHeader(HeaderBlock(header));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->log_uuid, 0xABCD1234U);
  EXPECT_EQ(read->start_lsn, Lsn(8192));
  EXPECT_EQ(read->creator, "MySQL 9.7.4");
  EXPECT_EQ(read->flags, kLogFileFull);
  EXPECT_EQ(ParseLogFileHeader(HeaderBlock({6, 1, Lsn(512), std::string(50, 'x'), 0}))->creator,
            std::string(31, 'x'));
}

TEST(LogFile, RefusesOtherFormatsByNumberAndTornHeaders) {
  LogFileHeader old;
  old.format = 5;
  const Result<LogFileHeader> refused = ParseLogFileHeader(HeaderBlock(old));
  EXPECT_EQ(refused.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(refused.status().message().find("format 5"), std::string::npos);
  Bytes torn = HeaderBlock({});
  torn[20] ^= 1;
  EXPECT_EQ(ParseLogFileHeader(torn).status().code(), StatusCode::kCorruption);
  EXPECT_EQ(ParseLogFileHeader(Bytes(512, 0)).status().code(), StatusCode::kCorruption);
  Bytes odd = HeaderBlock({});
  StoreBe64(odd.data() + 8, 8193);
  StoreBe32(odd.data() + 508, Crc32c(ByteView(odd).first(508)));
  EXPECT_EQ(ParseLogFileHeader(odd).status().code(), StatusCode::kCorruption);
}

TEST(LogFile, LeadTakesTheNewerCheckpointAndSurvivesATornOne) {
  Bytes lead(kLogFileHeaderBytes, 0);
  const MutableByteView out(lead);
  WriteLogFileHeader({}, out.first(512));
  WriteLogCheckpoint(Lsn(9000), out.subspan(kLogCheckpoint1Offset, 512));
  WriteLogCheckpoint(Lsn(9900), out.subspan(kLogCheckpoint2Offset, 512));
  EXPECT_EQ(ParseLogFileLead(lead)->checkpoint_lsn, Lsn(9900));
  lead[kLogCheckpoint2Offset + 100] = 1;
  EXPECT_EQ(ParseLogFileLead(lead)->checkpoint_lsn, Lsn(9000));
  lead[kLogCheckpoint1Offset + 100] = 1;
  EXPECT_EQ(ParseLogFileLead(lead)->checkpoint_lsn, Lsn(0));
  EXPECT_FALSE(ParseLogFileLead(lead)->encryption.has_value());
}

TEST(LogFile, EncryptionBlockNamesItsKey) {
  Bytes block(512, 0);
  EXPECT_FALSE(ParseLogEncryption(block)->has_value());
  const std::string uuid = "8a94f357-aab4-11df-86ab-c80aa9429562";
  std::copy_n("lCC", 3, block.begin() + 48);
  StoreBe32(block.data() + 51, 7);
  std::copy(uuid.begin(), uuid.end(), block.begin() + 55);
  const auto info = ParseLogEncryption(block);
  ASSERT_TRUE(info.ok() && info->has_value());
  EXPECT_EQ((*info)->master_key_id, 7U);
  EXPECT_EQ((*info)->server_uuid, uuid);
  block[48] = 'x';
  EXPECT_EQ(ParseLogEncryption(block).status().code(), StatusCode::kCorruption);
}

TEST(LogFile, NamesReadBackAndOthersAreRefused) {
  for (const LogFileName name :
       {LogFileName{0, false}, {17, true}, {18446744073709551615U, false}}) {
    EXPECT_EQ(ParseLogFileName(FormatLogFileName(name)), name);
  }
  EXPECT_EQ(FormatLogFileName({12, true}), "#ib_redo12_tmp");
  for (const char* name :
       {"#ib_redo", "#ib_redo_tmp", "#ib_redo01", "#ib_redo-1", "#ib_redo1x", "ib_logfile0",
        "#ib_redo18446744073709551616", "#ib_redo1_tmp_tmp", ""}) {
    EXPECT_FALSE(ParseLogFileName(name).has_value()) << name;
  }
}

// Reads a log set as recovery does: from the checkpoint's block, first_rec_group, block by block.
std::vector<TableDynamicMeta> ReadLogSet(const Bytes& file) {
  const ByteView view(file);
  const Result<LogFileLead> lead = ParseLogFileLead(view.first(kLogFileHeaderBytes));
  EXPECT_TRUE(lead.ok());
  std::vector<TableDynamicMeta> metas;
  Lsn block_lsn = AlignToBlock(lead->checkpoint_lsn);
  const auto block_at = [&] {
    return view.subspan(LogFileOffset(lead->header.start_lsn, block_lsn), kLogBlockBytes);
  };
  MtrAssembler assembler(Lsn(block_lsn.value() + DecodeLogBlockHeader(block_at()).first_rec_group));
  for (;; block_lsn = Lsn(block_lsn.value() + kLogBlockBytes)) {
    const LogBlockCheck check = CheckLogBlock(block_at(), block_lsn);
    if (!check.valid()) {
      break;
    }
    // first_rec_group names an mtr start: a parser that starts there sees only whole mtrs.
    if (check.header.first_rec_group != 0) {
      const size_t skip = check.header.first_rec_group - kLogBlockHeaderBytes;
      MtrAssembler here(Lsn(block_lsn.value() + check.header.first_rec_group));
      EXPECT_TRUE(
          here.Feed(check.payload.subspan(skip), [](const MtrView&) { return Status::Ok(); }).ok());
    }
    const Status status = assembler.Feed(check.payload, [&](const MtrView& mtr) {
      metas.push_back(*ParseTableDynamicMeta(mtr.records[0].body));
      return Status::Ok();
    });
    EXPECT_TRUE(status.ok()) << status.ToString();
    if (check.state != LogBlockState::kFull) {
      break;
    }
  }
  EXPECT_EQ(assembler.tail_bytes(), 0U);
  return metas;
}

TEST(LogSet, CarriesItsRecordsFromTheFirstBlockBehindTheCompleteLsn) {
  for (const size_t count : {0U, 1U, 31U, 62U, 1000U}) {
    Bytes records;
    std::vector<TableDynamicMeta> metas;
    for (size_t i = 0; i < count; ++i) {
      TableDynamicMeta meta;
      meta.table_id = 1060 + i * 1000;
      meta.version = i;
      meta.auto_increment = i * i * i * i;
      if (i % 7 == 3) {
        meta.kind = TableDynamicMeta::Kind::kCorruptedIndexes;
        meta.auto_increment = 0;
        meta.corrupted_indexes = {{SpaceId(3), i}, {SpaceId(4), i}};
      }
      metas.push_back(meta);
      EncodeTableDynamicMeta(meta, &records);
    }
    const Result<Bytes> file = BuildLogSet(Lsn(20'000'017), records, {});
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ(file->size(), size_t{4} << 20);
    const Result<LogFileLead> lead = ParseLogFileLead(ByteView(*file).first(2048));
    EXPECT_EQ(lead->header.start_lsn.value(), 20'000'256U);
    EXPECT_EQ(lead->checkpoint_lsn.value(), 20'000'268U);
    EXPECT_EQ(ReadLogSet(*file), metas);
  }
}

TEST(LogSet, FullLastBlockIsFollowedByAnEmptyOne) {
  Bytes records;
  while (records.size() < kLogBlockPayloadBytes) {
    records.push_back(32);  // dummies: one byte each
  }
  const Result<Bytes> file = BuildLogSet(Lsn(8192), records, {});
  ASSERT_TRUE(file.ok());
  const ByteView second = ByteView(*file).subspan(2048 + 512, 512);
  const LogBlockCheck check = CheckLogBlock(second, Lsn(8704));
  EXPECT_EQ(check.state, LogBlockState::kPartial);
  EXPECT_TRUE(check.payload.empty());
  EXPECT_EQ(check.header.first_rec_group, 12);
}

TEST(LogSet, RefusesHalfAnMtrAndAFileThatIsTooSmall) {
  Bytes record;
  EncodeTableDynamicMeta({}, &record);
  EXPECT_EQ(BuildLogSet(Lsn(8192), ByteView(record).first(record.size() - 1), {}).status().code(),
            StatusCode::kInvalidArgument);
  Bytes open = record;
  open[0] &= 0x7F;  // a multi-record mtr without its end
  EXPECT_EQ(BuildLogSet(Lsn(8192), open, {}).status().code(), StatusCode::kInvalidArgument);
  LogSetOptions small;
  small.file_bytes = 4096;
  Bytes many;
  for (int i = 0; i < 1000; ++i) {
    many.insert(many.end(), record.begin(), record.end());
  }
  EXPECT_EQ(BuildLogSet(Lsn(8192), many, small).status().code(), StatusCode::kInvalidArgument);
  small.file_bytes = 5000;
  EXPECT_FALSE(BuildLogSet(Lsn(8192), {}, small).ok());
}

}  // namespace
}  // namespace redoubt::innodb
