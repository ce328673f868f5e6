// SPDX-License-Identifier: MIT
#include "sim/workload/mini_transaction.h"

#include "common/base/check.h"

namespace redoubt::sim {

MiniTransaction::~MiniTransaction() {
  for (const PageId page : pinned_) {
    --pool_->Find(page)->pin_count;
  }
}

void MiniTransaction::Pin(PageId page, BufferPool::Frame* frame) {
  if (pinned_.insert(page).second) {
    ++frame->pin_count;
  }
}

const ModelPage* MiniTransaction::Read(PageId page) {
  BufferPool::Frame* frame = pool_->Find(page);
  if (frame == nullptr) {
    missing_ = page;
    return nullptr;
  }
  Pin(page, frame);
  return &frame->page;
}

ModelPage* MiniTransaction::Change(PageId page) {
  REDOUBT_CHECK(!missing_.has_value());
  REDOUBT_CHECK(pinned_.contains(page));
  changed_.insert(page);
  return &pool_->Find(page)->page;
}

ModelPage* MiniTransaction::Make(PageId page) {
  REDOUBT_CHECK(!missing_.has_value());
  BufferPool::Frame* frame = pool_->Find(page);
  if (frame == nullptr) {
    frame = pool_->AddNew(page);
  }
  Pin(page, frame);
  changed_.insert(page);
  return &frame->page;
}

void MiniTransaction::Restart() {
  REDOUBT_CHECK(!changed());
  REDOUBT_CHECK(changed_.empty());
  missing_.reset();
}

}  // namespace redoubt::sim
