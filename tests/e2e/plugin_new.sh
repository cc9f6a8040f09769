#!/bin/sh
# Makes a project of each kind in each language outside of the tree, builds it against an installed SDK
# without a change, runs its test and has its file checked. What must be refused is refused.
# Usage: plugin_new.sh <build folder> [folder for the projects, kept]
set -eu
build=$1
opensend=$build/bin/opensend
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
projects=${2:-$work/projects}
mkdir -p "$projects"
export PATH="$build/bin:$PATH"

cmake --install "$build" --component sdk --prefix "$work/sdk" >"$work/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/sdk" -name opensend-plugin.pc)")
export PKG_CONFIG_PATH CMAKE_PREFIX_PATH="$work/sdk"

# The oldest compiler that must do: Debian's.
RUSTC=rustc
[ ! -x /usr/bin/rustc ] || RUSTC=/usr/bin/rustc
export RUSTC

fail() {
    echo "$*" >&2
    exit 1
}
loud() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }
}

for lang in ${LANGS:-cpp c rust}; do
    for kind in ${KINDS:-transport auth ratelimit inbound}; do
        name=acme-$lang-$kind
        loud "$opensend" plugins new --kind "$kind" --lang "$lang" "$name" --in "$projects"
        cd "$projects/$name"
        if grep -rn '@[A-Z]*@' . ; then fail "$name: a word was left open"; fi
        if [ "$lang" = rust ]; then
            loud make test
            file=$name.so
        else
            loud cmake -B build -DCMAKE_C_FLAGS=-Werror -DCMAKE_CXX_FLAGS=-Werror
            loud cmake --build build
            loud ctest --test-dir build --output-on-failure
            grep -q 'tests passed.*out of 2' "$work/log" || fail "$name: the check did not run"
            file=build/$name.so
        fi
        loud "$opensend" plugins check "$file"
        loud "$opensend" plugins check --why "./$file"
        grep -q "opensend.$kind/1:$name" README.md manifest.json || fail "$name: kind"
        [ "$(nm -D --defined-only "$file" | awk '{print $3}')" = osp_plugin_v1 ] || fail "$name exports more"
        echo "ok  $name"
    done
done

cd "$projects"
refuse() {
    expected=$1
    shift
    if "$opensend" plugins new "$@" >"$work/log" 2>&1; then fail "not refused: $*"; fi
    grep -q "$expected" "$work/log" || { cat "$work/log" >&2; fail "another message for: $*"; }
}
for name in a Acme 9lives acme.mail ../acme /tmp/acme acme- 'acme mail' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
    refuse 'a name has 2 to 32' "$name"
done
refuse 'no _' acme_mail
refuse 'exists already' acme-c-auth
refuse 'comes with OpenSend' smtp
refuse 'keeps for itself' test
refuse 'is no folder' acme --in nowhere
refuse 'lang is' acme --lang go
refuse 'kind is' acme --kind listener
[ ! -e acme ] || fail "something was left of a refused project"
ln -s nowhere linked
refuse 'exists already' linked

# pkg-config has what make and meson need.
printf '#include <opensend/plugin.hpp>\nstruct E : osp::Auth { using Auth::Auth; void Authenticate(const osp_auth_req&, osp::Completion&&) override {} };\nOSP_AUTH_PLUGIN(E, "x.pc", "1.0.0", "pc", "{}")\n' >pc.cpp
loud g++ -std=c++17 $(pkg-config --cflags opensend-plugin) pc.cpp $(pkg-config --libs opensend-plugin) -o pc.so
loud "$opensend" plugins check --why ./pc.so
echo "ok  everything"
