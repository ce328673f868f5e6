// SPDX-License-Identifier: MIT
#include "client/ctl/parse.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

namespace redoubt::ctl {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
// The years that fit signed 64-bit nanoseconds with room to spare.
constexpr int64_t kFirstYear = 1970;
constexpr int64_t kLastYear = 2200;

template <typename T>
std::optional<T> ParseWhole(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

bool IsDigit(char c) { return '0' <= c && c <= '9'; }

// Reads fields of fixed width from the front of a text; remembers the first failure.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  int64_t Digits(size_t count) {
    if (failed_ || text_.size() < count) {
      failed_ = true;
      return 0;
    }
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      failed_ = failed_ || !IsDigit(text_[i]);
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(count);
    return failed_ ? 0 : value;
  }
  bool Take(char c) {
    if (failed_ || text_.empty() || text_.front() != c) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }
  void Expect(char c) { failed_ = !Take(c) || failed_; }
  // ".123" as nanoseconds; 0 when there is no point.
  int64_t Fraction() {
    if (!Take('.')) {
      return 0;
    }
    int64_t value = 0;
    int64_t scale = kNsPerSecond;
    failed_ = failed_ || text_.empty() || !IsDigit(text_.front());
    while (!text_.empty() && IsDigit(text_.front())) {
      scale /= 10;
      value += (text_.front() - '0') * scale;
      text_.remove_prefix(1);
    }
    return value;
  }
  bool AtEnd() const { return !failed_ && text_.empty(); }
  bool NextIsDigit() const { return !text_.empty() && IsDigit(text_.front()); }
  bool empty() const { return text_.empty(); }
  bool failed() const { return failed_; }

 private:
  std::string_view text_;
  bool failed_ = false;
};

// Days from 1970-01-01 in the Gregorian calendar (era arithmetic on 400-year cycles, March first).
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct CivilDate {
  int64_t year, month, day;
};
CivilDate CivilFromDays(int64_t days) {
  days += 719468;
  const int64_t era = days / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted + (shifted < 10 ? 3 : -9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * shifted + 2) / 5 + 1};
}

int64_t DaysInMonth(int64_t year, int64_t month) {
  const int64_t next =
      month == 12 ? DaysFromCivil(year + 1, 1, 1) : DaysFromCivil(year, month + 1, 1);
  return next - DaysFromCivil(year, month, 1);
}

// Seconds east of UTC; 0 when the text has no zone.
int64_t ParseZone(Cursor* cursor) {
  if (cursor->Take('Z') || cursor->Take('z')) {
    return 0;
  }
  const bool east = cursor->Take('+');
  if (!east && !cursor->Take('-')) {
    return 0;
  }
  int64_t seconds = cursor->Digits(2) * 3600;
  if (cursor->Take(':') || cursor->NextIsDigit()) {
    seconds += cursor->Digits(2) * 60;
  }
  return east ? seconds : -seconds;
}

std::optional<int64_t> ParseIso(std::string_view text) {
  Cursor cursor(text);
  const int64_t year = cursor.Digits(4);
  cursor.Expect('-');
  const int64_t month = cursor.Digits(2);
  cursor.Expect('-');
  const int64_t day = cursor.Digits(2);
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  int64_t ns = 0;
  int64_t zone = 0;
  if (cursor.Take('T') || cursor.Take('t') || cursor.Take(' ')) {
    hour = cursor.Digits(2);
    cursor.Expect(':');
    minute = cursor.Digits(2);
    if (cursor.Take(':')) {
      second = cursor.Digits(2);
      ns = cursor.Fraction();
    }
    zone = ParseZone(&cursor);
  }
  const bool in_range = kFirstYear <= year && year <= kLastYear && 1 <= month && month <= 12 &&
                        hour <= 23 && minute <= 59 && second <= 60;
  if (!cursor.AtEnd() || !in_range || day < 1 || day > DaysInMonth(year, month)) {
    return std::nullopt;
  }
  const int64_t seconds =
      DaysFromCivil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
  return seconds * kNsPerSecond + ns;
}

std::optional<int64_t> ParseUnixSeconds(std::string_view text) {
  const size_t point = text.find('.');
  const auto seconds = ParseWhole<int64_t>(text.substr(0, point));
  if (!seconds || *seconds < 0 || *seconds > (kLastYear - kFirstYear) * 366 * 86400) {
    return std::nullopt;
  }
  int64_t ns = 0;
  if (point != std::string_view::npos) {
    Cursor cursor(text.substr(point));
    ns = cursor.Fraction();
    if (!cursor.AtEnd()) {
      return std::nullopt;
    }
  }
  return *seconds * kNsPerSecond + ns;
}

}  // namespace

Result<int64_t> ParseTime(std::string_view text) {
  const std::optional<int64_t> iso = ParseIso(text);
  const std::optional<int64_t> time = iso ? iso : ParseUnixSeconds(text);
  if (!time) {
    return InvalidArgument(
        "\"" + std::string(text) +
        "\" is no time; write 2026-11-22T14:03:05Z, 2026-11-22T15:03:05+01:00 or "
        "unix seconds (without a zone it is UTC)");
  }
  return *time;
}

std::string FormatTime(int64_t unix_ns) {
  if (unix_ns <= 0) {
    return "unknown";
  }
  const int64_t seconds = unix_ns / kNsPerSecond;
  const CivilDate date = CivilFromDays(seconds / 86400);
  const int64_t of_day = seconds % 86400;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year), static_cast<int>(date.month),
                static_cast<int>(date.day), static_cast<int>(of_day / 3600),
                static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60),
                static_cast<int>(unix_ns % kNsPerSecond / 1'000'000));
  return text.data();
}

Result<PageId> ParsePageId(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto space = ParseWhole<uint32_t>(text.substr(0, colon));
    const auto page = ParseWhole<uint32_t>(text.substr(colon + 1));
    if (space && page) {
      return PageId{SpaceId(*space), PageNo(*page)};
    }
  }
  return InvalidArgument("\"" + std::string(text) +
                         "\" is no page; write SPACE:PAGE, for example 5:17");
}

Result<Lsn> ParseLsn(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const auto value = hex ? ParseWhole<uint64_t>(text.substr(2), 16) : ParseWhole<uint64_t>(text);
  if (!value) {
    return InvalidArgument("\"" + std::string(text) + "\" is no LSN; write a whole number");
  }
  return Lsn(*value);
}

std::string FormatBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value,
                kUnits[unit]);
  return text.data();
}

}  // namespace redoubt::ctl
