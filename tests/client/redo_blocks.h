// SPDX-License-Identifier: MIT
//
// A made-up server's redo in plain C, for the tests of the C ABI: records, and the log blocks
// around them. Written without any code of the library, so that the library cannot agree with
// itself.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { BLOCK_BYTES = 512, BLOCK_HEADER = 12, BLOCK_PAYLOAD = 496 };

/* Appends one mtr to `out` and returns its length: formats the page, or writes 8 bytes at offset
 * 100. */
size_t mtr_init_page(uint8_t* out, uint32_t space, uint32_t page_no);
size_t mtr_write(uint8_t* out, uint32_t space, uint32_t page_no, uint64_t value);
/* MLOG_TABLE_DYNAMIC_META of one table: its AUTO_INCREMENT counter. Numbers below 2^28. */
size_t mtr_auto_increment(uint8_t* out, uint32_t table_id, uint32_t version, uint32_t counter);

/* Positions: payload bytes of the stream <-> LSN (a data LSN). */
uint64_t lsn_to_sn(uint64_t lsn);
uint64_t sn_to_lsn(uint64_t sn);

/* The block that starts at `block_lsn` with `used` bytes of `payload`; `first_group`: offset of the
 * first mtr that begins in it, 0 for none. `block`: BLOCK_BYTES. */
void make_block(uint8_t* block, uint64_t block_lsn, const uint8_t* payload, size_t used,
                unsigned first_group);

/* LSN and checksums of a page, as in a tablespace file. */
void stamp_page(uint8_t* page, size_t size, uint64_t lsn);

uint64_t load_be64(const uint8_t* from);
