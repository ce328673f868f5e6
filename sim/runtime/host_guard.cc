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
         object.find("libubsan") != object.npos || object.find("libtsan") != object.npos;
}

// Stops the process unless the call may pass. Not inlined: it counts frames.
__attribute__((noinline)) void Check(const char* name) {
  if (guards_of_thread == 0) {
    return;
  }
  const int guards = guards_of_thread;
  guards_of_thread = 0;  // what is used here may ask the host itself
  std::array<void*, kFramesMax> frames{};
  const int count = backtrace(frames.data(), kFramesMax);
  // Frame 0 is this function, 1 the replaced one.
  for (int i = 2; i < count; ++i) {
    Dl_info info{};
    const bool known = dladdr(frames[static_cast<size_t>(i)], &info) != 0;
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
  backtrace_symbols_fd(frames.data() + 2, count > 2 ? count - 2 : 0, STDERR_FILENO);
  std::abort();
}

}  // namespace

HostGuard::HostGuard() { ++guards_of_thread; }
HostGuard::~HostGuard() { --guards_of_thread; }

}  // namespace redoubt::sim

#define REDOUBT_EXPORT __attribute__((visibility("default"), noinline))

extern "C" {

REDOUBT_EXPORT int clock_gettime(clockid_t clock, timespec* now) noexcept {
  redoubt::sim::Check("clock_gettime");
  return static_cast<int>(syscall(SYS_clock_gettime, clock, now));
}

REDOUBT_EXPORT int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  redoubt::sim::Check("gettimeofday");
  return static_cast<int>(syscall(SYS_gettimeofday, now, nullptr));
}

REDOUBT_EXPORT time_t time(time_t* now) noexcept {
  redoubt::sim::Check("time");
  return static_cast<time_t>(syscall(SYS_time, now));
}

REDOUBT_EXPORT int nanosleep(const timespec* wanted, timespec* rest) {
  redoubt::sim::Check("nanosleep");
  return static_cast<int>(syscall(SYS_nanosleep, wanted, rest));
}

REDOUBT_EXPORT int usleep(useconds_t microseconds) {
  redoubt::sim::Check("usleep");
  const timespec wanted{microseconds / 1'000'000,
                        static_cast<long>(microseconds % 1'000'000) * 1000};
  return static_cast<int>(syscall(SYS_nanosleep, &wanted, nullptr));
}

REDOUBT_EXPORT ssize_t getrandom(void* buffer, size_t length, unsigned flags) {
  redoubt::sim::Check("getrandom");
  return syscall(SYS_getrandom, buffer, length, flags);
}

REDOUBT_EXPORT int getentropy(void* buffer, size_t length) {
  redoubt::sim::Check("getentropy");
  return syscall(SYS_getrandom, buffer, length, 0) == static_cast<long>(length) ? 0 : -1;
}

REDOUBT_EXPORT uint32_t arc4random() noexcept {
  redoubt::sim::Check("arc4random");
  uint32_t value = 0;
  syscall(SYS_getrandom, &value, sizeof(value), 0);
  return value;
}

REDOUBT_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                  void* (*start)(void*), void* argument) noexcept {
  redoubt::sim::Check("pthread_create");
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto kReal = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return kReal(thread, attributes, start, argument);
}

}  // extern "C"
