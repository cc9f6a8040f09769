#include "kernel/plugin/token_table.h"

#include <algorithm>
#include <utility>

namespace opensend::plugin {
namespace {

constexpr size_t kMaxOpenTokens = 65'536, kMaxOverdueTokens = 65'536;

uint32_t SlotOf(osp_token token) { return static_cast<uint32_t>(token & 0xffffffffu); }
uint32_t GenerationOf(osp_token token) { return static_cast<uint32_t>(token >> 32); }

}  // namespace

void Latency::Add(std::chrono::nanoseconds time) {
    const int64_t us = std::max<int64_t>(0, time.count() / 1000);
    const auto* bound = std::lower_bound(kBoundsUs.begin(), kBoundsUs.end(), us);
    ++buckets[static_cast<size_t>(bound - kBoundsUs.begin())];
    ++count;
    sum_us += static_cast<uint64_t>(us);
}

const TokenTable::Slot* TokenTable::Find(osp_token token) const {
    if (SlotOf(token) >= slots_.size()) return nullptr;
    const Slot& slot = slots_[SlotOf(token)];
    return slot.waiter != nullptr && slot.generation == GenerationOf(token) ? &slot : nullptr;
}

std::shared_ptr<Waiter> TokenTable::Close(osp_token token, bool revoked) {
    if (Find(token) == nullptr) return nullptr;
    Slot& slot = slots_[SlotOf(token)];
    if (++slot.generation == 0) slot.generation = 1;
    if (revoked && overdue_.insert(token).second) {
        overdue_order_.push_back(token);
        if (overdue_order_.size() > kMaxOverdueTokens) {
            overdue_.erase(overdue_order_.front());
            overdue_order_.pop_front();
        }
    }
    free_.push_back(SlotOf(token));
    --open_;
    return std::exchange(slot.waiter, nullptr);
}

osp_token TokenTable::Open(std::shared_ptr<Waiter> waiter) {
    base::MutexLock lock(mutex_);
    if (open_ >= kMaxOpenTokens) return 0;
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    ++open_;
    slots_[index].waiter = std::move(waiter);
    return (osp_token{slots_[index].generation} << 32) | index;
}

void TokenTable::CountRefused(osp_token token) {
    if (overdue_.erase(token) > 0) {
        ++counters_.late;
        return;
    }
    const bool was_issued = GenerationOf(token) != 0 && SlotOf(token) < slots_.size() &&
                            GenerationOf(token) < slots_[SlotOf(token)].generation;
    ++(was_issued ? counters_.twice : counters_.unknown);
    ++counters_.errors;
    ++stale_;
}

osp_status TokenTable::Complete(osp_token token, const osp_completion& completion) {
    std::shared_ptr<Waiter> waiter;
    {
        base::MutexLock lock(mutex_);
        waiter = Close(token, false);
        if (waiter == nullptr) {
            CountRefused(token);
            return OSP_E_STATE;
        }
    }
    if (waiter->Accept(token, completion)) return OSP_OK;
    ++counters_.errors;
    return OSP_E_INVALID;
}

bool TokenTable::Revoke(osp_token token) {
    base::MutexLock lock(mutex_);
    return Close(token, true) != nullptr;
}

void TokenTable::Settle(osp_token token) {
    base::MutexLock lock(mutex_);
    Close(token, false);
}

void TokenTable::RevokeAll() {
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
        base::MutexLock lock(mutex_);
        for (uint32_t i = 0; i < slots_.size(); ++i) {
            const osp_token token = (osp_token{slots_[i].generation} << 32) | i;
            if (auto waiter = Close(token, true)) waiters.push_back(std::move(waiter));
        }
    }
    for (const auto& waiter : waiters) waiter->Abandon();
}

bool TokenTable::IsOpen(osp_token token) const {
    base::MutexLock lock(mutex_);
    return Find(token) != nullptr;
}

size_t TokenTable::open_count() const {
    base::MutexLock lock(mutex_);
    return open_;
}

}  // namespace opensend::plugin
