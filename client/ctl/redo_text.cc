// SPDX-License-Identifier: MIT
#include "client/ctl/redo_text.h"

#include <algorithm>

#include "common/innodb/index_info.h"
#include "common/innodb/packed_reader.h"
#include "common/innodb/redo_type.h"

namespace redoubt::ctl {
namespace {

using innodb::PackedReader;
using innodb::RedoRecord;
using innodb::RedoType;

constexpr size_t kShownBytes = 16;
constexpr uint32_t kNullLength = 0xFFFFFFFF;
constexpr uint32_t kFieldsShown = 8;

// " name=value" pieces.
class Text {
 public:
  Text& Add(std::string_view name, uint64_t value) { return Add(name, std::to_string(value)); }
  Text& Add(std::string_view name, std::string_view value) {
    text_ += text_.empty() ? "" : " ";
    text_ += name;
    text_ += '=';
    text_ += value;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string ShowBytes(ByteView bytes) {
  return ToHex(bytes.first(std::min(bytes.size(), kShownBytes))) +
         (bytes.size() > kShownBytes ? "..." : "");
}

// Reads the index info at the front of `reader` and says what it is; false when it is no index
// info.
bool TakeIndexInfo(ByteView body, PackedReader* reader, std::string* description) {
  const innodb::IndexInfoSize size = innodb::MeasureIndexInfo(body);
  if (size.length == 0 || size.problem != innodb::kNoProblem) {
    return false;
  }
  innodb::IndexInfo info;
  if (info.Parse(body.first(size.length)) != innodb::kNoProblem) {
    return false;
  }
  reader->Skip(size.length);
  *description = info.compact() ? "compact" : "redundant";
  *description += info.versioned() ? ",versioned" : "";
  *description += info.instant() ? ",instant" : "";
  if (info.field_count() > 0) {
    *description += ",n=" + std::to_string(info.field_count());
    *description += info.clustered() ? ",clustered" : "";
  }
  return true;
}

void DescribeShortInsert(PackedReader* reader, Text* text) {
  const uint32_t end_segment = reader->C32();
  if ((end_segment & 1) != 0) {
    text->Add("info_status", reader->U8());
    text->Add("origin_offset", reader->C32());
    text->Add("mismatch", reader->C32());
  }
  const ByteView bytes = reader->Take(end_segment >> 1);
  text->Add("end_segment", end_segment >> 1).Add("bytes", ShowBytes(bytes));
}

void DescribeSystemColumns(PackedReader* reader, Text* text) {
  reader->C32();  // position of DB_TRX_ID
  const ByteView roll_pointer = reader->Take(7);
  text->Add("trx", reader->C64()).Add("roll_ptr", ToHex(roll_pointer));
}

void DescribeUpdate(PackedReader* reader, Text* text) {
  text->Add("flags", reader->U8());
  DescribeSystemColumns(reader, text);
  text->Add("record", reader->U16());
  text->Add("info_bits", reader->U8());
  const uint32_t count = reader->C32();
  std::string fields;
  for (uint32_t i = 0; i < count && !reader->failed(); ++i) {
    const uint32_t field_no = reader->C32();
    const uint32_t length = reader->C32();
    const ByteView value = length == kNullLength ? ByteView() : reader->Take(length);
    if (i < kFieldsShown) {
      fields += (i > 0 ? "," : "") + std::to_string(field_no) + ":" +
                (length == kNullLength ? "NULL" : ShowBytes(value));
    } else if (i == kFieldsShown) {
      fields += ",...";
    }
  }
  text->Add("fields", count).Add("update", "[" + fields + "]");
}

// The types that begin with an index info. `reader` stands behind it.
void DescribeIndexed(RedoType type, PackedReader* reader, Text* text) {
  switch (type) {
    case RedoType::kRecordInsert:
      text->Add("cursor", reader->U16());
      DescribeShortInsert(reader, text);
      break;
    case RedoType::kClustDeleteMark:
      text->Add("flags", reader->U8()).Add("deleted", reader->U8());
      DescribeSystemColumns(reader, text);
      text->Add("record", reader->U16());
      break;
    case RedoType::kRecordDelete:
    case RedoType::kListEndDelete:
    case RedoType::kListStartDelete:
      text->Add("record", reader->U16());
      break;
    case RedoType::kUpdateInPlace:
      DescribeUpdate(reader, text);
      break;
    case RedoType::kListEndCopyCreated: {
      const uint32_t length = reader->U32();
      reader->Skip(length);
      text->Add("inserts_bytes", length);
      break;
    }
    case RedoType::kZipPageReorganize:
    case RedoType::kZipPageCompressNoData:
      text->Add("zip_level", reader->U8());
      break;
    default:  // kPageReorganize: nothing more
      break;
  }
}

bool HasIndexInfo(RedoType type) { return type >= RedoType::kRecordInsert; }

void DescribePlain(RedoType type, PackedReader* reader, Text* text) {
  switch (type) {
    case RedoType::kWrite1:
    case RedoType::kWrite2:
    case RedoType::kWrite4:
      text->Add("offset", reader->U16()).Add("value", reader->C32());
      break;
    case RedoType::kWrite8:
      text->Add("offset", reader->U16()).Add("value", reader->C64());
      break;
    case RedoType::kWriteString: {
      text->Add("offset", reader->U16());
      const uint16_t length = reader->U16();
      text->Add("length", length).Add("bytes", ShowBytes(reader->Take(length)));
      break;
    }
    case RedoType::kSecDeleteMark:
      text->Add("deleted", reader->U8()).Add("record", reader->U16());
      break;
    case RedoType::kMinMarkRedundant:
    case RedoType::kMinMarkCompact:
      text->Add("record", reader->U16());
      break;
    case RedoType::kUndoInsert: {
      const uint16_t length = reader->U16();
      text->Add("length", length).Add("bytes", ShowBytes(reader->Take(length)));
      break;
    }
    case RedoType::kUndoInit:
      text->Add("undo_type", reader->C32());
      break;
    case RedoType::kUndoHeaderCreate:
    case RedoType::kUndoHeaderReuse:
      text->Add("trx", reader->C64());
      break;
    default:  // no body, or one that is shown as bytes
      if (reader->remaining() > 0) {
        text->Add("length", reader->remaining());
        text->Add("bytes", ShowBytes(reader->Take(reader->remaining())));
      }
      break;
  }
}

std::string Quoted(const std::string& path) {
  JsonWriter json;
  json.String(path);
  return json.text();
}

std::string DescribeDynamicMeta(const innodb::TableDynamicMeta& meta) {
  Text text;
  text.Add("table", meta.table_id).Add("version", meta.version);
  if (meta.kind == innodb::TableDynamicMeta::Kind::kAutoIncrement) {
    text.Add("auto_increment", meta.auto_increment);
  } else {
    text.Add("corrupted_indexes", meta.corrupted_indexes.size());
  }
  return text.text();
}

// File operations, index load and dynamic metadata; nullopt for the others and for undecodable
// bodies.
std::optional<std::string> DescribeSpecial(const RedoRecord& record) {
  Text text;
  switch (record.type) {
    case RedoType::kFileCreate:
      if (const auto file = innodb::ParseFileCreate(record.body); file.ok()) {
        return text.Add("flags", file->space_flags).Add("path", Quoted(file->path)).text();
      }
      break;
    case RedoType::kFileRename:
      if (const auto file = innodb::ParseFileRename(record.body); file.ok()) {
        return text.Add("from", Quoted(file->old_path)).Add("to", Quoted(file->new_path)).text();
      }
      break;
    case RedoType::kFileDelete:
      if (const auto file = innodb::ParseFileDelete(record.body); file.ok()) {
        return text.Add("path", Quoted(file->path)).text();
      }
      break;
    case RedoType::kFileExtend:
      if (const auto file = innodb::ParseFileExtend(record.body); file.ok()) {
        return text.Add("offset_bytes", file->offset_bytes).Add("bytes", file->size_bytes).text();
      }
      break;
    case RedoType::kIndexLoad:
      if (const auto load = innodb::ParseIndexLoad(record.body); load.ok()) {
        return text.Add("index", load->index_id).text();
      }
      break;
    case RedoType::kTableDynamicMeta:
      if (const auto meta = innodb::ParseTableDynamicMeta(record.body); meta.ok()) {
        return DescribeDynamicMeta(*meta);
      }
      break;
    default:
      break;
  }
  return std::nullopt;
}

std::string Undecodable(ByteView body) {
  return "undecodable length=" + std::to_string(body.size()) + " bytes=" + ShowBytes(body);
}

bool NamesPage(const RedoRecord& record) { return record.type != RedoType::kTableDynamicMeta; }

bool Selected(const RedoRecord& record, std::optional<PageId> only) {
  return !only || (NamesPage(record) && record.page == *only);
}

}  // namespace

std::string DescribeBody(const RedoRecord& record) {
  if (std::optional<std::string> special = DescribeSpecial(record)) {
    return *std::move(special);
  }
  PackedReader reader(record.body);
  Text text;
  std::string index;
  if (HasIndexInfo(record.type)) {
    if (!TakeIndexInfo(record.body, &reader, &index)) {
      return Undecodable(record.body);
    }
    DescribeIndexed(record.type, &reader, &text);
    text.Add("index", index);
  } else {
    DescribePlain(record.type, &reader, &text);
  }
  return reader.AtEnd() ? text.text() : Undecodable(record.body);
}

std::string MtrText(const innodb::MtrView& mtr, std::optional<PageId> only) {
  std::string out;
  for (const RedoRecord& record : mtr.records) {
    if (!Selected(record, only)) {
      continue;
    }
    out +=
        "  " + std::to_string(record.start_lsn.value()) + " " + innodb::RedoTypeName(record.type);
    out += NamesPage(record) ? " " + ToString(record.page) : "";
    const std::string body = DescribeBody(record);
    out += (body.empty() ? "" : " ") + body + "\n";
  }
  if (out.empty()) {
    return out;
  }
  return "mtr " + std::to_string(mtr.start_lsn.value()) + ".." +
         std::to_string(mtr.end_lsn.value()) + " " + std::to_string(mtr.records.size()) +
         (mtr.records.size() == 1 ? " record, " : " records, ") + std::to_string(mtr.bytes.size()) +
         " bytes\n" + out;
}

bool MtrJson(const innodb::MtrView& mtr, std::optional<PageId> only, JsonWriter* json) {
  const bool any = std::any_of(mtr.records.begin(), mtr.records.end(),
                               [&](const RedoRecord& r) { return Selected(r, only); });
  if (!any) {
    return false;
  }
  json->BeginObject()
      .Field("start_lsn", mtr.start_lsn.value())
      .Field("end_lsn", mtr.end_lsn.value())
      .Field("bytes", mtr.bytes.size())
      .Field("record_count", mtr.records.size());
  json->Key("records").BeginArray();
  for (const RedoRecord& record : mtr.records) {
    if (!Selected(record, only)) {
      continue;
    }
    json->BeginObject()
        .Field("lsn", record.start_lsn.value())
        .Field("type", innodb::RedoTypeName(record.type));
    if (NamesPage(record)) {
      json->Field("space", record.page.space.value()).Field("page", record.page.page_no.value());
    }
    json->Field("body", DescribeBody(record)).EndObject();
  }
  json->EndArray().EndObject();
  return true;
}

}  // namespace redoubt::ctl
