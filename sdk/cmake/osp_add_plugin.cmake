# osp_add_plugin(acme src/acme.cpp [more sources])
# A shared object acme.so that exports osp_plugin_v* and nothing else.
function(osp_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE opensend::plugin)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${name} PRIVATE -static-libgcc $<$<LINK_LANGUAGE:CXX>:-static-libstdc++>
    -Wl,-z,defs,-z,relro,-z,now,-z,noexecstack -Wl,--exclude-libs,ALL
    "-Wl,--version-script=${OPENSEND_PLUGIN_VERSION_SCRIPT}")
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
