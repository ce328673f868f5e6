// SPDX-License-Identifier: MIT
#include "pageserver/page/delta_batch.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "pageserver/page/delta_codec.h"
#include "pageserver/storage/keys.h"

namespace redoubt {

void DeltaBatch::Merge(std::unique_ptr<const RedoPiece> piece) {
  REDOUBT_CHECK(piece->range.start == range_.end);
  range_.end = piece->range.end;
  payload_bytes_ += piece->payload_bytes;
  for (const PageRun& run : piece->runs) {
    const auto node = static_cast<uint32_t>(nodes_.size());
    nodes_.push_back({&run, piece.get(), PageTable::kNone});
    uint32_t& page = table_.FindOrAdd(run.page);
    if (page == PageTable::kNone) {
      page = static_cast<uint32_t>(pages_.size());
      pages_.push_back({run.page, node, node});
    } else {
      Page& known = pages_[page];
      REDOUBT_CHECK(nodes_[known.last].run->last_end <= run.first_start);
      nodes_[known.last].next = node;
      known.last = node;
    }
  }
  pieces_.push_back(std::move(piece));
}

void DeltaBatch::Collect(PageId page, std::vector<MemoryRun>* runs) const {
  const uint32_t found = table_.Find(page);
  if (found == PageTable::kNone) {
    return;
  }
  for (uint32_t at = pages_[found].first; at != PageTable::kNone; at = nodes_[at].next) {
    const PageRun& run = *nodes_[at].run;
    runs->push_back({run.first_start, run.first_end, run.last_end, run.initializes,
                     nodes_[at].piece->value(run)});
  }
}

void DeltaBatch::CollectPages(SpaceId space, PageNo first, std::vector<PageNo>* pages) const {
  for (const Page& page : pages_) {
    if (page.id.space == space && page.id.page_no >= first) {
      pages->push_back(page.id.page_no);
    }
  }
}

std::vector<uint32_t> DeltaBatch::SortedPages() const {
  std::vector<uint32_t> sorted(pages_.size());
  for (uint32_t i = 0; i < sorted.size(); ++i) {
    sorted[i] = i;
  }
  std::sort(sorted.begin(), sorted.end(),
            [this](uint32_t a, uint32_t b) { return pages_[a].id < pages_[b].id; });
  return sorted;
}

// Runs follow each other; only the first entry's start is relative to something else now.
std::string DeltaBatch::Encode(const Page& page, bool* initializes) const {
  size_t bytes = 0;
  for (uint32_t at = page.first; at != PageTable::kNone; at = nodes_[at].next) {
    bytes += nodes_[at].run->bytes + kVarintBytesMax;
  }
  std::string value;
  value.reserve(bytes);
  Lsn previous = nodes_[page.first].run->first_start;
  for (uint32_t at = page.first; at != PageTable::kNone; at = nodes_[at].next) {
    const PageRun& run = *nodes_[at].run;
    const ByteView body = nodes_[at].piece->value(run);
    REDOUBT_CHECK(!body.empty());
    REDOUBT_CHECK(body[0] == 0);  // the first entry starts at the run's base
    uint8_t head[kVarintBytesMax];
    const uint8_t* const head_end = WriteVarint(head, run.first_start.value() - previous.value());
    value.append(reinterpret_cast<const char*>(head), static_cast<size_t>(head_end - head));
    value.append(AsText(body.subspan(1)));
    previous = run.last_start;
    *initializes |= run.initializes;
  }
  return value;
}

void DeltaBatch::PutDelta(VolumeId volume, const Page& page, std::string value,
                          KvBatch* out) const {
  out->Put(KvFamily::kDelta, DeltaKey(volume, page.id, nodes_[page.first].run->first_start),
           std::move(value));
}

}  // namespace redoubt
