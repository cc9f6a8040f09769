#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include <opensend/plugin.hpp>

namespace {

constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kPrefix = "os_", kMacLabel = "opensend.apikey.v1";
constexpr size_t kRefLength = 12, kSecretLength = 32, kChecksumLength = 6;
constexpr size_t kSignedLength = kPrefix.size() + kRefLength + kSecretLength;
constexpr size_t kTokenLength = kSignedLength + kChecksumLength;
constexpr uint32_t kCacheMs = 5000;

uint32_t Crc32(std::string_view bytes) {
    uint32_t crc = 0xffffffffu;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
    }
    return ~crc;
}

std::array<char, kChecksumLength> Checksum(std::string_view signed_part) {
    std::array<char, kChecksumLength> digits{};
    uint32_t value = Crc32(signed_part);
    for (size_t i = kChecksumLength; i-- > 0; value /= 62) digits[i] = kAlphabet[value % 62];
    return digits;
}

bool IsWellFormed(std::string_view token) {
    if (token.size() != kTokenLength || token.substr(0, kPrefix.size()) != kPrefix) return false;
    if (token.find_first_not_of(kAlphabet, kPrefix.size()) != std::string_view::npos) return false;
    const auto digits = Checksum(token.substr(0, kSignedLength));
    return token.substr(kSignedLength) == std::string_view(digits.data(), digits.size());
}

bool EqualConstantTime(const uint8_t* a, const uint8_t* b, size_t n) {
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < n; ++i)
        difference = static_cast<uint8_t>(difference | static_cast<uint8_t>(a[i] ^ b[i]));
    return difference == 0;
}

void Deny(osp::Completion& done, std::string_view reason) {
    osp_auth_result result{};
    result.size = sizeof result;
    result.decision = OSP_AUTH_DENY;
    result.reason = osp::Str(reason);
    done.Done(&result);
}

/// One look-up: the parts of the token that the record is compared with.
struct Lookup {
    const osp_host* host;
    const osp_host_credential_v1* service;
    std::string ref, mac_input;
    osp::Completion done;
};

/// An unknown ref goes the same way with a record that fits nothing.
void Compare(Lookup& lookup, osp_status status, const osp_credential& stored) {
    std::array<uint8_t, 32> mac{};
    const osp_status computed = lookup.service->mac(
        lookup.host, stored.pepper_kid, osp::Bytes(lookup.mac_input), mac.data()
    );
    const bool equal = EqualConstantTime(mac.data(), stored.mac, mac.size());
    if (!equal || status != OSP_OK || computed != OSP_OK) return Deny(lookup.done, "invalid");
    const osp_str scopes[] = {stored.scope};
    osp_auth_result result{};
    result.size = sizeof result;
    result.decision = OSP_AUTH_ALLOW;
    result.subject = stored.subject;
    result.tenant = stored.tenant;
    result.scopes = scopes;
    result.n_scopes = 1;
    result.cache_ttl_ms = kCacheMs;
    lookup.done.Done(&result);
}

void Found(void* context, osp_status status, const osp_credential* stored) noexcept {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(context));
    const bool answered = stored != nullptr && (status == OSP_OK || status == OSP_E_NOTFOUND);
    if (!answered) {
        lookup->done.Fail(status < 0 ? status : OSP_E_INTERNAL, "the key store did not answer");
    } else {
        osp::Guard(nullptr, [&]() -> osp_status {
            Compare(*lookup, status, *stored);
            return OSP_OK;
        });
    }
    explicit_bzero(lookup->mac_input.data(), lookup->mac_input.size());
}

class ApiKey final : public osp::Auth {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;

    explicit ApiKey(const osp_create_args& args)
        : Auth(args), service_(host.Service<osp_host_credential_v1>(OSP_HOST_CREDENTIAL)) {
        if (osp::View(args.config).find('"') != std::string_view::npos)
            throw osp::Error(OSP_E_CONFIG, "api_key has no configuration keys");
        if (!OSP_HAS(osp_host_credential_v1, service_, find) ||
            !OSP_HAS(osp_host_credential_v1, service_, mac))
            throw osp::Error(OSP_E_DENIED, "the credential service is not granted");
    }

    void Authenticate(const osp_auth_req& request, osp::Completion&& done) override {
        const std::string_view token = osp::View(request.credential);
        if (token.substr(0, kPrefix.size()) != kPrefix) {
            osp_auth_result abstain{};
            abstain.size = sizeof abstain;
            abstain.decision = OSP_AUTH_ABSTAIN;
            done.Done(&abstain);
            return;
        }
        if (!IsWellFormed(token)) return Deny(done, "invalid");
        const std::string_view ref = token.substr(kPrefix.size(), kRefLength);
        const std::string_view secret = token.substr(kPrefix.size() + kRefLength, kSecretLength);
        std::string input(kMacLabel);
        input.append(1, '\0').append(ref).append(1, '\0').append(secret);
        auto lookup = std::make_unique<Lookup>(Lookup{
            host.raw(), service_, std::string(ref), std::move(input), std::move(done)});
        Lookup* const raw = lookup.release();
        const osp_status status =
            service_->find(host.raw(), osp::Str(raw->ref), request.deadline, Found, raw);
        if (status < 0) Found(raw, status, nullptr);
    }

private:
    const osp_host_credential_v1* service_;
};

}  // namespace

#define API_KEY_SCHEMA "{\"type\":\"object\",\"additionalProperties\":false}"
#define API_KEY_CHECK_SECRET "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
#define API_KEY_CHECK_WRONG_SECRET "DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"

// The samples for `opensend plugins check`: one stored key, its token, and tokens of good shape
// with another secret and another reference.
OSP_PLUGIN(
    "opensend.api_key",
    "1.0.0",
    "[\"" OSP_KIND_AUTH ":api_key\"]",
    ",\"config_schema\":{\"api_key\":" API_KEY_SCHEMA
    "},\"check\":{\"api_key\":{"
    "\"keys\":{\"Check0000000\":{\"subject\":\"key-1\",\"tenant\":\"tenant-1\","
    "\"scope\":\"sending_access\","
    "\"data\":\"opensend.apikey.v1\\u0000Check0000000\\u0000" API_KEY_CHECK_SECRET
    "\"}},"
    "\"credential\":\"os_Check0000000" API_KEY_CHECK_SECRET
    "3DVhFA\","
    "\"refused\":[\"os_Check0000000" API_KEY_CHECK_WRONG_SECRET
    "0OIKMY\","
    "\"os_Other0000000" API_KEY_CHECK_SECRET "3g7IRE\"]}}",
    osp::AuthKind<ApiKey>("api_key", API_KEY_SCHEMA)
)
