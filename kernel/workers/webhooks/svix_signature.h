#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/secret.h"

namespace opensend::webhook_delivery {

/// The value of webhook-signature and svix-signature: "v1,<base64>" per secret, in order, separated
/// by a space (HOOK-10, HOOK-13). nullopt: a secret is not of the form whsec_<base64>.
std::optional<std::string> SignWebhook(
    const std::vector<base::Secret>& secrets,
    std::string_view message_id,
    int64_t timestamp,
    std::string_view body
);

}  // namespace opensend::webhook_delivery
