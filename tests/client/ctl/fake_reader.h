// SPDX-License-Identifier: MIT
//
// A volume in memory, for the tests of restore and compare, and a world with a temporary directory.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "client/ctl/volume_reader.h"
#include "common/innodb/page_format.h"
#include "common/runtime/asio/asio_world.h"

namespace redoubt::ctl {

inline constexpr uint32_t kTestPageBytes = 4096;
inline constexpr Lsn kTestLsn{100000};
// The first extent descriptor on page 0: state at 20, then two bits a page, the lower one says
// free.
inline constexpr size_t kXdesOffset = 150;
inline void MarkFree(Bytes* page0, uint32_t page_no) {
  (*page0)[kXdesOffset + 24 + page_no * 2 / 8] |= static_cast<uint8_t>(1U << (page_no * 2 % 8));
  innodb::StampPage(*page0, innodb::PageLsnOf(*page0));
}

// A stamped page of the given type whose body begins with `fill`.
inline Bytes MakePage(SpaceId space, PageNo page_no, uint16_t type, uint8_t fill, Lsn lsn) {
  Bytes page(kTestPageBytes);
  StoreBe32(page.data() + innodb::kPageNoOffset, page_no.value());
  StoreBe32(page.data() + innodb::kPageSpaceIdOffset, space.value());
  StoreBe16(page.data() + innodb::kPageTypeOffset, type);
  for (size_t i = 200; i < 300; ++i) {
    page[i] = fill;
  }
  innodb::StampPage(page, lsn);
  return page;
}

class FakeReader final : public VolumeReader {
 public:
  struct Page {
    Status status;
    Bytes image;
  };

  void AddSpace(SpaceId space, std::string path, uint32_t page_count) {
    spaces.push_back({space, std::move(path), page_count, 0, ""});
    Bytes header =
        MakePage(space, PageNo(0), innodb::kPageTypeFspHeader, 0, Lsn(kTestLsn.value() - 500));
    StoreBe32(header.data() + innodb::kFspSpaceIdOffset, space.value());
    StoreBe32(header.data() + innodb::kFspSizeOffset, page_count);
    StoreBe32(header.data() + innodb::kFspFreeLimitOffset, page_count);
    StoreBe32(header.data() + kXdesOffset + 20, 2);  // the first extent is in use, no page is free
    innodb::StampPage(header, Lsn(kTestLsn.value() - 500));
    pages[space.value()][0] = {Status::Ok(), header};
  }
  void AddPage(SpaceId space, uint32_t page_no, uint8_t fill) {
    pages[space.value()][page_no] = {
        Status::Ok(),
        MakePage(space, PageNo(page_no), innodb::kPageTypeUndo, fill, Lsn(kTestLsn.value() - 400))};
  }

  uint32_t page_size() const override { return kTestPageBytes; }
  Lsn read_lsn() const override { return kTestLsn; }
  Task<Result<std::vector<SpaceFile>>> Spaces() override { co_return spaces; }
  Task<Result<PageBatch>> Scan(SpaceId space, PageNo first, uint32_t pages_max) override {
    ++scan_count;
    if (!scan_failure.ok()) {
      co_return scan_failure;
    }
    PageBatch batch;
    const std::map<uint32_t, Page>& of_space = pages[space.value()];
    const uint32_t limit = std::min(pages_max, pages_per_scan_max);
    auto at = of_space.lower_bound(first.value());
    for (; at != of_space.end() && batch.pages.size() < limit; ++at) {
      batch.pages.push_back({PageNo(at->first), at->second.status, {}});
      batch.buffer.insert(batch.buffer.end(), at->second.image.begin(), at->second.image.end());
    }
    batch.done = at == of_space.end();
    batch.next_page_no = PageNo(batch.done ? 0 : at->first);
    size_t offset = 0;
    for (BatchPage& page : batch.pages) {
      if (page.status.ok()) {
        page.image = ByteView(batch.buffer).subspan(offset, kTestPageBytes);
        offset += kTestPageBytes;
      }
    }
    co_return batch;
  }
  Task<Result<std::vector<SideFileCopy>>> SideFiles() override { co_return side_files; }
  Task<Result<Bytes>> DynamicMeta() override { co_return dynamic_meta; }

  std::vector<SpaceFile> spaces;
  std::map<uint32_t, std::map<uint32_t, Page>> pages;
  std::vector<SideFileCopy> side_files;
  Bytes dynamic_meta;
  uint32_t pages_per_scan_max = 1000;
  Status scan_failure;
  uint64_t scan_count = 0;
};

class CtlTest : public ::testing::Test {
 protected:
  CtlTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "redoubt_ctl_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~CtlTest() override { std::filesystem::remove_all(directory_); }

  static Bytes ReadWhole(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static void WriteWhole(const std::filesystem::path& path, ByteView bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

  std::filesystem::path directory_;
  AsioWorld world_{AsioWorldOptions{.blocking_thread_count_max = 2, .handle_signals = false}};
};

}  // namespace redoubt::ctl
