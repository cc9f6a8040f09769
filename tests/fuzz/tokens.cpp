#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/uuid.h"
#include "kernel/crypto/token.h"

namespace opensend::crypto {
namespace {

const std::string kFuzzKey(32, 'k');

std::optional<std::string> OneKey(uint32_t kid) {
    if (kid != 1) return std::nullopt;
    return kFuzzKey;
}

void ReadAll(std::string_view text) {
    for (const auto purpose : {AddressPurpose::kReply, AddressPurpose::kReturnPath}) {
        const auto recipient = ReadTokenAddress(purpose, text, OneKey);
        if (!recipient) continue;
        const std::string_view domain = text.substr(text.rfind('@') + 1);
        const auto again = MakeTokenAddress(purpose, {1, kFuzzKey}, *recipient, domain);
        OPENSEND_CHECK(ReadTokenAddress(purpose, again, OneKey) == recipient, "it reads its own");
    }
    if (const auto file = ReadFileToken(text, OneKey)) {
        OPENSEND_CHECK(MakeFileToken({1, kFuzzKey}, *file) == text, "a token has one form");
    }
    if (const auto bytes = base::Base32Decode(text)) {
        OPENSEND_CHECK(base::Base32Encode(*bytes) == text, "base32 has one form");
    }
    if (const auto id = base::ParseBase62Uuid(text)) {
        OPENSEND_CHECK(id->ToBase62() == text, "a cursor has one form");
    }
    if (const auto id = base::ParseUuid(text)) {
        OPENSEND_CHECK(base::ParseUuid(id->ToString()) == id, "an id reads its own text");
    }
}

}  // namespace
}  // namespace opensend::crypto

/// Everything of ours that comes back in an address, a link or a cursor.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    opensend::crypto::ReadAll({reinterpret_cast<const char*>(data), size});
    return 0;
}
