#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kernel/model/delivery_outcome.h"

namespace opensend::delivery {

/// What a waiting recipient remembers of the transports that tried it, so that a retry prefers
/// another one only by the rules of SEND-22. Travels in the queue row as text.
class RouteMemory {
public:
    RouteMemory() = default;
    /// Of the text of ToText; anything else is read as nothing remembered.
    explicit RouteMemory(std::string_view text);
    std::string ToText() const;

    /// After an attempt: a throttled transport, one that failed twice in a row, or one that could
    /// not be used is passed over next time; one that refused the sender is not asked again.
    void Note(const std::string& transport, model::ResultClass result);
    /// Another one goes first.
    bool Avoids(const std::string& transport) const;
    /// It refused the sender or its address: never again for this recipient.
    bool Refused(const std::string& transport) const;
    /// All have had their turn: the order begins anew, refusals stay.
    void ForgetAvoided();

private:
    struct Entry {
        int64_t failures = 0;  // temporary ones in a row
        bool avoid = false, refused = false;
    };
    std::map<std::string, Entry> entries_;
};

}  // namespace opensend::delivery
