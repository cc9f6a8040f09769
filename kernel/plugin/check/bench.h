#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace opensend::plugin_check {

/// What one call of a kind costs, from the call until its answer.
struct CallCost {
    std::string kind, call;  // "opensend.transport/1:smtp", "send"
    uint32_t batch = 1;      // messages of one call; the times are those of the whole call
    size_t samples = 0;
    int64_t median_ns = 0, p99_ns = 0;
    std::string problem;  // not empty: nothing was measured
};

struct BenchOptions {
    std::string config;  // JSON; empty: what the manifest or the schema says
    int64_t limit_ms = 1500;
    size_t max_samples = 5000;
};

struct BenchReport {
    std::string problem;  // not empty: the file could not be looked at
    std::vector<CallCost> costs;
};

/// Loads the file into this process and asks each of its kinds, against the check's own host.
BenchReport Bench(const std::string& path, const BenchOptions& options);
std::string BenchText(const BenchReport& report);
std::string BenchJson(const BenchReport& report);

}  // namespace opensend::plugin_check
