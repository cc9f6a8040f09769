#!/usr/bin/env bash
# The headers alone, under both compilers and every language they promise. Usage: header.sh <sdk include>
set -euo pipefail
include=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/contract.c" <<'C'
#include <opensend/plugin.h>
OSP_MANIFEST(0, "{}");
extern uint32_t probe(const osp_transport_v1 *table, osp_str *out);
uint32_t probe(const osp_transport_v1 *table, osp_str *out) {
  const osp_str text = OSP_S("text");
  *out = text;
  return OSP_HAS(osp_transport_v1, table, probe) ? osp_note_.dsz : 0;
}
C
cp "$work/contract.c" "$work/contract.cpp"
echo '#include <opensend/plugin.hpp>' >"$work/layer.cpp"
echo '#include <opensend/testing.hpp>' >"$work/testing.cpp"

strict=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$include")
failed=0
compile() { "$@" || { echo "failed: $*" >&2; failed=1; }; }
for standard in c11 c17; do
    for compiler in gcc clang; do
        compile "$compiler" -std=$standard "${strict[@]}" -Wpadded "$work/contract.c"
    done
done
for standard in c++17 c++20; do
    for compiler in g++ clang++; do
        compile "$compiler" -std=$standard "${strict[@]}" -Wpadded "$work/contract.cpp"
        compile "$compiler" -std=$standard "${strict[@]}" "$work/layer.cpp"
        compile "$compiler" -std=$standard "${strict[@]}" "$work/testing.cpp"
    done
done
exit $failed
