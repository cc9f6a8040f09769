#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/uuid.h"

namespace opensend::base {

/// An identifier of one kind of object: Id<EmailTag> and Id<DomainTag> do not mix.
template <class Tag>
class Id {
public:
    Id() = default;
    explicit Id(const Uuid& uuid) : uuid_(uuid) {}

    static std::optional<Id> Parse(std::string_view text) {
        const auto uuid = ParseUuid(text);
        return uuid ? std::optional(Id(*uuid)) : std::nullopt;
    }

    const Uuid& uuid() const { return uuid_; }
    bool IsNil() const { return uuid_.IsNil(); }
    std::string ToString() const { return uuid_.ToString(); }
    friend auto operator<=>(const Id&, const Id&) = default;

private:
    Uuid uuid_;
};

}  // namespace opensend::base

template <class Tag>
struct std::hash<opensend::base::Id<Tag>> {
    size_t operator()(const opensend::base::Id<Tag>& id) const noexcept {
        return std::hash<opensend::base::Uuid>{}(id.uuid());
    }
};
