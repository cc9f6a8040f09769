#include "kernel/resources/emails/simulator.h"

#include <algorithm>

#include "kernel/base/text.h"

namespace opensend::emails {
namespace {

struct SimulatorRow {
    std::string_view local;
    Simulated outcome;
};
constexpr SimulatorRow kSimulator[] = {
    {"delivered",  Simulated::kDelivered },
    {"bounced",    Simulated::kBounced   },
    {"complained", Simulated::kComplained},
    {"suppressed", Simulated::kSuppressed},
    {"delayed",    Simulated::kDelayed   },
    {"failed",     Simulated::kFailed    },
};

bool IsLabelText(std::string_view label) {
    return !label.empty() && label.size() <= 64 &&
           std::all_of(label.begin(), label.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

}  // namespace

bool IsSimulatorDomain(std::string_view domain) {
    return base::EqualsIgnoreCase(domain, "resend.dev") ||
           base::EqualsIgnoreCase(domain, "opensend.test");
}

Simulated SimulatedOutcome(std::string_view address) {
    std::string_view local = address.substr(0, address.rfind('@'));
    const size_t plus = local.find('+');
    if (plus != std::string_view::npos) {
        if (!IsLabelText(local.substr(plus + 1))) return Simulated::kNoSuchUser;
        local = local.substr(0, plus);
    }
    for (const auto& row : kSimulator) {
        if (base::EqualsIgnoreCase(local, row.local)) return row.outcome;
    }
    return Simulated::kNoSuchUser;
}

}  // namespace opensend::emails
