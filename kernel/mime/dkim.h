#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/crypto/signature.h"

namespace opensend::mime {

struct DkimKey {
    std::string domain;
    std::string selector;
    const crypto::SigningKey* key = nullptr;
};

/// DKIM-Signature field lines (CRLF included) for the message, one per key, the last key's on top
/// (DKIM-02…06). Prepend them to the message. `lifetime` is the distance from t= to x=; zero
/// leaves x= out.
std::string DkimSign(
    std::string_view message,
    const std::vector<DkimKey>& keys,
    base::Time now,
    base::Duration lifetime = std::chrono::hours(7 * 24)
);

/// Pieces that the vectors check.
/// "name:value" without line end.
std::string RelaxedHeader(std::string_view name, std::string_view value);
std::string RelaxedBody(std::string_view body);

}  // namespace opensend::mime
