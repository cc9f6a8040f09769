#include "kernel/workers/webhooks/svix_signature.h"

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::webhook_delivery {

std::optional<std::string> SignWebhook(
    const std::vector<base::Secret>& secrets,
    std::string_view message_id,
    int64_t timestamp,
    std::string_view body
) {
    constexpr std::string_view kPrefix = "whsec_";
    const std::string signed_text = base::Cat(message_id, '.', timestamp, '.', body);
    std::string out;
    for (const base::Secret& secret : secrets) {
        const std::string_view text = secret.Reveal();
        if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
        const auto key = base::Base64Decode(text.substr(kPrefix.size()));
        if (!key || key->empty()) return std::nullopt;
        if (!out.empty()) out += ' ';
        out += base::Cat("v1,", base::Base64Encode(crypto::HmacSha256(*key, signed_text)));
    }
    return out;
}

}  // namespace opensend::webhook_delivery
