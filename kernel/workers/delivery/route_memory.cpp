#include "kernel/workers/delivery/route_memory.h"

#include "kernel/base/text.h"

namespace opensend::delivery {
namespace {

constexpr int64_t kFailuresInARow = 2;
constexpr size_t kMaxText = 4'096;

}  // namespace

// One word for each transport: its name, "=", then "r" refused, "a" avoid, or failures in a row.
RouteMemory::RouteMemory(std::string_view text) {
    if (text.size() > kMaxText) return;
    for (const std::string_view word : base::Split(text, ' ')) {
        const size_t equals = word.rfind('=');
        if (equals == std::string_view::npos || equals == 0) continue;
        const std::string_view state = word.substr(equals + 1);
        Entry entry;
        entry.refused = state == "r";
        entry.avoid = state == "a";
        if (!entry.refused && !entry.avoid) entry.failures = base::ParseInt(state).value_or(0);
        entries_.emplace(word.substr(0, equals), entry);
    }
}

std::string RouteMemory::ToText() const {
    std::string out;
    for (const auto& [name, entry] : entries_) {
        if (!out.empty()) out += ' ';
        out += base::Cat(name, '=');
        if (entry.refused) {
            out += 'r';
        } else if (entry.avoid) {
            out += 'a';
        } else {
            out += base::Cat(entry.failures);
        }
    }
    return out;
}

void RouteMemory::Note(const std::string& transport, model::ResultClass result) {
    using model::ResultClass;
    if (result == ResultClass::kOkUnknown || result == ResultClass::kNotTried) return;
    for (auto& [name, entry] : entries_) {
        if (name != transport) entry.failures = 0;
    }
    Entry& entry = entries_[transport];
    switch (result) {
        case ResultClass::kTemp:
            if (++entry.failures >= kFailuresInARow) {
                entry.failures = 0;
                entry.avoid = true;
            }
            break;
        case ResultClass::kThrottle:
        case ResultClass::kAuthConfig:
        case ResultClass::kProtocol:
            entry.failures = 0;
            entry.avoid = true;
            break;
        case ResultClass::kPermReputation: entry.refused = true; break;
        default: entry = {}; break;
    }
    std::erase_if(entries_, [](const auto& item) {
        return !item.second.avoid && !item.second.refused && item.second.failures == 0;
    });
}

bool RouteMemory::Avoids(const std::string& transport) const {
    const auto found = entries_.find(transport);
    return found != entries_.end() && (found->second.avoid || found->second.refused);
}

bool RouteMemory::Refused(const std::string& transport) const {
    const auto found = entries_.find(transport);
    return found != entries_.end() && found->second.refused;
}

void RouteMemory::ForgetAvoided() {
    for (auto& [name, entry] : entries_) entry.avoid = false;
    std::erase_if(entries_, [](const auto& item) {
        return !item.second.refused && item.second.failures == 0;
    });
}

}  // namespace opensend::delivery
