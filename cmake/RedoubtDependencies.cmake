# SPDX-License-Identifier: MIT
#
# Every third-party library, all from Debian; ci/packages.py installs them.

find_package(Threads REQUIRED)
if(NOT REDOUBT_FUZZ)
  find_package(GTest REQUIRED)
  find_package(Protobuf REQUIRED)
  find_package(RocksDB CONFIG REQUIRED)
  find_package(spdlog CONFIG REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
  find_package(Boost 1.81 REQUIRED)
  find_package(OpenSSL REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(MARIADB REQUIRED IMPORTED_TARGET libmariadb)
  pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
  find_library(BENCHMARK_LIBRARY benchmark REQUIRED)
endif()
