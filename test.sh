#!/usr/bin/env bash
# Builds and runs every test: both databases, sanitizers, real servers and clients on loopback.
# On Debian 12 it installs what it needs. A missing server is an error, never a skip.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\n== %s\n' "$*"; }

step "packages"
contrib/ci/install-deps test
export CCACHE_DIR="${CCACHE_DIR:-$HOME/.cache/ccache}"
jobs="$(nproc)"

step "layout (clang-format)"
git ls-files '*.h' '*.hpp' '*.c' '*.cpp' | xargs -r clang-format --dry-run -Werror

step "test partners from npm"
(cd tests/e2e && npm ci --silent --no-audit --no-fund)

step "plugin contract against its releases, as abidiff sees it (a report)"
contrib/abi/abidiff.sh

step "build with AddressSanitizer and UBSan"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"

step "build with ThreadSanitizer"
cmake --preset tsan >/dev/null
cmake --build --preset tsan -j "$jobs" --target tsan_subset

export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
export LSAN_OPTIONS="suppressions=$PWD/contrib/ci/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
export TSAN_OPTIONS="suppressions=$PWD/contrib/ci/tsan.supp:halt_on_error=1"

step "threads under ThreadSanitizer"
contrib/ci/with-postgres ctest --test-dir build/tsan -L tsan --output-on-failure

step "what reads a client's bytes, a minute each under libFuzzer"
contrib/ci/fuzz 60

step "everything under AddressSanitizer and UBSan"
contrib/ci/with-postgres ctest --test-dir build/asan -j "$jobs" --output-on-failure
