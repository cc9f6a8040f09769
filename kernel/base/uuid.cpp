#include "kernel/base/uuid.h"

#include <algorithm>
#include <span>

#include "kernel/base/encoding.h"

namespace opensend::base {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// `last` with its tail raised by 1 to 2^32, as the random bytes of `fresh` say.
Uuid StepFrom(const Uuid& last, const Uuid& fresh) {
    uint64_t step = 0;
    uint64_t tail = 0;
    for (size_t i = 12; i < 16; ++i) step = (step << 8) | fresh.bytes[i];
    for (size_t i = 8; i < 16; ++i) tail = (tail << 8) | last.bytes[i];
    tail += step + 1;
    Uuid next = last;
    for (size_t i = 0; i < 8; ++i) next.bytes[8 + i] = static_cast<uint8_t>(tail >> (8 * (7 - i)));
    return next;
}

}  // namespace

std::string Uuid::ToString() const {
    std::string out;
    out.reserve(36);
    for (size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += kHex[bytes[i] >> 4];
        out += kHex[bytes[i] & 15];
    }
    return out;
}

std::string Uuid::ToBase62() const {
    std::array<uint8_t, 16> rest = bytes;
    std::string out(22, '0');
    for (size_t digit = 22; digit-- > 0;) {
        uint32_t carry = 0;
        for (uint8_t& byte : rest) {
            const uint32_t value = carry * 256 + byte;
            byte = static_cast<uint8_t>(value / 62);
            carry = value % 62;
        }
        out[digit] = kBase62Alphabet[carry];
    }
    return out;
}

Time Uuid::Timestamp() const {
    int64_t ms = 0;
    for (size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
    return {ms * 1000};
}

std::optional<Uuid> ParseUuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    Uuid id;
    size_t at = 0;
    for (size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (text[at] != '-') return std::nullopt;
            ++at;
        }
        const int high = HexDigit(text[at]);
        const int low = HexDigit(text[at + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        id.bytes[i] = static_cast<uint8_t>(high << 4 | low);
        at += 2;
    }
    return id;
}

std::optional<Uuid> ParseBase62Uuid(std::string_view text) {
    if (text.size() != 22) return std::nullopt;
    Uuid id;
    for (const char c : text) {
        const size_t digit = kBase62Alphabet.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        uint32_t carry = static_cast<uint32_t>(digit);
        for (size_t i = 16; i-- > 0;) {
            const uint32_t value = id.bytes[i] * 62u + carry;
            id.bytes[i] = static_cast<uint8_t>(value);
            carry = value >> 8;
        }
        if (carry != 0) return std::nullopt;
    }
    return id;
}

Uuid UuidSource::Next() {
    Uuid id;
    const auto ms = static_cast<uint64_t>(clock_.Now().us / 1000);
    random_.Fill(std::span<uint8_t>(id.bytes).subspan(6));
    for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (8 * (5 - i)));
    id.bytes[6] = static_cast<uint8_t>(0x70 | (id.bytes[6] & 0x0f));
    // The highest free bit stays clear: room for the steps of one millisecond.
    id.bytes[8] = static_cast<uint8_t>(0x80 | (id.bytes[8] & 0x1f));
    return last_.With([&](Uuid& last) {
        if (std::equal(id.bytes.begin(), id.bytes.begin() + 6, last.bytes.begin())) {
            id = StepFrom(last, id);
        }
        last = id;
        return id;
    });
}

}  // namespace opensend::base
