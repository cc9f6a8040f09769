#pragma once

#include <string>

#include "kernel/model/authenticator.h"
#include "kernel/model/transport.h"
#include "kernel/plugin/grants.h"

namespace opensend::plugin {

/// SHA-256 of what a hook is lent, part by part (SEND-38).
struct Fingerprint {
    std::string envelope, headers, body;
};
Fingerprint FingerprintOf(const model::OutgoingMessage& message);
/// All of a request is its envelope.
Fingerprint FingerprintOf(const model::AuthRequest& request);

/// The first part that differs although `grants` does not allow it; empty: none.
std::string ForbiddenChange(
    const Fingerprint& before, const Fingerprint& now, const Grants& grants
);

}  // namespace opensend::plugin
