#include "kernel/plugin/kinds/fingerprint.h"

#include <string_view>

#include "kernel/crypto/digest.h"

namespace opensend::plugin {
namespace {

/// Adds texts so that no two lists of them give the same bytes.
class Hash {
public:
    Hash& Add(std::string_view text) {
        const uint64_t size = text.size();
        stream_.Update({reinterpret_cast<const char*>(&size), sizeof size}).Update(text);
        return *this;
    }
    std::string Finish() { return stream_.Finish(); }

private:
    crypto::Sha256Stream stream_;
};

}  // namespace

Fingerprint FingerprintOf(const model::OutgoingMessage& message) {
    Hash envelope;
    envelope.Add(message.id).Add(message.tenant).Add(message.mail_from);
    for (const std::string& recipient : message.recipients) envelope.Add(recipient);
    envelope.Add("meta");
    for (const auto& [key, value] : message.meta) envelope.Add(key).Add(value);
    const std::string_view data = message.data;
    const size_t blank = data.find("\r\n\r\n");
    const size_t split = blank == std::string_view::npos ? data.size() : blank + 4;
    return {
        envelope.Finish(), crypto::Sha256(data.substr(0, split)),
        crypto::Sha256(data.substr(split))};
}

Fingerprint FingerprintOf(const model::AuthRequest& request) {
    Hash hash;
    hash.Add(request.scheme).Add(request.credential.Reveal()).Add(request.peer);
    hash.Add(request.method).Add(request.path).Add(request.listener);
    for (const auto& [key, value] : request.attributes) hash.Add(key).Add(value);
    return {hash.Finish(), {}, {}};
}

std::string ForbiddenChange(
    const Fingerprint& before, const Fingerprint& now, const Grants& grants
) {
    if (before.envelope != now.envelope && !grants.Allows("envelope")) return "envelope";
    if (before.headers != now.headers && !grants.Allows("headers")) return "headers";
    if (before.body != now.body && !grants.Allows("body")) return "body";
    return {};
}

}  // namespace opensend::plugin
