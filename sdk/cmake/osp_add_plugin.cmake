# osp_add_plugin(acme src/acme.cpp [more sources] [MANIFEST manifest.json SCHEMA config.schema.json])
# A shared object acme.so that exports osp_plugin_v* and nothing else. With MANIFEST the sources may
# include "opensend_manifest.h", which has the manifest with the schema of each of its kinds in it as
# the literal OSP_MANIFEST_TEXT, and OSP_MANIFEST_ID, OSP_MANIFEST_VERSION, OSP_SCHEMA_TEXT.
# Where tests are enabled and the opensend program is found, `ctest` has it check the plugin.
function(osp_add_plugin name)
  cmake_parse_arguments(ARG "" "MANIFEST;SCHEMA" "" ${ARGN})
  add_library(${name} MODULE ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE opensend::plugin)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>
    -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=.)
  target_link_options(${name} PRIVATE -static-libgcc $<$<LINK_LANGUAGE:CXX>:-static-libstdc++>
    -Wl,-z,defs,-z,relro,-z,now,-z,noexecstack -Wl,--exclude-libs,ALL
    "-Wl,--version-script=${OPENSEND_PLUGIN_VERSION_SCRIPT}")
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(ARG_MANIFEST)
    osp_write_manifest_header(${name} "${ARG_MANIFEST}" "${ARG_SCHEMA}")
  endif()
  find_program(OPENSEND_PROGRAM opensend)
  if(OPENSEND_PROGRAM)
    add_test(NAME ${name}.check COMMAND "${OPENSEND_PROGRAM}" plugins check $<TARGET_FILE:${name}>)
  endif()
endfunction()

# JSON text as the inside of a C string literal.
function(osp_c_literal text out)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(osp_write_manifest_header name manifest_file schema_file)
  get_filename_component(manifest_file "${manifest_file}" ABSOLUTE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest_file}")
  file(READ "${manifest_file}" manifest)
  string(JSON id GET "${manifest}" id)
  string(JSON version GET "${manifest}" version)
  set(schema "{}")
  if(schema_file)
    get_filename_component(schema_file "${schema_file}" ABSOLUTE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${schema_file}")
    file(READ "${schema_file}" schema)
    string(JSON n LENGTH "${manifest}" kinds)
    math(EXPR last "${n} - 1")
    set(schemas "{}")
    foreach(i RANGE ${last})
      string(JSON kind GET "${manifest}" kinds ${i})
      string(REGEX REPLACE "^[^:]*:" "" kind "${kind}")
      string(JSON schemas SET "${schemas}" "${kind}" "${schema}")
    endforeach()
    string(JSON manifest SET "${manifest}" config_schema "${schemas}")
  endif()
  osp_c_literal("${manifest}" manifest)
  osp_c_literal("${schema}" schema)
  osp_c_literal("${id}" id)
  osp_c_literal("${version}" version)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}_manifest")
  file(CONFIGURE OUTPUT "${folder}/opensend_manifest.h" @ONLY CONTENT
"#define OSP_MANIFEST_ID \"@id@\"
#define OSP_MANIFEST_VERSION \"@version@\"
#define OSP_MANIFEST_TEXT \"@manifest@\"
#define OSP_SCHEMA_TEXT \"@schema@\"
")
  target_include_directories(${name} PRIVATE "${folder}")
endfunction()
