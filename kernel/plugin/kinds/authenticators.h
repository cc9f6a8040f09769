#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/model/authenticator.h"
#include "kernel/plugin/instance.h"

namespace opensend::plugin {

/// One auth instance. Thread-safe.
class AuthBackend {
public:
    static Checked<std::unique_ptr<AuthBackend>> Make(
        std::unique_ptr<Instance> instance, std::chrono::milliseconds call_timeout
    );
    /// nullopt: it knows nothing of this credential. Otherwise checked: an ALLOW without subject,
    /// tenant or proper scopes has become a DENY.
    std::optional<model::AuthResult> Ask(const model::AuthRequest& request);
    Instance& instance() { return *instance_; }

private:
    AuthBackend(
        std::unique_ptr<Instance> instance, osp_auth_v1 table, std::chrono::milliseconds timeout
    );
    const std::unique_ptr<Instance> instance_;
    const osp_auth_v1 table_;
    const std::chrono::milliseconds call_timeout_;
};

/// The backends in the order of auth.backends; one that is not up answers "later".
class AuthChain final : public model::Authenticator {
public:
    /// Null: a configured backend that is not up.
    void Add(std::unique_ptr<AuthBackend> backend) { backends_.push_back(std::move(backend)); }
    model::AuthResult Authenticate(model::AuthRequest request) override;
    const std::vector<std::unique_ptr<AuthBackend>>& backends() const { return backends_; }

private:
    std::vector<std::unique_ptr<AuthBackend>> backends_;
};

}  // namespace opensend::plugin
