#include "kernel/plugin/check/host/services.h"

#include <cstring>
#include <memory>

#include <opensend/plugin.hpp>

#include "kernel/crypto/digest.h"

namespace opensend::plugin_check {

struct Services::Tables {
    static Services& Of(const osp_host* host) {
        CheckHost::Of(host).Enter();
        return *static_cast<Services*>(CheckHost::Of(host).context);
    }
    static uint64_t Define(
        const osp_host* host, int32_t, osp_str name, osp_str, const osp_kv*, uint32_t
    ) noexcept {
        Of(host).metric_names.emplace_back(osp::View(name));
        return Of(host).metric_names.size();
    }
    static void Add(const osp_host* host, uint64_t, int64_t) noexcept { Of(host); }
    static void Observe(const osp_host* host, uint64_t, double) noexcept { Of(host); }

    static osp_status Get(
        const osp_host* host,
        osp_str key,
        void (*use)(void*, osp_bytes, uint64_t) noexcept,
        void* ctx
    ) noexcept {
        Services& self = Of(host);
        const auto found = self.kv.find(std::string(osp::View(key)));
        if (found == self.kv.end()) return OSP_E_NOTFOUND;
        use(ctx, osp::Bytes(found->second.first), found->second.second);
        return OSP_OK;
    }
    static osp_status Put(
        const osp_host* host, osp_str key, osp_bytes value, uint64_t expected, uint64_t
    ) noexcept {
        auto& entry = Of(host).kv[std::string(osp::View(key))];
        if (entry.second != expected) return OSP_E_CONFLICT;
        entry = {std::string(osp::View(value)), expected + 1};
        return OSP_OK;
    }
    static osp_status Del(const osp_host* host, osp_str key, uint64_t) noexcept {
        return Of(host).kv.erase(std::string(osp::View(key))) != 0 ? OSP_OK : OSP_E_NOTFOUND;
    }
    static uint64_t Arm(
        const osp_host* host,
        osp_time at,
        uint64_t period,
        void (*fire)(void*, uint64_t) noexcept,
        void* ctx
    ) noexcept {
        Services& self = Of(host);
        const std::lock_guard lock(self.mutex_);
        self.timers_[++self.last_timer_] = {at, period, fire, ctx};
        return self.last_timer_;
    }
    static osp_status Disarm(const osp_host* host, uint64_t id) noexcept {
        Services& self = Of(host);
        const std::lock_guard lock(self.mutex_);
        return self.timers_.erase(id) != 0 ? OSP_OK : OSP_E_NOTFOUND;
    }

    static uint64_t
    StartHttp(const osp_host* host, const osp_http_call* call, osp_error*) noexcept {
        Services& self = Of(host);
        ++self.http_calls;
        HttpReply reply = self.http_default;
        if (!self.http_replies.empty()) {
            reply = self.http_replies.front();
            self.http_replies.pop_front();
        }
        self.Later([done = call->done, ctx = call->ctx, reply] {
            osp_http_res result{};
            result.size = sizeof result;
            result.status = reply.http_status;
            result.body = osp::Bytes(reply.body);
            done(ctx, reply.status, reply.status == OSP_OK ? &result : nullptr);
        });
        return self.http_calls;
    }
    static void CancelHttp(const osp_host* host, uint64_t) noexcept { Of(host); }

    static osp_status
    Emit(const osp_host* host, const osp_event_batch* batch, osp_error*) noexcept {
        Services& self = Of(host);
        if (self.emit_status < 0) return self.emit_status;
        EmitSeen seen{
            std::string(osp::View(batch->provider)),
            std::string(osp::View(batch->delivery_id)),
            {}};
        for (uint32_t i = 0; i < batch->n; ++i) {
            const osp_event& event = osp::At(batch->events, batch->stride, i);
            seen.events.push_back(
                {event.type, std::string(osp::View(event.dedup_key)),
                 std::string(osp::View(event.json))}
            );
        }
        self.emits.push_back(std::move(seen));
        const osp_emit_res result{
            sizeof result, self.emit_verdict, self.emit_verdict == OSP_EMIT_APPLIED ? batch->n : 0,
            0};
        self.Later([done = batch->done, ctx = batch->ctx, result] { done(ctx, OSP_OK, &result); });
        return OSP_OK;
    }

    struct OpenIngest {
        Services* owner;
        size_t index;
    };
    static OpenIngest& Handle(osp_ingest* ingest) {
        return *static_cast<OpenIngest*>(static_cast<void*>(ingest));
    }
    static osp_status
    Begin(const osp_host* host, const osp_ingest_args* args, osp_ingest** out, osp_error*) noexcept {
        Services& self = Of(host);
        if (self.ingest_status < 0) return self.ingest_status;
        self.ingests.push_back(
            {std::string(osp::View(args->provider)), std::string(osp::View(args->event_id)), "", {}}
        );
        auto* open = new OpenIngest{&self, self.ingests.size() - 1};
        *out = static_cast<osp_ingest*>(static_cast<void*>(open));
        return OSP_OK;
    }
    static osp_status Rcpt(osp_ingest* ingest, osp_str address, osp_error*) noexcept {
        Handle(ingest).owner->ingests[Handle(ingest).index].rcpts.emplace_back(osp::View(address));
        return OSP_OK;
    }
    static osp_status Write(osp_ingest* ingest, osp_bytes bytes, osp_error*) noexcept {
        Handle(ingest).owner->ingests[Handle(ingest).index].raw.append(osp::View(bytes));
        return OSP_OK;
    }
    static osp_status
    Commit(osp_ingest* ingest, void (*done)(void*, osp_status, const osp_ingest_res*) noexcept, void* ctx, osp_error*) noexcept {
        const std::unique_ptr<OpenIngest> open(&Handle(ingest));
        open->owner->ingests[open->index].committed = true;
        open->owner->Later([done, ctx] {
            const osp_ingest_res result{sizeof result, 200, osp::Str("stored"), osp::Str("{}")};
            done(ctx, OSP_OK, &result);
        });
        return OSP_OK;
    }
    static void Abort(osp_ingest* ingest) noexcept {
        const std::unique_ptr<OpenIngest> open(&Handle(ingest));
        open->owner->ingests[open->index].aborted = true;
    }
    static osp_status Find(
        const osp_host* host,
        osp_str ref,
        osp_time,
        void (*done)(void*, osp_status, const osp_credential*) noexcept,
        void* ctx
    ) noexcept {
        Services& self = Of(host);
        const auto found = self.keys.find(std::string(osp::View(ref)));
        osp_status status = self.credential_status;
        StoredKey key;
        if (status == OSP_OK && found == self.keys.end()) status = OSP_E_NOTFOUND;
        if (status == OSP_OK) key = found->second;
        self.Later([done, ctx, status, key] {
            osp_credential stored{};
            stored.size = sizeof stored;
            stored.subject = osp::Str(key.subject);
            stored.tenant = osp::Str(key.tenant);
            stored.scope = osp::Str(key.scope);
            MacOf(key.data, stored.mac);
            done(ctx, status, status == OSP_OK || status == OSP_E_NOTFOUND ? &stored : nullptr);
        });
        return OSP_OK;
    }
    static osp_status Mac(
        const osp_host* host, uint32_t, osp_bytes data, uint8_t out[32]
    ) noexcept {
        Services& self = Of(host);
        if (self.credential_status < 0) return self.credential_status;
        MacOf(osp::View(data), out);
        return OSP_OK;
    }
    static constexpr osp_host_metric_v1 kMetric{
        sizeof(osp_host_metric_v1), 0, Define, Add, Observe};
    static constexpr osp_host_kv_v1 kKv{sizeof(osp_host_kv_v1), 0, Get, Put, Del};
    static constexpr osp_host_timer_v1 kTimer{sizeof(osp_host_timer_v1), 0, Arm, Disarm};
    static constexpr osp_host_http_v1 kHttp{sizeof(osp_host_http_v1), 0, StartHttp, CancelHttp};
    static constexpr osp_host_event_v1 kEvent{sizeof(osp_host_event_v1), 0, Emit};
    static constexpr osp_host_ingest_v1 kIngest{
        sizeof(osp_host_ingest_v1), 0, Begin, Rcpt, Write, Commit, Abort};
    static constexpr osp_host_credential_v1 kCredential{
        sizeof(osp_host_credential_v1), 0, Find, Mac};
};

Services::Services(CheckHost& host) : host_(host) {
    host.context = this;
    host.services[OSP_HOST_METRIC] = &Tables::kMetric;
    host.services[OSP_HOST_KV] = &Tables::kKv;
    host.services[OSP_HOST_TIMER] = &Tables::kTimer;
    host.services[OSP_HOST_HTTP] = &Tables::kHttp;
    host.services[OSP_HOST_EVENT] = &Tables::kEvent;
    host.services[OSP_HOST_INGEST] = &Tables::kIngest;
    host.services[OSP_HOST_CREDENTIAL] = &Tables::kCredential;
}

void Services::Later(std::function<void()> call) {
    auto counted = [this, call = std::move(call)] {
        ++callbacks;
        call();
    };
    if (!defers) return counted();
    const std::lock_guard lock(mutex_);
    pending_.emplace_back(std::move(counted));
}

bool Services::RunPending() {
    if (CheckHost::Monotonic() < held_until) return false;
    std::vector<std::function<void()>> now;
    {
        const std::lock_guard lock(mutex_);
        now.swap(pending_);
        for (auto it = timers_.begin(); it != timers_.end();) {
            const uint64_t id = it->first;
            Timer& timer = it->second;
            if (timer.at > host_.Time()) {
                ++it;
                continue;
            }
            now.emplace_back([fire = timer.fire, ctx = timer.ctx, id] { fire(ctx, id); });
            timer.at += timer.period;
            it = timer.period == 0 ? timers_.erase(it) : std::next(it);
        }
    }
    for (const auto& call : now) call();
    return !now.empty();
}

void Services::Forget() {
    emits = {};
    ingests = {};
    metric_names = {};
}

size_t Services::armed_timers() {
    const std::lock_guard lock(mutex_);
    return timers_.size();
}

std::string Services::kv_text() {
    std::string all;
    for (const auto& [key, value] : kv) all.append(key).append(value.first);
    return all;
}

void Services::MacOf(std::string_view data, uint8_t out[32]) {
    const std::string mac = crypto::HmacSha256("a pepper of the check", data);
    std::memcpy(out, mac.data(), 32);
}

}  // namespace opensend::plugin_check
