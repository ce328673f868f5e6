// SPDX-License-Identifier: MIT
#include "tests/client/redo_blocks.h"

#include <string.h>

enum {
  RECORD_INIT_PAGE = 59,
  RECORD_8_BYTES = 8,
  RECORD_DYNAMIC_META = 62,
  AUTO_INCREMENT_KIND = 2,
  SINGLE_RECORD = 0x80
};

static void store_be16(uint8_t* out, unsigned value) {
  out[0] = (uint8_t)(value >> 8);
  out[1] = (uint8_t)value;
}
static void store_be32(uint8_t* out, uint32_t value) {
  store_be16(out, value >> 16);
  store_be16(out + 2, value & 0xFFFF);
}
uint64_t load_be64(const uint8_t* from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    value = value << 8 | from[i];
  }
  return value;
}

/* mach_write_compressed for values below 2^28. */
static size_t put_compressed(uint8_t* out, uint32_t value) {
  if (value < 0x80) {
    out[0] = (uint8_t)value;
    return 1;
  }
  if (value < 0x4000) {
    store_be16(out, value | 0x8000);
    return 2;
  }
  if (value < 0x200000) {
    out[0] = (uint8_t)(value >> 16 | 0xC0);
    store_be16(out + 1, value & 0xFFFF);
    return 3;
  }
  store_be32(out, value | 0xE0000000u);
  return 4;
}

static size_t put_head(uint8_t* out, unsigned type, uint32_t space, uint32_t page_no) {
  size_t at = 0;
  out[at++] = (uint8_t)(type | SINGLE_RECORD);
  at += put_compressed(out + at, space);
  at += put_compressed(out + at, page_no);
  return at;
}

size_t mtr_init_page(uint8_t* out, uint32_t space, uint32_t page_no) {
  return put_head(out, RECORD_INIT_PAGE, space, page_no);
}

size_t mtr_write(uint8_t* out, uint32_t space, uint32_t page_no, uint64_t value) {
  size_t at = put_head(out, RECORD_8_BYTES, space, page_no);
  store_be16(out + at, 100);
  at += 2;
  at += put_compressed(out + at, (uint32_t)(value >> 32));
  store_be32(out + at, (uint32_t)value);
  return at + 4;
}

size_t mtr_auto_increment(uint8_t* out, uint32_t table_id, uint32_t version, uint32_t counter) {
  size_t at = 0;
  out[at++] = (uint8_t)(RECORD_DYNAMIC_META | SINGLE_RECORD);
  at += put_compressed(out + at, table_id);
  at += put_compressed(out + at, version);
  out[at++] = AUTO_INCREMENT_KIND;
  return at + put_compressed(out + at, counter);
}

uint64_t lsn_to_sn(uint64_t lsn) {
  return lsn / BLOCK_BYTES * BLOCK_PAYLOAD + lsn % BLOCK_BYTES - BLOCK_HEADER;
}
uint64_t sn_to_lsn(uint64_t sn) {
  return sn / BLOCK_PAYLOAD * BLOCK_BYTES + sn % BLOCK_PAYLOAD + BLOCK_HEADER;
}

static uint32_t crc32c(const uint8_t* bytes, size_t size) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
  }
  return ~crc;
}

void make_block(uint8_t* block, uint64_t block_lsn, const uint8_t* payload, size_t used,
                unsigned first_group) {
  const uint64_t number = block_lsn / BLOCK_BYTES;
  memset(block, 0, BLOCK_BYTES);
  store_be32(block, (uint32_t)(1 + number % (1u << 30)));
  store_be16(block + 4, used == BLOCK_PAYLOAD ? BLOCK_BYTES : (unsigned)(BLOCK_HEADER + used));
  store_be16(block + 6, first_group);
  store_be32(block + 8, (uint32_t)(1 + number / (1u << 30)));
  memcpy(block + BLOCK_HEADER, payload, used);
  store_be32(block + BLOCK_BYTES - 4, crc32c(block, BLOCK_BYTES - 4));
}

void stamp_page(uint8_t* page, size_t size, uint64_t lsn) {
  uint8_t* trailer = page + size - 8;
  store_be32(page + 16, (uint32_t)(lsn >> 32));
  store_be32(page + 20, (uint32_t)lsn);
  store_be32(trailer + 4, (uint32_t)lsn);
  const uint32_t checksum = crc32c(page + 4, 22) ^ crc32c(page + 38, size - 8 - 38);
  store_be32(page, checksum);
  store_be32(trailer, checksum);
}
