// SPDX-License-Identifier: MIT
//
// Goal: the C ABI does what redoubt_client.h promises, for a program in plain C with many threads.
// Method: made-up redo against three real page servers that are log servers as well
// (redoubt_client_test.py starts them), and a fourth that only has pages and follows those: appended
// by many threads and read back by many, taken over by a second writer, and without a majority. Any
// check that fails ends the program with 1.
//
//   redoubt_client_test ADDRESS:PID ADDRESS:PID ADDRESS:PID PAGES_ADDRESS:PID
//                                           the second and third are killed on the way
//   redoubt_client_test --version
#include "client/redoubt_client.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/client/redo_blocks.h"

enum {
  SERVERS = 3,
  ALL_SERVERS = 4, /* with the one that only has pages */
  THREADS = 8,
  PAGES_PER_THREAD = 4,
  PAGES = THREADS * PAGES_PER_THREAD,
  WRITES = 120,
  PAGE_BYTES = 16384,
  SPACE = 5,
  SEEDED_SPACE = 6,
  TABLE = 1042,
  COUNTER = 4711,
  PATIENCE_MS = 30000,
  STREAM_BYTES = 1 << 20
};
static const uint64_t kStart = 8204;
static const char kVolume[] = "shop";

static redoubt_error error;

static void fail(int line, const char* what, const redoubt_error* why) {
  fprintf(stderr, "line %d: %s: %s (%s)\n", line, what, why->message, redoubt_code_name(why->code));
  exit(1);
}
#define CHECK(condition)                               \
  do {                                                 \
    if (!(condition)) {                                \
      fail(__LINE__, "CHECK(" #condition ")", &error); \
    }                                                  \
  } while (0)
/* The same with an error of this thread's own. */
#define CHECK_WITH(condition, its_error)                  \
  do {                                                    \
    if (!(condition)) {                                   \
      fail(__LINE__, "CHECK(" #condition ")", its_error); \
    }                                                     \
  } while (0)

/* ---- the made-up server: a log buffer, and whoever comes first writes what is in it */

struct server_log {
  pthread_mutex_t buffer_mutex;
  uint64_t start_sn;
  size_t size;
  uint8_t payload[STREAM_BYTES];
  uint16_t first_group[STREAM_BYTES / BLOCK_PAYLOAD + 2];
  pthread_mutex_t writer_mutex;
  uint64_t written_sn;
  redoubt_writer* writer;
};

static struct server_log* log_new(redoubt_writer* writer, uint64_t start_lsn) {
  struct server_log* log = calloc(1, sizeof *log);
  pthread_mutex_init(&log->buffer_mutex, NULL);
  pthread_mutex_init(&log->writer_mutex, NULL);
  log->start_sn = lsn_to_sn(start_lsn);
  log->written_sn = log->start_sn;
  log->writer = writer;
  /* The tests start where a block's payload does. */
  if (log->start_sn % BLOCK_PAYLOAD != 0) {
    abort();
  }
  return log;
}

/* The end LSN of the mtr. */
static uint64_t log_add(struct server_log* log, const uint8_t* mtr, size_t size) {
  pthread_mutex_lock(&log->buffer_mutex);
  const uint64_t sn = log->start_sn + log->size;
  uint16_t* group = &log->first_group[(sn - log->start_sn) / BLOCK_PAYLOAD];
  if (*group == 0) {
    *group = (uint16_t)(BLOCK_HEADER + sn % BLOCK_PAYLOAD);
  }
  if (log->size + size > STREAM_BYTES) {
    abort();
  }
  memcpy(log->payload + log->size, mtr, size);
  log->size += size;
  pthread_mutex_unlock(&log->buffer_mutex);
  return sn_to_lsn(sn + size);
}

/* Frames [written block, end) as InnoDB's log writer does; `blocks` is malloced. */
static size_t log_frame(struct server_log* log, uint64_t end_sn, uint8_t** blocks,
                        uint64_t* block_start) {
  const uint64_t first = log->written_sn / BLOCK_PAYLOAD;
  const uint64_t last = (end_sn - 1) / BLOCK_PAYLOAD;
  const uint64_t base = log->start_sn / BLOCK_PAYLOAD;
  *blocks = malloc((size_t)(last - first + 1) * BLOCK_BYTES);
  for (uint64_t number = first; number <= last; ++number) {
    const uint64_t begin = number * BLOCK_PAYLOAD;
    const uint64_t left = end_sn - begin;
    unsigned group = log->first_group[number - base];
    const size_t used = left < BLOCK_PAYLOAD ? (size_t)left : BLOCK_PAYLOAD;
    if (group >= BLOCK_HEADER + used) {
      group = 0; /* added after `end_sn` was taken */
    }
    make_block(*blocks + (number - first) * BLOCK_BYTES, number * BLOCK_BYTES,
               log->payload + (begin - log->start_sn), used, group);
  }
  *block_start = first * BLOCK_BYTES;
  return (size_t)(last - first + 1) * BLOCK_BYTES;
}

static int log_write(struct server_log* log, uint64_t up_to_lsn, uint32_t timeout_ms,
                     redoubt_error* its_error) {
  int code = REDOUBT_OK;
  pthread_mutex_lock(&log->writer_mutex);
  if (log->written_sn < lsn_to_sn(up_to_lsn)) {
    pthread_mutex_lock(&log->buffer_mutex);
    const uint64_t end_sn = log->start_sn + log->size;
    uint8_t* blocks;
    uint64_t block_start;
    const size_t size = log_frame(log, end_sn, &blocks, &block_start);
    pthread_mutex_unlock(&log->buffer_mutex);
    /* A server that filled its last block says so with the end of the block. */
    const uint64_t end =
        end_sn % BLOCK_PAYLOAD == 0 ? end_sn / BLOCK_PAYLOAD * BLOCK_BYTES : sn_to_lsn(end_sn);
    code = redoubt_writer_append_blocks(log->writer, block_start, blocks, size, end, timeout_ms,
                                        its_error);
    free(blocks);
    if (code == REDOUBT_OK) {
      log->written_sn = end_sn;
    }
  }
  pthread_mutex_unlock(&log->writer_mutex);
  return code;
}

static void log_free(struct server_log* log) {
  pthread_mutex_destroy(&log->buffer_mutex);
  pthread_mutex_destroy(&log->writer_mutex);
  free(log);
}

/* The end of a full block is told as the block's end or as where the next data byte goes. */
static uint64_t normal(uint64_t lsn) {
  return lsn % BLOCK_BYTES == 0 && lsn != 0 ? lsn + BLOCK_HEADER : lsn;
}

static void wait_for(redoubt_writer* writer, uint64_t end, redoubt_error* its_error) {
  uint64_t acknowledged = 0;
  while (normal(acknowledged) < end) {
    CHECK_WITH(redoubt_writer_wait(writer, acknowledged, PATIENCE_MS, &acknowledged, its_error) ==
                   REDOUBT_OK,
               its_error);
  }
}

/* ---- threads that write, wait for the quorum and read back */

static uint64_t final_values[PAGES];

struct worker {
  struct server_log* log;
  redoubt_reader* reader;
  uint32_t number;
  uint64_t end_lsn;
};

static void read_back(const struct worker* worker, uint32_t page_no, uint64_t lsn, uint64_t value) {
  redoubt_error its_error;
  uint8_t* buffer = malloc(PAGE_BYTES);
  redoubt_page_read read = {.space = SPACE, .page_no = page_no, .buffer = buffer};
  CHECK_WITH(
      redoubt_reader_read(worker->reader, &read, 1, lsn, 0, PATIENCE_MS, &its_error) == REDOUBT_OK,
      &its_error);
  CHECK_WITH(load_be64(buffer + 100) == value, &its_error);
  CHECK_WITH(read.page_lsn == lsn && read.read_lsn == lsn, &its_error);
  free(buffer);
}

static void* work(void* argument) {
  struct worker* worker = argument;
  redoubt_error its_error;
  for (uint32_t i = 0; i < WRITES; ++i) {
    const uint32_t page_no = worker->number * PAGES_PER_THREAD + i % PAGES_PER_THREAD;
    const uint64_t value = (uint64_t)worker->number << 32 | (i + 1);
    uint8_t mtr[64];
    if (i < PAGES_PER_THREAD) {
      log_add(worker->log, mtr, mtr_init_page(mtr, SPACE, page_no));
    }
    const uint64_t end = log_add(worker->log, mtr, mtr_write(mtr, SPACE, page_no, value));
    CHECK_WITH(log_write(worker->log, end, PATIENCE_MS, &its_error) == REDOUBT_OK, &its_error);
    wait_for(worker->log->writer, end, &its_error);
    final_values[page_no] = value;
    worker->end_lsn = end;
    if (i % 3 == 0) {
      read_back(worker, page_no, end, value);
    }
  }
  return NULL;
}

static uint64_t run_workers(struct server_log* log, redoubt_reader* reader) {
  pthread_t threads[THREADS];
  struct worker workers[THREADS];
  uint64_t end = 0;
  for (uint32_t i = 0; i < THREADS; ++i) {
    workers[i] = (struct worker){log, reader, i, 0};
    CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
  }
  for (uint32_t i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    end = workers[i].end_lsn > end ? workers[i].end_lsn : end;
  }
  return end;
}

/* ---- asynchronous reads */

enum { ASYNC_READS = 400, ASYNC_GROUP = 16, DRAINERS = 3 };

static void* drain(void* argument) {
  redoubt_reader* reader = argument;
  size_t total = 0;
  for (;;) {
    redoubt_page_read* done[7];
    size_t count;
    const int code = redoubt_reader_next(reader, done, 7, &count, PATIENCE_MS);
    if (code == REDOUBT_CANCELLED) {
      return (void*)total;
    }
    CHECK(code == REDOUBT_OK && count >= 1 && count <= 7);
    for (size_t i = 0; i < count; ++i) {
      CHECK(done[i]->code == REDOUBT_OK);
      CHECK(load_be64((uint8_t*)done[i]->buffer + 100) == final_values[done[i]->page_no]);
      CHECK(done[i]->tag == done[i]);
      done[i]->tag = NULL; /* a second completion would be seen */
    }
    total += count;
  }
}

static void check_async(redoubt_client* client, const redoubt_reader_options* options,
                        uint64_t lsn) {
  redoubt_reader* reader;
  CHECK(redoubt_reader_open(client, options, PATIENCE_MS, &reader, NULL, &error) == REDOUBT_OK);
  pthread_t drainers[DRAINERS];
  for (int i = 0; i < DRAINERS; ++i) {
    CHECK(pthread_create(&drainers[i], NULL, drain, reader) == 0);
  }
  redoubt_page_read* reads = calloc(ASYNC_READS, sizeof *reads);
  uint8_t* buffers = malloc((size_t)ASYNC_READS * PAGE_BYTES);
  for (uint32_t i = 0; i < ASYNC_READS; i += ASYNC_GROUP) {
    redoubt_page_read* group[ASYNC_GROUP];
    for (uint32_t j = 0; j < ASYNC_GROUP; ++j) {
      redoubt_page_read* read = group[j] = &reads[i + j];
      read->space = SPACE;
      read->page_no = (i + j) % PAGES;
      read->buffer = buffers + (size_t)(i + j) * PAGE_BYTES;
      read->tag = read;
    }
    CHECK(redoubt_reader_submit(reader, group, ASYNC_GROUP, lsn, 0, PATIENCE_MS, &error) ==
          REDOUBT_OK);
  }
  redoubt_reader_status status;
  do {
    usleep(1000);
    redoubt_reader_get_status(reader, &status);
  } while (status.reads_waiting > 0);
  CHECK(status.pages_read == ASYNC_READS && status.pages_failed == 0);
  CHECK(status.requests <= ASYNC_READS / ASYNC_GROUP + status.hedges_sent + status.failovers);
  redoubt_reader_stop(reader);
  size_t total = 0;
  for (int i = 0; i < DRAINERS; ++i) {
    void* count;
    pthread_join(drainers[i], &count);
    total += (size_t)count;
  }
  CHECK(total == ASYNC_READS);
  redoubt_page_read late = {.space = SPACE, .buffer = buffers};
  redoubt_page_read* late_group[1] = {&late};
  CHECK(redoubt_reader_submit(reader, late_group, 1, lsn, 0, PATIENCE_MS, &error) ==
        REDOUBT_CANCELLED);
  CHECK(redoubt_reader_read(reader, &late, 1, lsn, 0, PATIENCE_MS, &error) == REDOUBT_CANCELLED);
  redoubt_reader_close(reader);
  free(reads);
  free(buffers);
}

/* ---- the parts of the test */

static void check_batch(redoubt_reader* reader, uint64_t lsn) {
  redoubt_page_read reads[PAGES + 1];
  uint8_t* buffers = malloc((size_t)(PAGES + 1) * PAGE_BYTES);
  for (uint32_t i = 0; i <= PAGES; ++i) {
    reads[i] = (redoubt_page_read){
        .space = SPACE, .page_no = i, .buffer = buffers + (size_t)i * PAGE_BYTES};
  }
  CHECK(redoubt_reader_read(reader, reads, PAGES, lsn, 0, PATIENCE_MS, &error) == REDOUBT_OK);
  for (uint32_t i = 0; i < PAGES; ++i) {
    CHECK(reads[i].code == REDOUBT_OK &&
          load_be64(buffers + (size_t)i * PAGE_BYTES + 100) == final_values[i]);
  }
  /* A page that lies beyond the end of its tablespace concerns no other. */
  reads[PAGES].page_no = 100000;
  CHECK(redoubt_reader_read(reader, reads, PAGES + 1, lsn, 0, PATIENCE_MS, &error) ==
        REDOUBT_NOT_FOUND);
  CHECK(reads[PAGES].code == REDOUBT_NOT_FOUND && reads[PAGES].message[0] != '\0');
  CHECK(reads[0].code == REDOUBT_OK && reads[PAGES - 1].code == REDOUBT_OK);
  /* An LSN that nobody has reached, unless the page is known not to have changed since. */
  const int ahead = redoubt_reader_read(reader, reads, 1, lsn + 100000, 0, 300, &error);
  CHECK(ahead == REDOUBT_DEADLINE_EXCEEDED || ahead == REDOUBT_UNAVAILABLE /* some are dead */);
  CHECK(redoubt_reader_read(reader, reads, 1, lsn + 100000, lsn, PATIENCE_MS, &error) ==
        REDOUBT_OK);
  /* Below what is kept. */
  CHECK(redoubt_reader_read(reader, reads, 1, kStart - 100, 0, PATIENCE_MS, &error) ==
        REDOUBT_BELOW_HORIZON);
  free(buffers);
}

static void seed(redoubt_reader* reader, uint64_t epoch) {
  uint8_t* page = calloc(1, PAGE_BYTES);
  page[37] = SEEDED_SPACE; /* space id */
  page[25] = 8;            /* FSP_HDR */
  page[41] = SEEDED_SPACE;
  page[49] = 7; /* size in pages */
  page[56] = 0x40;
  page[57] = 0x21;
  page[200] = 77;
  stamp_page(page, PAGE_BYTES, kStart);
  CHECK(redoubt_reader_put_space(reader, epoch, kStart, SPACE, "./shop/t.ibd", 0x4021, 64,
                                 PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_reader_put_space(reader, epoch, kStart, SEEDED_SPACE, "./shop/u.ibd", 0x4021, 7,
                                 PATIENCE_MS, &error) == REDOUBT_OK);
  const redoubt_image image = {SEEDED_SPACE, 0, kStart, page};
  CHECK(redoubt_reader_put_images(reader, epoch, &image, 1, PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_reader_put_side_file(reader, epoch, kStart, "auto.cnf", 0640, "[auto]\n", 7,
                                     PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_reader_put_side_file(reader, epoch, kStart, "../etc/passwd", 0640, "x", 1, 100,
                                     &error) == REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_reader_set_horizon(reader, epoch, kStart, PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_reader_set_horizon(reader, epoch - 1, kStart, PATIENCE_MS, &error) ==
        REDOUBT_STALE_EPOCH);
  free(page);
}

static void check_boot_bundle(redoubt_reader* reader, uint64_t lsn) {
  redoubt_space_list* spaces;
  CHECK(redoubt_reader_spaces(reader, lsn, PATIENCE_MS, &spaces, &error) == REDOUBT_OK);
  CHECK(spaces->count == 2 && spaces->lsn == lsn && spaces->page_size == PAGE_BYTES);
  CHECK(spaces->spaces[0].space == SPACE && spaces->spaces[1].space == SEEDED_SPACE);
  CHECK(strcmp(spaces->spaces[1].path, "./shop/u.ibd") == 0);
  CHECK(spaces->spaces[1].page_count == 7 && spaces->spaces[1].flags == 0x4021);
  CHECK(spaces->spaces[1].unsupported_reason[0] == '\0');
  CHECK(spaces->spaces[1].page0_code == REDOUBT_OK && spaces->spaces[1].page0[200] == 77);
  CHECK(spaces->spaces[0].page0_code == REDOUBT_OK && spaces->spaces[0].page0 != NULL);
  redoubt_space_list_free(spaces);
  redoubt_metadata* metadata;
  CHECK(redoubt_reader_metadata(reader, lsn, PATIENCE_MS, &metadata, &error) == REDOUBT_OK);
  uint8_t newest[64];
  const size_t newest_size = mtr_auto_increment(newest, TABLE, 1, COUNTER);
  CHECK(metadata->table_count == 1 && metadata->size == newest_size);
  CHECK(memcmp(metadata->records, newest, newest_size) == 0);
  redoubt_metadata_free(metadata);
  redoubt_side_file_list* files;
  CHECK(redoubt_reader_side_files(reader, lsn, PATIENCE_MS, &files, &error) == REDOUBT_OK);
  CHECK(files->count == 1 && strcmp(files->files[0].path, "auto.cnf") == 0);
  CHECK(files->files[0].size == 7 && memcmp(files->files[0].bytes, "[auto]\n", 7) == 0);
  CHECK(files->files[0].mode == 0640);
  redoubt_side_file_list_free(files);
}

/* Nothing of it is taken, and the writer goes on. */
static void check_bad_appends(struct server_log* log) {
  uint8_t* blocks;
  uint64_t start;
  uint8_t mtr[64];
  const uint64_t end = log_add(log, mtr, mtr_write(mtr, SPACE, 0, final_values[0]));
  const size_t size = log_frame(log, lsn_to_sn(end), &blocks, &start);
  redoubt_writer* writer = log->writer;
  blocks[size - 1] ^= 1;
  CHECK(redoubt_writer_append_blocks(writer, start, blocks, size, end, PATIENCE_MS, &error) ==
        REDOUBT_CORRUPTION);
  blocks[size - 1] ^= 1;
  CHECK(redoubt_writer_append_blocks(writer, start, blocks, size - 1, end, PATIENCE_MS, &error) ==
        REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_append_blocks(writer, start, blocks, size, end + 3 * BLOCK_BYTES,
                                     PATIENCE_MS, &error) == REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_append_blocks(writer, start + 100 * BLOCK_BYTES, blocks, size,
                                     end + 100 * BLOCK_BYTES, PATIENCE_MS, &error) == REDOUBT_GAP);
  free(blocks);
  /* What was appended of the last block, with other bytes. */
  if (log->written_sn % BLOCK_PAYLOAD != 0) {
    uint8_t* byte = &log->payload[log->written_sn - 1 - log->start_sn];
    *byte ^= 1;
    const size_t again = log_frame(log, lsn_to_sn(end), &blocks, &start);
    CHECK(redoubt_writer_append_blocks(writer, start, blocks, again, end, PATIENCE_MS, &error) ==
          REDOUBT_CORRUPTION);
    free(blocks);
    *byte ^= 1;
  }
  CHECK(log_write(log, end, PATIENCE_MS, &error) == REDOUBT_OK);
  /* Stripped. */
  const size_t bytes = mtr_write(mtr, SPACE, 0, final_values[0]);
  const uint64_t next = log_add(log, mtr, bytes);
  CHECK(redoubt_writer_append_payload(writer, end, next, end, mtr, bytes - 1, PATIENCE_MS,
                                      &error) == REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_append_payload(writer, next, next + 1, 0, mtr, 1, PATIENCE_MS, &error) ==
        REDOUBT_GAP);
  CHECK(redoubt_writer_append_payload(writer, end, next, end, mtr, bytes, PATIENCE_MS, &error) ==
        REDOUBT_OK);
  log->written_sn = lsn_to_sn(next);
  wait_for(writer, next, &error);
  uint64_t acknowledged = next;
  CHECK(redoubt_writer_wait(writer, acknowledged, 50, &acknowledged, &error) ==
        REDOUBT_DEADLINE_EXCEEDED);
  CHECK(acknowledged == next);
}

/* A log writer that fills a block tells the block's end; asked for what lies behind the next block's
 * header, it writes that block without data. Both are the same place, and both are waited for. */
static void check_both_forms_of_an_end(struct server_log* log) {
  uint8_t dummies[BLOCK_PAYLOAD];
  memset(dummies, 32, sizeof dummies);
  const uint64_t begin = sn_to_lsn(log->written_sn);
  const size_t fill = BLOCK_PAYLOAD - log->written_sn % BLOCK_PAYLOAD;
  const uint64_t behind = log_add(log, dummies, fill);
  const uint64_t full = begin / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES;
  CHECK(behind == full + BLOCK_HEADER);
  CHECK(redoubt_writer_append_payload(log->writer, begin, full, begin, dummies, fill, PATIENCE_MS,
                                      &error) == REDOUBT_OK);
  log->written_sn = lsn_to_sn(behind);
  uint64_t acknowledged = 0;
  wait_for(log->writer, full, &error);
  CHECK(redoubt_writer_wait(log->writer, 0, PATIENCE_MS, &acknowledged, &error) == REDOUBT_OK);
  CHECK(acknowledged == full);
  uint8_t block[BLOCK_BYTES];
  make_block(block, full, dummies, 0, 0);
  CHECK(redoubt_writer_append_blocks(log->writer, full, block, sizeof block, behind, PATIENCE_MS,
                                     &error) == REDOUBT_OK);
  CHECK(redoubt_writer_wait(log->writer, full, PATIENCE_MS, &acknowledged, &error) == REDOUBT_OK);
  CHECK(acknowledged == behind);
}

static int count_entries(const char* directory) {
  int count = 0;
  DIR* entries = opendir(directory);
  while (readdir(entries) != NULL) {
    ++count;
  }
  closedir(entries);
  return count;
}

/* Every thread but this one blocks what a process may get. */
static void check_threads_block_signals(void) {
  DIR* tasks = opendir("/proc/self/task");
  int others = 0;
  for (struct dirent* entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)getpid()) {
      continue;
    }
    char path[300];
    char line[256];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    FILE* file = fopen(path, "r");
    while (fgets(line, sizeof line, file) != NULL) {
      if (strncmp(line, "SigBlk:", 7) == 0) {
        const unsigned long long blocked = strtoull(line + 7, NULL, 16);
        const int wanted[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                              SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD};
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
          CHECK(blocked >> (wanted[i] - 1) & 1);
        }
        ++others;
      }
    }
    fclose(file);
  }
  closedir(tasks);
  CHECK(others >= 1);
}

static int log_lines;
static void count_line(void* context, int level, const char* message) {
  CHECK(context == &log_lines && level >= REDOUBT_LOG_INFO && strchr(message, '\n') == NULL);
  ++log_lines;
}

static void check_arguments(redoubt_client* client, const char* const* addresses) {
  CHECK(redoubt_client_version() == REDOUBT_CLIENT_VERSION);
  CHECK(strcmp(redoubt_code_name(REDOUBT_STALE_EPOCH), "stale epoch") == 0);
  CHECK(strcmp(redoubt_code_name(4711), "unknown") == 0);
  redoubt_writer* writer;
  redoubt_position position;
  redoubt_writer_options options;
  redoubt_writer_options_init(&options);
  options.volume = kVolume;
  options.log_servers = addresses;
  options.log_server_count = 2;
  CHECK(redoubt_writer_open(client, &options, 1000, &writer, &position, &error) ==
        REDOUBT_INVALID_ARGUMENT);
  options.log_server_count = SERVERS;
  options.struct_size -= 8;
  CHECK(redoubt_writer_open(client, &options, 1000, &writer, &position, &error) ==
        REDOUBT_INVALID_ARGUMENT);
  options.struct_size += 8;
  CHECK(redoubt_writer_open(client, &options, 1000, &writer, &position, &error) ==
        REDOUBT_NOT_FOUND);
  redoubt_reader* reader;
  redoubt_reader_options reading;
  redoubt_reader_options_init(&reading);
  reading.volume = kVolume;
  reading.page_servers = addresses;
  reading.page_server_count = SERVERS;
  CHECK(redoubt_reader_open(client, &reading, PATIENCE_MS, &reader, NULL, &error) ==
        REDOUBT_NOT_FOUND);
  /* NULL for the error is allowed everywhere. */
  CHECK(redoubt_volume_create(client, addresses, SERVERS, "no/name", PAGE_BYTES, NULL, 1000,
                              NULL) == REDOUBT_INVALID_ARGUMENT);
}

/* The first writer is still open. The second one takes over where everything acknowledged lies
 * below; the first one hears of it. */
static redoubt_writer* take_over(redoubt_client* client, const redoubt_writer_options* options,
                                 struct server_log* old, uint64_t old_epoch, uint64_t end,
                                 uint64_t* start) {
  redoubt_writer* second;
  redoubt_position position;
  CHECK(redoubt_writer_open(client, options, PATIENCE_MS, &second, &position, &error) ==
        REDOUBT_OK);
  CHECK(position.epoch > old_epoch && position.end_lsn == end && position.redo_epoch == old_epoch);
  uint8_t mtr[64];
  const uint64_t lost = log_add(old, mtr, mtr_write(mtr, SPACE, 0, 1));
  const int taken = log_write(old, lost, PATIENCE_MS, &error);
  CHECK(taken == REDOUBT_OK || taken == REDOUBT_STALE_EPOCH);
  uint64_t acknowledged = 0;
  CHECK(redoubt_writer_wait(old->writer, end, PATIENCE_MS, &acknowledged, &error) ==
        REDOUBT_STALE_EPOCH);
  CHECK(acknowledged == end);
  CHECK(log_write(old, log_add(old, mtr, mtr_write(mtr, SPACE, 0, 2)), PATIENCE_MS, &error) ==
        REDOUBT_STALE_EPOCH);
  redoubt_writer_status status;
  redoubt_writer_get_status(old->writer, &status);
  CHECK(status.failure == REDOUBT_STALE_EPOCH && status.epoch == old_epoch &&
        status.problem[0] != '\0');
  /* Had it heard of the second one before, it took nothing that could be missing. */
  CHECK(redoubt_writer_close(old->writer, PATIENCE_MS, &error) ==
        (taken == REDOUBT_OK ? REDOUBT_STALE_EPOCH : REDOUBT_OK));
  /* As a server that starts on fresh redo files: at the first data byte of the next block. */
  *start = (end + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES + BLOCK_HEADER;
  CHECK(redoubt_writer_start_at(second, end - 1, "back", PATIENCE_MS, &error) ==
        REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_skip_to(second, end - 1, PATIENCE_MS, &error) == REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_skip_to(second, *start, PATIENCE_MS, &error) == REDOUBT_OK);
  return second;
}

/* A writer that appends nothing hears of the one that replaces it all the same: who waits for it
 * is told, its status says so, and it takes nothing any more. */
static void check_idle_take_over(redoubt_client* client, const char* const* addresses,
                                 const redoubt_writer_options* like) {
  CHECK(redoubt_volume_create(client, addresses, SERVERS, "idle", PAGE_BYTES, NULL, PATIENCE_MS,
                              &error) == REDOUBT_OK);
  redoubt_writer_options options = *like;
  options.volume = "idle";
  redoubt_writer* first;
  redoubt_writer* second;
  redoubt_position position;
  CHECK(redoubt_writer_open(client, &options, PATIENCE_MS, &first, &position, &error) ==
        REDOUBT_OK);
  CHECK(redoubt_writer_start_at(first, kStart, "test", PATIENCE_MS, &error) == REDOUBT_OK);
  uint64_t acknowledged = 0;
  CHECK(redoubt_writer_wait(first, kStart, 1500, &acknowledged, &error) ==
        REDOUBT_DEADLINE_EXCEEDED);
  CHECK(redoubt_writer_open(client, &options, PATIENCE_MS, &second, &position, &error) ==
        REDOUBT_OK);
  /* It asks once a second. */
  CHECK(redoubt_writer_wait(first, kStart, 3000, &acknowledged, &error) == REDOUBT_STALE_EPOCH);
  CHECK(acknowledged == kStart && error.message[0] != '\0');
  redoubt_writer_status status;
  redoubt_writer_get_status(first, &status);
  CHECK(status.failure == REDOUBT_STALE_EPOCH && status.epoch < position.epoch &&
        status.problem[0] != '\0');
  struct server_log* log = log_new(first, kStart);
  uint8_t mtr[64];
  CHECK(log_write(log, log_add(log, mtr, mtr_write(mtr, SPACE, 0, 1)), PATIENCE_MS, &error) ==
        REDOUBT_STALE_EPOCH);
  log_free(log);
  CHECK(redoubt_writer_close(first, PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_writer_close(second, PATIENCE_MS, &error) == REDOUBT_OK);
}

/* Nothing is acknowledged, appends block when the window is full, reads go on. */
static void check_without_majority(struct server_log* log, redoubt_reader* reader, uint64_t end) {
  uint64_t acknowledged = 0;
  uint8_t mtr[64];
  int code = REDOUBT_OK;
  for (int i = 0; i < 10000 && code == REDOUBT_OK; ++i) {
    code = log_write(log, log_add(log, mtr, mtr_write(mtr, SPACE, 1, 7)), 200, &error);
  }
  CHECK(code == REDOUBT_DEADLINE_EXCEEDED);
  CHECK(redoubt_writer_wait(log->writer, end, 300, &acknowledged, &error) ==
        REDOUBT_DEADLINE_EXCEEDED);
  CHECK(acknowledged == end);
  redoubt_writer_status status;
  redoubt_writer_get_status(log->writer, &status);
  CHECK(status.stall_count >= 1 && status.stall_us >= 100000);
  CHECK(status.window_bytes > 0 && status.failure == REDOUBT_OK && status.problem[0] != '\0');
  check_batch(reader, end);
  CHECK(redoubt_writer_close(log->writer, 100, &error) == REDOUBT_DEADLINE_EXCEEDED);
}

/* With send_when_awaited: what was appended one by one is acknowledged at once, and what nobody
 * waits for is sent all the same. */
static void check_sent_together(struct server_log* log) {
  uint8_t mtr[64];
  uint64_t end = 0;
  uint64_t acknowledged = 0;
  /* The library sends by itself now and then, which may be in between. */
  for (int i = 0; i < 10 && (end == 0 || normal(acknowledged) < end); ++i) {
    redoubt_writer_status before;
    redoubt_writer_get_status(log->writer, &before);
    for (int j = 0; j < 3; ++j) {
      end = log_add(log, mtr, mtr_write(mtr, SPACE, 1, final_values[1]));
      CHECK(log_write(log, end, PATIENCE_MS, &error) == REDOUBT_OK);
    }
    CHECK(redoubt_writer_wait(log->writer, before.appended_lsn, PATIENCE_MS, &acknowledged,
                              &error) == REDOUBT_OK);
    const uint64_t first_answer = acknowledged;
    wait_for(log->writer, end, &error);
    acknowledged = first_answer;
  }
  CHECK(normal(acknowledged) == end);
  end = log_add(log, mtr, mtr_write(mtr, SPACE, 1, final_values[1]));
  CHECK(log_write(log, end, PATIENCE_MS, &error) == REDOUBT_OK);
  redoubt_writer_status status = {0};
  for (int i = 0; i < 500 && normal(status.acknowledged_lsn) < end; ++i) {
    usleep(10000);
    redoubt_writer_get_status(log->writer, &status);
  }
  CHECK(normal(status.acknowledged_lsn) == end);
}

/* Counters that only redo holds, the older one first. */
static void count_up(struct server_log* log) {
  uint8_t mtr[64];
  log_add(log, mtr, mtr_auto_increment(mtr, TABLE, 1, COUNTER - 1000));
  log_add(log, mtr, mtr_auto_increment(mtr, TABLE, 1, COUNTER));
}

/* The server that only has pages: it gets the volume's identity from the others. */
static redoubt_reader* open_pages(redoubt_client* client, const char* const* addresses,
                                  redoubt_reader_options reading, uint64_t epoch) {
  CHECK(redoubt_volume_create(client, addresses, ALL_SERVERS, kVolume, PAGE_BYTES, "u-u-i-d",
                              PATIENCE_MS, &error) == REDOUBT_OK);
  reading.page_servers = addresses + SERVERS;
  reading.page_server_count = 1;
  redoubt_reader* reader;
  CHECK(redoubt_reader_open(client, &reading, PATIENCE_MS, &reader, NULL, &error) == REDOUBT_OK);
  seed(reader, epoch);
  return reader;
}

static void kill_server(pid_t pid) { CHECK(kill(pid, SIGKILL) == 0); }

static void run(const char* const* addresses, const pid_t* pids) {
  redoubt_client* client;
  redoubt_client_options client_options;
  redoubt_client_options_init(&client_options);
  client_options.log = count_line;
  client_options.log_context = &log_lines;
  CHECK(redoubt_client_open(&client_options, &client, &error) == REDOUBT_OK);
  check_arguments(client, addresses);
  CHECK(redoubt_volume_create(client, addresses, SERVERS, kVolume, PAGE_BYTES, "u-u-i-d",
                              PATIENCE_MS, &error) == REDOUBT_OK);
  CHECK(redoubt_volume_create(client, addresses, SERVERS, kVolume, PAGE_BYTES, "u-u-i-d",
                              PATIENCE_MS, &error) == REDOUBT_ALREADY_EXISTS);
  CHECK(redoubt_volume_create(client, addresses, SERVERS, kVolume, 4096, NULL, PATIENCE_MS,
                              &error) == REDOUBT_INVALID_ARGUMENT);

  redoubt_writer_options options;
  redoubt_writer_options_init(&options);
  options.volume = kVolume;
  options.log_servers = addresses;
  options.log_server_count = SERVERS;
  options.window_bytes = 2000;
  redoubt_writer* writer;
  redoubt_position position;
  CHECK(redoubt_writer_open(client, &options, PATIENCE_MS, &writer, &position, &error) ==
        REDOUBT_OK);
  CHECK(position.end_lsn == 0 && position.epoch >= 1 && position.page_size == PAGE_BYTES &&
        position.volume_uid != 0 && position.redo_epoch == 0);
  uint8_t byte = 0;
  CHECK(redoubt_writer_append_blocks(writer, 8192, &byte, 512, kStart + 1, 100, &error) ==
        REDOUBT_INVALID_ARGUMENT);
  CHECK(redoubt_writer_start_at(writer, kStart, "test", PATIENCE_MS, &error) == REDOUBT_OK);

  redoubt_reader_options reading;
  redoubt_reader_options_init(&reading);
  reading.volume = kVolume;
  reading.volume_uid = position.volume_uid;
  reading.page_servers = addresses;
  reading.page_server_count = SERVERS;
  redoubt_reader* reader;
  uint32_t page_size = 0;
  CHECK(redoubt_reader_open(client, &reading, PATIENCE_MS, &reader, &page_size, &error) ==
        REDOUBT_OK);
  CHECK(page_size == PAGE_BYTES);
  seed(reader, position.epoch);
  check_threads_block_signals();

  redoubt_reader* pages = open_pages(client, addresses, reading, position.epoch);

  struct server_log* log = log_new(writer, kStart);
  count_up(log);
  run_workers(log, reader);
  check_bad_appends(log);
  check_both_forms_of_an_end(log);
  redoubt_writer_status status;
  redoubt_writer_get_status(writer, &status);
  const uint64_t end = status.acknowledged_lsn;
  CHECK(end == status.appended_lsn && status.commit_lsn == end && status.window_bytes == 0);
  CHECK(status.append_bytes == log->written_sn - log->start_sn && status.failure == REDOUBT_OK);
  check_batch(reader, end);
  check_boot_bundle(reader, end);
  check_batch(pages, end);
  check_boot_bundle(pages, end);
  check_async(client, &reading, end);
  check_idle_take_over(client, addresses, &options);

  uint64_t start = 0;
  options.send_when_awaited = 1;
  redoubt_writer* second = take_over(client, &options, log, position.epoch, end, &start);
  log_free(log);
  log = log_new(second, start);
  run_workers(log, reader);
  check_sent_together(log);
  const uint64_t second_end = run_workers(log, reader);
  check_batch(reader, second_end);
  /* One that dies concerns nobody. */
  kill_server(pids[2]);
  const uint64_t third_end = run_workers(log, reader);
  check_batch(reader, third_end);
  check_batch(pages, third_end);
  check_boot_bundle(pages, third_end);
  kill_server(pids[1]);
  check_without_majority(log, reader, third_end);
  log_free(log);

  redoubt_reader_status counters;
  redoubt_reader_get_status(reader, &counters);
  CHECK(counters.failovers + counters.hedges_won > 0);
  CHECK(redoubt_client_close(client, &error) == REDOUBT_INVALID_ARGUMENT);
  redoubt_reader_close(reader);
  redoubt_reader_close(pages);
  CHECK(redoubt_client_close(client, &error) == REDOUBT_OK);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    printf("redoubt_client %u\n", (unsigned)redoubt_client_version());
    return 0;
  }
  if (argc != 1 + ALL_SERVERS) {
    fprintf(stderr, "usage: redoubt_client_test ADDRESS:PID ADDRESS:PID ADDRESS:PID PAGES:PID\n");
    return 2;
  }
  const char* addresses[ALL_SERVERS];
  pid_t pids[ALL_SERVERS];
  for (int i = 0; i < ALL_SERVERS; ++i) {
    char* colon = strrchr(argv[1 + i], ':');
    *colon = '\0';
    addresses[i] = argv[1 + i];
    pids[i] = (pid_t)atoi(colon + 1);
  }
  const int threads_before = count_entries("/proc/self/task");
  const int files_before = count_entries("/proc/self/fd");
  run(addresses, pids);
  CHECK(count_entries("/proc/self/task") == threads_before);
  CHECK(count_entries("/proc/self/fd") == files_before);
  puts("redoubt_client_test: passed");
  return 0;
}
