/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0file.cc
 Tablespaces that leave and enter as files: FLUSH TABLES ... FOR EXPORT and IMPORT
 TABLESPACE.

 Export: stock code flushes the tablespace, and dropped pages count as written; then each
 page is put into the file. Import: stock code changes the file without redo while the
 tablespace is open as FIL_TYPE_IMPORT, in which all reads and writes are local; then
 the tablespace's creation and each page are logged. */

#include <string.h>
#include <algorithm>

#include "buf0buf.h"
#include "buf0flu.h"
#include "fil0fil.h"
#include "fsp0fsp.h"
#include "fsp0sysspace.h"
#include "log0chkp.h"
#include "log0ddl.h"
#include "mtr0log.h"
#include "mtr0mtr.h"
#include "rdb0link.h"
#include "rdb0ps.h"
#include "trx0trx.h"
#include "ut0new.h"

namespace rdb {

bool is_local(const buf_page_t *bpage) {
  return bpage->get_space()->purpose == FIL_TYPE_IMPORT;
}

static bool is_zero(const byte *page, ulint size) {
  return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static dberr_t write_page(const page_id_t &page_id, const page_size_t &page_size,
                          byte *copy) {
  mtr_t mtr;
  mtr.start();
  const buf_block_t *block =
      buf_page_get_gen(page_id, page_size, RW_S_LATCH, nullptr,
                       Page_fetch::POSSIBLY_FREED, UT_LOCATION_HERE, &mtr);
  memcpy(copy, buf_block_get_frame(block), page_size.logical());
  const lsn_t lsn = std::max<lsn_t>(block->page.get_newest_lsn(),
                                    mach_read_from_8(copy + FIL_PAGE_LSN));
  mtr.commit();
  if (is_zero(copy, page_size.logical())) {
    return DB_SUCCESS;
  }
  buf_flush_init_for_writing(nullptr, copy, nullptr, lsn,
                             fsp_is_checksum_disabled(page_id.space()), true);
  return fil_io(IORequest(IORequest::WRITE), true, page_id, page_size, 0,
                page_size.physical(), copy, nullptr);
}

dberr_t export_pages(space_id_t space, trx_t *trx) {
  bool found;
  const page_size_t page_size = fil_space_get_page_size(space, &found);
  if (!keeps_pages() || !found) {
    return DB_SUCCESS;
  }
  auto copy = static_cast<byte *>(
      ut::aligned_alloc(page_size.logical(), page_size.logical()));
  dberr_t err = DB_SUCCESS;
  const page_no_t size = fil_space_get_size(space);
  /* Page 0 is in the file. */
  for (page_no_t no = 1; no < size && err == DB_SUCCESS; ++no) {
    err = trx_is_interrupted(trx)
              ? DB_INTERRUPTED
              : write_page(page_id_t(space, no), page_size, copy);
  }
  ut::aligned_free(copy);
  fil_flush(space);
  return err;
}

/** Page servers learn that there is a tablespace, and where. */
static void log_creation(const fil_space_t *space, mtr_t *mtr) {
  byte *log_ptr = nullptr;
  const char *path = space->files.front().name;
  const ulint len = strlen(path) + 1;
  if (!mlog_open(mtr, 11 + 4 + 2, log_ptr)) {
    return;
  }
  log_ptr = mlog_write_initial_log_record_low(MLOG_FILE_CREATE, space->id, 0,
                                              log_ptr, mtr);
  mach_write_to_4(log_ptr, space->flags);
  mach_write_to_2(log_ptr + 4, len);
  mlog_close(mtr, log_ptr + 6);
  mlog_catenate_string(mtr, reinterpret_cast<const byte *>(path), len);
}

void log_created(space_id_t space_id) {
  if (!streams_redo()) {
    return;
  }
  fil_space_t *space = fil_space_acquire(space_id);
  mtr_t mtr;
  mtr.start();
  log_creation(space, &mtr);
  mtr.commit();
  fil_space_release(space);
}

void open_dropped(space_id_t space_id) {
  if (streams_redo() && Log_DDL::is_in_recovery()) {
    /* There may be no such file any more. */
    (void)!fil_tablespace_open_for_recovery(space_id);
  }
}

void log_imported(space_id_t space_id) {
  if (!streams_redo()) {
    return;
  }
  fil_space_t *space = fil_space_acquire(space_id);
  const page_size_t page_size(space->flags);
  mtr_t mtr;
  mtr.start();
  log_creation(space, &mtr);
  mtr.commit();
  for (page_no_t no = 0; no < space->size; ++no) {
    log_free_check();
    mtr.start();
    buf_block_t *block = buf_page_get_gen(
        page_id_t(space_id, no), page_size, RW_X_LATCH, nullptr,
        Page_fetch::POSSIBLY_FREED, UT_LOCATION_HERE, &mtr);
    byte *page = buf_block_get_frame(block);
    /* A free page may hold anything, also what it was in another tablespace. */
    if (!is_zero(page, page_size.logical()) &&
        mach_read_from_4(page + FIL_PAGE_OFFSET) == no &&
        mach_read_from_4(page + FIL_PAGE_SPACE_ID) == space_id) {
      log_image(page, &mtr);
    }
    if (no == 0) {
      /* The tablespace's size is looked for in this record. */
      byte *size = page + FSP_HEADER_OFFSET + FSP_SIZE;
      mlog_write_ulint(size, mach_read_from_4(size), MLOG_4BYTES, &mtr);
    }
    mtr.commit();
  }
  fil_space_release(space);
}

}  // namespace rdb
