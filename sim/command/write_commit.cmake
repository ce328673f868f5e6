# SPDX-License-Identifier: MIT
#
# Writes HEADER with the commit of the working tree SOURCE, when it is another than before.
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define REDOUBT_COMMIT \"${commit}\"\n" @ONLY)
