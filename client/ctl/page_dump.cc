// SPDX-License-Identifier: MIT
#include "client/ctl/page_dump.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "common/innodb/page_format.h"

namespace redoubt::ctl {
namespace {

constexpr size_t kDumpWidth = 16;
// The fields of an index page's header that follow the FIL header.
constexpr size_t kDirSlotsOffset = 38;
constexpr size_t kHeapTopOffset = 40;
constexpr size_t kHeapCountOffset = 42;
constexpr size_t kFreeListOffset = 44;
constexpr size_t kGarbageOffset = 46;
constexpr size_t kRecordCountOffset = 54;
constexpr size_t kMaxTrxIdOffset = 56;
constexpr size_t kLevelOffset = 64;
constexpr size_t kIndexIdOffset = 66;
constexpr uint16_t kCompactFlag = 0x8000;

void Line(std::string* out, std::string_view name, const std::string& value) {
  out->append(name);
  out->append(name.size() < 16 ? 16 - name.size() : 1, ' ');
  out->append(value);
  out->push_back('\n');
}

std::string Hex32(uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%08x", value);
  return text.data();
}

std::string PageLink(uint32_t page_no) {
  return page_no == innodb::kNoPage ? "none" : std::to_string(page_no);
}

void DescribeIndex(ByteView page, std::string* out) {
  const uint8_t* p = page.data();
  const uint16_t heap = LoadBe16(p + kHeapCountOffset);
  Line(out, "index id", std::to_string(LoadBe64(p + kIndexIdOffset)));
  Line(out, "level", std::to_string(LoadBe16(p + kLevelOffset)));
  Line(out, "records", std::to_string(LoadBe16(p + kRecordCountOffset)));
  Line(out, "row format", (heap & kCompactFlag) != 0 ? "compact family" : "redundant");
  Line(out, "heap",
       std::to_string(heap & ~kCompactFlag) + " records, top " +
           std::to_string(LoadBe16(p + kHeapTopOffset)) + ", free list " +
           std::to_string(LoadBe16(p + kFreeListOffset)) + ", garbage " +
           std::to_string(LoadBe16(p + kGarbageOffset)) + " bytes");
  Line(out, "directory", std::to_string(LoadBe16(p + kDirSlotsOffset)) + " slots");
  Line(out, "max trx id", std::to_string(LoadBe64(p + kMaxTrxIdOffset)));
}

void DescribeSpaceHeader(ByteView page, std::string* out) {
  const innodb::FspHeader fsp = innodb::DecodeFspHeader(page);
  Line(out, "space size", std::to_string(fsp.size_pages) + " pages");
  Line(out, "free limit", std::to_string(fsp.free_limit));
  Line(out, "space flags",
       Hex32(fsp.flags.raw) + (fsp.flags.encrypted() ? " encrypted" : "") +
           (fsp.flags.zip_page_size() != 0 ? " compressed" : ""));
}

}  // namespace

std::string HexDump(ByteView bytes) {
  std::string out;
  std::string_view previous;
  bool folded = false;
  for (size_t at = 0; at < bytes.size(); at += kDumpWidth) {
    const ByteView row = bytes.subspan(at, std::min(kDumpWidth, bytes.size() - at));
    if (row.size() == kDumpWidth && AsText(row) == previous && at + kDumpWidth < bytes.size()) {
      out += folded ? "" : "*\n";
      folded = true;
      continue;
    }
    folded = false;
    previous = AsText(row);
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%06zx ", at);
    out += text.data();
    for (size_t i = 0; i < kDumpWidth; ++i) {
      std::snprintf(text.data(), text.size(), i < row.size() ? " %02x" : "   ",
                    i < row.size() ? row[i] : 0U);
      out += i == kDumpWidth / 2 ? " " : "";
      out += text.data();
    }
    out += "  |";
    for (const uint8_t byte : row) {
      out += 0x20 <= byte && byte < 0x7F ? static_cast<char>(byte) : '.';
    }
    out += "|\n";
  }
  return out;
}

std::string DescribePage(ByteView page) {
  std::string out;
  if (innodb::IsZero(page)) {
    Line(&out, "page", "never written (all zero)");
    return out;
  }
  const uint8_t* p = page.data();
  const uint16_t type = innodb::PageTypeOf(page);
  Line(&out, "page", ToString(innodb::PageIdOf(page)));
  Line(&out, "type", innodb::PageTypeName(type) + " (" + std::to_string(type) + ")");
  Line(&out, "page lsn", std::to_string(innodb::PageLsnOf(page).value()));
  Line(&out, "checksum",
       Hex32(LoadBe32(p)) + " " + std::string(innodb::PageStateName(innodb::VerifyPage(page))));
  if (type != innodb::kPageTypeFspHeader) {
    Line(&out, "previous", PageLink(LoadBe32(p + innodb::kPagePrevOffset)));
    Line(&out, "next", PageLink(LoadBe32(p + innodb::kPageNextOffset)));
  } else {
    DescribeSpaceHeader(page, &out);
  }
  if (type == innodb::kPageTypeIndex || type == innodb::kPageTypeRtree ||
      type == innodb::kPageTypeSdi) {
    DescribeIndex(page, &out);
  }
  return out;
}

}  // namespace redoubt::ctl
