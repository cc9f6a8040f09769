#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/plugin/check/host/check_host.h"

namespace opensend::plugin_check {

/// What one call of the HTTP service gets for an answer. A negative status is a failed transfer.
struct HttpReply {
    osp_status status = OSP_OK;
    int32_t http_status = 200;
    std::string body;
};
struct EventSeen {
    int32_t type = 0;
    std::string dedup_key, json;
};
struct EmitSeen {
    std::string provider, delivery_id;
    std::vector<EventSeen> events;
};
struct IngestSeen {
    std::string provider, event_id, raw;
    std::vector<std::string> rcpts;
    bool committed = false, aborted = false;
};
/// A stored credential, and the bytes whose MAC is kept with it.
struct StoredKey {
    std::string subject, tenant, scope, data;
};

/// metric, kv, timer, http, event, ingest and credential of a CheckHost, from plain members.
/// Callbacks come inside the call unless `defers` is set; then RunPending brings them. Timers fire
/// in RunPending.
class Services {
public:
    explicit Services(CheckHost& host);
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    bool defers = false;
    std::atomic<osp_time> held_until{0};  // RunPending brings nothing before
    std::map<std::string, std::pair<std::string, uint64_t>> kv;
    std::deque<HttpReply> http_replies;  // in order; none left: `http_default`
    HttpReply http_default{OSP_E_UNAVAILABLE, 0, ""};
    size_t http_calls = 0;
    osp_status emit_status = OSP_OK;  // negative: refused, no callback
    int32_t emit_verdict = OSP_EMIT_APPLIED;
    std::vector<EmitSeen> emits;
    std::vector<IngestSeen> ingests;
    osp_status ingest_status = OSP_OK;
    /// Credentials by reference; the others are NOTFOUND. A negative status is that of every find.
    std::map<std::string, StoredKey> keys;
    osp_status credential_status = OSP_OK;
    std::vector<std::string> metric_names;
    size_t callbacks = 0;

    /// Brings what waits and what is due; true when there was something.
    bool RunPending();
    /// What it has kept of calls.
    void Forget();
    size_t armed_timers();
    std::string kv_text();

private:
    struct Tables;
    struct Timer {
        osp_time at, period;
        void (*fire)(void*, uint64_t) OSP_NX;
        void* ctx;
    };
    void Later(std::function<void()> call);
    static void MacOf(std::string_view data, uint8_t out[32]);

    CheckHost& host_;
    std::mutex mutex_;
    std::vector<std::function<void()>> pending_;
    std::map<uint64_t, Timer> timers_;
    uint64_t last_timer_ = 0;
};

}  // namespace opensend::plugin_check
