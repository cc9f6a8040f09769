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

# opensend_fuzz(json_reader LIBS opensend_json [SOURCES more.cpp])
# Executable fuzz_<name> of <name>.cpp: for libFuzzer with clang and OPENSEND_FUZZ, else one that
# replays corpus/<name> and mutations of it. Nothing when <name>.cpp is not there.
function(opensend_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${name}.cpp")
    return()
  endif()
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  add_executable(fuzz_${name} ${name}.cpp ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE opensend_options ${ARG_LIBS})
  if(OPENSEND_FUZZ AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} -runs=20000 -max_total_time=30 -seed=1
      "${CMAKE_CURRENT_BINARY_DIR}/found/${name}" "${corpus}")
    file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/found/${name}")
  else()
    target_link_libraries(fuzz_${name} PRIVATE opensend_fuzz_replay)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} "${corpus}")
    set_tests_properties(fuzz_${name} PROPERTIES
      ENVIRONMENT "OPENSEND_REPLAY_INPUT=${CMAKE_CURRENT_BINARY_DIR}/last_${name}")
  endif()
  set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

# opensend_bench(json LIBS opensend_json)
# Executable <name>_bench of <name>_bench.cpp, and a test that runs each case for a moment. Nothing
# when the source is not there.
function(opensend_bench name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${name}_bench.cpp")
    return()
  endif()
  add_executable(${name}_bench ${name}_bench.cpp)
  target_link_libraries(${name}_bench PRIVATE opensend_options ${ARG_LIBS} benchmark::benchmark)
  target_compile_definitions(${name}_bench PRIVATE OPENSEND_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if(OPENSEND_TESTS)
    add_test(NAME ${name}_bench COMMAND ${name}_bench --benchmark_min_time=0.001)
    set_tests_properties(${name}_bench PROPERTIES LABELS bench TIMEOUT 300)
  endif()
endfunction()
