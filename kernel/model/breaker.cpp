#include "kernel/model/breaker.h"

#include <algorithm>
#include <utility>

#include "kernel/base/check.h"

namespace opensend::model {
namespace {

constexpr size_t kFailuresToOpen = 5;
constexpr std::chrono::seconds kFailureWindow{60};
constexpr std::chrono::seconds kFirstPause{30};
constexpr std::chrono::seconds kLongestPause{600};
constexpr std::chrono::seconds kProbeLimit{120};

}  // namespace

bool Breaker::Admit(base::MonoTime now) {
    if (held_) return false;
    if (!open_) return true;
    if (now < open_until_) return false;
    // A probe whose answer never came does not block the transport for good.
    if (probing_ && now - probe_since_ < kProbeLimit) return false;
    probing_ = true;
    probe_since_ = now;
    return true;
}

void Breaker::Report(ResultClass result, base::MonoTime now) {
    const bool failure = result == ResultClass::kTemp || result == ResultClass::kOkUnknown ||
                         result == ResultClass::kPermReputation ||
                         result == ResultClass::kProtocol || result == ResultClass::kAuthConfig;
    if (!failure) {
        // A probe that was not tried says nothing: the next call may be one.
        if (result == ResultClass::kNotTried) probing_ = false;
        if (result == ResultClass::kNotTried || result == ResultClass::kThrottle) return;
        open_ = false;
        probing_ = false;
        pause_ = kFirstPause;
        failures_.clear();
        return;
    }
    if (open_) {
        if (!probing_) return;
        pause_ = std::min(pause_ * 2, kLongestPause);
    } else {
        failures_.push_back(now);
        failures_.erase(
            std::remove_if(
                failures_.begin(), failures_.end(),
                [&](base::MonoTime at) { return now - at > kFailureWindow; }
            ),
            failures_.end()
        );
        if (failures_.size() < kFailuresToOpen && result != ResultClass::kAuthConfig) return;
    }
    open_ = true;
    probing_ = false;
    open_until_ = now + pause_;
    failures_.clear();
}

void Breaker::RestUntil(base::MonoTime until) {
    open_ = true;
    probing_ = false;
    open_until_ = until;
    failures_.clear();
}

Breaker::State Breaker::state(base::MonoTime now) const {
    if (held_) return State::kOpen;
    if (!open_) return State::kClosed;
    return now < open_until_ ? State::kOpen : State::kHalfOpen;
}

const char* ToText(Breaker::State state) {
    switch (state) {
        case Breaker::State::kClosed: return "closed";
        case Breaker::State::kOpen: return "open";
        case Breaker::State::kHalfOpen: return "half_open";
    }
    OPENSEND_CHECK(false, "a state of a breaker");
    return "";
}

bool SharedBreaker::Admit(base::MonoTime now) {
    if (quiet_.load(std::memory_order_acquire)) return true;
    base::MutexLock lock(mutex_);
    return breaker_.Admit(now);
}

void SharedBreaker::Report(ResultClass result, base::MonoTime now) {
    if (result == ResultClass::kOk && quiet_.load(std::memory_order_acquire)) return;
    base::MutexLock lock(mutex_);
    breaker_.Report(result, now);
    quiet_.store(breaker_.quiet(), std::memory_order_release);
}

void SharedBreaker::Hold() {
    base::MutexLock lock(mutex_);
    breaker_.Hold();
    quiet_.store(false, std::memory_order_release);
}

void SharedBreaker::RestUntil(base::MonoTime until) {
    base::MutexLock lock(mutex_);
    breaker_.RestUntil(until);
    quiet_.store(false, std::memory_order_release);
}

Breaker::State SharedBreaker::state(base::MonoTime now) const {
    base::MutexLock lock(mutex_);
    return breaker_.state(now);
}

std::shared_ptr<SharedBreaker> BreakerBoard::Of(const std::string& name) {
    return all_.With([&](auto& all) {
        auto& place = all[name];
        if (!place) place = std::make_shared<SharedBreaker>();
        return place;
    });
}

void BreakerBoard::Put(const std::string& name, std::shared_ptr<SharedBreaker> breaker) {
    all_.With([&](auto& all) { all[name] = std::move(breaker); });
}

}  // namespace opensend::model
