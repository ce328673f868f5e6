// SPDX-License-Identifier: MIT
#include "tests/tools/page_store.h"

#include <algorithm>

namespace redoubt::tools {

using namespace innodb;  // NOLINT: a tool about nothing else

namespace {

bool IsTablespaceFile(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  return extension == ".ibd" || extension == ".ibu" || name.starts_with("undo_") ||
         name.starts_with("ibdata");
}

std::string WhyUnsupported(SpaceFlags flags, uint32_t page_size) {
  if (flags.zip_page_size() != 0) {
    return "ROW_FORMAT=COMPRESSED";
  }
  if (flags.encrypted()) {
    return "encrypted";
  }
  return flags.page_size() != page_size ? "page size differs from the server's" : "";
}

}  // namespace

Result<PageStore> PageStore::Open(const std::filesystem::path& data_dir) {
  PageStore store;
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           data_dir, std::filesystem::directory_options::follow_directory_symlink, error)) {
    if (entry.is_regular_file() && IsTablespaceFile(entry.path()) &&
        entry.path().parent_path().filename() != "#innodb_temp") {
      paths.push_back(entry.path());
    }
  }
  // ibdata1 before ibdata2; the system tablespace first, since it says the page size.
  std::sort(paths.begin(), paths.end());
  std::stable_partition(paths.begin(), paths.end(), [](const std::filesystem::path& path) {
    return path.filename().string().starts_with("ibdata");
  });
  for (const auto& path : paths) {
    REDOUBT_RETURN_IF_ERROR(
        store.AddFile(path, std::filesystem::relative(path, data_dir).string()));
  }
  if (store.page_size_ == 0) {
    return NotFound("no ibdata file in " + data_dir.string());
  }
  return store;
}

PageStore PageStore::EmptyCopy() const {
  PageStore copy;
  copy.page_size_ = page_size_;
  copy.arena_ = std::make_unique<PageArena>(page_size_);
  for (const auto& [id, space] : spaces_) {
    Space& empty = copy.Create(id, space.name, space.flags);
    empty.pages.assign(space.pages.size(), StoredPage{nullptr, Lsn(0), true});
  }
  return copy;
}

Status PageStore::AddFile(const std::filesystem::path& path, std::string name) {
  REDOUBT_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  if (file.size() < kMinPageBytes) {
    return Status::Ok();  // created, nothing in it yet
  }
  Bytes head(kMinPageBytes);
  file.Read(0, head);
  const bool system = path.filename().string().starts_with("ibdata");
  const FspHeader header = DecodeFspHeader(head);
  if (system && page_size_ == 0) {
    page_size_ = header.flags.page_size();
    if (page_size_ == 0) {
      return Corruption(path.string() + ": page 0 does not say the page size");
    }
    arena_ = std::make_unique<PageArena>(page_size_);
  }
  const SpaceId id = system ? kSystemSpace : header.space;
  if (!system && IsZero(head)) {
    return Status::Ok();  // page 0 was never flushed: redo will build the space
  }
  Space& space = spaces_[id];
  if (!space.name.empty() && !system) {
    return Corruption(path.string() + ": space id " + std::to_string(id.value()) + " belongs to " +
                      space.name + " too");
  }
  if (space.name.empty()) {
    space.id = id;
    space.name = std::move(name);
    space.flags = header.flags;
    space.unsupported = WhyUnsupported(header.flags, page_size_);
  }
  const size_t first = space.pages.size();
  space.pages.resize(first + file.size() / page_size_);
  space.files.emplace_back(first, std::move(file));
  return Status::Ok();
}

Space* PageStore::Find(SpaceId id) {
  const auto it = spaces_.find(id);
  return it == spaces_.end() ? nullptr : &it->second;
}

Space& PageStore::Create(SpaceId id, std::string name, SpaceFlags flags) {
  Space& space = spaces_[id];
  space = Space{};
  space.id = id;
  space.name = std::move(name);
  space.flags = flags;
  space.unsupported = WhyUnsupported(flags, page_size_);
  return space;
}

void PageStore::Delete(Space* space) {
  for (const StoredPage& page : space->pages) {
    if (page.data != nullptr) {
      arena_->Free(page.data);
    }
  }
  space->pages.clear();
  space->files.clear();
  space->deleted = true;
}

bool PageStore::ReadFile(const Space& space, PageNo page_no, MutableByteView out) const {
  for (auto it = space.files.rbegin(); it != space.files.rend(); ++it) {
    if (it->first <= page_no.value()) {
      it->second.Read((page_no.value() - it->first) * uint64_t{page_size_}, out);
      return true;
    }
  }
  return false;
}

StoredPage& PageStore::Writable(Space* space, PageNo page_no) {
  if (page_no.value() >= space->pages.size()) {
    space->pages.resize(page_no.value() + size_t{1});
  }
  StoredPage& page = space->pages[page_no.value()];
  if (page.data == nullptr) {
    page.data = arena_->Allocate();
    ReadFile(*space, page_no, {page.data, page_size_});
  }
  return page;
}

ByteView PageStore::Read(const Space& space, PageNo page_no, Bytes* buffer) const {
  if (page_no.value() < space.pages.size() && space.pages[page_no.value()].data != nullptr) {
    return {space.pages[page_no.value()].data, page_size_};
  }
  buffer->assign(page_size_, 0);
  ReadFile(space, page_no, *buffer);
  return *buffer;
}

}  // namespace redoubt::tools
