#include "kernel/plugin/kinds/authenticators.h"

#include <algorithm>
#include <string_view>
#include <utility>

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
    std::optional<AuthResult> Take() {
        base::MutexLock lock(mutex_);
        while (!done_) changed_.Wait(lock);
        return std::move(answer_);
    }

private:
    base::Mutex mutex_;
    base::CondVar changed_;
    bool done_ OPENSEND_GUARDED_BY(mutex_) = false;
    std::optional<AuthResult> answer_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace

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

std::optional<model::AuthResult> AuthBackend::Ask(const model::AuthRequest& request) {
    const base::Clock& clock = instance_->clock();
    const base::MonoTime deadline =
        request.deadline.ns != 0 ? request.deadline : clock.Mono() + call_timeout_;
    const auto waiter = std::make_shared<AuthWaiter>();
    const osp_token token = instance_->running() ? instance_->tokens().Open(waiter) : 0;
    if (token == 0) return Later();
    std::vector<osp_kv> attributes;
    for (const auto& [key, value] : request.attributes)
        attributes.push_back({ViewStr(key), ViewStr(value)});
    osp_auth_req view{};
    view.size = sizeof view;
    view.token = token;
    view.scheme = ViewStr(request.scheme);
    const std::string_view credential = request.credential.Reveal();
    view.credential = {reinterpret_cast<const uint8_t*>(credential.data()), credential.size()};
    view.peer = ViewStr(request.peer);
    view.method = ViewStr(request.method);
    view.path = ViewStr(request.path);
    view.listener = ViewStr(request.listener);
    view.attrs = attributes.data();
    view.n_attrs = static_cast<uint32_t>(attributes.size());
    view.deadline = static_cast<osp_time>(deadline.ns);

    ++instance_->counters().calls;
    osp_error error{};
    error.size = sizeof error;
    osp_status status = OSP_E_TIMEOUT;
    if (instance_->strand().Enter(deadline)) {
        status = table_.authenticate(instance_->raw(), &view, &error);
        instance_->strand().Leave();
    }
    if (status < 0 && instance_->tokens().Revoke(token)) {
        ++instance_->counters().errors;
        return FromStatus(status);
    }
    if (!waiter->WaitUntil(deadline, clock) && instance_->tokens().Revoke(token)) {
        ++instance_->counters().errors;
        return Later();
    }
    return waiter->Take();
}

model::AuthResult AuthChain::Authenticate(model::AuthRequest request) {
    for (const auto& backend : backends_) {
        if (!backend) return Later();
        if (auto answer = backend->Ask(request)) return std::move(*answer);
    }
    return Denied("invalid");
}

}  // namespace opensend::plugin
