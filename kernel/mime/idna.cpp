#include "kernel/mime/idna.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <idn2.h>
#include <libpsl.h>
#include <uninorm.h>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::mime {

namespace {

constexpr size_t kMaxDomainInput = 1024;
constexpr size_t kMaxDomain = 253;
constexpr size_t kMaxLabel = 63;

struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
};
struct FreeIdn {
    void operator()(char* text) const { idn2_free(text); }
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHostCharacter(char c) { return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '-'; }

/// Lower-case ASCII with at least two labels of letters, digits and inner hyphens.
bool IsHostName(std::string_view domain) {
    if (domain.size() > kMaxDomain) return false;
    size_t labels = 0;
    size_t at = 0;
    std::string_view label;
    while (at <= domain.size()) {
        const size_t dot = std::min(domain.find('.', at), domain.size());
        label = domain.substr(at, dot - at);
        if (label.empty() || label.size() > kMaxLabel) return false;
        if (label.front() == '-' || label.back() == '-') return false;
        if (!std::all_of(label.begin(), label.end(), IsHostCharacter)) return false;
        ++labels;
        at = dot + 1;
    }
    return labels >= 2 && !std::all_of(label.begin(), label.end(), IsDigit);
}

/// Only such names have to go through the library: the others map to themselves.
bool NeedsMapping(std::string_view domain) {
    return !base::IsAscii(domain) || domain.find("--") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> ToALabel(std::string_view domain) {
    if (domain.empty() || domain.size() > kMaxDomainInput) return std::nullopt;
    if (domain.find('\0') != std::string_view::npos) return std::nullopt;
    std::string mapped = base::AsciiLower(domain);
    if (NeedsMapping(domain)) {
        if (!base::IsUtf8(domain)) return std::nullopt;
        char* raw = nullptr;
        const int status = idn2_to_ascii_8z(mapped.c_str(), &raw, IDN2_NONTRANSITIONAL);
        const std::unique_ptr<char, FreeIdn> owned(raw);
        if (status != IDN2_OK || raw == nullptr) return std::nullopt;
        mapped = base::AsciiLower(raw);
    }
    if (!IsHostName(mapped)) return std::nullopt;
    return mapped;
}

std::string ToULabel(std::string_view domain) {
    const std::string input(domain);
    if (input.size() > kMaxDomainInput || input.find("xn--") == std::string::npos ||
        input.find('\0') != std::string::npos) {
        return input;
    }
    char* raw = nullptr;
    const int status = idn2_to_unicode_8z8z(input.c_str(), &raw, 0);
    const std::unique_ptr<char, FreeIdn> owned(raw);
    return status == IDN2_OK && raw != nullptr ? std::string(raw) : input;
}

namespace {

std::string Normalized(uninorm_t form, std::string_view text) {
    if (base::IsAscii(text)) return std::string(text);
    size_t length = 0;
    const std::unique_ptr<uint8_t, FreeMemory> normalized(u8_normalize(
        form, reinterpret_cast<const uint8_t*>(text.data()), text.size(), nullptr, &length
    ));
    if (normalized == nullptr) return std::string(text);
    return {reinterpret_cast<const char*>(normalized.get()), length};
}

}  // namespace

std::string ToNfc(std::string_view text) { return Normalized(UNINORM_NFC, text); }
std::string ToNfkc(std::string_view text) { return Normalized(UNINORM_NFKC, text); }

bool IsPublicSuffix(std::string_view a_label) {
    const psl_ctx_t* list = psl_builtin();
    OPENSEND_CHECK(list != nullptr, "libpsl has no built-in list");
    return psl_is_public_suffix(list, std::string(a_label).c_str()) != 0;
}

std::string RegistrableDomain(std::string_view a_label) {
    const psl_ctx_t* list = psl_builtin();
    OPENSEND_CHECK(list != nullptr, "libpsl has no built-in list");
    std::string name(a_label);
    const char* registrable = psl_registrable_domain(list, name.c_str());
    return registrable != nullptr ? std::string(registrable) : name;
}

}  // namespace opensend::mime
