# opensend_embed(out.cpp FUNCTION opensend::db::EmbeddedMigrations FILES db/migrations/*.sql)
# Writes a source file with the bytes of every file that matches, in order of their names, and
#   std::span<const opensend::base::EmbeddedFile> opensend::db::EmbeddedMigrations();
# A file that is added, removed or changed configures the build again.
function(opensend_embed output)
  cmake_parse_arguments(ARG "" "FUNCTION" "FILES" ${ARGN})
  string(REGEX MATCH "^(.*)::([^:]+)$" matched "${ARG_FUNCTION}")
  set(namespace "${CMAKE_MATCH_1}")
  set(function "${CMAKE_MATCH_2}")
  file(GLOB paths CONFIGURE_DEPENDS ${ARG_FILES})
  list(SORT paths)
  set(entries "")
  foreach(path IN LISTS paths)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
    get_filename_component(name "${path}" NAME)
    file(SIZE "${path}" size)
    file(READ "${path}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" text "${hex}")
    string(APPEND entries "    {\"${name}\", {\"${text}\", ${size}}},\n")
  endforeach()
  set(body "    return {};")
  set(table "")
  if(entries)
    set(table "static constexpr opensend::base::EmbeddedFile k${function}[] = {\n${entries}};\n")
    set(body "    return k${function};")
  endif()
  file(CONFIGURE OUTPUT "${output}" @ONLY CONTENT "// Written by opensend_embed.
#include <span>

#include \"kernel/base/embedded.h\"

namespace @namespace@ {
@table@std::span<const opensend::base::EmbeddedFile> @function@();
std::span<const opensend::base::EmbeddedFile> @function@() {
@body@
}
}  // namespace @namespace@
")
endfunction()
