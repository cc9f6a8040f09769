# The three ways a target comes into being. Sources are listed by hand; link lists are the layers.
include(CMakeParseArguments)

# opensend_library(base SOURCES a.cpp b.cpp PUBLIC opensend_json PRIVATE Poco::Net)
# One static library per kernel folder, called opensend_<name>.
function(opensend_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target opensend_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_link_libraries(${target} PUBLIC opensend_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(OPENSEND_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  endif()
endfunction()

# opensend_plugin(capture SOURCES capture.cpp PRIVATE OpenSSL::SSL)
# A shared object in the build's plugins/ folder that exports osp_plugin_v* only.
function(opensend_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_library(plugin_${name} MODULE ${ARG_SOURCES})
  target_link_libraries(plugin_${name} PRIVATE opensend_options opensend_sdk ${ARG_PRIVATE})
  target_compile_options(plugin_${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(plugin_${name} PRIVATE
    -Wl,--exclude-libs,ALL -Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/cmake/plugin.ver)
  set_target_properties(plugin_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/plugins")
endfunction()

# opensend_test(base SOURCES a_test.cpp LIBS opensend_base LABELS unit)
# One executable per library, called <name>_test.
function(opensend_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE opensend_options ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    OPENSEND_SOURCE_DIR="${CMAKE_SOURCE_DIR}" OPENSEND_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(OPENSEND_UNITY)
    set_target_properties(${name}_test PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
