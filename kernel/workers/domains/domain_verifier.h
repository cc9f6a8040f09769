#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "kernel/runtime/worker.h"
#include "kernel/workers/domains/domain_checker.h"

namespace opensend::domain_checks {

/// Checks domains and claims when they are due (DOM-20, DOM-21). Any number of processes may run
/// one: what is checked is leased from the database for a minute.
class DomainVerifier {
public:
    DomainVerifier(
        db::Pool& pool, base::Random& random, const base::Clock& clock, DomainChecker& checker
    );
    ~DomainVerifier();
    /// A check was asked for. Any thread.
    void Wake() { claimer_->Wake(); }

private:
    void Run(runtime::StopToken& stop);
    /// Takes what is due, up to the free places; how many.
    size_t TakeDue();
    void Start(std::function<void()> check);

    db::Pool& pool_;
    const base::Clock& clock_;
    DomainChecker& checker_;
    std::string owner_;
    std::atomic<size_t> running_{0};
    std::unique_ptr<runtime::WorkerPool> checks_;
    std::unique_ptr<runtime::Worker> claimer_;
};

}  // namespace opensend::domain_checks
