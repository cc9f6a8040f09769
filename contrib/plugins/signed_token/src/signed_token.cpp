// Lets in who presents a token that somebody with the shared key has signed:
//   st.<name>.<organization id>.<permission>.<expiry in seconds since 1970>.<hex of HMAC-SHA-256>
// The signature is over everything before the last dot. No list is kept, so a token cannot be taken
// back before it expires: give short lives.
#include <array>
#include <string>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <opensend/json.hpp>

#include "opensend_manifest.h"

namespace {

constexpr std::string_view kPrefix = "st.";
constexpr size_t kMaxToken = 512, kParts = 6;

std::string Mac(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(
            EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), mac.data(),
            &size
        ) == nullptr)
        throw osp::Error(OSP_E_INTERNAL, "no HMAC");
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        hex += "0123456789abcdef"[mac[i] >> 4];
        hex += "0123456789abcdef"[mac[i] & 15];
    }
    return hex;
}

std::vector<std::string_view> Split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (size_t at = 0;;) {
        const size_t dot = text.find('.', at);
        parts.push_back(text.substr(at, dot - at));
        if (dot == std::string_view::npos) return parts;
        at = dot + 1;
    }
}

void Deny(osp::Completion& done, std::string_view reason) {
    osp_auth_result result{};
    result.size = sizeof result;
    result.decision = OSP_AUTH_DENY;
    result.reason = osp::Str(reason);
    done.Done(&result);
}

class SignedToken final : public osp::Auth {
public:
    // Authenticate changes no member.
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;

    explicit SignedToken(const osp_create_args& args) : Auth(args) {
        const auto reference = osp::Json::Config(args, {"key"})["key"].SecretRef();
        if (!reference) throw osp::Error(OSP_E_CONFIG, "key names a secret");
        key_ = host.Secret(*reference);
        if (key_.size() < 16 || key_.size() > 1024)
            throw osp::Error(OSP_E_CONFIG, "the key has 16 to 1024 bytes");
    }
    ~SignedToken() override { OPENSSL_cleanse(key_.data(), key_.size()); }

    void Authenticate(const osp_auth_req& request, osp::Completion&& done) override {
        const std::string_view token = osp::View(request.credential);
        osp_auth_result result{};
        result.size = sizeof result;
        if (osp::View(request.scheme) != "bearer" || token.substr(0, kPrefix.size()) != kPrefix) {
            result.decision = OSP_AUTH_ABSTAIN;
            done.Done(&result);
            return;
        }
        if (token.size() > kMaxToken) return Deny(done, "invalid");
        const auto parts = Split(token);
        if (parts.size() != kParts) return Deny(done, "invalid");
        const std::string expected = Mac(key_, token.substr(0, token.rfind('.')));
        const std::string_view mac = parts[5];
        if (mac.size() != expected.size() ||
            CRYPTO_memcmp(mac.data(), expected.data(), mac.size()) != 0)
            return Deny(done, "invalid");
        const std::string_view scope = parts[3];
        const bool known =
            scope == "full_access" || scope == "sending_access" || scope == "read_access";
        int64_t expiry = 0;
        if (parts[1].empty() || parts[2].empty() || !known ||
            osp_json_int(osp::Str(parts[4]), &expiry) == 0)
            return Deny(done, "invalid");
        if (expiry <= host.UnixMs() / 1000) return Deny(done, "expired");
        const std::string subject = "signed-token:" + std::string(parts[1]);
        const osp_str scopes[] = {osp::Str(scope)};
        result.decision = OSP_AUTH_ALLOW;
        result.subject = osp::Str(subject);
        result.tenant = osp::Str(parts[2]);
        result.scopes = scopes;
        result.n_scopes = 1;
        done.Done(&result);
    }

private:
    std::string key_;
};

}  // namespace

OSP_PLUGIN_WITH_MANIFEST(
    OSP_MANIFEST_ID,
    OSP_MANIFEST_VERSION,
    OSP_MANIFEST_TEXT,
    osp::AuthKind<SignedToken>("signed-token", OSP_SCHEMA_TEXT)
)
