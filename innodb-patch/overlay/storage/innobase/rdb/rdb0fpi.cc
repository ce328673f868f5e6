/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0fpi.cc
 Page images in the redo log, of pages that are built without redo.

 A sorted index build fills its pages, and those of their LOBs, in mini-transactions
 without redo that carry a flush observer. When such a mini-transaction commits, each
 page that it has latched is logged as it is then: MLOG_INIT_FILE_PAGE2, which makes a
 page of zeroes with its number and tablespace, and MLOG_WRITE_STRING for what is not
 zero. Recovery and page servers apply both as they always did. The page is still
 latched, so that its images and the changes logged later are in order. */

#include <string.h>
#include <algorithm>
#include <vector>

#include "buf0buf.h"
#include "fsp0fsp.h"
#include "mtr0log.h"
#include "mtr0mtr.h"
#include "rdb0link.h"
#include "rdb0ps.h"

namespace rdb {

/** So many zero bytes in a row are left out: more than a record's head takes. */
static constexpr ulint GAP = 32;

/** The pages that a mini-transaction may have changed, each once. */
class Latched_pages {
 public:
  bool operator()(const mtr_buf_t::block_t *part) {
    auto slot = reinterpret_cast<const mtr_memo_slot_t *>(part->begin());
    const auto end = reinterpret_cast<const mtr_memo_slot_t *>(part->end());
    for (; slot != end; ++slot) {
      if (slot->object != nullptr && (slot->type == MTR_MEMO_PAGE_X_FIX ||
                                      slot->type == MTR_MEMO_PAGE_SX_FIX)) {
        add(static_cast<buf_block_t *>(slot->object));
      }
    }
    return true;
  }

  std::vector<buf_block_t *> m_blocks;

 private:
  void add(buf_block_t *block) {
    /* A compressed page is not told by its frame; its tablespace is not followed by
    page servers, and keeps_pages() has none. */
    if (block->page.zip.data == nullptr &&
        !fsp_is_system_temporary(block->page.id.space()) &&
        std::find(m_blocks.begin(), m_blocks.end(), block) == m_blocks.end()) {
      m_blocks.push_back(block);
    }
  }
};

static Latched_pages pages_of(const mtr_buf_t &memo) {
  Latched_pages pages;
  memo.for_each_block(pages);
  return pages;
}

/** Logs [from, to) of a page, of which all is zero so far.
@return number of bytes logged */
static ulint log_bytes(byte *page, ulint from, ulint to, mtr_t *mtr) {
  ulint logged = 0;
  while (from < to) {
    if (page[from] == 0) {
      ++from;
      continue;
    }
    ulint end = from + 1;
    for (ulint at = end; at < to && at < end + GAP; ++at) {
      if (page[at] != 0) {
        end = at + 1;
      }
    }
    mlog_log_string(page + from, end - from, mtr);
    logged += end - from;
    from = end;
  }
  return logged;
}

bool wants_images(const mtr_buf_t &memo, const Flush_observer *observer) {
  return streams_redo() && observer != nullptr &&
         !pages_of(memo).m_blocks.empty();
}

void log_image(byte *page, mtr_t *mtr) {
  mlog_write_initial_log_record(page, MLOG_INIT_FILE_PAGE2, mtr);
  /* Checksums and LSNs are stamped by whoever writes the page. */
  counters.image_bytes +=
      log_bytes(page, FIL_PAGE_PREV, FIL_PAGE_LSN, mtr) +
      log_bytes(page, FIL_PAGE_TYPE, UNIV_PAGE_SIZE - FIL_PAGE_DATA_END, mtr);
  ++counters.images;
}

void log_images(const mtr_buf_t &memo, mtr_t *mtr) {
  for (buf_block_t *block : pages_of(memo).m_blocks) {
    byte *page = buf_block_get_frame(block);
    ut_a(mach_read_from_4(page + FIL_PAGE_OFFSET) == block->page.id.page_no());
    ut_a(mach_read_from_4(page + FIL_PAGE_SPACE_ID) == block->page.id.space());
    log_image(page, mtr);
  }
}

}  // namespace rdb
