#include "kernel/plugin/kinds/authenticators.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kernel/base/scope_exit.h"
#include "kernel/plugin/kinds/fingerprint.h"
#include "kernel/plugin/load/import.h"

namespace opensend::plugin {
namespace {

using model::AuthDecision;
using model::AuthResult;

constexpr uint32_t kMaxScopes = 8, kMaxCacheMs = 5000;
constexpr size_t kMaxAuthText = 256;

std::string CopyText(osp_str text) {
    if (text.ptr == nullptr || text.len > kMaxAuthText) return {};
    return std::string(text.ptr, text.len);
}
osp_str ViewStr(std::string_view text) { return {text.data(), text.size()}; }

AuthResult Denied(std::string reason) {
    AuthResult out;
    out.reason = std::move(reason);
    return out;
}
AuthResult Later() {
    AuthResult out;
    out.decision = AuthDecision::kUnavailable;
    return out;
}

bool ScopesAreProper(const std::vector<std::string>& scopes) {
    const auto is_permission = [](const std::string& scope) {
        return scope == "full_access" || scope == "sending_access" || scope == "read_access";
    };
    const auto is_domain = [](const std::string& scope) {
        return scope.size() > 7 && scope.rfind("domain:", 0) == 0;
    };
    const auto permissions = std::count_if(scopes.begin(), scopes.end(), is_permission);
    const auto domains = std::count_if(scopes.begin(), scopes.end(), is_domain);
    return permissions == 1 && domains <= 1 &&
           permissions + domains == static_cast<std::ptrdiff_t>(scopes.size());
}

AuthResult FromStatus(osp_status status) {
    const bool later =
        status == OSP_E_UNAVAILABLE || status == OSP_E_TIMEOUT || status == OSP_E_BUSY;
    return later ? Later() : Denied("invalid");
}

/// nullopt: abstained.
std::optional<AuthResult> FromPlugin(const osp_auth_result& result) {
    if (result.decision == OSP_AUTH_ABSTAIN) return std::nullopt;
    if (result.decision != OSP_AUTH_ALLOW) {
        const std::string reason = CopyText(result.reason);
        const bool known = reason == "expired" || reason == "address_denied";
        return Denied(known ? reason : "invalid");
    }
    AuthResult out;
    out.decision = AuthDecision::kAllow;
    out.subject = CopyText(result.subject);
    out.tenant = CopyText(result.tenant);
    out.cache_ttl = std::chrono::milliseconds(std::min(result.cache_ttl_ms, kMaxCacheMs));
    if (result.n_scopes > kMaxScopes || result.scopes == nullptr) return Denied("invalid");
    for (uint32_t i = 0; i < result.n_scopes; ++i) out.scopes.push_back(CopyText(result.scopes[i]));
    if (out.subject.empty() || out.tenant.empty() || !ScopesAreProper(out.scopes))
        return Denied("invalid");
    return out;
}

}  // namespace

/// Who asked, until the answer is there.
class AuthWaiter final : public Waiter {
public:
    bool Accept(osp_token, const osp_completion& completion) override {
        osp_auth_result result{};
        bool readable = true;
        std::optional<AuthResult> answer;
        if (completion.status != OSP_OK) {
            answer = FromStatus(completion.status);
        } else if (Import(completion.result, 8, result)) {
            answer = FromPlugin(result);
        } else {
            readable = false;
            answer = Denied("invalid");
        }
        base::MutexLock lock(mutex_);
        answer_ = std::move(answer);
        turned_away_ = completion.status == OSP_E_BUSY;
        done_ = true;
        changed_.NotifyAll();
        return readable;
    }
    bool WaitUntil(base::MonoTime deadline, const base::Clock& clock) {
        base::MutexLock lock(mutex_);
        while (!done_) {
            const auto left = deadline - clock.Mono();
            if (left.count() <= 0) return false;
            const std::chrono::nanoseconds turn = std::chrono::milliseconds(50);
            changed_.WaitFor(lock, std::min(left, turn));
        }
        return true;
    }
    /// It was not even asked.
    bool turned_away() {
        base::MutexLock lock(mutex_);
        return turned_away_;
    }
    std::optional<AuthResult> Take() {
        base::MutexLock lock(mutex_);
        while (!done_) changed_.Wait(lock);
        return std::move(answer_);
    }

private:
    base::Mutex mutex_;
    base::CondVar changed_;
    bool done_ OPENSEND_GUARDED_BY(mutex_) = false, turned_away_
                                                    OPENSEND_GUARDED_BY(mutex_) = false;
    std::optional<AuthResult> answer_ OPENSEND_GUARDED_BY(mutex_);
};

AuthBackend::AuthBackend(
    std::unique_ptr<Instance> instance, osp_auth_v1 table, std::chrono::milliseconds timeout
)
    : instance_(std::move(instance)), table_(table), call_timeout_(timeout) {}

Checked<std::unique_ptr<AuthBackend>> AuthBackend::Make(
    std::unique_ptr<Instance> instance, std::chrono::milliseconds call_timeout
) {
    osp_auth_v1 table{};
    if (!Import(instance->kind().table, OPENSEND_SIZE_THROUGH(osp_auth_v1, authenticate), table) ||
        table.authenticate == nullptr)
        return Refuse("table", "authenticate", "an empty slot");
    return std::unique_ptr<AuthBackend>(new AuthBackend(std::move(instance), table, call_timeout));
}

/// One question: everything the plugin is lent lives as long as its call, which may last longer
/// than the one who asked.
struct AuthBackend::Call {
    std::shared_ptr<Instance> instance;
    osp_auth_v1 table{};
    std::shared_ptr<const model::AuthRequest> request;
    std::shared_ptr<AuthWaiter> waiter;
    base::MonoTime deadline;
    osp_token token = 0;
    std::vector<osp_kv> attributes;
    osp_auth_req view{};
    Fingerprint fingerprint;
};

void AuthBackend::Run(const std::shared_ptr<Call>& call) {
    Instance& instance = *call->instance;
    osp_error error{};
    error.size = sizeof error;
    osp_status status = OSP_E_TIMEOUT;
    instance.OnStrand(call->deadline, "authenticate", [&] {
        // Out of service meanwhile, or nobody waits for the answer any more.
        if (!instance.running() || !instance.tokens().IsOpen(call->token)) return;
        ++instance.counters().calls;
        status = call->table.authenticate(instance.raw(), &call->view, &error);
    });
    if (status >= 0 || !instance.tokens().Revoke(call->token)) return;
    ++instance.counters().errors;
    const osp_completion completion{sizeof completion, status, nullptr, nullptr};
    call->waiter->Accept(call->token, completion);
}

std::optional<model::AuthResult> AuthBackend::Ask(
    const std::shared_ptr<const model::AuthRequest>& request
) {
    Instance& instance = *instance_;
    const base::Clock& clock = instance.clock();
    const auto call = std::make_shared<Call>();
    const auto waiter = std::make_shared<AuthWaiter>();
    call->deadline = request->deadline.ns != 0 ? request->deadline : clock.Mono() + call_timeout_;
    if (!instance.running() || !instance.vitals().breaker().Admit(clock.Mono())) return Later();
    call->token = instance.tokens().Open(waiter);
    if (call->token == 0) return Later();
    call->instance = instance_;
    call->table = table_;
    call->request = request;
    call->waiter = waiter;
    call->fingerprint = FingerprintOf(*request);
    for (const auto& [key, value] : request->attributes)
        call->attributes.push_back({ViewStr(key), ViewStr(value)});
    osp_auth_req& view = call->view;
    view.size = sizeof view;
    view.token = call->token;
    view.scheme = ViewStr(request->scheme);
    const std::string_view credential = request->credential.Reveal();
    view.credential = {reinterpret_cast<const uint8_t*>(credential.data()), credential.size()};
    view.peer = ViewStr(request->peer);
    view.method = ViewStr(request->method);
    view.path = ViewStr(request->path);
    view.listener = ViewStr(request->listener);
    view.attrs = call->attributes.data();
    view.n_attrs = static_cast<uint32_t>(call->attributes.size());
    view.deadline = static_cast<osp_time>(call->deadline.ns);

    const uint64_t host_failures = instance.vitals().host_failures();
    ++instance.calls_inside();
    const auto run = [call] {
        const base::ScopeExit leave([&] { --call->instance->calls_inside(); });
        Run(call);
    };
    // A plugin that blocks keeps a thread of its own busy, not the one of a request.
    if (!instance.vitals().needs_pool()) {
        run();
    } else if (!instance.OnPool(run)) {
        --instance.calls_inside();
        instance.tokens().Revoke(call->token);
        return Later();
    }
    const bool answered =
        waiter->WaitUntil(call->deadline, clock) || !instance.tokens().Revoke(call->token);
    auto answer = answered ? waiter->Take() : std::optional<model::AuthResult>(Later());
    if (!answered) ++instance.counters().errors;
    const bool later = answer && answer->decision == AuthDecision::kUnavailable;
    // A refusal is an answer; only what a caller cannot provoke, and what is not the fault of the
    // host, counts against the backend.
    // Nor does the death of a process: what holds it back is the one who makes the next one.
    const bool is_away = later && instance.is_apart() && waiter->turned_away();
    if (is_away) {
        instance.vitals().breaker().Report(model::ResultClass::kNotTried, clock.Mono());
    } else if (!later || instance.vitals().host_failures() == host_failures) {
        instance.vitals().breaker().Report(
            later ? model::ResultClass::kTemp : model::ResultClass::kOk, clock.Mono()
        );
    }
    const std::string changed =
        ForbiddenChange(call->fingerprint, FingerprintOf(*request), instance.grants());
    if (!changed.empty()) {
        instance.vitals().Violate(changed);
        return Later();
    }
    return answer;
}

model::AuthResult AuthChain::Authenticate(model::AuthRequest request) {
    const auto shared = std::make_shared<const model::AuthRequest>(std::move(request));
    for (const auto& seat : seats_) {
        const auto use = seat->Take();
        if (!use) return Later();
        if (auto answer = use->Ask(shared)) return std::move(*answer);
    }
    return Denied("invalid");
}

}  // namespace opensend::plugin
