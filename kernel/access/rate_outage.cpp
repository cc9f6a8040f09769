#include "kernel/access/rate_outage.h"

#include <utility>

namespace opensend::access {
namespace {

constexpr int kProbesToReturn = 3;
constexpr size_t kMaxTenants = 1'000;

}  // namespace

void RateOutage::Note(State found, const model::TenantId* tenant) {
    told_.With([&](Told& told) {
        ++told.news.unanswered;
        const State before = state_.load();
        if (before == State::kWell) told.news.began = true;
        if (found > before) {
            told.good_probes = 0;
            state_.store(found, std::memory_order_release);
        }
        if (tenant == nullptr || told.tenants.size() >= kMaxTenants) return;
        if (told.tenants.insert(*tenant).second) told.news.failed.push_back(*tenant);
    });
}

void RateOutage::Probed(State found) {
    told_.With([&](Told& told) {
        const State before = state_.load();
        const bool is_better = found < before;
        told.good_probes = !is_better ? 0 : found == told.last_probe ? told.good_probes + 1 : 1;
        told.last_probe = found;
        if (told.good_probes < kProbesToReturn) return;
        told.good_probes = 0;
        state_.store(found, std::memory_order_release);
        if (found != State::kWell) return;
        told.news.ended = true;
        told.news.recovered.assign(told.tenants.begin(), told.tenants.end());
        told.tenants.clear();
    });
}

RateOutage::News RateOutage::Take() {
    return told_.With([](Told& told) { return std::exchange(told.news, News()); });
}

}  // namespace opensend::access
