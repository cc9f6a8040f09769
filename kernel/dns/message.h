#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.h"
#include "kernel/dns/record.h"

namespace opensend::dns {

inline constexpr int kMaxAliases = 8;

/// Number of the type on the wire.
uint16_t WireType(RecordType type);

/// Lower case without one trailing dot; nullopt: not a name that can be asked for. Labels hold any
/// visible ASCII but backslash and quote, so "_dmarc.acme.dev" is fine.
std::optional<std::string> NormalName(std::string_view name);

/// What an answer says about one question.
struct Answer {
    std::vector<Record> records;
    /// Where the aliases of the answer led; the asked name when there are none. With no records and
    /// another name here the question goes on there.
    std::string final_name;
    int aliases = 0;
    uint32_t ttl_s = 0;           // the smallest on the way
    uint32_t negative_ttl_s = 0;  // from the SOA; 0: absence must not be remembered
};

/// Reads a whole DNS message that answers `name` (normal form) and `type`. `aliases` were followed
/// before. Reads nothing outside `message` and follows no circle.
base::Result<Answer, LookupFailure> ReadAnswer(
    std::string_view message, const std::string& name, RecordType type, int aliases
);

}  // namespace opensend::dns
