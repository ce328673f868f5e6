// SPDX-License-Identifier: MIT
#include "sim/runtime/host_guard.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#ifdef __FMA__
#error "fused multiply-add rounds otherwise than the rest: compile the simulator without it"
#endif

namespace redoubt::sim {
namespace {

// What the replaced functions, which have no other way to learn it, find on their own thread.
thread_local int guards_of_thread = 0;

constexpr int kFramesMax = 24;

// Calls that pass through these are their callers' calls.
bool IsLanguageRuntime(std::string_view object) {
  return object.find("libstdc++") != object.npos || object.find("libc.so") != object.npos ||
         object.find("libgcc") != object.npos || object.find("libasan") != object.npos ||
         object.find("libubsan") != object.npos || object.find("libtsan") != object.npos ||
         object.find("libclang_rt") != object.npos;
}

// Stops the process unless the call may pass. `caller` is where the replaced function returns to:
// the frames above it are this file's, and a sanitizer's when it intercepts backtrace().
void Check(const char* name, const void* caller) {
  if (guards_of_thread == 0) {
    return;
  }
  const int guards = guards_of_thread;
  guards_of_thread = 0;  // what is used here may ask the host itself
  std::array<void*, kFramesMax> frames{};
  const int count = backtrace(frames.data(), kFramesMax);
  const auto* const first = std::find(frames.data(), frames.data() + count, caller);
  const auto* const end = frames.data() + count;
  for (const auto* frame = first; frame != end; ++frame) {
    Dl_info info{};
    const bool known = dladdr(*frame, &info) != 0;
    const std::string_view object = known && info.dli_fname != nullptr ? info.dli_fname : "";
    if (IsLanguageRuntime(object)) {
      continue;
    }
    if (object.find("librocksdb") != object.npos) {
      guards_of_thread = guards;
      return;
    }
    break;
  }
  // tidy: allow(print): the process ends here
  std::fprintf(
      stderr, "check failed: %s was called in the simulated world, from (innermost first)\n", name);
  backtrace_symbols_fd(first, static_cast<int>(end - first), STDERR_FILENO);
  std::abort();
}

}  // namespace

HostGuard::HostGuard() { ++guards_of_thread; }
HostGuard::~HostGuard() { --guards_of_thread; }

}  // namespace redoubt::sim

#define REDOUBT_EXPORT __attribute__((visibility("default"), noinline))

extern "C" {

REDOUBT_EXPORT int clock_gettime(clockid_t clock, timespec* now) noexcept {
  redoubt::sim::Check("clock_gettime", __builtin_return_address(0));
  return static_cast<int>(syscall(SYS_clock_gettime, clock, now));
}

REDOUBT_EXPORT int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  redoubt::sim::Check("gettimeofday", __builtin_return_address(0));
  return static_cast<int>(syscall(SYS_gettimeofday, now, nullptr));
}

REDOUBT_EXPORT time_t time(time_t* now) noexcept {
  redoubt::sim::Check("time", __builtin_return_address(0));
  return static_cast<time_t>(syscall(SYS_time, now));
}

REDOUBT_EXPORT int nanosleep(const timespec* wanted, timespec* rest) {
  redoubt::sim::Check("nanosleep", __builtin_return_address(0));
  return static_cast<int>(syscall(SYS_nanosleep, wanted, rest));
}

REDOUBT_EXPORT int usleep(useconds_t microseconds) {
  redoubt::sim::Check("usleep", __builtin_return_address(0));
  const timespec wanted{microseconds / 1'000'000,
                        static_cast<long>(microseconds % 1'000'000) * 1000};
  return static_cast<int>(syscall(SYS_nanosleep, &wanted, nullptr));
}

REDOUBT_EXPORT ssize_t getrandom(void* buffer, size_t length, unsigned flags) {
  redoubt::sim::Check("getrandom", __builtin_return_address(0));
  return syscall(SYS_getrandom, buffer, length, flags);
}

REDOUBT_EXPORT int getentropy(void* buffer, size_t length) {
  redoubt::sim::Check("getentropy", __builtin_return_address(0));
  return syscall(SYS_getrandom, buffer, length, 0) == static_cast<long>(length) ? 0 : -1;
}

REDOUBT_EXPORT uint32_t arc4random() noexcept {
  redoubt::sim::Check("arc4random", __builtin_return_address(0));
  uint32_t value = 0;
  syscall(SYS_getrandom, &value, sizeof(value), 0);
  return value;
}

REDOUBT_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                  void* (*start)(void*), void* argument) noexcept {
  redoubt::sim::Check("pthread_create", __builtin_return_address(0));
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto kReal = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return kReal(thread, attributes, start, argument);
}

}  // extern "C"
