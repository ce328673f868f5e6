// SPDX-License-Identifier: MIT
#include "common/innodb/index_info.h"

#include <algorithm>

#include "common/base/check.h"

namespace redoubt::innodb {
namespace {

constexpr uint8_t kIndexLogVersion = 1;
constexpr uint8_t kCompactFlag = 1;
constexpr uint8_t kVersionedFlag = 2;
constexpr uint8_t kInstantFlag = 4;
constexpr uint16_t kNotNullBit = 0x8000;
constexpr uint16_t kBigLength = 0x7FFF;
constexpr uint16_t kAddedBit = 0x8000;
constexpr uint16_t kDroppedBit = 0x4000;
constexpr uint16_t kPositionMask = 0x3FFF;
constexpr uint16_t kNoPosition = 0xFFFF;

// Length of the versioned entries at `bytes`, whose count is `count`; 0 = more bytes needed.
size_t MeasureVersions(ByteView bytes, size_t count) {
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    if (bytes.size() - at < 4) {
      return 0;
    }
    const uint16_t position = LoadBe16(bytes.data() + at + 2);
    at += 4 + ((position & kAddedBit) != 0 ? 1U : 0U) + ((position & kDroppedBit) != 0 ? 1U : 0U);
    if (at > bytes.size()) {
      return 0;
    }
  }
  return at;
}

IndexField DecodeLength(uint16_t word) {
  IndexField field;
  field.nullable = (word & kNotNullBit) == 0;
  const uint16_t length = word & kBigLength;
  field.big = length == kBigLength;
  field.fixed_length = field.big ? uint16_t{0} : length;
  return field;
}

}  // namespace

IndexInfoSize MeasureIndexInfo(ByteView bytes) {
  if (bytes.size() < 2) {
    return {};
  }
  if (bytes[0] != kIndexLogVersion) {
    return {0, "index info: unknown index log version"};
  }
  const uint8_t flags = bytes[1];
  if ((flags & ~(kCompactFlag | kVersionedFlag | kInstantFlag)) != 0) {
    return {0, "index info: unknown flag"};
  }
  if ((flags & (kCompactFlag | kVersionedFlag)) == 0) {
    return {2, kNoProblem};
  }
  if (bytes.size() < 4) {
    return {};
  }
  const uint32_t n = LoadBe16(bytes.data() + 2);
  if (n == 0 || n > kMaxIndexFields) {
    return {0, "index info: impossible number of fields"};
  }
  size_t at = 4;
  if ((flags & kCompactFlag) != 0) {
    at += (flags & kInstantFlag) != 0 ? 2 : 0;
    if (bytes.size() < at + 2) {
      return {};
    }
    const uint32_t n_uniq = LoadBe16(bytes.data() + at);
    if (n_uniq == 0 || n_uniq > n) {
      return {0, "index info: impossible number of unique fields"};
    }
    at += 2 + size_t{2} * n;
  }
  if ((flags & kVersionedFlag) != 0) {
    if (bytes.size() < at + 2) {
      return {};
    }
    const uint32_t n_inst = LoadBe16(bytes.data() + at);
    if (n_inst == 0 || n_inst > n) {
      return {0, "index info: impossible number of versioned fields"};
    }
    const size_t length = MeasureVersions(bytes.subspan(at + 2), n_inst);
    return length == 0 ? IndexInfoSize{} : IndexInfoSize{at + 2 + length, kNoProblem};
  }
  return bytes.size() < at ? IndexInfoSize{} : IndexInfoSize{at, kNoProblem};
}

Problem IndexInfo::Parse(ByteView bytes) {
  REDOUBT_CHECK(bytes.size() >= 2);
  const uint8_t flags = bytes[1];
  compact_ = (flags & kCompactFlag) != 0;
  versioned_ = (flags & kVersionedFlag) != 0;
  instant_ = (flags & kInstantFlag) != 0;
  field_count_ = compact_ || versioned_ ? LoadBe16(bytes.data() + 2) : 0;
  logical_.assign(field_count_, IndexField{});
  size_t at = 4;
  instant_fields_ = 0;
  unique_count_ = field_count_;
  if (compact_) {
    if (instant_) {
      instant_fields_ = LoadBe16(bytes.data() + at);
      at += 2;
      if (instant_fields_ > field_count_) {
        return "index info: more fields before the first instant column than in the index";
      }
    }
    unique_count_ = LoadBe16(bytes.data() + at);
    at += 2;
    for (IndexField& field : logical_) {
      field = DecodeLength(LoadBe16(bytes.data() + at));
      at += 2;
    }
  }
  if (versioned_) {
    REDOUBT_RETURN_IF_PROBLEM(ParseVersions(bytes.subspan(at + 2)));
  }
  Derive();
  return kNoProblem;
}

Problem IndexInfo::ParseVersions(ByteView entries) {
  to_physical_.assign(field_count_, kNoPosition);
  physical_.assign(field_count_, IndexField{});
  std::vector<bool> taken(field_count_, false);
  size_t at = 0;
  while (at < entries.size()) {
    const uint32_t logical = LoadBe16(entries.data() + at);
    const uint16_t word = LoadBe16(entries.data() + at + 2);
    const uint16_t position = word & kPositionMask;
    at += 4;
    if (logical >= field_count_ || position >= field_count_ || taken[position] ||
        to_physical_[logical] != kNoPosition) {
      return "index info: versioned field out of range or named twice";
    }
    IndexField& field = logical_[logical];
    field.added = (word & kAddedBit) != 0;
    field.dropped = (word & kDroppedBit) != 0;
    field.version_added = field.added ? entries[at++] : uint8_t{0};
    field.version_dropped = field.dropped ? entries[at++] : uint8_t{0};
    to_physical_[logical] = position;
    taken[position] = true;
  }
  // Fields that are not listed follow in logical order; each live added one before them moved
  // everything behind it up by one logical position.
  int32_t shift = 0;
  for (uint32_t i = 0; i < field_count_; ++i) {
    if (to_physical_[i] == kNoPosition) {
      const int32_t start = static_cast<int32_t>(i) + shift;
      auto p = static_cast<uint32_t>(std::max(start, 0));
      while (p < field_count_ && taken[p]) {
        ++p;
      }
      if (start < 0 || p >= field_count_) {
        return "index info: no physical position left for a field";
      }
      to_physical_[i] = static_cast<uint16_t>(p);
      taken[p] = true;
    } else if (logical_[i].added && !logical_[i].dropped) {
      --shift;
    }
  }
  for (uint32_t i = 0; i < field_count_; ++i) {
    physical_[to_physical_[i]] = logical_[i];
  }
  return kNoProblem;
}

void IndexInfo::Derive() {
  const bool plain_redundant = !compact_ && !versioned_;
  clustered_ = !plain_redundant && (unique_count_ != field_count_ || versioned_ || instant_);
  node_fields_ = clustered_ ? unique_count_ : field_count_;
  nullable_count_ = 0;
  plain_fixed_bytes_ = 0;
  plain_others_.clear();
  for (const IndexField& field : logical_) {
    nullable_count_ += field.nullable ? 1 : 0;
    if (field.fixed_length != 0 && !field.nullable) {
      plain_fixed_bytes_ += field.fixed_length;
    } else {
      plain_others_.push_back(field);
    }
  }
  if (versioned_) {
    nullable_by_version_.fill(-1);
  }
}

uint32_t IndexInfo::NullableInVersion(uint8_t row_version) const {
  if (!versioned_) {
    return nullable_count_;
  }
  int16_t& count = nullable_by_version_[row_version];
  if (count < 0) {
    count = static_cast<int16_t>(
        std::count_if(logical_.begin(), logical_.end(), [row_version](const IndexField& field) {
          return field.nullable && field.PresentIn(row_version);
        }));
  }
  return static_cast<uint32_t>(count);
}

uint32_t IndexInfo::NullableInFirst(uint32_t fields) const {
  uint32_t count = 0;
  for (uint32_t i = 0; i < std::min(fields, field_count_); ++i) {
    const IndexField& field = physical(i);
    count += field.nullable && !field.added ? 1 : 0;
  }
  return count;
}

uint32_t IndexInfo::NodeNullableCount() const {
  if (instant_) {
    return NullableInFirst(instant_fields_);
  }
  return versioned_ ? NullableInVersion(0) : nullable_count_;
}

const IndexInfo* IndexInfoCache::Get(ByteView* body, Problem* problem) {
  const IndexInfoSize size = MeasureIndexInfo(*body);
  *problem = size.length == 0 && size.problem == kNoProblem ? "index info is cut" : size.problem;
  if (*problem != kNoProblem) {
    return nullptr;
  }
  const ByteView bytes = body->first(size.length);
  *body = body->subspan(size.length);
  // The end of an index info differs most between indexes; any spread will do.
  uint64_t tail = bytes.size();
  for (size_t i = bytes.size() < 16 ? 0 : bytes.size() - 16; i < bytes.size(); ++i) {
    tail = tail * 31 + bytes[i];
  }
  Entry& entry = entries_[(tail * 0x9E3779B97F4A7C15ULL) >> 58];
  static_assert(kEntries == size_t{1} << (64 - 58));
  if (std::equal(bytes.begin(), bytes.end(), entry.bytes.begin(), entry.bytes.end())) {
    return &entry.info;
  }
  entry.bytes.clear();  // stays empty if the parse fails
  *problem = entry.info.Parse(bytes);
  if (*problem != kNoProblem) {
    return nullptr;
  }
  entry.bytes.assign(bytes.begin(), bytes.end());
  return &entry.info;
}

}  // namespace redoubt::innodb
