// For tests of plugins: the host's services from plain members. Attach one to a FakeHost, run the
// plugin, look at what it did.
#pragma once

#include <deque>
#include <iterator>
#include <thread>
#include <utility>

#include <opensend/testing_inbound.hpp>

namespace osp::testing {

/// What one call of the HTTP service gets for an answer. A negative status is a failed transfer.
struct HttpReply {
    osp_status status = OSP_OK;
    int32_t http_status = 200;
    std::string body;
    osp_time delay_ns = 0;  // on the virtual clock
    bool drops = false;     // no answer; TIMEOUT once the deadline of the call has passed
    size_t cut_at = std::string::npos;  // the body ends there and the transfer fails
};
struct HttpSeen {
    std::string method, url, body;
    std::map<std::string, std::string> headers;
};
/// metric, kv, timer, http and credential besides those of the base. What a reply delays, and what
/// is due for a timer, comes with Advance.
class Services : public InboundServices {
public:
    explicit Services(FakeHost& host) : InboundServices(host) {
        host.services[OSP_HOST_METRIC] = &kMetric;
        host.services[OSP_HOST_KV] = &kKv;
        host.services[OSP_HOST_TIMER] = &kTimer;
        host.services[OSP_HOST_HTTP] = &kHttp;
        host.services[OSP_HOST_CREDENTIAL] = &kCredential;
    }

    std::map<std::string, std::pair<std::string, uint64_t>> kv;
    std::deque<HttpReply> http_replies;  // in order; none left: UNAVAILABLE
    std::vector<HttpSeen> http_calls;
    osp_status credential_status = OSP_E_NOTFOUND;
    std::vector<std::string> metric_names;

    /// Moves the virtual clock and fires what is due.
    void Advance(osp_time ns) {
        host_.now_ns += ns;
        host_.unix_ms += static_cast<int64_t>(ns / 1'000'000);
        std::vector<Answering> due;
        for (auto it = delayed_.begin(); it != delayed_.end();) {
            const bool now = it->second.first <= host_.now_ns;
            if (now) due.push_back(it->second.second);
            it = now ? delayed_.erase(it) : std::next(it);
        }
        for (const Answering& answering : due) Later([answering] { answering.Give(); });
        FireTimers();
    }
    size_t armed_timers() const { return timers_.size(); }
    std::string kv_text() const {
        std::string all;
        for (const auto& [key, value] : kv) all.append(key).append(value.first);
        return all;
    }

private:
    struct Timer {
        osp_time at, period;
        void (*fire)(void*, uint64_t) OSP_NX;
        void* ctx;
    };
    /// A timer may be armed or disarmed by another one; each fires once at most.
    void FireTimers() {
        std::vector<uint64_t> due;
        for (const auto& [id, timer] : timers_) {
            if (timer.at <= host_.now_ns) due.push_back(id);
        }
        for (const uint64_t id : due) {
            const auto found = timers_.find(id);
            if (found == timers_.end()) continue;
            const Timer timer = found->second;
            if (timer.period == 0)
                timers_.erase(found);
            else
                found->second.at += timer.period;
            timer.fire(timer.ctx, id);
        }
    }
    struct Answering {
        void (*done)(void*, osp_status, const osp_http_res*) OSP_NX;
        void* ctx;
        HttpReply reply;
        void Give() const {
            osp_http_res result{};
            result.size = sizeof result;
            result.status = reply.http_status;
            result.body = Bytes(reply.body);
            done(ctx, reply.status, reply.status == OSP_OK ? &result : nullptr);
        }
    };
    static Services& Of(const osp_host* host) {
        return static_cast<Services&>(InboundServices::Of(host));
    }
    static uint64_t Define(
        const osp_host* host, int32_t, osp_str name, osp_str, const osp_kv*, uint32_t
    ) noexcept {
        Of(host).metric_names.emplace_back(View(name));
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
        const auto found = self.kv.find(std::string(View(key)));
        if (found == self.kv.end()) return OSP_E_NOTFOUND;
        use(ctx, Bytes(found->second.first), found->second.second);
        return OSP_OK;
    }
    static osp_status Put(
        const osp_host* host, osp_str key, osp_bytes value, uint64_t expected, uint64_t
    ) noexcept {
        auto& entry = Of(host).kv[std::string(View(key))];
        if (entry.second != expected) return OSP_E_CONFLICT;
        entry = {std::string(View(value)), expected + 1};
        return OSP_OK;
    }
    static osp_status Del(const osp_host* host, osp_str key, uint64_t) noexcept {
        return Of(host).kv.erase(std::string(View(key))) != 0 ? OSP_OK : OSP_E_NOTFOUND;
    }
    static uint64_t Arm(
        const osp_host* host,
        osp_time at,
        uint64_t period,
        void (*fire)(void*, uint64_t) noexcept,
        void* ctx
    ) noexcept {
        Services& self = Of(host);
        self.timers_[++self.last_timer_] = {at, period, fire, ctx};
        return self.last_timer_;
    }
    static osp_status Disarm(const osp_host* host, uint64_t id) noexcept {
        return Of(host).timers_.erase(id) != 0 ? OSP_OK : OSP_E_NOTFOUND;
    }

    static uint64_t
    StartHttp(const osp_host* host, const osp_http_call* call, osp_error*) noexcept {
        Services& self = Of(host);
        HttpSeen seen{
            std::string(View(call->method)),
            std::string(View(call->url)),
            std::string(View(call->body)),
            {}};
        for (uint32_t i = 0; i < call->n_headers; ++i)
            seen.headers[std::string(View(call->headers[i].key))] = View(call->headers[i].value);
        self.http_calls.push_back(std::move(seen));
        HttpReply reply{OSP_E_UNAVAILABLE, 0, ""};
        if (!self.http_replies.empty()) {
            reply = self.http_replies.front();
            self.http_replies.pop_front();
        }
        if (reply.cut_at < reply.body.size()) {
            reply.body.resize(reply.cut_at);
            reply.status = OSP_E_UNAVAILABLE;
        }
        const uint64_t id = self.http_calls.size();
        const Answering answering{call->done, call->ctx, reply};
        if (!reply.drops && reply.delay_ns == 0) {
            self.Later([answering] { answering.Give(); });
            return id;
        }
        const osp_time due = reply.drops ? call->deadline : self.host_.now_ns + reply.delay_ns;
        self.delayed_[id] = {due, answering};
        if (reply.drops) self.delayed_[id].second.reply.status = OSP_E_TIMEOUT;
        return id;
    }
    static void CancelHttp(const osp_host* host, uint64_t id) noexcept {
        Services& self = Of(host);
        const auto found = self.delayed_.find(id);
        if (found == self.delayed_.end()) return;
        Answering answering = found->second.second;
        self.delayed_.erase(found);
        answering.reply.status = OSP_E_CANCELLED;
        self.Later([answering] { answering.Give(); });
    }

    static osp_status Find(
        const osp_host* host,
        osp_str,
        osp_time,
        void (*done)(void*, osp_status, const osp_credential*) noexcept,
        void* ctx
    ) noexcept {
        Services& self = Of(host);
        self.Later([done, ctx, status = self.credential_status] {
            osp_credential none{};
            none.size = sizeof none;
            done(ctx, status, status == OSP_E_NOTFOUND ? &none : nullptr);
        });
        return OSP_OK;
    }
    static osp_status Mac(const osp_host* host, uint32_t, osp_bytes, uint8_t out[32]) noexcept {
        Of(host);
        std::memset(out, 0x11, 32);
        return OSP_OK;
    }
    static constexpr osp_host_metric_v1 kMetric{
        sizeof(osp_host_metric_v1), 0, Define, Add, Observe};
    static constexpr osp_host_kv_v1 kKv{sizeof(osp_host_kv_v1), 0, Get, Put, Del};
    static constexpr osp_host_timer_v1 kTimer{sizeof(osp_host_timer_v1), 0, Arm, Disarm};
    static constexpr osp_host_http_v1 kHttp{sizeof(osp_host_http_v1), 0, StartHttp, CancelHttp};
    static constexpr osp_host_credential_v1 kCredential{
        sizeof(osp_host_credential_v1), 0, Find, Mac};

    std::map<uint64_t, Timer> timers_;
    std::map<uint64_t, std::pair<osp_time, Answering>> delayed_;
    uint64_t last_timer_ = 0;
};

/// Runs `call(i)` in n threads at once and waits for them.
template <class F>
void RunInThreads(size_t n, const F& call) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < n; ++i) threads.emplace_back([&call, i] { call(i); });
    for (std::thread& thread : threads) thread.join();
}

}  // namespace osp::testing
