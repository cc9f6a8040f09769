#include "kernel/plugin/load/signing.h"

#include "kernel/base/encoding.h"
#include "kernel/crypto/signature.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kAlgorithm = "ed25519:";
constexpr size_t kKeyBytes = 32, kSignatureBytes = 64, kMaxSignatures = 16;

std::optional<std::string> BytesOf(std::string_view text, size_t size) {
    if (text.substr(0, kAlgorithm.size()) != kAlgorithm) return std::nullopt;
    auto bytes = base::Base64Decode(text.substr(kAlgorithm.size()));
    if (!bytes || bytes->size() != size) return std::nullopt;
    return bytes;
}

}  // namespace

std::string PublicKeyText(std::string_view raw) {
    return base::Cat(kAlgorithm, base::Base64Encode(raw));
}

std::optional<std::string> ParsePublicKey(std::string_view text) {
    return BytesOf(base::Trim(text), kKeyBytes);
}

std::string SignedBytes(
    std::string_view sha256_raw, std::string_view id, std::string_view version
) {
    return base::Cat(sha256_raw, id, version);
}

std::string SignatureLine(std::string_view signature) {
    return base::Cat(kAlgorithm, base::Base64Encode(signature), '\n');
}

Checked<std::string> FindSigner(
    std::string_view signature_file,
    std::string_view signed_bytes,
    const std::vector<std::string>& trusted_keys
) {
    std::vector<std::string> keys;
    for (const std::string& text : trusted_keys) {
        auto key = ParsePublicKey(text);
        if (!key)
            return Refuse(
                "signature", "keys \"ed25519:<base64>\" in plugins.trusted_keys", "another"
            );
        keys.push_back(std::move(*key));
    }
    size_t lines = 0;
    for (const std::string_view line : base::Split(signature_file, '\n')) {
        const auto signature = BytesOf(base::Trim(line), kSignatureBytes);
        if (!signature || ++lines > kMaxSignatures) continue;
        for (size_t i = 0; i < keys.size(); ++i) {
            if (crypto::VerifyEd25519(keys[i], signed_bytes, *signature)) return trusted_keys[i];
        }
    }
    return Refuse(
        "signature", "one by a trusted key over this content, id and version",
        base::Cat(lines, " others")
    );
}

}  // namespace opensend::plugin
