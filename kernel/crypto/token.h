#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/uuid.h"

namespace opensend::crypto {

/// Tokens that stand in addresses and links and prove by a MAC that this instance made them
/// (platform.md 8.5–8.7). Nothing in them is secret.

/// A key that makes tokens, under its number of one byte.
struct TokenKey {
    uint32_t kid = 0;
    std::string_view bytes;
};
/// The key of a number; nullopt: there is none.
using FindTokenKey = std::function<std::optional<std::string>(uint32_t kid)>;

/// What an address token is for; tokens of one purpose are no tokens of the other.
enum class AddressPurpose { kReply = 1, kReturnPath };

/// One recipient of one message.
struct RecipientRef {
    friend bool operator==(const RecipientRef&, const RecipientRef&) = default;
    base::Uuid email;
    uint16_t ordinal = 0;
};

/// 48 characters of lower-case base32, bound to a domain (A-label, any case).
std::string MakeAddressToken(
    AddressPurpose purpose,
    const TokenKey& key,
    const RecipientRef& recipient,
    std::string_view domain
);
/// "reply+<token>@<domain>" or "b+<token>@<domain>".
std::string MakeTokenAddress(
    AddressPurpose purpose,
    const TokenKey& key,
    const RecipientRef& recipient,
    std::string_view domain
);
/// The recipient of a token in any case; nullopt: not a token of this purpose and domain.
std::optional<RecipientRef> ReadAddressToken(
    AddressPurpose purpose,
    std::string_view token,
    std::string_view domain,
    const FindTokenKey& find
);
/// The same for a whole address in any case.
std::optional<RecipientRef> ReadTokenAddress(
    AddressPurpose purpose, std::string_view address, const FindTokenKey& find
);

/// What a download link names.
enum class FileKind {
    kSentAttachment = 1,
    kReceivedAttachment,
    kRawReceived,
    kExport,
    kSharedPage,
};
struct FileRef {
    FileKind kind = FileKind::kSentAttachment;
    base::Uuid org, object;
    int64_t expires = 0;  // Unix seconds; valid up to and including it
    std::string name;     // UTF-8
};

/// The token of a link: payload and MAC, both base64url, with a dot between.
std::string MakeFileToken(const TokenKey& key, const FileRef& file);
/// nullopt: not one of ours. Whether it has expired is the caller's question.
std::optional<FileRef> ReadFileToken(std::string_view token, const FindTokenKey& find);

}  // namespace opensend::crypto
