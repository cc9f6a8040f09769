#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/model/authenticator.h"
#include "kernel/plugin/kinds/adapter.h"
#include "kernel/plugin/switch.h"

namespace opensend::plugin {

/// One auth instance. Thread-safe.
class AuthBackend final : public Adapter {
public:
    static Checked<std::unique_ptr<AuthBackend>> Make(
        std::unique_ptr<Instance> instance, std::chrono::milliseconds call_timeout
    );
    /// nullopt: it knows nothing of this credential. Otherwise checked: an ALLOW without subject,
    /// tenant or proper scopes has become a DENY.
    std::optional<model::AuthResult> Ask(const std::shared_ptr<const model::AuthRequest>& request);
    Instance& instance() override { return *instance_; }
    bool Shutdown(base::MonoTime deadline) override {
        return ShutDownInstance(*instance_, deadline);
    }

private:
    struct Call;
    /// The call into the plugin and what has to happen when it returns.
    static void Run(const std::shared_ptr<Call>& call);
    AuthBackend(
        std::unique_ptr<Instance> instance, osp_auth_v1 table, std::chrono::milliseconds timeout
    );
    const std::shared_ptr<Instance> instance_;
    const osp_auth_v1 table_;
    const std::chrono::milliseconds call_timeout_;
};

/// The backends in the order of auth.backends; one that is not up answers "later".
class AuthChain final : public model::Authenticator {
public:
    using Seat = Switch<AuthBackend>;
    /// The next place in the order; it holds for the life of the chain.
    Seat& AddSeat() { return *seats_.emplace_back(std::make_unique<Seat>()); }
    model::AuthResult Authenticate(model::AuthRequest request) override;

private:
    std::vector<std::unique_ptr<Seat>> seats_;  // constant once the host is up
};

}  // namespace opensend::plugin
