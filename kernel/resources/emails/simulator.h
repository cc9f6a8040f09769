#pragma once

#include <string>
#include <string_view>

namespace opensend::emails {

/// True for resend.dev and opensend.test (REST 3.7): nothing leaves the instance for them.
bool IsSimulatorDomain(std::string_view domain);

/// What a simulator address stands for.
enum class Simulated {
    kDelivered = 1,
    kBounced,
    kComplained,
    kSuppressed,
    kDelayed,
    kFailed,
    kNoSuchUser,
};
/// Of an address local@domain at a simulator domain; "+label" is ignored.
Simulated SimulatedOutcome(std::string_view address);

}  // namespace opensend::emails
