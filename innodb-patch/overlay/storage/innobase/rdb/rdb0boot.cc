/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0boot.cc
 What a server whose pages are in Redoubt starts from.

 InnoDB looks at data files without the buffer pool: it scans the directory, reads
 page 0 of each file, compares sizes. So every tablespace gets a sparse file of its
 size that holds page 0 and nothing else; all other pages are read from the page
 servers. The redo directory is left empty, which InnoDB takes for "the log was
 deleted after a clean stop": it makes a new one at the LSN that it is told, and
 there is nothing to replay.

 A server that keeps its files notes the epoch under which it has the volume, to see
 later that nobody else wrote to it meanwhile.

 A directory that was filled so bears a mark: whatever tablespace lies in it can be
 had again from the volume, and no other mode may read it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <string>

#include "fil0fil.h"
#include "log0log.h"
#include "log0recv.h"
#include "mtr0log.h"
#include "rdb0link.h"
#include "rdb0ps.h"
#include "sql/mysqld.h"
#include "srv0srv.h"
#include "ut0log.h"

namespace rdb {

namespace fs = std::filesystem;

static const char *const MARK = "redoubt_hollow";
static const char MARK_TEXT[] =
    "The data files here hold page 0 only; the pages are in a Redoubt volume.\n";
static const char *const REDO_DIRECTORY = "#innodb_redo";
static const char *const SYSTEM_FILE = "ibdata1";
static constexpr uint32_t BUNDLE_TIMEOUT_MS = 120000;
/** The system tablespace's file grows by whole MiB. */
static constexpr uint64_t SYSTEM_FILE_UNIT = 1 << 20;
static const char UUID_KEY[] = "server-uuid=";

static bool fail(const std::string &what) {
  ib::error(ER_IB_MSG_540) << "The data directory cannot be filled from Redoubt's "
                              "page servers: "
                           << what;
  return false;
}

bool is_hollow_directory() { return access(MARK, F_OK) == 0; }

/* ---- may this directory be filled? */

/** Where the server that used the directory last was shut down cleanly. */
static lsn_t shutdown_lsn() {
  byte bytes[8]{};
  const int file = open(SYSTEM_FILE, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    const ssize_t got = pread(file, bytes, sizeof(bytes), FIL_PAGE_FILE_FLUSH_LSN);
    close(file);
    if (got == sizeof(bytes)) {
      return mach_read_from_8(bytes);
    }
  }
  return 0;
}

bool may_fill_directory(lsn_t end_lsn) {
  if (is_hollow_directory()) {
    return true;
  }
  const bool has_database = access(SYSTEM_FILE, F_OK) == 0;
  if (mode == STATELESS && has_database) {
    return fail(
        "it holds a database that mode STATELESS did not put there; give an empty "
        "directory");
  }
  if (mode == NOWRITE && !has_database) {
    return fail(
        "it is empty; mode NOWRITE keeps a directory, mode STATELESS starts in an "
        "empty one");
  }
  const lsn_t stopped = mode == NOWRITE ? shutdown_lsn() : end_lsn;
  /* A full block may be said in two ways. */
  if (stopped != end_lsn && stopped != end_lsn + LOG_BLOCK_HDR_SIZE &&
      stopped + LOG_BLOCK_HDR_SIZE != end_lsn) {
    return fail("its database was shut down at LSN " + std::to_string(stopped) + ", the volume's redo ends at " +
                std::to_string(end_lsn) +
                ": it is another database's, or an older one, or was not shut down "
                "cleanly; start it with innodb_pageserver_mode=READ and shut it "
                "down, or use mode STATELESS with an empty directory");
  }
  return true;
}

/* ---- may files of its own be kept? */

/** Which epoch of which volume the directory's server had last. */
static const char *const EPOCH_FILE = "redoubt_epoch";
static const char *const EPOCH_FILE_NEW = "redoubt_epoch.new";

/** @return 0: it had none of this volume, as far as one knows */
static uint64_t last_epoch() {
  unsigned long long volume = 0;
  unsigned long long epoch = 0;
  FILE *const file = fopen(EPOCH_FILE, "r");
  if (file == nullptr) {
    return 0;
  }
  const bool read = fscanf(file, "%llu %llu", &volume, &epoch) == 2;
  fclose(file);
  return read && volume == link.position.volume_uid ? epoch : 0;
}

static bool note_epoch() {
  const std::string text = std::to_string(link.position.volume_uid) + " " +
                           std::to_string(link.position.epoch) + "\n";
  const int file = open(EPOCH_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  bool good = file >= 0 &&
              write(file, text.data(), text.size()) ==
                  static_cast<ssize_t>(text.size()) &&
              fsync(file) == 0;
  if (file >= 0) {
    close(file);
  }
  good = good && rename(EPOCH_FILE_NEW, EPOCH_FILE) == 0;
  const int directory = good ? open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  good = directory >= 0 && fsync(directory) == 0;
  const int why = errno;
  if (directory >= 0) {
    close(directory);
  }
  if (!good) {
    ib::error(ER_IB_MSG_540) << EPOCH_FILE << " cannot be written: " << strerror(why);
  }
  return good;
}

bool may_keep_files() {
  const uint64_t last = last_epoch();
  if (last != 0 && link.position.redo_epoch > last) {
    ib::error(ER_IB_MSG_540)
        << "Another server has written to Redoubt volume " << settings.volume
        << " since this one had it (epoch " << link.position.redo_epoch
        << ", here " << last
        << "): the data files here are not the volume's. Restore them from the "
           "volume into an empty directory";
    return false;
  }
  return note_epoch();
}

/* ---- files */

/** A path of the volume: relative, and below the data directory. */
static bool is_inside(const fs::path &path) {
  if (path.is_absolute()) {
    return false;
  }
  for (const auto &part : path) {
    if (part == "..") {
      return false;
    }
  }
  return true;
}

static bool write_file(const fs::path &path, uint64_t size, const void *bytes,
                       size_t byte_count, uint32_t permissions) {
  std::error_code error;
  if (path.has_parent_path()) {
    fs::create_directories(path.parent_path(), error);
  }
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, permissions);
  if (file < 0) {
    return fail(path.string() + ": " + strerror(errno));
  }
  const bool written =
      ftruncate(file, static_cast<off_t>(size)) == 0 &&
      pwrite(file, bytes, byte_count, 0) == static_cast<ssize_t>(byte_count);
  const int why = errno;
  close(file);
  return written || fail(path.string() + ": " + strerror(why));
}

static bool is_tablespace_file(const std::string &name) {
  return name.starts_with("ibdata") || name.starts_with("undo_") ||
         name.ends_with(".ibd") || name.ends_with(".ibu") ||
         name.ends_with(".dblwr");
}

/** Removes the tablespaces and the redo of whoever used the directory before, in
it and in the directories of databases. */
static bool clear_directory() {
  std::error_code error;
  fs::remove_all(REDO_DIRECTORY, error);
  for (const auto &entry : fs::directory_iterator(".", error)) {
    const std::string name = entry.path().filename().string();
    if (is_tablespace_file(name)) {
      fs::remove(entry.path(), error);
    } else if (entry.is_directory() && !name.starts_with("#")) {
      for (const auto &file : fs::directory_iterator(entry.path(), error)) {
        if (is_tablespace_file(file.path().filename().string())) {
          fs::remove(file.path(), error);
        }
      }
    }
  }
  fs::create_directory(REDO_DIRECTORY, error);
  return !error || fail(std::string(REDO_DIRECTORY) + ": " + error.message());
}

/* ---- what the volume has */

/** @return why the volume cannot be served by this server; empty: it can */
static std::string unservable(const redoubt_space_list &list) {
  for (size_t i = 0; i < list.count; ++i) {
    const redoubt_space &space = list.spaces[i];
    if (*space.unsupported_reason != '\0') {
      return std::string("tablespace ") + space.path + ": " +
             space.unsupported_reason;
    }
    if (!is_inside(space.path)) {
      return std::string("tablespace ") + space.path +
             " lies outside the data directory";
    }
  }
  return "";
}

static uint64_t file_size(const redoubt_space &space, uint32_t page_size) {
  const uint64_t size = uint64_t{space.page_count} * page_size;
  return space.space == TRX_SYS_SPACE ? ut_uint64_align_up(size, SYSTEM_FILE_UNIT)
                                      : size;
}

static bool place_spaces(const redoubt_space_list &list) {
  for (size_t i = 0; i < list.count; ++i) {
    const redoubt_space &space = list.spaces[i];
    if (space.page0_code != REDOUBT_OK) {
      return fail(std::string(space.path) + ": page 0: " +
                  redoubt_code_name(space.page0_code));
    }
    if (space.page0_lsn == 0) {
      /* Its creation was cut off before page 0; no table knows of it. */
      ib::info(ER_IB_MSG_540) << "Tablespace " << space.path
                              << " is left out: it has no page 0 yet";
    } else if (!write_file(space.path, file_size(space, list.page_size),
                           space.page0, list.page_size, 0640)) {
      return false;
    }
  }
  ib::info(ER_IB_MSG_540) << "Placed " << list.count
                          << " tablespaces as of LSN " << list.lsn;
  return true;
}

/** The server has made itself a UUID before InnoDB was asked; it is to keep the
one that the volume knows. */
static void take_uuid(const redoubt_side_file &file) {
  const std::string text(reinterpret_cast<const char *>(file.bytes), file.size);
  const size_t at = text.find(UUID_KEY);
  if (at != std::string::npos &&
      text.size() >= at + strlen(UUID_KEY) + UUID_LENGTH) {
    memcpy(server_uuid, text.data() + at + strlen(UUID_KEY), UUID_LENGTH);
  }
}

static bool place_side_files(lsn_t lsn) {
  redoubt_error error{};
  redoubt_side_file_list *list = nullptr;
  if (redoubt_reader_side_files(link.reader, lsn, BUNDLE_TIMEOUT_MS, &list,
                                &error) != REDOUBT_OK) {
    return fail(error.message);
  }
  bool good = true;
  for (size_t i = 0; good && i < list->count; ++i) {
    const redoubt_side_file &file = list->files[i];
    /* A directory that is kept has newer ones. */
    if (is_inside(file.path) && (mode == STATELESS || !fs::exists(file.path))) {
      good = write_file(file.path, file.size, file.bytes, file.size, file.mode);
      if (strcmp(file.path, "auto.cnf") == 0) {
        take_uuid(file);
      }
    }
  }
  redoubt_side_file_list_free(list);
  return good;
}

bool fill_directory(lsn_t lsn) {
  redoubt_error error{};
  redoubt_space_list *list = nullptr;
  if (redoubt_reader_spaces(link.reader, lsn, BUNDLE_TIMEOUT_MS, &list, &error) !=
      REDOUBT_OK) {
    return fail(error.message);
  }
  const std::string why = unservable(*list);
  /* The mark first: from here on the directory is nobody else's. */
  const bool good =
      why.empty() ? write_file(MARK, strlen(MARK_TEXT), MARK_TEXT,
                               strlen(MARK_TEXT), 0640) &&
                        clear_directory() && place_spaces(*list)
                  : fail(why);
  redoubt_space_list_free(list);
  return good && place_side_files(lsn);
}

void feed_metadata() {
  if (!keeps_pages()) {
    return;
  }
  redoubt_error error{};
  redoubt_metadata *metadata = nullptr;
  if (redoubt_reader_metadata(link.reader, boot_lsn(), BUNDLE_TIMEOUT_MS,
                              &metadata, &error) != REDOUBT_OK) {
    ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
        << "AUTO_INCREMENT counters cannot be had from Redoubt's page servers: "
        << error.message;
  }
  const byte *at = metadata->records;
  const byte *const end = at + metadata->size;
  while (at < end) {
    mlog_id_t type;
    table_id_t id;
    uint64_t version;
    at = mlog_parse_initial_dict_log_record(at, end, &type, &id, &version);
    ut_a(at != nullptr && type == MLOG_TABLE_DYNAMIC_META);
    at = recv_sys->metadata_recover->parseMetadataLog(id, version, at, end);
    ut_a(at != nullptr && !recv_sys->found_corrupt_log);
  }
  ib::info(ER_IB_MSG_540) << "AUTO_INCREMENT counters and the like of "
                          << metadata->table_count << " tables, " << metadata->size
                          << " bytes";
  redoubt_metadata_free(metadata);
  /* The files bear the names that a DDL statement may just have given them; the
  dictionary knows the ones from before. As after a crash. */
  recv_needed_recovery = true;
}

}  // namespace rdb
