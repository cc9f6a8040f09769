#include "kernel/crypto/token.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::crypto {
namespace {

constexpr char kVersion = 1;
constexpr size_t kUuidBytes = 16;
constexpr size_t kAddressPayload = 2 + kUuidBytes + 2;
constexpr size_t kAddressMac = 10;
constexpr size_t kAddressToken = 48;
constexpr size_t kFileHead = 3 + 2 * kUuidBytes + 8;
constexpr size_t kFileMac = 16;
constexpr size_t kMaxFileToken = 4096;

struct PurposeRow {
    std::string_view label, prefix;
};
constexpr PurposeRow kPurposes[] = {
    {"opensend.reply.v1", "reply+"},
    {"opensend.verp.v1",  "b+"    },
};
const PurposeRow& RowOf(AddressPurpose purpose) {
    return kPurposes[static_cast<size_t>(purpose) - 1];
}

char ByteOf(uint64_t value, unsigned shift) {
    return static_cast<char>(static_cast<unsigned char>((value >> shift) & 0xff));
}

uint64_t BigEndian(std::string_view bytes) {
    uint64_t value = 0;
    for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
    return value;
}

void AppendUuid(std::string& out, const base::Uuid& uuid) {
    for (const uint8_t byte : uuid.bytes) out += static_cast<char>(byte);
}

base::Uuid UuidAt(std::string_view bytes, size_t from) {
    base::Uuid uuid;
    for (size_t i = 0; i < kUuidBytes; ++i) {
        uuid.bytes[i] = static_cast<uint8_t>(bytes[from + i]);
    }
    return uuid;
}

std::string AddressMac(
    AddressPurpose purpose, std::string_view key, std::string_view payload, std::string_view domain
) {
    std::string input = base::Cat(RowOf(purpose).label, '\0', payload, '\0');
    input += base::AsciiLower(domain);
    return HmacSha256(key, input).substr(0, kAddressMac);
}

std::string FileMac(std::string_view key, std::string_view payload) {
    return HmacSha256(key, base::Cat("opensend.files.v1", '\0', payload)).substr(0, kFileMac);
}

}  // namespace

std::string MakeAddressToken(
    AddressPurpose purpose,
    const TokenKey& key,
    const RecipientRef& recipient,
    std::string_view domain
) {
    OPENSEND_CHECK(key.kid >= 1 && key.kid <= 255, "a key number is one byte");
    std::string payload{kVersion, ByteOf(key.kid, 0)};
    AppendUuid(payload, recipient.email);
    payload += ByteOf(recipient.ordinal, 8);
    payload += ByteOf(recipient.ordinal, 0);
    return base::Base32Encode(payload + AddressMac(purpose, key.bytes, payload, domain));
}

std::string MakeTokenAddress(
    AddressPurpose purpose,
    const TokenKey& key,
    const RecipientRef& recipient,
    std::string_view domain
) {
    return base::Cat(
        RowOf(purpose).prefix, MakeAddressToken(purpose, key, recipient, domain), '@', domain
    );
}

std::optional<RecipientRef> ReadAddressToken(
    AddressPurpose purpose,
    std::string_view token,
    std::string_view domain,
    const FindTokenKey& find
) {
    if (token.size() != kAddressToken) return std::nullopt;
    const auto bytes = base::Base32Decode(base::AsciiLower(token));
    if (!bytes || bytes->size() != kAddressPayload + kAddressMac || bytes->front() != kVersion) {
        return std::nullopt;
    }
    const auto key = find(static_cast<unsigned char>((*bytes)[1]));
    if (!key) return std::nullopt;
    const std::string_view payload = std::string_view(*bytes).substr(0, kAddressPayload);
    const std::string_view mac = std::string_view(*bytes).substr(kAddressPayload);
    if (!EqualConstantTime(mac, AddressMac(purpose, *key, payload, domain))) return std::nullopt;
    return RecipientRef{
        UuidAt(payload, 2), static_cast<uint16_t>(BigEndian(payload.substr(2 + kUuidBytes)))};
}

std::optional<RecipientRef> ReadTokenAddress(
    AddressPurpose purpose, std::string_view address, const FindTokenKey& find
) {
    const std::string_view prefix = RowOf(purpose).prefix;
    const size_t at = address.rfind('@');
    if (at == std::string_view::npos || !base::StartsWithIgnoreCase(address, prefix) ||
        at < prefix.size()) {
        return std::nullopt;
    }
    return ReadAddressToken(
        purpose, address.substr(prefix.size(), at - prefix.size()), address.substr(at + 1), find
    );
}

std::string MakeFileToken(const TokenKey& key, const FileRef& file) {
    OPENSEND_CHECK(key.kid >= 1 && key.kid <= 255, "a key number is one byte");
    std::string payload{kVersion, ByteOf(key.kid, 0), ByteOf(static_cast<uint64_t>(file.kind), 0)};
    AppendUuid(payload, file.org);
    AppendUuid(payload, file.object);
    for (unsigned shift = 64; shift > 0; shift -= 8) {
        payload += ByteOf(static_cast<uint64_t>(file.expires), shift - 8);
    }
    payload += file.name;
    return base::Cat(
        base::Base64UrlEncode(payload), '.', base::Base64UrlEncode(FileMac(key.bytes, payload))
    );
}

std::optional<FileRef> ReadFileToken(std::string_view token, const FindTokenKey& find) {
    const size_t dot = token.find('.');
    if (token.size() > kMaxFileToken || dot == std::string_view::npos) return std::nullopt;
    const auto payload = base::Base64UrlDecode(token.substr(0, dot));
    const auto mac = base::Base64UrlDecode(token.substr(dot + 1));
    if (!payload || !mac || payload->size() < kFileHead || payload->front() != kVersion) {
        return std::nullopt;
    }
    const auto key = find(static_cast<unsigned char>((*payload)[1]));
    if (!key || mac->size() != kFileMac || !EqualConstantTime(*mac, FileMac(*key, *payload))) {
        return std::nullopt;
    }
    // Two texts may decode to the same bytes; only the one that was given out is a token.
    if (base::Base64UrlEncode(*payload) != token.substr(0, dot) ||
        base::Base64UrlEncode(*mac) != token.substr(dot + 1)) {
        return std::nullopt;
    }
    const auto kind = static_cast<unsigned char>((*payload)[2]);
    if (kind < 1 || kind > static_cast<unsigned char>(FileKind::kSharedPage)) return std::nullopt;
    FileRef file;
    file.kind = static_cast<FileKind>(kind);
    file.org = UuidAt(*payload, 3);
    file.object = UuidAt(*payload, 3 + kUuidBytes);
    file.expires =
        static_cast<int64_t>(BigEndian(std::string_view(*payload).substr(3 + 2 * kUuidBytes, 8)));
    file.name = payload->substr(kFileHead);
    return file;
}

}  // namespace opensend::crypto
