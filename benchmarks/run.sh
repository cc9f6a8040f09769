#!/usr/bin/env bash
# Builds the release and prints every figure of benchmarks/README.md: functions, then the whole server.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release -B build/bench -DOPENSEND_TESTS=ON -DOPENSEND_CRASH_POINTS=OFF \
  -DOPENSEND_BENCHMARKS=ON >/dev/null
cmake --build build/bench -j "$(nproc)" --target opensend plugin_capture plugin_smtp plugin_api_key \
  plugin_memory_limit plugin_call_bench bench_callee plugin_worker_bench http_relay
build/bench/benchmarks/plugin_call_bench build/bench/benchmarks/bench_callee.so build/bench/plugins/memory_limit.so
build/bench/benchmarks/plugin_worker_bench
(cd tests/e2e && npm ci --silent --no-audit --no-fund)
OPENSEND_BUILD="$PWD/build/bench" contrib/ci/with-postgres --durable node benchmarks/load/run.mjs "$@"
OPENSEND_BUILD="$PWD/build/bench" contrib/ci/with-postgres --durable node benchmarks/load/isolation.mjs
