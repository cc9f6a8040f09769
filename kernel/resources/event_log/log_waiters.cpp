#include "kernel/resources/event_log/log_waiters.h"

#include "kernel/api/problem.h"
#include "kernel/runtime/log.h"

namespace opensend::event_log {
namespace {

constexpr std::chrono::milliseconds kAskEvery{200};
constexpr std::chrono::hours kNobodyWaits{1};

}  // namespace

LogWaiters::LogWaiters(const base::Clock& clock) : clock_(clock) {
    worker_ = std::make_unique<runtime::Worker>("event-log", [this](runtime::StopToken& stop) {
        Run(stop);
    });
}

LogWaiters::~LogWaiters() { Close(); }

bool LogWaiters::Add(std::shared_ptr<api::Call> call, base::MonoTime until, Probe probe) {
    const model::TenantId tenant = call->principal.tenant;
    const bool taken = state_.With([&](State& state) {
        size_t& own = state.per_tenant[tenant];
        if (state.closed || own >= kPerTenant || state.all >= kInAll) return false;
        ++own;
        ++state.all;
        state.waiting.push_back({std::move(call), until, std::move(probe)});
        return true;
    });
    if (taken) Wake();
    return taken;
}

void LogWaiters::Wake() { worker_->Wake(); }

void LogWaiters::Close() {
    state_.With([](State& state) { state.closed = true; });
    Wake();
}

bool LogWaiters::Try(const Waiting& waiting, bool last) {
    try {
        auto response = waiting.probe(last);
        if (!response) return false;
        waiting.call->reply(std::move(*response));
    } catch (const base::Error& error) {
        if (!error.detail().empty()) {
            OPENSEND_LOG(
                kError, "event_log.answer_failed", "a call could not be answered",
                kv("request_id", waiting.call->facts->request_id), kv("detail", error.what())
            );
        }
        waiting.call->reply(api::ToResponse(error, waiting.call->facts->request_id));
    }
    return true;
}

void LogWaiters::Run(runtime::StopToken& stop) {
    for (bool end = false; !end;) {
        end = stop.stopped();
        bool closed = false;
        auto list = state_.With([&](State& state) {
            closed = state.closed;
            return std::move(state.waiting);
        });
        std::list<Waiting> left;
        std::vector<model::TenantId> answered;
        for (Waiting& one : list) {
            const bool last = end || closed || clock_.Mono() >= one.until;
            const model::TenantId tenant = one.call->principal.tenant;
            if (Try(one, last)) {
                answered.push_back(tenant);
            } else {
                left.push_back(std::move(one));
            }
        }
        const bool empty = state_.With([&](State& state) {
            for (const auto& tenant : answered) {
                --state.all;
                if (--state.per_tenant[tenant] == 0) state.per_tenant.erase(tenant);
            }
            state.waiting.splice(state.waiting.begin(), left);
            return state.waiting.empty();
        });
        if (end) return;
        stop.SleepFor(empty ? std::chrono::milliseconds(kNobodyWaits) : kAskEvery);
    }
}

}  // namespace opensend::event_log
