#!/bin/sh
# Installs the SDK, builds an example outside of the tree with find_package and has it checked.
# Usage: sdk_package.sh <build folder> <source folder> <inspect program>
set -eu
build=$1
source=$2
inspect=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component sdk --prefix "$work/prefix" >"$work/install.log"
mkdir "$work/project"
cp "$source/sdk/examples/null_transport.c" "$source/sdk/examples/echo_transport.cpp" "$work/project/"
cat >"$work/project/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.20)
project(acme C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(opensend-plugin 1 REQUIRED)
osp_add_plugin(null_transport null_transport.c)
osp_add_plugin(echo_transport echo_transport.cpp)
PROJECT
cmake -S "$work/project" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release >"$work/configure.log"
cmake --build "$work/build" >"$work/build.log"
for plugin in null_transport echo_transport; do
    exported=$(nm -D --defined-only "$work/build/$plugin.so" | awk '{print $3}')
    if [ "$exported" != osp_plugin_v1 ]; then
        echo "$plugin.so exports more or less than osp_plugin_v1: $exported" >&2
        exit 1
    fi
    "$inspect" "$work/build/$plugin.so"
done
