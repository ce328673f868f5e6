// SPDX-License-Identifier: MIT
#include "pageserver/log/segment_reader.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace redoubt {
namespace {

constexpr size_t kReadAheadBytes = 256 << 10;

}  // namespace

SegmentReader::SegmentReader(File* file, uint64_t file_bytes, RecordOwner owner, uint64_t offset)
    : file_(file), file_bytes_(file_bytes), owner_(owner), offset_(offset) {
  REDOUBT_CHECK(offset >= kSegmentHeaderBytes);
}

Task<Result<ByteView>> SegmentReader::Peek(uint64_t offset, size_t length) {
  const bool held = buffer_offset_ <= offset && offset + length <= buffer_offset_ + buffer_.size();
  if (!held) {
    const uint64_t left = file_bytes_ > offset ? file_bytes_ - offset : 0;
    buffer_.resize(std::min<uint64_t>(left, std::max(length, kReadAheadBytes)));
    buffer_offset_ = offset;
    const Result<size_t> got = co_await file_->ReadAt(offset, MutableByteView(buffer_));
    if (!got.ok()) {
      co_return got.status();
    }
    buffer_.resize(*got);
  }
  const uint64_t begin = offset - buffer_offset_;
  const size_t available = buffer_.size() - std::min<uint64_t>(buffer_.size(), begin);
  if (available == 0) {
    co_return ByteView();
  }
  co_return ByteView(buffer_).subspan(begin, std::min(length, available));
}

Task<Result<SegmentReader::Item>> SegmentReader::Next() {
  Item item;
  item.offset = offset_;
  if (offset_ >= file_bytes_) {
    co_return item;
  }
  item.outcome = Outcome::kBad;
  const Result<ByteView> head = co_await Peek(offset_, kRecordHeaderBytes);
  if (!head.ok()) {
    co_return head.status();
  }
  if (!head->empty() && head->front() == 0) {  // the magic begins with another byte
    const Result<bool> space = co_await IsSpaceAhead(offset_);
    if (!space.ok()) {
      co_return space.status();
    }
    item.outcome = *space ? Outcome::kEnd : Outcome::kBad;
    item.problem = *space ? "" : "no valid record header";
    co_return item;
  }
  if (head->size() < kRecordHeaderBytes) {
    item.problem = "the record header is cut short";
    co_return item;
  }
  const std::optional<RecordHeader> header = DecodeRecordHeader(*head, owner_);
  if (!header.has_value()) {
    item.problem = "no valid record header";
    co_return item;
  }
  if (header->payload_bytes > file_bytes_ - offset_ - kRecordHeaderBytes) {
    item.problem = "the record's payload is cut short";
    co_return item;
  }
  const Result<ByteView> payload =
      co_await Peek(offset_ + kRecordHeaderBytes, header->payload_bytes);
  if (!payload.ok()) {
    co_return payload.status();
  }
  item.durable_end = header->durable_end;
  item.commit = header->commit;
  item.chunk.epoch = header->epoch;
  item.chunk.range = header->range;
  item.chunk.first_mtr_lsn = header->first_mtr_lsn;
  item.chunk.payload_crc32c = header->payload_crc32c;
  item.chunk.source_time_unix_ns = header->source_time_unix_ns;
  item.chunk.payload = std::make_shared<const Bytes>(payload->begin(), payload->end());
  if (payload->size() < header->payload_bytes || Crc32c(*payload) != header->payload_crc32c) {
    item.problem = "the record's payload has a wrong checksum";
    co_return item;
  }
  item.outcome = Outcome::kRecord;
  offset_ += kRecordHeaderBytes + header->payload_bytes;
  co_return item;
}

Task<Result<bool>> SegmentReader::IsSpaceAhead(uint64_t offset) {
  while (offset < file_bytes_) {
    const Result<ByteView> peeked = co_await Peek(offset, kReadAheadBytes);
    if (!peeked.ok()) {
      co_return peeked.status();
    }
    const ByteView view = *peeked;
    if (view.empty() || std::any_of(view.begin(), view.end(), [](uint8_t b) { return b != 0; })) {
      co_return false;
    }
    offset += view.size();
  }
  co_return true;
}

Task<Result<bool>> SegmentReader::ClaimsDurableBeyond(uint64_t offset, Lsn lsn) {
  while (offset + kRecordHeaderBytes <= file_bytes_) {
    const Result<ByteView> peeked = co_await Peek(offset, kReadAheadBytes);
    if (!peeked.ok()) {
      co_return peeked.status();
    }
    const ByteView view = *peeked;
    if (view.size() < kRecordHeaderBytes) {
      break;
    }
    const size_t last = view.size() - kRecordHeaderBytes;
    for (size_t i = 0; i <= last; ++i) {
      if (LoadBe32(view.data() + i) != kRecordMagic) {
        continue;
      }
      const auto header = DecodeRecordHeader(view.subspan(i, kRecordHeaderBytes), owner_);
      if (header.has_value() && header->durable_end > lsn) {
        co_return true;
      }
    }
    offset += last + 1;
  }
  co_return false;
}

}  // namespace redoubt
