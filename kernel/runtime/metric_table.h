#pragma once

#include <string_view>
#include <vector>

namespace opensend::runtime {

enum class MetricKind { kCounter = 1, kGauge, kHistogram };

/// One row of the table of metrics; `labels` is a comma list.
struct Metric {
    std::string_view name;
    MetricKind kind;
    std::string_view labels;
    std::string_view help;
};
const std::vector<Metric>& AllMetrics();

}  // namespace opensend::runtime
