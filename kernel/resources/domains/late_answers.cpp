#include "kernel/resources/domains/late_answers.h"

#include "kernel/api/problem.h"
#include "kernel/runtime/log.h"

namespace opensend::domains {
namespace {

constexpr size_t kMaxWaiting = 256;
constexpr std::chrono::milliseconds kAskEvery{50};
constexpr std::chrono::hours kIdle{1};

}  // namespace

LateAnswers::LateAnswers(const base::Clock& clock)
    : clock_(clock), worker_("domain-answers", [this](runtime::StopToken& stop) { Run(stop); }) {}

void LateAnswers::Add(std::shared_ptr<api::Call> call, base::MonoTime until, Probe probe) {
    Waiting waiting{std::move(call), until, std::move(probe)};
    const bool taken = waiting_.With([&](auto& list) {
        if (list.size() >= kMaxWaiting) return false;
        list.push_back(waiting);
        return true;
    });
    if (taken) return worker_.Wake();
    Try(waiting, true);
}

bool LateAnswers::Try(const Waiting& waiting, bool last) {
    try {
        auto response = waiting.probe(last);
        if (!response) return false;
        waiting.call->reply(std::move(*response));
    } catch (const base::Error& error) {
        if (!error.detail().empty()) {
            OPENSEND_LOG(
                kError, "domains.answer_failed", "a call could not be answered",
                kv("request_id", waiting.call->facts->request_id), kv("detail", error.what())
            );
        }
        waiting.call->reply(api::ToResponse(error, waiting.call->facts->request_id));
    }
    return true;
}

void LateAnswers::Run(runtime::StopToken& stop) {
    for (bool end = false; !end;) {
        end = stop.stopped();
        auto list = waiting_.With([](auto& all) { return std::move(all); });
        list.remove_if([&](const Waiting& one) {
            return Try(one, end || clock_.Mono() >= one.until);
        });
        const bool empty = waiting_.With([&](auto& all) {
            all.splice(all.begin(), list);
            return all.empty();
        });
        if (end) return;
        stop.SleepFor(empty ? std::chrono::milliseconds(kIdle) : kAskEvery);
    }
}

}  // namespace opensend::domains
