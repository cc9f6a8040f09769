# Compiler, linker and cache settings shared by every target: link opensend_options.
find_program(OPENSEND_CCACHE ccache)
if(OPENSEND_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${OPENSEND_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${OPENSEND_CCACHE})
endif()
find_program(OPENSEND_MOLD mold)

add_library(opensend_options INTERFACE)
target_include_directories(opensend_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(opensend_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-align -Wformat=2
  -Wundef -Wunused -Wimplicit-fallthrough
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond -Wlogical-op -Wsuggest-override>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>
  $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2 -fstack-protector-strong>
  $<$<CONFIG:Debug>:-D_GLIBCXX_ASSERTIONS>)
if(OPENSEND_WERROR)
  target_compile_options(opensend_options INTERFACE -Werror)
endif()
if(OPENSEND_SANITIZE)
  target_compile_options(opensend_options INTERFACE
    -fsanitize=${OPENSEND_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(opensend_options INTERFACE -fsanitize=${OPENSEND_SANITIZE})
endif()
if(OPENSEND_FUZZ AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # The fuzzer steers by the coverage of the libraries, too.
  target_compile_options(opensend_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_options(opensend_options INTERFACE -Wl,-z,relro,-z,now)
if(OPENSEND_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(opensend_options INTERFACE -fuse-ld=mold)
endif()
