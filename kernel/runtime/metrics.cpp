#include "kernel/runtime/metrics.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metric_table.h"

namespace opensend::runtime {
namespace {

constexpr size_t kMaxLabelSets = 1000;
constexpr size_t kMaxLabelBytes = 200;
constexpr std::array<double, 14> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                            0.25,  0.5,    1,     2.5,  5,     10,   60};

/// Values of one label set. Lock-free.
struct Series {
    std::atomic<uint64_t> count{0};
    std::atomic<uint64_t> bits{0};  // the double of a gauge, the sum of a histogram
    std::array<std::atomic<uint64_t>, kBounds.size()> buckets{};
};

void AddToDouble(std::atomic<uint64_t>& bits, double add) {
    uint64_t old = bits.load(std::memory_order_relaxed);
    while (!bits.compare_exchange_weak(
        old, std::bit_cast<uint64_t>(std::bit_cast<double>(old) + add), std::memory_order_relaxed
    )) {
    }
}

struct Family {
    const Metric* row = nullptr;
    std::vector<std::string> labels;
    mutable std::shared_mutex mutex;  // guards the map; a series never moves and is never removed
    std::map<std::string, std::unique_ptr<Series>, std::less<>> series;
};

using Families = std::map<std::string_view, std::unique_ptr<Family>>;

const Families& AllFamilies() {
    static const auto* families = [] {
        auto* made = new Families;  // never destroyed: threads count until the very end
        for (const auto& row : AllMetrics()) {
            auto family = std::make_unique<Family>();
            family->row = &row;
            family->labels = base::SplitList(row.labels);
            if (family->labels.empty()) family->series.emplace("", std::make_unique<Series>());
            made->emplace(row.name, std::move(family));
        }
        return made;
    }();
    return *families;
}

void AppendLabelValue(std::string& out, std::string_view value) {
    for (const char c : value.substr(0, kMaxLabelBytes)) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
}

std::string LabelText(const Family& family, std::initializer_list<std::string_view> values) {
    std::string text;
    auto value = values.begin();
    for (const auto& label : family.labels) {
        text += base::Cat(text.empty() ? "" : ",", label, "=\"");
        AppendLabelValue(text, *value++);
        text += '"';
    }
    return text;
}

std::string OverflowText(const Family& family) {
    std::string text;
    for (const auto& label : family.labels) {
        text += base::Cat(text.empty() ? "" : ",", label, "=\"other\"");
    }
    return text;
}

Series& FindSeries(
    std::string_view name, MetricKind kind, std::initializer_list<std::string_view> values
) {
    const auto found = AllFamilies().find(name);
    OPENSEND_CHECK(found != AllFamilies().end(), "a metric of the table");
    auto& family = *found->second;
    OPENSEND_CHECK(family.row->kind == kind, "a metric is used as its kind");
    OPENSEND_CHECK(family.labels.size() == values.size(), "one value for each label");
    auto key = LabelText(family, values);
    {
        const std::shared_lock lock(family.mutex);
        if (const auto at = family.series.find(key); at != family.series.end()) return *at->second;
    }
    const std::unique_lock lock(family.mutex);
    // Beyond the cap everything new is one series, so a label cannot fill the memory.
    if (family.series.size() >= kMaxLabelSets) key = OverflowText(family);
    auto& series = family.series[key];
    if (!series) series = std::make_unique<Series>();
    return *series;
}

std::string NumberText(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 40> buffer{};
    return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

void AppendLine(
    std::string& out, std::string_view name, std::string_view labels, std::string_view value
) {
    out += name;
    if (!labels.empty()) out += base::Cat("{", labels, "}");
    out += base::Cat(" ", value, "\n");
}

void AppendHistogram(
    std::string& out, std::string_view name, std::string_view labels, const Series& series
) {
    const std::string comma = labels.empty() ? "" : ",";
    const std::string bucket = base::Cat(name, "_bucket");
    uint64_t total = 0;
    for (size_t i = 0; i < kBounds.size(); ++i) {
        total += series.buckets[i].load(std::memory_order_relaxed);
        AppendLine(
            out, bucket, base::Cat(labels, comma, "le=\"", NumberText(kBounds[i]), "\""),
            base::Cat(total)
        );
    }
    // A sample that arrives meanwhile must not make the sum smaller than a bucket.
    const auto count = std::max(total, series.count.load(std::memory_order_relaxed));
    AppendLine(out, bucket, base::Cat(labels, comma, "le=\"+Inf\""), base::Cat(count));
    AppendLine(
        out, base::Cat(name, "_sum"), labels,
        NumberText(std::bit_cast<double>(series.bits.load(std::memory_order_relaxed)))
    );
    AppendLine(out, base::Cat(name, "_count"), labels, base::Cat(count));
}

void AppendFamily(std::string& out, const Family& family) {
    const auto& row = *family.row;
    constexpr std::array<std::string_view, 4> kKindNames = {"", "counter", "gauge", "histogram"};
    const std::shared_lock lock(family.mutex);
    if (family.series.empty()) return;
    out += base::Cat("# HELP ", row.name, " ", row.help, "\n# TYPE ", row.name, " ");
    out += base::Cat(kKindNames[static_cast<size_t>(row.kind)], "\n");
    for (const auto& [labels, series] : family.series) {
        switch (row.kind) {
            case MetricKind::kCounter:
                AppendLine(
                    out, row.name, labels, base::Cat(series->count.load(std::memory_order_relaxed))
                );
                break;
            case MetricKind::kGauge:
                AppendLine(
                    out, row.name, labels,
                    NumberText(std::bit_cast<double>(series->bits.load(std::memory_order_relaxed)))
                );
                break;
            case MetricKind::kHistogram: AppendHistogram(out, row.name, labels, *series); break;
        }
    }
}

}  // namespace

void Count(std::string_view name, std::initializer_list<std::string_view> labels, uint64_t add) {
    FindSeries(name, MetricKind::kCounter, labels).count.fetch_add(add, std::memory_order_relaxed);
}

void SetGauge(std::string_view name, std::initializer_list<std::string_view> labels, double value) {
    FindSeries(name, MetricKind::kGauge, labels)
        .bits.store(std::bit_cast<uint64_t>(value), std::memory_order_relaxed);
}

void AddGauge(std::string_view name, std::initializer_list<std::string_view> labels, double add) {
    AddToDouble(FindSeries(name, MetricKind::kGauge, labels).bits, add);
}

void Observe(
    std::string_view name, std::initializer_list<std::string_view> labels, double seconds
) {
    auto& series = FindSeries(name, MetricKind::kHistogram, labels);
    if (!std::isfinite(seconds)) return;
    for (size_t i = 0; i < kBounds.size(); ++i) {
        if (seconds > kBounds[i]) continue;
        series.buckets[i].fetch_add(1, std::memory_order_relaxed);
        break;
    }
    AddToDouble(series.bits, seconds);
    series.count.fetch_add(1, std::memory_order_relaxed);
}

std::string MetricsText() {
    auto& dropped = FindSeries("opensend_log_dropped_total", MetricKind::kCounter, {});
    dropped.count.store(LogLinesDropped(), std::memory_order_relaxed);
    std::string out;
    for (const auto& [name, family] : AllFamilies()) AppendFamily(out, *family);
    return out;
}

}  // namespace opensend::runtime
