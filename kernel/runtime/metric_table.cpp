#include "kernel/runtime/metric_table.h"

namespace opensend::runtime {

const std::vector<Metric>& AllMetrics() {
    using enum MetricKind;
    // clang-format off
    static const std::vector<Metric> all = {
        {"opensend_accept_seconds", kHistogram, "entrance", "Time from request to commit of an accepted message."},
        {"opensend_accept_total", kCounter, "entrance,outcome", "Messages offered, by what became of them."},
        {"opensend_attempt_seconds", kHistogram, "transport", "Time of one delivery attempt."},
        {"opensend_attempts_total", kCounter, "transport,class", "Delivery attempts by result class."},
        {"opensend_auth_failures_total", kCounter, "kind", "Credentials that were refused."},
        {"opensend_build_info", kGauge, "version,commit", "Always 1."},
        {"opensend_breaker_state", kGauge, "transport", "0 closed, 1 half-open, 2 open."},
        {"opensend_claims_total", kCounter, "", "Recipients claimed by workers."},
        {"opensend_db_errors_total", kCounter, "class", "Failed database statements."},
        {"opensend_decrypt_failures_total", kCounter, "table", "Stored secrets that could not be decrypted."},
        {"opensend_domain_checks_total", kCounter, "status", "Look-ups of domains by the status they led to."},
        {"opensend_egress_refused_total", kCounter, "caller,reason", "Outgoing requests the address guard refused."},
        {"opensend_events_total", kCounter, "type", "Events written to the log."},
        {"opensend_http_in_flight", kGauge, "", "Requests being answered."},
        {"opensend_http_request_seconds", kHistogram, "listener,route", "Time of one request."},
        {"opensend_http_requests_total", kCounter, "listener,route,method,status", "Requests answered."},
        {"opensend_illegal_transitions_total", kCounter, "", "Changes of state that the state machine refused."},
        {"opensend_leases_expired_total", kCounter, "phase", "Leases that ran out."},
        {"opensend_log_dropped_total", kCounter, "", "Log lines dropped because their reader was too slow."},
        {"opensend_plugin_calls_total", kCounter, "plugin,result", "Calls into plugins."},
        {"opensend_plugin_instance_breaker", kGauge, "instance", "0 closed, 1 half-open, 2 open."},
        {"opensend_plugin_instance_calls_total", kCounter, "instance,result", "What became of an instance's calls and answers."},
        {"opensend_plugin_instance_info", kGauge, "instance,plugin,version,isolation,grants", "1 for what serves now."},
        {"opensend_plugin_instance_seconds", kHistogram, "instance,fn", "Time of one call into an instance."},
        {"opensend_plugin_instance_state", kGauge, "instance,state", "1 for the state an instance is in."},
        {"opensend_plugin_seconds", kHistogram, "plugin,fn", "Time of one call into a plugin."},
        {"opensend_plugin_up", kGauge, "plugin", "1 while the plugin works."},
        {"opensend_plugin_worker_events_total", kCounter, "instance,event", "Starts and deaths of worker processes, and the calls a death answered."},
        {"opensend_plugin_worker_memory_bytes", kGauge, "instance", "Resident memory of an instance's worker."},
        {"opensend_plugin_worker_processes", kGauge, "instance", "Worker processes of an instance that live."},
        {"opensend_poison_total", kCounter, "", "Work that was set aside after killing its worker."},
        {"opensend_queue_depth", kGauge, "lane,state", "Recipients waiting."},
        {"opensend_rate_limit_store_up", kGauge, "", "0 while the rate limiter's store does not answer."},
        {"opensend_rate_limit_total", kCounter, "bucket,result", "Decisions of the rate limiter."},
        {"opensend_recipient_transitions_total", kCounter, "from,to", "Changes of a recipient's state."},
        {"opensend_request_log_dropped_total", kCounter, "", "Rows that the request log left out."},
        {"opensend_start_time_seconds", kGauge, "", "Start of the process, seconds since 1970."},
        {"opensend_stuck_tasks_total", kCounter, "", "Tasks abandoned by the watchdog."},
        {"opensend_unknown_outcome_total", kCounter, "resolution", "Attempts without a known outcome."},
        {"opensend_up_roles", kGauge, "role", "1 for each role of the process."},
        {"opensend_webhook_attempts_total", kCounter, "class", "Web hook attempts by result."},
    };
    // clang-format on
    return all;
}

}  // namespace opensend::runtime
