// For tests of plugins: where provider events and received mail go. Part of testing_services.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <opensend/testing.hpp>

namespace osp::testing {

struct EventSeen {
    int32_t type = 0;
    std::string dedup_key, provider_message_id, tag, rcpt, json;
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

/// event and ingest. Callbacks come inside the call unless `defers` is set; then RunPending brings
/// them.
class InboundServices {
public:
    explicit InboundServices(FakeHost& host) : host_(host) {
        host.context = this;
        host.services[OSP_HOST_EVENT] = &kEvent;
        host.services[OSP_HOST_INGEST] = &kIngest;
    }
    InboundServices(const InboundServices&) = delete;
    InboundServices& operator=(const InboundServices&) = delete;

    bool defers = false;
    size_t callbacks = 0;
    osp_status emit_status = OSP_OK;  // negative: refused, no callback
    int32_t emit_verdict = OSP_EMIT_APPLIED;
    std::vector<EmitSeen> emits;
    std::vector<IngestSeen> ingests;
    osp_status ingest_status = OSP_OK;

    /// Brings what waits; true when there was something.
    bool RunPending() {
        std::vector<std::function<void()>> now;
        {
            const std::lock_guard lock(mutex_);
            now.swap(pending_);
        }
        for (const auto& call : now) call();
        return !now.empty();
    }

protected:
    static InboundServices& Of(const osp_host* host) {
        FakeHost::Of(host).Enter();
        return *static_cast<InboundServices*>(FakeHost::Of(host).context);
    }
    void Later(std::function<void()> call) {
        const auto counted = [this, call = std::move(call)] {
            ++callbacks;
            call();
        };
        if (!defers) return counted();
        const std::lock_guard lock(mutex_);
        pending_.emplace_back(counted);
    }

    FakeHost& host_;

private:
    static osp_status
    Emit(const osp_host* host, const osp_event_batch* batch, osp_error*) noexcept {
        InboundServices& self = Of(host);
        if (self.emit_status < 0) return self.emit_status;
        EmitSeen seen{
            std::string(View(batch->provider)), std::string(View(batch->delivery_id)), {}};
        for (uint32_t i = 0; i < batch->n; ++i) {
            const osp_event& event = At(batch->events, batch->stride, i);
            seen.events.push_back(
                {event.type, std::string(View(event.dedup_key)),
                 std::string(View(event.provider_message_id)), std::string(View(event.tag)),
                 std::string(View(event.rcpt)), std::string(View(event.json))}
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
        InboundServices* owner;
        size_t index;
    };
    static OpenIngest& Handle(osp_ingest* ingest) {
        return *static_cast<OpenIngest*>(static_cast<void*>(ingest));
    }
    static osp_status
    Begin(const osp_host* host, const osp_ingest_args* args, osp_ingest** out, osp_error*) noexcept {
        InboundServices& self = Of(host);
        if (self.ingest_status < 0) return self.ingest_status;
        self.ingests.push_back(
            {std::string(View(args->provider)), std::string(View(args->event_id)), "", {}}
        );
        auto* open = new OpenIngest{&self, self.ingests.size() - 1};
        *out = static_cast<osp_ingest*>(static_cast<void*>(open));
        return OSP_OK;
    }
    static osp_status Rcpt(osp_ingest* ingest, osp_str address, osp_error*) noexcept {
        Handle(ingest).owner->ingests[Handle(ingest).index].rcpts.emplace_back(View(address));
        return OSP_OK;
    }
    static osp_status Write(osp_ingest* ingest, osp_bytes bytes, osp_error*) noexcept {
        Handle(ingest).owner->ingests[Handle(ingest).index].raw.append(View(bytes));
        return OSP_OK;
    }
    static osp_status
    Commit(osp_ingest* ingest, void (*done)(void*, osp_status, const osp_ingest_res*) noexcept, void* ctx, osp_error*) noexcept {
        const std::unique_ptr<OpenIngest> open(&Handle(ingest));
        open->owner->ingests[open->index].committed = true;
        open->owner->Later([done, ctx] {
            const osp_ingest_res result{sizeof result, 200, Str("stored"), Str("{}")};
            done(ctx, OSP_OK, &result);
        });
        return OSP_OK;
    }
    static void Abort(osp_ingest* ingest) noexcept {
        const std::unique_ptr<OpenIngest> open(&Handle(ingest));
        open->owner->ingests[open->index].aborted = true;
    }
    static constexpr osp_host_event_v1 kEvent{sizeof(osp_host_event_v1), 0, Emit};
    static constexpr osp_host_ingest_v1 kIngest{
        sizeof(osp_host_ingest_v1), 0, Begin, Rcpt, Write, Commit, Abort};

    std::mutex mutex_;
    std::vector<std::function<void()>> pending_;
};

}  // namespace osp::testing
