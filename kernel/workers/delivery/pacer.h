#pragma once

#include <chrono>
#include <map>
#include <string>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/runtime/token_bucket.h"

namespace opensend::delivery {

/// How fast one transport may be asked (SEND-37). Zero: no limit.
struct Pace {
    uint64_t count = 0;  // recipients in `period`
    std::chrono::microseconds period{0};
    int64_t concurrency = 0;  // recipients at once
};

/// Keeps transports to their pace. Thread-safe.
class Pacer {
public:
    explicit Pacer(std::map<std::string, Pace> paces) { SetPaces(std::move(paces)); }
    void SetPaces(std::map<std::string, Pace> paces);

    /// Admits one recipient (zero), or says after how long to ask again. What was admitted is given
    /// back with Done.
    std::chrono::nanoseconds Admit(const std::string& transport, base::MonoTime now);
    void Done(const std::string& transport);

private:
    struct Lane {
        Pace pace;
        runtime::TokenBucket bucket{1, std::chrono::seconds(1)};
        int64_t out = 0;
    };
    base::Guarded<std::map<std::string, Lane>> lanes_;
};

}  // namespace opensend::delivery
