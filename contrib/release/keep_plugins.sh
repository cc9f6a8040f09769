#!/usr/bin/env bash
# Keeps the example plugins of an SDK version in tests/museum/<version>, as an author builds them:
# installed SDK, find_package, osp_add_plugin, stripped. They are built in two folders and have to be
# the same bytes. Usage: contrib/release/keep_plugins.sh <version>
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -eq 1 ] || { echo "usage: $0 <major.minor>" >&2; exit 64; }
source=$PWD
version=$1
home=tests/museum/$version
header=sdk/include/opensend/plugin.h
stated=$(awk '$2 == "OSP_ABI_MAJOR" { major = $3 } $2 == "OSP_ABI_MINOR" { minor = $3 }
              END { print major "." minor }' "$header")
[ "$version" = "$stated" ] || { echo "$header is version $stated, not $version" >&2; exit 65; }
[ ! -e "$home" ] || { echo "$home is there already; what was released is not made anew" >&2; exit 73; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=0

build() {
    local folder=$work/$1
    mkdir -p "$folder/project"
    cp sdk/examples/* "$folder/project/"
    cat >"$folder/project/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.20)
project(museum C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(opensend-plugin 1 REQUIRED)
osp_add_plugin(null_transport null_transport.c)
osp_add_plugin(echo_transport echo_transport.cpp)
PROJECT
    # The SDK is configured without the server around it.
    mkdir "$folder/sdk"
    printf 'cmake_minimum_required(VERSION 3.25)\nproject(sdk C CXX)\nadd_subdirectory("%s/sdk" sdk)\n' \
        "$source" >"$folder/sdk/CMakeLists.txt"
    cmake -S "$folder/sdk" -B "$folder/sdk_build" >/dev/null
    cmake --install "$folder/sdk_build" --component sdk --prefix "$folder/prefix" >/dev/null
    local flags="-ffile-prefix-map=$folder=. -ffunction-sections -fdata-sections"
    cmake -S "$folder/project" -B "$folder/build" -DCMAKE_PREFIX_PATH="$folder/prefix" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
        -DCMAKE_MODULE_LINKER_FLAGS="-Wl,--gc-sections -Wl,--build-id=sha1" >/dev/null
    cmake --build "$folder/build" >/dev/null
    strip --strip-all "$folder"/build/*.so
}
build one
build two
machine=$(uname -m)
mkdir -p "$home/$machine"
for plugin in null_transport echo_transport; do
    cmp "$work/one/build/$plugin.so" "$work/two/build/$plugin.so"
    install -m 644 "$work/one/build/$plugin.so" "$home/$machine/"
done
cp "$header" "$home/plugin.h"
contrib/abi/facts.py --write "$home/facts.txt" "$header"
(cd "$home" && sha256sum "$machine"/*.so plugin.h facts.txt >SHA256SUMS && cat SHA256SUMS)
