#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace opensend::runtime {

/// Adds to a counter of the table (metric_table.h). Labels in the table's order. Takes a shared
/// lock for the look-up only. An unknown name is a broken invariant. A metric has at most 1000
/// label sets; what comes later counts under "other".
void Count(
    std::string_view name, std::initializer_list<std::string_view> labels = {}, uint64_t add = 1
);
void SetGauge(std::string_view name, std::initializer_list<std::string_view> labels, double value);
/// For numbers that go up and down from several threads.
void AddGauge(std::string_view name, std::initializer_list<std::string_view> labels, double add);
/// Seconds into a histogram.
void Observe(std::string_view name, std::initializer_list<std::string_view> labels, double seconds);
/// Prometheus text 0.0.4.
std::string MetricsText();

}  // namespace opensend::runtime
