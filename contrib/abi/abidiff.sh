#!/usr/bin/env bash
# A second opinion on the contract: abidiff between each release in tests/museum and the header as it
# is. Only a report, since it takes slots at the end for changes and misses swapped enumerators;
# fails when it cannot be made. Usage: abidiff.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in abidiff clang++ gcc python3; do
    command -v "$tool" >/dev/null || { echo "abidiff.sh: $tool is not installed" >&2; exit 69; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A shared object with one function per struct.
carry() {
    local header=$1 name=$2
    {
        printf '#include "%s"\n' "$header"
        python3 -B contrib/abi/facts.py "$header" |
            awk '$1 == "struct" { printf "void carry_%s(const struct %s *it);\nvoid carry_%s(const struct %s *it) { (void)it; }\n", $2, $2, $2, $2 }'
    } >"$work/$name.c"
    gcc -std=c11 -g -fPIC -shared "$work/$name.c" -o "$work/$name.so"
}
carry "$PWD/sdk/include/opensend/plugin.h" now
for release in tests/museum/*/; do
    carry "$PWD/${release}plugin.h" old
    echo "abidiff of $(basename "$release") and the header as it is:"
    code=0
    abidiff "$work/old.so" "$work/now.so" || code=$?
    # Bits 1 and 2: it failed, or was called wrongly.
    [ $((code & 3)) -eq 0 ] || { echo "abidiff.sh: abidiff failed with $code" >&2; exit 70; }
    [ "$code" -ne 0 ] || echo "no difference"
done
