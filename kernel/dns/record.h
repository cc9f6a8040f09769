#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/cidr.h"

namespace opensend::dns {

enum class RecordType { kA = 1, kAaaa, kTxt, kMx, kCname };

/// One record of an answer; which members mean something follows from the type asked for.
struct Record {
    base::IpAddress address;  // A, AAAA
    std::string text;         // TXT: its strings joined; MX, CNAME: a name without trailing dot
    int preference = 0;       // MX; an empty `text` is the null MX
    uint32_t ttl_s = 0;
};

/// Why a look-up gave no records.
enum class LookupFailure {
    kNotFound = 1,  // the name does not exist
    kNoData,        // the name exists without records of this type
    kServFail,
    kRefused,
    kTimeout,
    kUnreachable,   // no server could be asked
    kBadName,       // the text is no domain name
    kBadAnswer,     // an answer that cannot be read
    kChainTooLong,  // more than eight aliases, or a circle
    kBusy,          // too many look-ups under way
    kCanceled,      // the resolver ended
};
std::string_view ToText(LookupFailure failure);  // "not_found", "no_data", …

/// The name is known to lack such records; every other failure says nothing about it.
inline bool IsAbsence(LookupFailure failure) {
    return failure == LookupFailure::kNotFound || failure == LookupFailure::kNoData;
}

}  // namespace opensend::dns
