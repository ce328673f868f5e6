# SPDX-License-Identifier: MIT
#
# The three kinds of target: a library per folder, a program, a test. Our own code gets the strict
# flags; generated and third-party code is SYSTEM and does not.

# Objects also go into an archive for programs that are built elsewhere (client/abi): position
# independent, with hidden symbols, and the same bytes from every checkout, by which
# innodb-patch/build.py knows a build.
add_library(redoubt_object_flags INTERFACE)
target_compile_options(redoubt_object_flags INTERFACE
  -fPIC -fvisibility=hidden $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
  -fmacro-prefix-map=../../= -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=
  -fmacro-prefix-map=${CMAKE_BINARY_DIR}/=)

add_library(redoubt_flags INTERFACE)
target_link_libraries(redoubt_flags INTERFACE redoubt_object_flags)
target_compile_options(redoubt_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  -Wnon-virtual-dtor -Werror)
target_include_directories(redoubt_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(redoubt_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fcoroutines>
    # GCC 12 reports these falsely inside inlined libstdc++ code.
    -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # The driver's own option instead of what CMake hands to the compiler behind it: ccache understands it.
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include-pch <PCH_FILE>)
  # libstdc++ 12's own std::stable_sort calls what libstdc++ calls deprecated.
  target_compile_options(redoubt_flags INTERFACE -Wno-deprecated-declarations)
endif()

# What a test does itself takes no time: optimising it would take longer than its run saves.
set(redoubt_test_options -O0)

# Headers of the standard library and of others that most files read are compiled once for all
# targets, those of GoogleTest once for all tests: it is a third of what a build takes. A file still
# includes what it uses: the fuzz build goes without.
function(redoubt_headers name)
  cmake_parse_arguments(ARG "" "" "OPTIONS;HEADERS" ${ARGN})
  set(empty ${CMAKE_BINARY_DIR}/${name}.cc)
  if(NOT EXISTS ${empty})
    file(WRITE ${empty} "")
  endif()
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${empty})
  target_link_libraries(${name} PRIVATE redoubt_flags)
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  # Clang writes the directory into its file, which would make the results of every checkout its own. ccache takes this
  # text for it (ci/build.py); which headers it was made of, and in what state, the compiler's list says.
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/${name}.dir/cmake_pch.hxx.pch.sum ${name})
endfunction()

if(NOT REDOUBT_FUZZ)
  set(redoubt_precompiled <algorithm> <array> <charconv> <chrono> <coroutine> <cstdint> <deque> <filesystem>
    <fstream> <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <utility>
    <vector> <google/protobuf/extension_set.h> <google/protobuf/generated_message_reflection.h>
    <google/protobuf/message.h> <google/protobuf/repeated_field.h>
    <google/protobuf/unknown_field_set.h>)
  redoubt_headers(redoubt_library_headers HEADERS ${redoubt_precompiled})
  redoubt_headers(redoubt_test_headers OPTIONS ${redoubt_test_options}
    HEADERS ${redoubt_precompiled} <gmock/gmock.h> <gtest/gtest.h>)
  target_link_libraries(redoubt_test_headers PRIVATE GTest::gmock)  # defines what these headers ask
endif()

# redoubt_reads_precompiled(HEADERS target ...)
function(redoubt_reads_precompiled headers)
  if(NOT REDOUBT_FUZZ)
    foreach(target ${ARGN})
      target_precompile_headers(${target} REUSE_FROM ${headers})
    endforeach()
  endif()
endfunction()

# Libraries that have places for planted bugs, and what lies between them. Each has a variant
# NAME_planted, made of the same sources with REDOUBT_PLANTS (common/runtime/fault_point.h), which
# only the simulator links; with REDOUBT_ALL_PLANTED every program does, and they are compiled once. A
# library that depends on one of them belongs to the list, too, if the simulator needs it: no program
# may link both variants.
set(REDOUBT_PLANTABLE redoubt_log redoubt_storage redoubt_page redoubt_rpc redoubt_volumes
  redoubt_pageserver redoubt_client)

# redoubt_library(NAME SOURCES a.cc ... DEPS lib ...): one static library, which also links alone
# against its declared dependencies (the link test that keeps the layers true).
function(redoubt_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE redoubt_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  redoubt_reads_precompiled(redoubt_library_headers ${name})
  if(name IN_LIST REDOUBT_PLANTABLE AND REDOUBT_ALL_PLANTED)
    target_compile_definitions(${name} PRIVATE REDOUBT_PLANTS)
    add_library(${name}_planted ALIAS ${name})
  elseif(name IN_LIST REDOUBT_PLANTABLE)
    add_library(${name}_planted STATIC EXCLUDE_FROM_ALL ${ARG_SOURCES})
    target_compile_definitions(${name}_planted PRIVATE REDOUBT_PLANTS)
    set(planted_deps ${ARG_DEPS})
    foreach(plantable ${REDOUBT_PLANTABLE})
      list(TRANSFORM planted_deps REPLACE "^${plantable}$" "${plantable}_planted")
    endforeach()
    target_link_libraries(${name}_planted PUBLIC ${planted_deps} PRIVATE redoubt_flags)
    target_include_directories(${name}_planted PUBLIC ${CMAKE_SOURCE_DIR})
    redoubt_reads_precompiled(redoubt_library_headers ${name}_planted)
  endif()
  if(NOT REDOUBT_FUZZ)
    set(probe ${CMAKE_BINARY_DIR}/link_tests/${name}.cc)
    if(NOT EXISTS ${probe})
      file(WRITE ${probe} "int main() { return 0; }\n")
    endif()
    add_executable(link_${name} ${probe})
    target_link_libraries(link_${name} PRIVATE -Wl,--whole-archive ${name} -Wl,--no-whole-archive)
    set_target_properties(link_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
      ${CMAKE_BINARY_DIR}/link_tests)
    add_test(NAME link_${name} COMMAND link_${name})
  endif()
endfunction()

# redoubt_program(NAME SOURCES a.cc ... DEPS lib ...): a binary in build/<preset>/bin.
function(redoubt_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} redoubt_flags)
  redoubt_reads_precompiled(redoubt_library_headers ${name})
endfunction()

# redoubt_test(NAME SOURCES a.cc ... DEPS lib ...): a GoogleTest binary, one ctest entry.
function(redoubt_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${redoubt_test_options})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} redoubt_flags GTest::gmock GTest::gtest_main)
  redoubt_reads_precompiled(redoubt_test_headers ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()
