#!/bin/sh
# Builds the plugins of contrib/plugins against an installed SDK, runs their tests and has them checked.
# Usage: example_plugins.sh <build folder> <source folder>
set -eu
build=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH="$build/bin:$PATH"
cmake --install "$build" --component sdk --prefix "$work/sdk" >"$work/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/sdk" -name opensend-plugin.pc)")
RUSTC=rustc
[ ! -x /usr/bin/rustc ] || RUSTC=/usr/bin/rustc
export PKG_CONFIG_PATH RUSTC CMAKE_PREFIX_PATH="$work/sdk"
cp -r "$source/contrib/plugins" "$work/plugins"

loud() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; echo "failed: $*" >&2; exit 1; }
}
for folder in "$work"/plugins/*/; do
    name=$(basename "$folder")
    cd "$folder"
    if [ -e Makefile ]; then
        loud make test
        file=./$name.so
    else
        loud cmake -B build
        loud cmake --build build
        loud ctest --test-dir build --output-on-failure
        file=./build/$name.so
    fi
    loud opensend plugins check "$file"
    if [ "$name" != http_mail ]; then loud opensend plugins check --why "$file"; fi
    echo "ok  $name"
done
