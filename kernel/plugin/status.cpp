#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "kernel/plugin/host_state.h"
#include "kernel/runtime/metrics.h"

namespace opensend::plugin {
namespace {

constexpr InstanceState kStates[] = {
    InstanceState::kRunning, InstanceState::kDraining, InstanceState::kQuarantined,
    InstanceState::kViolation, InstanceState::kStopped};

void CopyCounters(const PluginCounters& from, InstanceStatus& to) {
    to.calls = from.calls;
    to.errors = from.errors;
    to.late = from.late;
    to.twice = from.twice;
    to.unknown = from.unknown;
    to.slow = from.slow;
    to.lost = from.lost;
    to.violations = from.violations;
    to.timed = from.latency.count;
    to.time_us = from.latency.sum_us;
    for (size_t i = 0; i < from.latency.buckets.size(); ++i) {
        const bool is_last = i == Latency::kBoundsUs.size();
        to.latency.emplace_back(is_last ? -1 : Latency::kBoundsUs[i], from.latency.buckets[i]);
    }
}

double NumberOf(model::Breaker::State state) {
    switch (state) {
        case model::Breaker::State::kClosed: return 0;
        case model::Breaker::State::kHalfOpen: return 1;
        case model::Breaker::State::kOpen: return 2;
    }
    return 2;
}

/// Resident memory of a process of ours, in bytes; 0 when it is gone.
uint64_t MemoryOf(int pid) {
    std::ifstream file(base::Cat("/proc/", pid, "/statm"));
    uint64_t whole = 0, resident = 0;
    file >> whole >> resident;
    return file ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

WorkerStatus StatusOf(const worker::Health& health, base::MonoTime now) {
    const auto view = health.view();
    WorkerStatus out;
    out.pids = view.running;
    for (const int pid : out.pids) out.memory += MemoryOf(pid);
    out.starts = view.starts;
    out.deaths = view.deaths;
    out.not_tried = view.not_tried;
    out.indeterminate = view.indeterminate;
    out.last_death = view.last_reason;
    if (view.open_until > now)
        out.rests = std::chrono::duration_cast<std::chrono::milliseconds>(view.open_until - now);
    return out;
}

InstanceStatus StatusOf(const Seat& seat, base::MonoTime now) {
    InstanceStatus out;
    out.name = seat.name;
    out.plugin = seat.plugin;
    out.kind = base::Cat(seat.iface, ":", seat.kind);
    out.version = seat.version;
    out.isolation = seat.isolation;
    out.grants = seat.grants.Lines();
    out.generation = seat.generation;
    out.breaker = model::ToText(seat.breaker->state(now));
    if (seat.adapter != nullptr) {
        const Vitals& vitals = seat.adapter->instance().vitals();
        out.state = ToText(vitals.state());
        out.why = vitals.why();
    } else {
        out.state = seat.ended == InstanceState::kStopped ? "off" : ToText(seat.ended);
        out.why = seat.problem;
    }
    CopyCounters(*seat.counters, out);
    if (!seat.apart) return out;
    out.worker = StatusOf(*seat.worker, now);
    if (seat.adapter != nullptr && out.why.empty() && out.worker->pids.empty())
        out.why = base::Cat("its worker is away: ", out.worker->last_death);
    return out;
}

}  // namespace

std::vector<PluginStatus> Host::plugins() const {
    base::MutexLock lock(state_->mutex);
    std::vector<PluginStatus> out;
    for (const auto& entry : state_->registry.entries()) {
        PluginStatus status;
        status.name = entry->config.name;
        status.file = entry->path;
        status.id = entry->loaded.id;
        status.version = entry->loaded.version;
        status.kinds = entry->kinds;
        status.apart = entry->loaded.apart;
        status.up = entry->up && entry->problem.empty();
        status.problem = entry->problem;
        for (const auto& seat : state_->seats) {
            if (seat->plugin != entry->config.name) continue;
            status.calls += seat->counters->calls;
            status.errors += seat->counters->errors;
            status.late += seat->counters->late;
        }
        out.push_back(std::move(status));
    }
    return out;
}

std::vector<Host::TransportStatus> Host::transports() const {
    base::MutexLock lock(state_->mutex);
    std::vector<TransportStatus> out;
    for (const auto& seat : state_->seats) {
        if (!seat->transport || seat->removed) continue;
        out.push_back(
            {seat->transport->name(), seat->kind, seat->plugin, seat->adapter != nullptr,
             seat->problem}
        );
    }
    return out;
}

std::vector<PluginMetric> Host::metrics() const {
    base::MutexLock lock(state_->mutex);
    std::vector<PluginMetric> out;
    for (const auto& seat : state_->seats) {
        if (seat->adapter == nullptr) continue;
        const auto some = seat->adapter->instance().services().metrics();
        out.insert(out.end(), some.begin(), some.end());
    }
    return out;
}

std::vector<InstanceStatus> Host::instances() const {
    base::MutexLock lock(state_->mutex);
    const base::MonoTime now = state_->deps.clock->Mono();
    std::vector<InstanceStatus> out;
    for (const auto& seat : state_->seats) {
        if (!seat->removed) out.push_back(StatusOf(*seat, now));
    }
    return out;
}

void Host::PublishMetrics() const {
    for (const PluginStatus& plugin : plugins())
        runtime::SetGauge("opensend_plugin_up", {plugin.name}, plugin.up ? 1 : 0);
    const base::MonoTime now = state_->deps.clock->Mono();
    for (const InstanceStatus& one : instances()) {
        const double breaker = NumberOf(state_->breakers.Of(one.name)->state(now));
        constexpr std::string_view kPrefix = "transport.";
        if (one.name.rfind(kPrefix, 0) == 0)
            runtime::SetGauge("opensend_breaker_state", {one.name.substr(kPrefix.size())}, breaker);
        runtime::SetGauge("opensend_plugin_instance_breaker", {one.name}, breaker);
        const WorkerStatus apart = one.worker.value_or(WorkerStatus{});
        runtime::SetGauge(
            "opensend_plugin_worker_processes", {one.name}, static_cast<double>(apart.pids.size())
        );
        runtime::SetGauge(
            "opensend_plugin_worker_memory_bytes", {one.name}, static_cast<double>(apart.memory)
        );
        for (const InstanceState state : kStates) {
            const std::string text = state == InstanceState::kStopped ? "off" : ToText(state);
            runtime::SetGauge(
                "opensend_plugin_instance_state", {one.name, text}, text == one.state ? 1 : 0
            );
        }
        state_->published.With([&](auto& all) {
            auto& done = all[one.name];
            const std::string info[] = {
                one.plugin, one.version, one.isolation, base::Join(one.grants, " ")};
            if (!std::equal(std::begin(info), std::end(info), std::begin(done.info)) &&
                !done.info[0].empty())
                runtime::SetGauge(
                    "opensend_plugin_instance_info",
                    {one.name, done.info[0], done.info[1], done.info[2], done.info[3]}, 0
                );
            std::copy(std::begin(info), std::end(info), std::begin(done.info));
            runtime::SetGauge(
                "opensend_plugin_instance_info", {one.name, info[0], info[1], info[2], info[3]}, 1
            );
            const auto grown = [](uint64_t total, uint64_t& before) {
                const uint64_t more = total > before ? total - before : 0;
                before = std::max(before, total);
                return more;
            };
            const auto count = [&](const char* result, uint64_t total, uint64_t& before) {
                const uint64_t more = grown(total, before);
                runtime::Count("opensend_plugin_calls_total", {one.plugin, result}, more);
                runtime::Count("opensend_plugin_instance_calls_total", {one.name, result}, more);
            };
            count("call", one.calls, done.ok);
            count("error", one.errors, done.errors);
            count("late", one.late, done.late);
            count("double", one.twice, done.twice);
            count("unknown", one.unknown, done.unknown);
            const auto count_apart = [&](const char* event, uint64_t total, uint64_t& before) {
                runtime::Count(
                    "opensend_plugin_worker_events_total", {one.name, event}, grown(total, before)
                );
            };
            if (!one.worker) return;
            count_apart("start", apart.starts, done.starts);
            count_apart("death", apart.deaths, done.deaths);
            count_apart("not_tried", apart.not_tried, done.not_tried);
            count_apart("indeterminate", apart.indeterminate, done.indeterminate);
        });
    }
}

}  // namespace opensend::plugin
