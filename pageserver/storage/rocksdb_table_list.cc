// SPDX-License-Identifier: MIT
#include "pageserver/storage/rocksdb_table_list.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {
namespace {

constexpr uint64_t kNoteMagic = 0x5244425452465355;  // "RDBTRFSU"
constexpr size_t kNoteBytes = 28;
constexpr char kNoteName[] = "FLUSHED";
constexpr std::string_view kListPrefix = "MANIFEST-";

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;
enum RecordType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint32_t LoadLe(const uint8_t* bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i > 0; --i) {
    value = value << 8 | bytes[i - 1];
  }
  return value;
}

// As RocksDB stores it: the CRC of bytes that hold CRCs themselves is no good one.
uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

struct FlushedNote {
  uint64_t list_no;
  uint64_t bytes;
};

std::string EncodeNote(FlushedNote note) {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.U64(kNoteMagic);
  writer.U64(note.list_no);
  writer.U64(note.bytes);
  writer.U32(Crc32c(bytes));
  REDOUBT_CHECK(bytes.size() == kNoteBytes);
  return {bytes.begin(), bytes.end()};
}

std::optional<FlushedNote> DecodeNote(std::string_view text) {
  const ByteView bytes = AsBytes(text);
  if (bytes.size() != kNoteBytes || LoadBe64(bytes.data()) != kNoteMagic ||
      LoadBe32(bytes.data() + kNoteBytes - 4) != Crc32c(bytes.first(kNoteBytes - 4))) {
    return std::nullopt;
  }
  return FlushedNote{LoadBe64(bytes.data() + 8), LoadBe64(bytes.data() + 16)};
}

// Of "MANIFEST-000042", with a path before it or a line's end behind it.
std::optional<uint64_t> ListNumber(std::string_view name) {
  const size_t at = name.rfind(kListPrefix);
  uint64_t number = 0;
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  name.remove_prefix(at + kListPrefix.size());
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  return parsed.ec == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace

uint64_t WholeTableListBytes(ByteView list) {
  uint64_t whole = 0;
  bool inside = false;  // of a record in several parts
  size_t at = 0;
  while (at + kHeaderBytes <= list.size()) {
    const size_t left = kBlockBytes - at % kBlockBytes;
    if (left < kHeaderBytes) {
      at += left;  // padding
      continue;
    }
    const uint8_t* const header = list.data() + at;
    const size_t length = LoadLe(header + 4, 2);
    const uint8_t type = header[6];
    const bool begins = type == kFull || type == kFirst;
    if (kHeaderBytes + length > std::min(left, list.size() - at) || type < kFull || type > kLast ||
        begins == inside || Masked(Crc32c(list.subspan(at + 6, 1 + length))) != LoadLe(header, 4)) {
      break;
    }
    at += kHeaderBytes + length;
    inside = type == kFirst || type == kMiddle;
    whole = inside ? whole : at;
  }
  return whole;
}

RocksdbTableList::RocksdbTableList(rocksdb::Env* env, std::string directory)
    : env_(env), directory_(std::move(directory)) {}

Result<std::string> RocksdbTableList::Read(const std::string& path) {
  std::string content;
  const rocksdb::Status status = rocksdb::ReadFileToString(env_, path, &content);
  if (status.IsNotFound() || status.IsPathNotFound()) {
    return NotFound(path);
  }
  if (!status.ok()) {
    return IoError("cannot read " + path + " of the page store: " + status.ToString());
  }
  return content;
}

Status RocksdbTableList::Replace(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".tmp";
  rocksdb::Status status =
      rocksdb::WriteStringToFile(env_, content, temporary, /*should_sync=*/true);
  if (status.ok()) {
    status = env_->RenameFile(temporary, path);
  }
  std::unique_ptr<rocksdb::Directory> directory;
  if (status.ok()) {
    status = env_->NewDirectory(directory_, &directory);
  }
  if (status.ok()) {
    status = directory->Fsync();
  }
  return status.ok() ? Status::Ok()
                     : IoError("cannot write " + path + " of the page store: " + status.ToString());
}

Status RocksdbTableList::Check() {
  const Result<std::string> current = Read(directory_ + "/CURRENT");
  const Result<std::string> noted = Read(directory_ + '/' + kNoteName);
  const uint64_t number = current.ok() ? ListNumber(*current).value_or(0) : 0;
  const std::optional<FlushedNote> note = noted.ok() ? DecodeNote(*noted) : std::nullopt;
  if (noted.ok() && current.status().code() == StatusCode::kNotFound) {
    return Corruption("the page store " + directory_ +
                      " was flushed before, yet its file CURRENT is gone");
  }
  if (number == 0 || !note.has_value() || note->list_no < number) {
    return Status::Ok();
  }
  if (note->list_no > number) {
    return Corruption("the page store's file " + directory_ + "/CURRENT names list of tables " +
                      std::to_string(number) + ", flushed was the newer one " +
                      std::to_string(note->list_no));
  }
  const std::string path = directory_ + '/' + current->substr(0, current->find('\n'));
  const Result<std::string> list = Read(path);
  if (list.status().code() == StatusCode::kNotFound) {
    return Corruption("the page store's list of tables " + path + " is gone");
  }
  if (!list.ok()) {
    return list.status();
  }
  const uint64_t whole = WholeTableListBytes(AsBytes(*list));
  if (whole < note->bytes) {
    return Corruption("the page store's list of tables " + path + " is damaged behind byte " +
                      std::to_string(whole) + ", flushed were " + std::to_string(note->bytes));
  }
  return whole == list->size() ? Status::Ok() : Replace(path, list->substr(0, whole));
}

Status RocksdbTableList::Note(rocksdb::DB* db) {
  std::vector<std::string> files;
  uint64_t bytes = 0;
  const rocksdb::Status listed = db->GetLiveFiles(files, &bytes, /*flush_memtable=*/false);
  if (!listed.ok()) {
    return IoError("cannot list the files of the page store " + directory_ + ": " +
                   listed.ToString());
  }
  for (const std::string& file : files) {
    const std::optional<uint64_t> number = ListNumber(file);
    if (number.has_value()) {
      return Replace(directory_ + '/' + kNoteName, EncodeNote({*number, bytes}));
    }
  }
  return Corruption("the page store " + directory_ + " has no list of tables");
}

}  // namespace redoubt
