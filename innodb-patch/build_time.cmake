# SPDX-License-Identifier: GPL-2.0-only
#
# What makes a build of mysqld shorter. build.py hands this file to CMake as CMAKE_PROJECT_MySQL_INCLUDE; MySQL's own files
# stay as they are.
#
# Headers that a part of the server compiles once instead of in each of its files: reading headers is most of what it
# takes, and the same programs come out. What a header here includes must not look at WITH_INNODB_PAGESERVER: only the
# patched files have it.
#
# Geometry (sql_gis) with the options in REDOUBT_GEOMETRY_OPTIONS: templates in a few dozen files, a quarter of the whole.

# The named target reads the named headers, of MySQL's source, from a precompiled one.
function(redoubt_precompile_for target)
  list(TRANSFORM ARGN PREPEND "${CMAKE_SOURCE_DIR}/" OUTPUT_VARIABLE headers)
  list(TRANSFORM headers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:\\1>")
  target_precompile_headers(${target} PRIVATE ${headers})
endfunction()

function(redoubt_precompile)
  set(sql sql_class sql_lex mysqld handler item field table)
  list(TRANSFORM sql REPLACE "(.+)" "sql/\\1.h")
  foreach(target sql_main sql_dd binlog rpl_replica mysql_server_component_services perfschema)
    redoubt_precompile_for(${target} ${sql})
  endforeach()

  # Reads a header that has no guard against being read twice.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/sql/engine_combination_tracker.cc TARGET_DIRECTORY sql_main
    PROPERTIES SKIP_PRECOMPILE_HEADERS ON)

  redoubt_precompile_for(sql_gis sql/gis/geometries_traits.h sql/dd/types/spatial_reference_system.h)

  set(innodb univ.i mtr0mtr.h buf0buf.h dict0dict.h trx0trx.h row0mysql.h)
  list(TRANSFORM innodb PREPEND storage/innobase/include/)
  redoubt_precompile_for(innobase ${innodb})
endfunction()

function(redoubt_shorten)
  redoubt_precompile()
  target_compile_options(sql_gis PRIVATE ${REDOUBT_GEOMETRY_OPTIONS})
endfunction()

# When all targets are known.
cmake_language(DEFER CALL redoubt_shorten)
