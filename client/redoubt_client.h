// SPDX-License-Identifier: MIT
//
// The client library of Redoubt for programs with threads of their own, above all mysqld: blocking
// calls, plain C. Nothing else of Redoubt is needed to include this file.
//
//   redoubt_client   one thread that runs everything; writers and readers live in it
//   redoubt_writer   the redo log of one volume: takes an epoch, appends, waits for the quorum
//   redoubt_reader   the pages of one volume over its page servers; boot bundle and seeding
//
// Common to all functions
//
// Threads. A handle may be used by any number of threads at the same time, except that its close
// must be the last call, begun after every other call on it has returned; the exceptions are named.
// Threads that the library makes block all signals. No function may be called from the log
// callback.
//
// Errors. A function that can fail returns REDOUBT_OK or a code below and, where `error` is not
// NULL, fills it in; on success error->code is REDOUBT_OK and the message empty. Outputs are
// written on success only, unless said otherwise. Operating errors never end the process; a broken
// invariant inside the library does.
//
// Time. `timeout_ms` counts from the call; REDOUBT_NO_TIMEOUT waits for as long as it takes. Every
// function that takes one may return REDOUBT_DEADLINE_EXCEEDED, with the message saying what was in
// the way.
//
// LSNs are InnoDB's: byte positions with block frames counted, as write_lsn and
// flushed_to_disk_lsn. Where an end is asked for, lsn % 512 is 0 (all blocks below are full) or in
// [12, 508); both ways to say "the block is full" are understood.
//
// Strings are UTF-8 and end with NUL; pointers that are given in are borrowed for the call unless
// said otherwise. Addresses are "host:port". Structures with `struct_size` are filled in by their
// init function first; a program that was built against another layout is refused.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this interface. Rises when something changes that a caller would notice; what is there stays.
 */
#define REDOUBT_CLIENT_VERSION 2
/* The version of the library that is linked. Any thread, at any time. */
uint32_t redoubt_client_version(void);

#define REDOUBT_NO_TIMEOUT UINT32_MAX

/* Codes; the numbers never change. */
enum {
  REDOUBT_OK = 0,
  REDOUBT_NOT_FOUND = 1,   /* no such volume, tablespace or page */
  REDOUBT_CORRUPTION = 2,  /* bytes that contradict their checksum, their format or each other */
  REDOUBT_UNSUPPORTED = 3, /* a format or feature that is recognised and refused */
  REDOUBT_INVALID_ARGUMENT = 4,  /* the request itself is wrong */
  REDOUBT_IO_ERROR = 5,          /* a server's disk said no */
  REDOUBT_NO_SPACE = 6,          /* a server's disk is full */
  REDOUBT_UNAVAILABLE = 7,       /* not reached; trying again may help */
  REDOUBT_DEADLINE_EXCEEDED = 8, /* the time ran out */
  REDOUBT_STALE_EPOCH = 9,       /* FENCED: a newer writer exists. This one must stop for good */
  REDOUBT_GAP = 10,              /* the log does not continue where the append starts */
  REDOUBT_BELOW_HORIZON = 11,    /* the LSN is older than what is kept */
  REDOUBT_HOLE = 12,             /* the page cannot be known at this LSN */
  REDOUBT_ALREADY_EXISTS = 13,
  REDOUBT_RESOURCE_EXHAUSTED = 14,
  REDOUBT_CANCELLED = 15 /* the handle is being stopped */
};
/* "stale epoch" and so on; "unknown" for other numbers. Static. */
const char* redoubt_code_name(int code);

#define REDOUBT_MESSAGE_BYTES 512
typedef struct redoubt_error {
  int code;
  char message[REDOUBT_MESSAGE_BYTES]; /* what, where, what to do; cut to fit, ends with NUL */
} redoubt_error;

/* ---- client ---- */

typedef struct redoubt_client redoubt_client;

enum {
  REDOUBT_LOG_DEBUG = 0,
  REDOUBT_LOG_INFO = 1,
  REDOUBT_LOG_WARNING = 2,
  REDOUBT_LOG_ERROR = 3
};
/* One line without its end. Called from threads of the library, one call at a time; must not block
 * for long. `message` is valid during the call. */
typedef void (*redoubt_log_function)(void* context, int level, const char* message);

typedef struct redoubt_client_options {
  size_t struct_size;
  redoubt_log_function log; /* NULL: events are dropped */
  void* log_context;        /* must live as long as the client */
  int log_level_min;        /* REDOUBT_LOG_INFO */
} redoubt_client_options;
void redoubt_client_options_init(redoubt_client_options* options);

/* Starts the library's thread. `options` may be NULL. REDOUBT_INVALID_ARGUMENT: unknown
 * struct_size. Not before a fork that goes on without exec: threads do not survive it. */
int redoubt_client_open(const redoubt_client_options* options, redoubt_client** out,
                        redoubt_error* error);
/* Ends the thread and frees the handle. Every writer and reader of it must be closed.
 * REDOUBT_INVALID_ARGUMENT: some are not; nothing was done. NULL is allowed. */
int redoubt_client_close(redoubt_client* client, redoubt_error* error);

/* Makes the volume on every one of the servers, all of which must be reached, with one identity.
 * `name`: [A-Za-z0-9_.-]{1,64}. `page_size`: 4096 ... 65536, a power of two. `source_id`: of whose
 * pages these are, the server's UUID; may be NULL. Servers that have it already keep theirs, so a
 * creation that was interrupted can be repeated.
 * On REDOUBT_OK it is durable on all. REDOUBT_ALREADY_EXISTS: all of them had it; or it is in use,
 * and log servers that have none got none, since they may have lost it with their disk: a writer
 * gives it back when that loses nothing. REDOUBT_INVALID_ARGUMENT: name or size, or a server has a
 * volume of that name with another identity or page size. Otherwise some may have it and others
 * not. */
int redoubt_volume_create(redoubt_client* client, const char* const* addresses,
                          size_t address_count, const char* name, uint32_t page_size,
                          const char* source_id, uint32_t timeout_ms, redoubt_error* error);

/* ---- writer ---- */

typedef struct redoubt_writer redoubt_writer;

typedef struct redoubt_writer_options {
  size_t struct_size;
  const char* volume;
  const char* const* log_servers; /* all log servers of the volume */
  size_t log_server_count;        /* odd */
  /* An append blocks while so many bytes of redo are not on a quorum yet. 16 MiB */
  uint64_t window_bytes;
  /* A log server that does not answer an append for so long is connected anew. 30000 */
  uint32_t append_timeout_ms;
  /* Not 0: appends leave together when somebody waits for them, or 64 KiB wait, or the window is
   * full; at the latest after a fifth of a second. For callers that always wait and have nothing
   * else to do meanwhile: fewer and larger messages. 0 */
  uint32_t send_when_awaited;
} redoubt_writer_options;
void redoubt_writer_options_init(redoubt_writer_options* options);

typedef struct redoubt_position {
  uint64_t epoch;
  uint64_t end_lsn;    /* P: end of the last whole mtr; 0: the log has not begun, see start_at */
  uint64_t volume_uid; /* identity of the volume, for redoubt_reader_options */
  uint32_t page_size;
  /* Of the writer whose redo ends at end_lsn; 0: there is none. Who has files of its own compares
   * it with the last epoch it had: if this one is newer, the volume went on without those files. */
  uint64_t redo_epoch;
} redoubt_position;

/* Takes over the volume's log with a new epoch: from now on every older writer is refused by a
 * majority. The log is cut to the last whole mtr, P; everything that was ever acknowledged to any
 * writer lies below P and is on a majority in this epoch when the call returns.
 * REDOUBT_NOT_FOUND: no majority has the volume. REDOUBT_STALE_EPOCH: another writer took over at
 * the same moment. REDOUBT_INVALID_ARGUMENT: options, or the servers hold different volumes of that
 * name. REDOUBT_CORRUPTION, REDOUBT_UNSUPPORTED: the log's last redo cannot be parsed.
 * REDOUBT_UNAVAILABLE: no majority was reached. After an error older writers may be fenced all the
 * same. */
int redoubt_writer_open(redoubt_client* client, const redoubt_writer_options* options,
                        uint32_t timeout_ms, redoubt_writer** out, redoubt_position* position,
                        redoubt_error* error);

/* Begins an empty log at `lsn`, or declares that the redo of [end, lsn) is lost and the next mtr
 * begins at `lsn`: then pages cannot be read (REDOUBT_HOLE) until they were put again and
 * redoubt_reader_set_horizon was called. Waits until everything that was appended before is
 * acknowledged. Durable on a majority on REDOUBT_OK. `reason`: for people.
 * REDOUBT_INVALID_ARGUMENT: no data LSN ([12, 508) in its block), or below the end. Errors else as
 * append. */
int redoubt_writer_start_at(redoubt_writer* writer, uint64_t lsn, const char* reason,
                            uint32_t timeout_ms, redoubt_error* error);

/* Goes on at `lsn` although no redo was made for [end, lsn), and none was lost: a server that
 * starts on a fresh redo file set at P begins at align_up(P, 512) + 12. The gap, at most 64 KiB, is
 * appended as dummy records. Errors and durability as append; REDOUBT_INVALID_ARGUMENT also when
 * `lsn` is no data LSN, below the end or too far, or the log has not begun. Only where an mtr ends.
 */
int redoubt_writer_skip_to(redoubt_writer* writer, uint64_t lsn, uint32_t timeout_ms,
                           redoubt_error* error);

/* Appends redo as InnoDB's log writer frames it. `blocks`: `size` bytes, whole blocks of 512 bytes
 * from `block_start_lsn` on, a multiple of 512 at or below the end of what was appended; the last
 * block may be partial. `end_lsn`: the new write_lsn, at which the last block's data ends. What was
 * appended before (the part of the first block that is written again) is compared and skipped. The
 * bytes are copied: the buffer is the caller's again on return.
 * REDOUBT_OK: taken, in order; not durable yet, see wait. Blocks while the window is full: that is
 * the back-pressure; how often and how long is in the status. REDOUBT_CORRUPTION: a block is not
 * what its place, its checksum or the bytes appended before say; nothing was taken.
 * REDOUBT_INVALID_ARGUMENT: sizes and LSNs do not fit; nothing was taken. REDOUBT_GAP: the blocks
 * start behind the end; nothing was taken. REDOUBT_DEADLINE_EXCEEDED: no room in time, nothing was
 * taken. REDOUBT_STALE_EPOCH: fenced. The writer fails for good with the last one, and with
 * REDOUBT_CORRUPTION where the redo that was taken cannot be parsed (found later). Calls of several
 * threads are taken one after the other, in an order that is theirs to keep. */
int redoubt_writer_append_blocks(redoubt_writer* writer, uint64_t block_start_lsn,
                                 const void* blocks, size_t size, uint64_t end_lsn,
                                 uint32_t timeout_ms, redoubt_error* error);

/* The same with the frames stripped: `payload` are the bytes of [start_lsn, end_lsn), both data
 * LSNs, `start_lsn` the end of what was appended. `first_mtr_lsn`: where the first mtr begins that
 * begins in it, 0 for none. */
int redoubt_writer_append_payload(redoubt_writer* writer, uint64_t start_lsn, uint64_t end_lsn,
                                  uint64_t first_mtr_lsn, const void* payload, size_t size,
                                  uint32_t timeout_ms, redoubt_error* error);

/* Returns as soon as more than `after_lsn` is acknowledged, that is durable on a majority in this
 * epoch; *acknowledged_lsn is then an end_lsn of an append (or of start_at), the highest there is,
 * in the form in which it was given. Also set with an error. REDOUBT_DEADLINE_EXCEEDED: no majority
 * answers; the redo stays in the window and is sent again, so waiting again is right.
 * REDOUBT_STALE_EPOCH: fenced; what was not acknowledged may or may not become part of the log. An
 * idle writer hears of that, too, as soon as it reaches a log server that knows: each is asked once
 * a second. */
int redoubt_writer_wait(redoubt_writer* writer, uint64_t after_lsn, uint32_t timeout_ms,
                        uint64_t* acknowledged_lsn, redoubt_error* error);

typedef struct redoubt_writer_status {
  uint64_t epoch;
  uint64_t appended_lsn;     /* end of what was taken */
  uint64_t acknowledged_lsn; /* as redoubt_writer_wait */
  uint64_t commit_lsn; /* end of the last whole mtr that is acknowledged: what page servers apply */
  uint64_t window_bytes; /* taken and not acknowledged */
  uint64_t append_count;
  uint64_t append_bytes; /* of payload */
  uint64_t stall_count;  /* appends that had to wait for room */
  uint64_t stall_us;
  int failure; /* REDOUBT_OK, or the code with which the writer failed for good */
  char problem[REDOUBT_MESSAGE_BYTES]; /* what is being retried now, or the failure; may be empty */
} redoubt_writer_status;
/* Never blocks for long. */
void redoubt_writer_get_status(redoubt_writer* writer, redoubt_writer_status* status);

/* Waits until everything that was taken is acknowledged, at most `timeout_ms` (0: not at all), then
 * ends the writer and frees the handle in any case. REDOUBT_DEADLINE_EXCEEDED, REDOUBT_STALE_EPOCH,
 * ...: what was not acknowledged may or may not be on the servers. NULL is allowed. */
int redoubt_writer_close(redoubt_writer* writer, uint32_t timeout_ms, redoubt_error* error);

/* ---- reader ---- */

typedef struct redoubt_reader redoubt_reader;

typedef struct redoubt_reader_options {
  size_t struct_size;
  const char* volume;
  uint64_t volume_uid; /* of redoubt_position; 0: whatever the first server has under that name */
  const char* const* page_servers;
  size_t page_server_count;
  uint32_t connections_per_server; /* 2 */
  uint32_t batch_pages_max;        /* reads that wait are gathered into requests of so many. 64 */
  /* A second server is asked when the first one takes unusually long, not before and not later: */
  uint32_t hedge_delay_min_us; /* 5000 */
  uint32_t hedge_delay_max_us; /* 250000 */
  uint32_t hedge_percent;      /* second requests per 100 first ones; 0: none. 10 */
} redoubt_reader_options;
void redoubt_reader_options_init(redoubt_reader_options* options);

/* Waits until one of the servers was reached and has the volume. `page_size` may be NULL.
 * REDOUBT_NOT_FOUND: none has it. REDOUBT_INVALID_ARGUMENT: options, or other volumes of that name.
 */
int redoubt_reader_open(redoubt_client* client, const redoubt_reader_options* options,
                        uint32_t timeout_ms, redoubt_reader** out, uint32_t* page_size,
                        redoubt_error* error);

/* One page to be read. Belongs to the caller; while it is read nothing in it, nor the buffer, may
 * be touched. */
typedef struct redoubt_page_read {
  uint32_t space;
  uint32_t page_no;
  void* buffer; /* page_size bytes; written on success only */
  void* tag;    /* the caller's */
  /* Results. */
  int code;          /* REDOUBT_OK: the page is in the buffer, stamped: valid crc32, page_lsn */
  uint64_t page_lsn; /* end of the last mtr that changed it; 0: never written, a page of zeroes */
  uint64_t read_lsn; /* the LSN that was read at */
  char message[192]; /* why not */
} redoubt_page_read;

/* Read at `read_lsn`: as of the last mtr that ends at or below it (0: the newest that is applied).
 * `not_modified_since`: the caller knows that the pages have no change in (not_modified_since,
 * read_lsn], so a server needs to have applied only that far; 0: nothing is known. Waits until a
 * server has applied enough. Codes per page:
 * REDOUBT_NOT_FOUND: the tablespace does not exist at the LSN, or the page lies beyond its end.
 * REDOUBT_HOLE, REDOUBT_BELOW_HORIZON, REDOUBT_UNSUPPORTED: cannot be known, not kept any more, not
 * followed. REDOUBT_CORRUPTION, REDOUBT_IO_ERROR: damaged on every server. Each of them only after
 * every server that can be reached was asked. REDOUBT_UNAVAILABLE, REDOUBT_DEADLINE_EXCEEDED: no
 * server could answer in time; trying again is right. Returns the code of the first page that
 * failed, REDOUBT_OK when all are there. */
int redoubt_reader_read(redoubt_reader* reader, redoubt_page_read* reads, size_t count,
                        uint64_t read_lsn, uint64_t not_modified_since, uint32_t timeout_ms,
                        redoubt_error* error);

/* Begins to read and returns at once. Each of the `count` reads completes exactly once and is then
 * handed out by redoubt_reader_next. Reads that are submitted together, or wait at the same time,
 * leave together. REDOUBT_CANCELLED: the reader is stopped, none was begun. Codes as above in each.
 */
int redoubt_reader_submit(redoubt_reader* reader, redoubt_page_read* const* reads, size_t count,
                          uint64_t read_lsn, uint64_t not_modified_since, uint32_t timeout_ms,
                          redoubt_error* error);

/* Hands out between 1 and `max` completed reads, in the order of completion, each to one caller;
 * waits until there is one. Any number of threads may wait. *count is 0 with an error.
 * REDOUBT_DEADLINE_EXCEEDED: none in time. REDOUBT_CANCELLED: the reader was stopped and everything
 * that was submitted has been handed out. */
int redoubt_reader_next(redoubt_reader* reader, redoubt_page_read** done, size_t max, size_t* count,
                        uint32_t timeout_ms);

/* Ends every read with REDOUBT_CANCELLED and refuses later ones; completions can still be fetched.
 * Other threads may be inside the reader. Idempotent. */
void redoubt_reader_stop(redoubt_reader* reader);

/* Stops and frees; completions that were not fetched are dropped (their reads are the caller's
 * again). NULL is allowed. */
void redoubt_reader_close(redoubt_reader* reader);

typedef struct redoubt_reader_status {
  uint64_t pages_read;
  uint64_t pages_failed;
  uint64_t requests;
  uint64_t failovers;
  uint64_t retry_rounds;
  uint64_t hedges_sent;
  uint64_t hedges_won;
  uint64_t hedges_refused; /* because of hedge_percent */
  uint64_t reads_waiting;  /* submitted and not completed */
} redoubt_reader_status;
/* As of one moment: a read that no longer waits is counted. */
void redoubt_reader_get_status(redoubt_reader* reader, redoubt_reader_status* status);

/* ---- boot bundle: what a server without local files starts from
 * ---------------------------------- All at one LSN, normally P; waits until a page server has
 * applied it. Results are one block of memory, valid until freed. Errors as for reads, for the
 * whole. */

typedef struct redoubt_space {
  uint32_t space;
  uint32_t page_count;            /* size of the file in pages */
  uint32_t flags;                 /* FSP space flags */
  int page0_code;                 /* REDOUBT_OK, or why there is no page 0 */
  const char* path;               /* relative to the data directory, "./db/t.ibd" */
  const char* unsupported_reason; /* empty: the tablespace is followed */
  const uint8_t* page0;           /* page_size bytes; NULL unless page0_code is REDOUBT_OK */
  uint64_t page0_lsn;
} redoubt_space;
typedef struct redoubt_space_list {
  size_t count;
  const redoubt_space* spaces; /* ascending by id */
  uint64_t lsn;
  uint32_t page_size;
} redoubt_space_list;
int redoubt_reader_spaces(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                          redoubt_space_list** out, redoubt_error* error);
void redoubt_space_list_free(redoubt_space_list* list);

/* The newest dynamic metadata (AUTO_INCREMENT counters, corruption flags) of each table as redo
 * records, MLOG_TABLE_DYNAMIC_META with its type byte, one after the other. */
typedef struct redoubt_metadata {
  uint32_t table_count;
  size_t size;
  const uint8_t* records;
} redoubt_metadata;
int redoubt_reader_metadata(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                            redoubt_metadata** out, redoubt_error* error);
void redoubt_metadata_free(redoubt_metadata* metadata);

typedef struct redoubt_side_file {
  const char* path; /* relative to the data directory */
  uint32_t mode;    /* permission bits */
  size_t size;
  const uint8_t* bytes;
} redoubt_side_file;
typedef struct redoubt_side_file_list {
  size_t count;
  const redoubt_side_file* files;
} redoubt_side_file_list;
int redoubt_reader_side_files(redoubt_reader* reader, uint64_t lsn, uint32_t timeout_ms,
                              redoubt_side_file_list** out, redoubt_error* error);
void redoubt_side_file_list_free(redoubt_side_file_list* list);

/* ---- seeding: what redo does not say
 * -------------------------------------------------------------- Each call goes to every page
 * server of the reader and is durable on all of them on REDOUBT_OK; otherwise it may be on some,
 * and repeating it does no harm. `epoch`: of the writer that is open. REDOUBT_STALE_EPOCH: it is
 * not the writer's any more. */

/* A tablespace that exists at `lsn`. `path` as above, `page_count` and `flags` as in its page 0. */
int redoubt_reader_put_space(redoubt_reader* reader, uint64_t epoch, uint64_t lsn, uint32_t space,
                             const char* path, uint32_t flags, uint32_t page_count,
                             uint32_t timeout_ms, redoubt_error* error);

typedef struct redoubt_image {
  uint32_t space;
  uint32_t page_no;
  uint64_t lsn; /* the image holds every change that ended at or below it */
  const void*
      bytes; /* page_size bytes with valid checksums, as in a file; REDOUBT_CORRUPTION otherwise */
} redoubt_image;
/* Page images, together at most 16 MiB. */
int redoubt_reader_put_images(redoubt_reader* reader, uint64_t epoch, const redoubt_image* images,
                              size_t count, uint32_t timeout_ms, redoubt_error* error);
/* A small file that is no tablespace; NULL `bytes`: it is gone from `lsn` on. */
int redoubt_reader_put_side_file(redoubt_reader* reader, uint64_t epoch, uint64_t lsn,
                                 const char* path, uint32_t mode, const void* bytes, size_t size,
                                 uint32_t timeout_ms, redoubt_error* error);
/* Everything was put: the volume can be read from `lsn` on. */
int redoubt_reader_set_horizon(redoubt_reader* reader, uint64_t epoch, uint64_t lsn,
                               uint32_t timeout_ms, redoubt_error* error);

#ifdef __cplusplus
}
#endif
