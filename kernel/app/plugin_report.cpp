#include "kernel/app/plugin_report.h"

#include "kernel/json/writer.h"

namespace opensend::app {
namespace {

int64_t Number(uint64_t value) { return static_cast<int64_t>(value); }

void WriteWorker(json::Writer& out, const plugin::WorkerStatus& one) {
    out.Key("worker").BeginObject().Key("pids").BeginArray();
    for (const int pid : one.pids) out.Int(pid);
    out.EndArray().Field("memory", Number(one.memory)).Field("starts", Number(one.starts));
    out.Field("deaths", Number(one.deaths)).Field("last_death", one.last_death);
    out.Field("rests_ms", int64_t{one.rests.count()});
    out.Field("not_tried", Number(one.not_tried));
    out.Field("indeterminate", Number(one.indeterminate)).EndObject();
}

void WriteInstance(json::Writer& out, const plugin::InstanceStatus& one) {
    out.BeginObject().Field("name", one.name).Field("plugin", one.plugin);
    out.Field("kind", one.kind).Field("version", one.version).Field("isolation", one.isolation);
    out.Field("state", one.state).Field("why", one.why).Field("grants", one.grants);
    out.Field("breaker", one.breaker).Field("generation", Number(one.generation));
    out.Field("calls", Number(one.calls)).Field("errors", Number(one.errors));
    out.Field("late", Number(one.late)).Field("double", Number(one.twice));
    out.Field("unknown", Number(one.unknown)).Field("slow", Number(one.slow));
    out.Field("lost", Number(one.lost)).Field("violations", Number(one.violations));
    if (one.worker) WriteWorker(out, *one.worker);
    out.Key("latency").BeginObject().Field("count", Number(one.timed));
    out.Field("sum_us", Number(one.time_us)).Key("buckets").BeginArray();
    for (const auto& [bound, count] : one.latency) {
        out.BeginObject();
        if (bound >= 0) out.Field("le_us", bound);
        out.Field("count", Number(count)).EndObject();
    }
    out.EndArray().EndObject().EndObject();
}

}  // namespace

std::string PluginsJson(const plugin::Host& host) {
    json::Writer out;
    out.BeginObject().Key("plugins").BeginArray();
    for (const auto& one : host.plugins()) {
        out.BeginObject().Field("name", one.name).Field("file", one.file).Field("id", one.id);
        out.Field("version", one.version).Field("kinds", one.kinds).Field("up", one.up);
        out.Field("isolation", one.apart ? "worker" : "inproc");
        out.Field("problem", one.problem).EndObject();
    }
    out.EndArray().Key("instances").BeginArray();
    for (const auto& one : host.instances()) WriteInstance(out, one);
    out.EndArray().EndObject();
    return out.Take();
}

}  // namespace opensend::app
