/* Copyright (c) 2026, the Redoubt authors. Licence: GPL-2.0, see rdb0ps.h.
SPDX-License-Identifier: GPL-2.0-only */

/** @file rdb/rdb0ps.cc
 Mode and settings, the connection's start and end, status. */

#include "rdb0ps.h"

#include <string.h>
#include <unistd.h>
#include <bit>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "buf0buf.h"
#include "buf0checksum.h"
#include "buf0dblwr.h"
#include "fil0fil.h"
#include "fsp0fsp.h"
#include "log0log.h"
#include "my_sys.h"
#include "mysql/plugin.h"
#include "mysql/status_var.h"
#include "mysqld_error.h"
#include "rdb0link.h"
#include "sql/mysqld.h"
#include "sql/sql_error.h"
#include "srv0srv.h"
#include "ut0log.h"

namespace rdb {

ulong mode_setting = OFF;
Mode mode = OFF;
Settings settings{};
Link link{};
Counters counters;

static constexpr uint32_t CONNECT_TIMEOUT_MS = 60000;
static constexpr uint32_t CLOSE_TIMEOUT_MS = 60000;

static const char *mode_name() {
  static const char *const names[] = {"OFF", "STREAM", "READ", "NOWRITE",
                                      "STATELESS"};
  return names[mode_setting];
}

/* ---- settings */

static std::vector<std::string> split_addresses(const char *list) {
  std::vector<std::string> addresses;
  std::istringstream in(list == nullptr ? "" : list);
  std::string one;
  while (std::getline(in, one, ',')) {
    if (!one.empty()) {
      addresses.push_back(one);
    }
  }
  return addresses;
}

static bool refuse(const std::string &why) {
  ib::error(ER_IB_MSG_540) << "innodb_pageserver_mode=" << mode_name() << ": "
                           << why;
  return false;
}

/** Puts a setting to what the mode needs, and says so if it was another. */
template <typename T>
static void force(T &setting, T needed, const char *what) {
  if (setting != needed) {
    ib::warn(ER_IB_MSG_540) << "innodb_pageserver_mode=" << mode_name()
                            << " sets " << what;
    setting = needed;
  }
}

/** What a server cannot live with that has its pages in the page servers only. */
static bool check_settings_without_pages() {
  if (mode_setting == STATELESS && opt_bin_log) {
    return refuse(
        "not with log_bin, give --skip-log-bin: a server that starts without its "
        "binary log would roll back prepared transactions that it acknowledged");
  }
  force(settings.wal_sync, true, "innodb_pageserver_wal_sync=ON");
  force(dblwr::g_mode, ulong{dblwr::Mode::OFF}, "innodb_doublewrite=OFF");
  force(srv_checksum_algorithm, ulong{SRV_CHECKSUM_ALGORITHM_CRC32},
        "innodb_checksum_algorithm=crc32");
  force(srv_undo_log_truncate, false, "innodb_undo_log_truncate=OFF");
  force(tbsp_extend_and_initialize, false, "innodb_extend_and_initialize=OFF");
  return true;
}

bool check_settings() {
  if (mode_setting == OFF) {
    return true;
  }
  const size_t log_servers = split_addresses(settings.log_servers).size();
  if (opt_initialize) {
    return refuse(
        "a data directory is initialised with innodb_pageserver_mode=OFF; its "
        "pages are then put into a volume");
  }
  if (srv_read_only_mode) {
    return refuse("not with innodb_read_only or innodb_force_recovery=6");
  }
  if (log_servers % 2 == 0) {
    return refuse("innodb_pageserver_log_servers names " +
                  std::to_string(log_servers) +
                  " log servers, an odd number is wanted");
  }
  if (settings.volume == nullptr || *settings.volume == '\0') {
    return refuse("innodb_pageserver_volume is empty");
  }
  if (srv_unix_file_flush_method == SRV_UNIX_NOSYNC) {
    return refuse(
        "not with innodb_flush_method=nosync: the local log must hold at least "
        "what the log servers hold");
  }
  if (!srv_log_checksums) {
    return refuse("not with innodb_log_checksums=OFF");
  }
  if (srv_redo_log_encrypt) {
    return refuse("not with innodb_redo_log_encrypt=ON");
  }
  if (mode_setting >= NOWRITE && !check_settings_without_pages()) {
    return false;
  }
  if (settings.wal_sync) {
    force(srv_flush_log_at_trx_commit, 1UL,
          "innodb_flush_log_at_trx_commit=1 with innodb_pageserver_wal_sync=ON");
  }
  mode = static_cast<Mode>(mode_setting);
  return true;
}

static bool stays(THD *thd) {
  if (keeps_pages()) {
    push_warning_printf(thd, Sql_condition::SL_WARNING, ER_NOT_SUPPORTED_YET,
                        "innodb_pageserver_mode=%s does not let this variable "
                        "change",
                        mode_name());
  }
  return keeps_pages();
}

void update_ulong(THD *thd, SYS_VAR *, void *to, const void *from) {
  if (!stays(thd)) {
    *static_cast<ulong *>(to) = *static_cast<const ulong *>(from);
  }
}

void update_bool(THD *thd, SYS_VAR *, void *to, const void *from) {
  if (!stays(thd)) {
    *static_cast<bool *>(to) = *static_cast<const bool *>(from);
  }
}

bool needs_log_checksums() {
  if (streams_redo()) {
    ib::warn(ER_IB_MSG_540)
        << "innodb_log_checksums stays ON with innodb_pageserver_mode";
  }
  return streams_redo();
}

/* ---- connection */

/** The library's events; called by its thread. */
static void log_line(void *, int level, const char *message) {
  if (level >= REDOUBT_LOG_ERROR) {
    ib::error(ER_IB_MSG_540) << "Redoubt: " << message;
  } else if (level == REDOUBT_LOG_WARNING) {
    ib::warn(ER_IB_MSG_540) << "Redoubt: " << message;
  } else {
    ib::info(ER_IB_MSG_540) << "Redoubt: " << message;
  }
}

static int open_writer(redoubt_error *error) {
  const auto addresses = split_addresses(settings.log_servers);
  std::vector<const char *> servers;
  for (const std::string &address : addresses) {
    servers.push_back(address.c_str());
  }
  redoubt_writer_options options;
  redoubt_writer_options_init(&options);
  options.volume = settings.volume;
  options.log_servers = servers.data();
  options.log_server_count = servers.size();
  options.window_bytes = settings.wal_buffer_size;
  /* Nothing else is waited for then, so there is nothing to win by sending early. */
  options.send_when_awaited = keeps_pages();
  return redoubt_writer_open(link.client, &options, CONNECT_TIMEOUT_MS,
                             &link.writer, &link.position, error);
}

static int open_reader(redoubt_error *error) {
  auto addresses = split_addresses(settings.page_servers);
  if (addresses.empty()) {
    addresses = split_addresses(settings.log_servers);
  }
  std::vector<const char *> servers;
  for (const std::string &address : addresses) {
    servers.push_back(address.c_str());
  }
  redoubt_reader_options options;
  redoubt_reader_options_init(&options);
  options.volume = settings.volume;
  options.volume_uid = link.position.volume_uid;
  options.page_servers = servers.data();
  options.page_server_count = servers.size();
  options.batch_pages_max = static_cast<uint32_t>(settings.prefetch_batch);
  uint32_t page_size = 0;
  return redoubt_reader_open(link.client, &options, CONNECT_TIMEOUT_MS,
                             &link.reader, &page_size, error);
}

int connect(redoubt_error *error) {
  redoubt_client_options options;
  redoubt_client_options_init(&options);
  options.log = log_line;
  int code = redoubt_client_open(&options, &link.client, error);
  if (code != REDOUBT_OK) {
    return code;
  }
  code = open_writer(error);
  if (code == REDOUBT_OK && mode >= READ) {
    code = open_reader(error);
  }
  if (code != REDOUBT_OK) {
    redoubt_writer_close(link.writer, 0, nullptr);
    redoubt_client_close(link.client, nullptr);
    link = Link{};
  }
  return code;
}

int disconnect(redoubt_error *error) {
  redoubt_reader_close(link.reader);
  link.reader = nullptr;
  const int code = redoubt_writer_close(link.writer, CLOSE_TIMEOUT_MS, error);
  redoubt_client_close(link.client, nullptr);
  link.writer = nullptr;
  link.client = nullptr;
  return code;
}

/** A whole block of dummy records behind the end of the volume's redo, so that the
new local redo begins with a block of its own; fills the directory as of there. */
static bool begin_without_pages() {
  redoubt_error error{};
  if (!may_fill_directory(link.position.end_lsn)) {
    return false;
  }
  const lsn_t begin = ut_uint64_align_up(link.position.end_lsn + 1,
                                         OS_FILE_LOG_BLOCK_SIZE) +
                      LOG_BLOCK_HDR_SIZE;
  if (redoubt_writer_skip_to(link.writer, begin, CONNECT_TIMEOUT_MS, &error) !=
      REDOUBT_OK) {
    return refuse(error.message);
  }
  link.position.end_lsn = begin;
  if (!fill_directory(begin)) {
    return false;
  }
  begin_reads(begin);
  return true;
}

lsn_t boot_lsn() { return link.position.end_lsn; }

bool boot() {
  if (!keeps_pages() && is_hollow_directory()) {
    ib::error(ER_IB_MSG_540)
        << "innodb_pageserver_mode=" << mode_name()
        << ": the data files here hold page 0 only, the pages are in a Redoubt "
           "volume; start with NOWRITE or STATELESS, or restore the volume into "
           "another directory";
    return false;
  }
  if (!streams_redo()) {
    return true;
  }
  redoubt_error error{};
  if (connect(&error) != REDOUBT_OK) {
    return refuse(error.message);
  }
  ib::info(ER_IB_MSG_540) << "Redoubt volume " << settings.volume << ": epoch "
                          << link.position.epoch << " begins at LSN "
                          << link.position.end_lsn;
  if (link.position.page_size != srv_page_size) {
    return refuse("the pages of volume " + std::string(settings.volume) + " have " +
                  std::to_string(link.position.page_size) +
                  " bytes, innodb_page_size says " +
                  std::to_string(srv_page_size));
  }
  if (link.position.end_lsn == 0) {
    return refuse("volume " + std::string(settings.volume) +
                  " is empty: put the pages of this data directory into it first");
  }
  return keeps_pages() ? begin_without_pages() : may_keep_files();
}

/* ---- trouble */

void give_up(const char *doing, const redoubt_error &error) {
  ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
      << (error.code == REDOUBT_STALE_EPOCH
              ? "Another server has taken the volume over, this one ends"
              : "Redoubt's log servers cannot be used any more, the server ends")
      << " (" << doing << "): " << redoubt_code_name(error.code) << ": "
      << error.message;
}

static std::atomic<bool> fenced{false};
/** So long a server that lost its volume tells its clients. */
static constexpr auto TELL_FOR = std::chrono::seconds(2);

bool is_fenced() { return fenced.load(); }

void lose_volume(const char *doing, const redoubt_error &error) {
  if (!keeps_pages() || error.code != REDOUBT_STALE_EPOCH) {
    give_up(doing, error);
  }
  if (fenced.exchange(true)) {
    return;
  }
  ib::error(ER_IB_MSG_540)
      << "Another server has taken the volume over, this one answers commits with "
         "an error and ends in "
      << TELL_FOR.count() << " s (" << doing << "): " << error.message;
  std::thread([] {
    std::this_thread::sleep_for(TELL_FOR);
    /* No shutdown: it would wait for redo to be flushed. */
    _exit(MYSQLD_ABORT_EXIT);
  }).detach();
}

bool refuses_commit() {
  if (!fenced.load()) {
    return false;
  }
  my_printf_error(ER_ERROR_DURING_COMMIT,
                  "Another server has taken the volume '%s' over: this commit is "
                  "not acknowledged, and this server ends",
                  MYF(0), settings.volume);
  return true;
}

Patience::~Patience() {
  if (m_extended) {
    srv_fatal_semaphore_wait_extend.fetch_sub(1);
  }
}

uint64_t Patience::waited_us() const {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(
          std::chrono::steady_clock::now() - m_began)
          .count());
}

void Patience::lasts(const redoubt_error &error) {
  const uint64_t waited_ms = waited_us() / 1000;
  if (settings.wal_timeout_ms != 0 && waited_ms >= settings.wal_timeout_ms) {
    give_up("innodb_pageserver_wal_timeout_ms has passed", error);
  }
  if (!m_extended) {
    srv_fatal_semaphore_wait_extend.fetch_add(1);
    m_extended = true;
  }
  ib::warn(ER_IB_MSG_540) << "No majority of Redoubt's log servers has answered "
                             "for "
                          << waited_ms / 1000 << " s, " << m_doing
                          << " waits: " << error.message;
}

bool forbids(const char *what) {
  if (!streams_redo()) {
    return false;
  }
  ++counters.forbidden_ops;
  const std::string text =
      std::string(what) + " with innodb_pageserver_mode=" + mode_name();
  my_error(ER_NOT_SUPPORTED_YET, MYF(0), text.c_str());
  return true;
}

void expect_temporary(const buf_page_t *bpage) {
  if (keeps_pages() && !fsp_is_system_temporary(bpage->id.space()) && !is_local(bpage)) {
    ib::fatal(UT_LOCATION_HERE, ER_IB_MSG_540)
        << "Page " << bpage->id
        << " was changed without redo, which innodb_pageserver_mode=" << mode_name()
        << " cannot keep; what changes pages so should have been refused";
  }
}

bool forbids_tablespace(bool undo, uint64_t block_size, const char *path) {
  return (undo && !MySQL_undo_path.is_same_as(MySQL_datadir_path) &&
          forbids_local("CREATE UNDO TABLESPACE outside the data directory")) ||
         (block_size != 0 && block_size != UNIV_PAGE_SIZE &&
          forbids_local("FILE_BLOCK_SIZE of compressed tables")) ||
         (Fil_path::is_absolute_path(path) &&
          forbids_local("a tablespace outside the data directory"));
}

/* ---- status */

/** What is wrong now, or that nothing is. */
static const char *state_of(const redoubt_writer_status &writer) {
  if (!streams_redo()) {
    return "off";
  }
  if (writer.failure != REDOUBT_OK) {
    return redoubt_code_name(writer.failure);
  }
  return writer.problem[0] == '\0' ? "streaming" : "streaming, with trouble";
}

/* Called with LOCK_status held: one caller at a time. */
size_t Durations::step_of(uint64_t us) {
  if (us < 4) {
    return us;
  }
  const unsigned power = std::bit_width(us) - 1;
  return std::min<size_t>((power - 1) * 4 + ((us >> (power - 2)) & 3), STEPS - 1);
}

uint64_t Durations::percentile(unsigned percent) const {
  uint64_t total = 0;
  for (const auto &count : m_counts) {
    total += count.load(std::memory_order_relaxed);
  }
  uint64_t left = (total * percent + 99) / 100;
  for (size_t step = 0; left > 0 && step < STEPS; ++step) {
    const uint64_t here = m_counts[step].load(std::memory_order_relaxed);
    if (here >= left) {
      /* The greatest value of the step. */
      return step < 4 ? step : ((step % 4 + 5) << (step / 4 - 1)) - 1;
    }
    left -= here;
  }
  return 0;
}

int show_status(THD *, SHOW_VAR *var, char *) {
  static redoubt_writer_status writer;
  static ulonglong values[48];
  static SHOW_VAR rows[52];
  writer = redoubt_writer_status{};
  if (link.writer != nullptr) {
    redoubt_writer_get_status(link.writer, &writer);
  }
  redoubt_reader_status reader{};
  if (link.reader != nullptr) {
    redoubt_reader_get_status(link.reader, &reader);
  }
  const struct {
    const char *name;
    ulonglong value;
  } numbers[] = {
      {"epoch", link.position.epoch},
      {"boot_lsn", link.position.end_lsn},
      {"catch_up_bytes", counters.catch_up_bytes},
      {"wal_appended_lsn", writer.appended_lsn},
      {"wal_quorum_lsn", writer.acknowledged_lsn},
      {"wal_commit_lsn", writer.commit_lsn},
      {"wal_inflight_bytes", writer.window_bytes},
      {"wal_appends", writer.append_count},
      {"wal_append_bytes", writer.append_bytes},
      {"wal_stalls", writer.stall_count},
      {"wal_stall_us", writer.stall_us},
      {"quorum_waits", counters.quorum_waits},
      {"quorum_wait_us_total", counters.quorum_wait_us},
      {"quorum_wait_us_max", counters.quorum_wait_us_max},
      {"reads", counters.reads_sync + counters.reads_async},
      {"reads_sync", counters.reads_sync},
      {"reads_async", counters.reads_async},
      {"read_bytes", counters.read_bytes},
      {"read_wait_us", counters.read_wait_us},
      {"read_wait_us_p50", counters.read_waits.percentile(50)},
      {"read_wait_us_p99", counters.read_waits.percentile(99)},
      {"read_fallbacks", counters.read_fallbacks},
      {"reads_ahead", counters.reads_ahead},
      {"read_retries", counters.read_retries},
      {"reads_beyond_end", counters.reads_beyond_end},
      {"reads_compared", counters.reads_compared},
      {"reads_different", counters.reads_different},
      {"read_batches", counters.read_batches},
      {"read_batch_pages", counters.read_batch_pages},
      {"pages_not_written", counters.pages_not_written},
      {"page0_writes", counters.page0_writes},
      {"page_images", counters.images},
      {"page_image_bytes", counters.image_bytes},
      {"read_requests", reader.requests},
      {"read_failovers", reader.failovers},
      {"forbidden_ops", counters.forbidden_ops},
  };
  static_assert(UT_ARR_SIZE(numbers) <= UT_ARR_SIZE(values));
  size_t count = 0;
  rows[count++] = {"state", const_cast<char *>(state_of(writer)), SHOW_CHAR,
                   SHOW_SCOPE_GLOBAL};
  rows[count++] = {"problem", writer.problem, SHOW_CHAR, SHOW_SCOPE_GLOBAL};
  static double batch_mean;
  const uint64_t batches = counters.read_batches;
  batch_mean =
      batches == 0 ? 0 : double(counters.read_batch_pages) / double(batches);
  rows[count++] = {"read_batch_mean", reinterpret_cast<char *>(&batch_mean),
                   SHOW_DOUBLE, SHOW_SCOPE_GLOBAL};
  for (size_t i = 0; i < UT_ARR_SIZE(numbers); ++i) {
    values[i] = numbers[i].value;
    rows[count++] = {numbers[i].name, reinterpret_cast<char *>(&values[i]),
                     SHOW_LONGLONG, SHOW_SCOPE_GLOBAL};
  }
  rows[count] = {nullptr, nullptr, SHOW_LONG, SHOW_SCOPE_GLOBAL};
  var->type = SHOW_ARRAY;
  var->value = reinterpret_cast<char *>(rows);
  var->scope = SHOW_SCOPE_GLOBAL;
  return 0;
}

}  // namespace rdb
