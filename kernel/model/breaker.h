#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/base/mutex.h"
#include "kernel/model/delivery_outcome.h"

namespace opensend::model {

/// Opens after 5 failures in 60 s or one auth_config; half-open after 30 s, doubling to 10 min; one
/// probe at a time (SEND-23).
class Breaker {
public:
    enum class State { kClosed = 1, kOpen, kHalfOpen };
    /// True when a call may be made now; in the half-open state it admits one.
    bool Admit(base::MonoTime now);
    void Report(ResultClass result, base::MonoTime now);
    /// Open for good: what stands behind it has been taken out of service.
    void Hold() { held_ = true; }
    /// Open until then, whatever was reported: what stands behind it rests.
    void RestUntil(base::MonoTime until);
    State state(base::MonoTime now) const;
    /// Closed, with no failure to remember.
    bool quiet() const { return !open_ && !held_ && failures_.empty(); }

private:
    std::vector<base::MonoTime> failures_;
    base::MonoTime open_until_{0};
    std::chrono::seconds pause_{30};
    bool open_ = false;
    bool held_ = false;
    bool probing_ = false;
    base::MonoTime probe_since_{0};
};
/// "closed", "open", "half_open".
const char* ToText(Breaker::State state);

/// A Breaker for several threads; costs one load while nothing fails.
class SharedBreaker {
public:
    bool Admit(base::MonoTime now);
    void Report(ResultClass result, base::MonoTime now);
    void Hold();
    void RestUntil(base::MonoTime until);
    Breaker::State state(base::MonoTime now) const;

private:
    mutable base::Mutex mutex_;
    Breaker breaker_ OPENSEND_GUARDED_BY(mutex_);
    std::atomic<bool> quiet_{true};
};

/// The breakers of a process by name. Thread-safe.
class BreakerBoard {
public:
    /// The breaker of that name, made at first use.
    std::shared_ptr<SharedBreaker> Of(const std::string& name);
    /// Another one takes the place of what stood there.
    void Put(const std::string& name, std::shared_ptr<SharedBreaker> breaker);

private:
    base::Guarded<std::map<std::string, std::shared_ptr<SharedBreaker>>> all_;
};

}  // namespace opensend::model
