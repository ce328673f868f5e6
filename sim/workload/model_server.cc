// SPDX-License-Identifier: MIT
#include "sim/workload/model_server.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/innodb/page_format.h"

namespace redoubt::sim {
namespace {

constexpr uint32_t kFirstSpace = 10;
constexpr uint64_t kPagesPerMtrMax = 4;

// SPACE_FLAGS of a DYNAMIC tablespace with this page size.
uint32_t FlagsFor(uint32_t page_size) {
  uint32_t shift = 0;
  while ((512U << shift) < page_size) {
    ++shift;
  }
  return 0x21U | (page_size == 16384 ? 0U : shift << 6);
}

}  // namespace

ModelServer::ModelServer(const ModelServerOptions& options, RandomRoot* random,
                         PageHistory* history)
    : FollowedServer(options.begin_lsn),
      options_(options),
      random_(random, "workload", 0),
      history_(history),
      catalogue_(SeededStream(random, "catalogue", 0)) {
  REDOUBT_CHECK(options.space_count > 0);
  REDOUBT_CHECK(options.pages_per_space > 1);
}

void ModelServer::Commit(std::vector<const ModelPage*> changed) {
  if (log_.empty()) {
    return;
  }
  const Lsn end = AddMtr(log_.Finish());
  AddFacts(log_.TakeFacts(end));
  std::sort(changed.begin(), changed.end(),
            [](const ModelPage* a, const ModelPage* b) { return a->id() < b->id(); });
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  for (const ModelPage* page : changed) {
    history_->Record(page->id(), end, page->bytes());
  }
}

void ModelServer::CreateSpace() {
  Space space;
  space.id = SpaceId(kFirstSpace + static_cast<uint32_t>(spaces_.size()));
  const uint32_t flags = FlagsFor(options_.page_size);
  log_.FileCreate(space.id, flags, "./sim/t" + std::to_string(space.id.value()) + ".ibd");
  Commit({});
  space.pages.reserve(options_.pages_per_space);
  space.pages.emplace_back(PageId{space.id, PageNo(0)}, options_.page_size);
  ModelPage& header = space.pages.back();
  header.Initialise(ModelPageKind::kRaw, &random_, &log_);
  header.WriteNumber(innodb::kPageTypeOffset, 2, innodb::kPageTypeFspHeader, &log_);
  header.WriteNumber(innodb::kFspSpaceIdOffset, 4, space.id.value(), &log_);
  header.WriteNumber(innodb::kFspSizeOffset, 4, 1, &log_);
  header.WriteNumber(innodb::kFspFlagsOffset, 4, flags, &log_);
  Commit({&header});
  spaces_.push_back(std::move(space));
}

void ModelServer::AllocatePage(Space* space) {
  constexpr ModelPageKind kKinds[] = {ModelPageKind::kRaw, ModelPageKind::kIndex,
                                      ModelPageKind::kIndex, ModelPageKind::kUndo};
  const auto page_no = static_cast<uint32_t>(space->pages.size());
  REDOUBT_CHECK(page_no < options_.pages_per_space);
  space->pages.emplace_back(PageId{space->id, PageNo(page_no)}, options_.page_size);
  ModelPage& header = space->pages.front();
  ModelPage& page = space->pages.back();
  header.WriteNumber(innodb::kFspSizeOffset, 4, page_no + 1, &log_);
  page.Initialise(kKinds[random_.Below(4)], &random_, &log_);
  Commit({&header, &page});
}

void ModelServer::CreateTable(CatalogueTable* table) {
  const uint32_t flags = FlagsFor(options_.page_size);
  log_.FileCreate(table->space, flags, table->path);
  Commit({});
  std::vector<ModelPage>& pages = table_pages_[table->space];
  pages.clear();
  pages.reserve(CatalogueLoad::kPagesMax);
  for (uint32_t page_no = 0; page_no < table->page_count; ++page_no) {
    pages.emplace_back(PageId{table->space, PageNo(page_no)}, options_.page_size);
    pages.back().Initialise(ModelPageKind::kRaw, catalogue_.random(), &log_);
  }
  ModelPage& header = pages.front();
  header.WriteNumber(innodb::kPageTypeOffset, 2, innodb::kPageTypeFspHeader, &log_);
  header.WriteNumber(innodb::kFspSpaceIdOffset, 4, table->space.value(), &log_);
  header.WriteNumber(innodb::kFspSizeOffset, 4, table->page_count, &log_);
  header.WriteNumber(innodb::kFspFlagsOffset, 4, flags, &log_);
  std::vector<const ModelPage*> changed;
  for (const ModelPage& page : pages) {
    changed.push_back(&page);
    dropped_pages_.erase(page.id());
  }
  Commit(std::move(changed));
}

// Pages that are added stay as they are in the file, zeroes, until they are used.
void ModelServer::ChangeTable(CatalogueTable* table) {
  std::vector<ModelPage>& pages = table_pages_.at(table->space);
  if (catalogue_.random()->Below(3) == 0) {
    ModelPage& page = pages.back();
    page.Change(catalogue_.random(), &log_);
    Commit({&page});
  } else if (pages.size() < table->page_count) {
    pages.emplace_back(PageId{table->space, PageNo(static_cast<uint32_t>(pages.size()))},
                       options_.page_size);
    pages.back().Initialise(ModelPageKind::kRaw, catalogue_.random(), &log_);
    Commit({&pages.back()});
  }
}

void ModelServer::ChangeCatalogue() {
  const CatalogueLoad::Change change = catalogue_.Draw();
  CatalogueTable* const table = change.table;
  switch (change.kind) {
    case CatalogueLoad::Kind::kCounter:
      log_.TableCounter(change.table_id, change.version, change.value);
      break;
    case CatalogueLoad::Kind::kCorruptedIndex:
      log_.CorruptedIndex(change.table_id, change.version, SpaceId(kFirstSpace), change.value);
      break;
    case CatalogueLoad::Kind::kCreate:
      CreateTable(table);
      break;
    case CatalogueLoad::Kind::kUse:
      ChangeTable(table);
      break;
    case CatalogueLoad::Kind::kExtend: {
      log_.FileExtend(table->space, table->page_count - change.added, change.added,
                      options_.page_size);
      Commit({});
      ModelPage& header = table_pages_.at(table->space).front();
      header.WriteNumber(innodb::kFspSizeOffset, 4, table->page_count, &log_);
      Commit({&header});
      break;
    }
    case CatalogueLoad::Kind::kRename:
      log_.FileRename(table->space, change.old_path, table->path);
      break;
    case CatalogueLoad::Kind::kDrop:
      log_.FileDelete(change.dropped, change.old_path);
      Commit({});
      history_->DropSpace(change.dropped, end_lsn());
      for (const ModelPage& page : table_pages_.at(change.dropped)) {
        dropped_pages_.insert(page.id());
      }
      table_pages_.erase(change.dropped);
      break;
  }
  Commit({});
}

void ModelServer::RunMtr() {
  if (options_.catalogue_every > 0 && catalogue_.random()->Below(options_.catalogue_every) == 0) {
    return ChangeCatalogue();
  }
  if (spaces_.empty() || (spaces_.size() < options_.space_count && random_.Below(40) == 0)) {
    return CreateSpace();
  }
  Space& space = spaces_[random_.Below(spaces_.size())];
  const bool may_grow = space.pages.size() < options_.pages_per_space;
  if (space.pages.size() < 2 || (may_grow && random_.Below(20) == 0)) {
    return AllocatePage(&space);
  }
  std::vector<const ModelPage*> changed;
  const uint64_t count = random_.Between(1, kPagesPerMtrMax);
  for (uint64_t i = 0; i < count; ++i) {
    // Page 0 holds what spaces are known by: only allocation changes it.
    ModelPage& page = space.pages[random_.Between(1, space.pages.size() - 1)];
    if (random_.Below(200) == 0) {
      page.Initialise(page.kind(), &random_, &log_);
    } else {
      const uint64_t changes = random_.Between(1, 3);
      for (uint64_t k = 0; k < changes; ++k) {
        page.Change(&random_, &log_);
      }
    }
    changed.push_back(&page);
  }
  Commit(std::move(changed));
}

void ModelServer::Produce(size_t bytes) {
  const size_t target = payload_bytes() + bytes;
  while (payload_bytes() < target) {
    RunMtr();
  }
}

std::vector<PageId> ModelServer::KnownPages() const {
  std::vector<PageId> pages;
  for (const Space& space : spaces_) {
    for (const ModelPage& page : space.pages) {
      pages.push_back(page.id());
    }
  }
  for (const auto& [space, its_pages] : table_pages_) {
    for (const ModelPage& page : its_pages) {
      pages.push_back(page.id());
    }
  }
  pages.insert(pages.end(), dropped_pages_.begin(), dropped_pages_.end());
  return pages;
}

}  // namespace redoubt::sim
