#include "kernel/crypto/api_key.h"

#include <algorithm>
#include <utility>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/random.h"

namespace opensend::crypto {
namespace {

constexpr std::string_view kApiKeyPrefix = "os_";
constexpr size_t kChecksumChars = 6;
constexpr size_t kCheckedChars = kApiKeyTokenChars - kChecksumChars;

bool IsBase62(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
}

std::string Checksum(std::string_view checked) {
    std::string out(kChecksumChars, '0');
    uint32_t rest = base::Crc32(checked);
    for (size_t i = kChecksumChars; i-- > 0; rest /= 62) out[i] = base::kBase62Alphabet[rest % 62];
    return out;
}

}  // namespace

NewApiKey MakeApiKey(base::Random& random) {
    NewApiKey key;
    key.ref = RandomBase62(random, kApiKeyRefChars);
    key.secret = base::Secret(RandomBase62(random, kApiKeySecretChars));
    std::string token;
    token.reserve(kApiKeyTokenChars);
    token += kApiKeyPrefix;
    token += key.ref;
    token += key.secret.Reveal();
    token += Checksum(token);
    key.token = base::Secret(std::move(token));
    return key;
}

std::optional<ApiKeyToken> ParseApiKey(std::string_view token) {
    if (token.size() != kApiKeyTokenChars || !token.starts_with(kApiKeyPrefix)) return std::nullopt;
    if (!IsBase62(token.substr(kApiKeyPrefix.size()))) return std::nullopt;
    if (Checksum(token.substr(0, kCheckedChars)) != token.substr(kCheckedChars))
        return std::nullopt;
    const auto rest = token.substr(kApiKeyPrefix.size());
    return ApiKeyToken{
        rest.substr(0, kApiKeyRefChars), rest.substr(kApiKeyRefChars, kApiKeySecretChars)};
}

std::string ApiKeyMacInput(std::string_view ref, std::string_view secret) {
    return base::Cat("opensend.apikey.v1", '\0', ref, '\0', secret);
}

std::string TokenPreview(std::string_view token) {
    if (token.size() != kApiKeyTokenChars) return "…";
    return base::Cat(token.substr(0, 7), "…", token.substr(token.size() - 4));
}

}  // namespace opensend::crypto
