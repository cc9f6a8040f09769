#include "kernel/crypto/keyring.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <uninorm.h>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/crypto/aead.h"
#include "kernel/crypto/digest.h"

namespace opensend::crypto {
namespace {

constexpr std::string_view kTextPrefix = "ose1.";
constexpr std::string_view kVersionAndCipher("\x01\x01", 2);
constexpr std::string_view kScryptSalt = "opensend.webhook-secret.v1";
constexpr size_t kKidBytes = 4;
constexpr size_t kHeaderBytes = 2 + kKidBytes;
constexpr size_t kBodyAt = kHeaderBytes + kAeadNonceBytes;

/// In NFC, so that a passphrase typed on another system is the same one.
base::Secret Normalized(std::string_view text) {
    if (base::IsAscii(text)) return base::Secret(std::string(text));
    size_t size = 0;
    uint8_t* bytes = u8_normalize(
        UNINORM_NFC, reinterpret_cast<const uint8_t*>(text.data()), text.size(), nullptr, &size
    );
    OPENSEND_CHECK(bytes != nullptr, "valid UTF-8 has a normal form");
    base::Secret out(std::string(reinterpret_cast<const char*>(bytes), size));
    OPENSSL_cleanse(bytes, size);
    std::free(bytes);
    return out;
}

base::Secret Stretched(std::string_view passphrase) {
    constexpr uint64_t kMemory = uint64_t{64} << 20;
    const auto text = Normalized(passphrase);
    std::string key(kAeadKeyBytes, '\0');
    OPENSEND_CHECK(
        EVP_PBE_scrypt(
            text.Reveal().data(), text.size(),
            reinterpret_cast<const unsigned char*>(kScryptSalt.data()), kScryptSalt.size(), 16384,
            8, 1, kMemory, reinterpret_cast<unsigned char*>(key.data()), key.size()
        ) == 1,
        "scrypt works"
    );
    return base::Secret(std::move(key));
}

/// The 32 bytes a master key text stands for (ENC-03).
base::Result<base::Secret, std::string> MasterKey(std::string_view text) {
    const auto fail = [](std::string why) { return base::Failure{std::move(why)}; };
    if (text.empty()) return fail("a master key is empty");
    if (text.size() == 2 * kAeadKeyBytes) {
        if (auto bytes = base::HexDecode(text)) return base::Secret(std::move(*bytes));
    }
    if (text.size() == 44) {
        auto bytes = base::Base64Decode(text);
        if (bytes && bytes->size() == kAeadKeyBytes) return base::Secret(std::move(*bytes));
    }
    if (!base::IsUtf8(text)) return fail("a master key is not valid UTF-8");
    return Stretched(text);
}

std::string KidOfKey(const base::Secret& key) {
    Sha256Stream stream;
    stream.Update(std::string_view("opensend.kid.v1\0", 16)).Update(key.Reveal());
    return stream.Finish().substr(0, kKidBytes);
}

void AppendPrefixed(std::string& out, std::string_view text) {
    OPENSEND_CHECK(text.size() <= 0xFFFF, "names and ids are short");
    out += static_cast<char>(text.size() >> 8);
    out += static_cast<char>(text.size() & 0xFF);
    out += text;
}

std::string Associated(std::string_view header, const SealedPlace& place) {
    std::string out("opensend.env.v1\0", 16);
    out += header;
    for (const auto part : {place.table, place.column, place.org, place.row}) {
        AppendPrefixed(out, part);
    }
    return out;
}

/// Bytes of an envelope text; nullopt when its form is wrong. One value has one text.
std::optional<std::string> EnvelopeBytes(std::string_view sealed) {
    if (!sealed.starts_with(kTextPrefix)) return std::nullopt;
    const auto text = sealed.substr(kTextPrefix.size());
    auto bytes = base::Base64UrlDecode(text);
    if (!bytes || bytes->size() < kBodyAt + kAeadTagBytes) return std::nullopt;
    if (!bytes->starts_with(kVersionAndCipher)) return std::nullopt;
    if (base::Base64UrlEncode(*bytes) != text) return std::nullopt;
    return bytes;
}

}  // namespace

base::Result<Keyring, std::string> Keyring::Make(
    const base::Secret& writing, const std::vector<base::Secret>& reading
) {
    Keyring ring;
    const auto add = [&ring](const base::Secret& text) -> std::string {
        auto key = MasterKey(text.Reveal());
        if (!key.ok()) return key.error();
        std::string kid = KidOfKey(*key);
        for (const auto& other : ring.keys_) {
            if (other.kid == kid) {
                return base::Cat("two master keys have the key id ", base::HexEncode(kid));
            }
        }
        ring.keys_.push_back({std::move(kid), std::move(key).value()});
        return {};
    };
    std::string problem = add(writing);
    for (size_t i = 0; i < reading.size() && problem.empty(); ++i) problem = add(reading[i]);
    if (!problem.empty()) return base::Failure{std::move(problem)};
    return ring;
}

std::string Keyring::Seal(const SealedPlace& place, const base::Secret& plain, base::Random& random)
    const {
    const Key& key = keys_.front();
    std::string envelope(kVersionAndCipher);
    envelope += key.kid;
    const std::string associated = Associated(envelope, place);
    const std::string nonce = random.String(kAeadNonceBytes);
    envelope += nonce;
    envelope += AeadSeal(key.bytes.Reveal(), nonce, associated, plain.Reveal());
    return base::Cat(kTextPrefix, base::Base64UrlEncode(envelope));
}

base::Result<base::Secret, std::string> Keyring::Open(
    const SealedPlace& place, std::string_view sealed
) const {
    const auto fail = [](std::string why) { return base::Failure{std::move(why)}; };
    const auto bytes = EnvelopeBytes(sealed);
    if (!bytes) return fail("not an envelope");
    const std::string_view envelope(*bytes);
    const auto header = envelope.substr(0, kHeaderBytes);
    const auto kid = header.substr(kVersionAndCipher.size());
    const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& candidate) {
        return candidate.kid == kid;
    });
    if (key == keys_.end()) return fail(base::Cat("unknown key id ", base::HexEncode(kid)));
    auto plain = AeadOpen(
        key->bytes.Reveal(), envelope.substr(kHeaderBytes, kAeadNonceBytes),
        Associated(header, place), envelope.substr(kBodyAt)
    );
    if (!plain) return fail("does not open here");
    return std::move(*plain);
}

std::string Keyring::writing_kid() const { return base::HexEncode(keys_.front().kid); }

std::string Keyring::KidOf(std::string_view sealed) {
    const auto bytes = EnvelopeBytes(sealed);
    return bytes ? base::HexEncode(bytes->substr(kVersionAndCipher.size(), kKidBytes)) : "";
}

}  // namespace opensend::crypto
