#include "kernel/api/redact.h"

#include <algorithm>
#include <string_view>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/json/writer.h"

namespace opensend::api {
namespace {

constexpr size_t kMaxText = 2'000;  // characters
constexpr size_t kMaxElements = 50;
constexpr size_t kMaxKeys = 80;
constexpr int kMaxDepth = 8;
constexpr std::string_view kRedacted = "[REDACTED]";
constexpr std::string_view kSecretWords[] = {"authorization", "cookie",     "api_key",
                                             "apikey",        "token",      "secret",
                                             "password",      "credential", "private_key"};
constexpr std::string_view kContentNames[] = {"html", "text", "content", "raw"};

bool IsKept(std::string_view name) {
    const std::string lower = base::AsciiLower(name);
    if (lower == "api_key_id") return true;
    for (const std::string_view word : kSecretWords) {
        if (lower.find(word) != std::string::npos) return false;
    }
    return std::find(std::begin(kContentNames), std::end(kContentNames), lower) ==
           std::end(kContentNames);
}

/// Number of bytes of the first `count` characters of valid UTF-8.
size_t BytesOf(std::string_view text, size_t count) {
    size_t at = 0;
    for (; at < text.size(); ++at) {
        const bool starts = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
        if (starts && count-- == 0) break;
    }
    return at;
}

void WriteText(json::Writer& out, std::string_view text) {
    const size_t kept = text.size() <= kMaxText ? text.size() : BytesOf(text, kMaxText);
    if (kept == text.size()) {
        out.String(text);
        return;
    }
    size_t rest = 0;
    for (const char c : text.substr(kept)) {
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++rest;
    }
    out.String(base::Cat(text.substr(0, kept), "…[+", rest, ']'));
}

void WriteKept(json::Writer& out, const json::Value& value, int depth) {
    if (value.IsString()) return WriteText(out, value.AsString());
    if (!value.IsObject() && !value.IsArray()) {
        out.Raw(json::Canonical(value));
        return;
    }
    if (depth > kMaxDepth) {
        out.String("[TOO DEEP]");
        return;
    }
    if (value.IsArray()) {
        out.BeginArray();
        for (size_t i = 0; i < std::min(value.size(), kMaxElements); ++i) {
            WriteKept(out, value.At(i), depth + 1);
        }
        if (value.size() > kMaxElements)
            out.String(base::Cat("[+", value.size() - kMaxElements, ']'));
        out.EndArray();
        return;
    }
    out.BeginObject();
    for (size_t i = 0; i < std::min(value.size(), kMaxKeys); ++i) {
        out.Key(value.NameAt(i));
        const json::Value member = value.MemberAt(i);
        if (IsKept(value.NameAt(i)) || member.IsNull()) {
            WriteKept(out, member, depth + 1);
        } else {
            out.String(kRedacted);
        }
    }
    if (value.size() > kMaxKeys) out.Field("…", base::Cat("[+", value.size() - kMaxKeys, ']'));
    out.EndObject();
}

}  // namespace

std::string Redact(const json::Value& value) {
    json::Writer out;
    WriteKept(out, value, 1);
    return out.Take();
}

std::string RedactQuery(std::string_view query) {
    std::string out;
    for (const std::string_view pair : base::Split(query, '&')) {
        if (!out.empty()) out += '&';
        const size_t equals = pair.find('=');
        const bool token = equals != std::string_view::npos &&
                           base::EqualsIgnoreCase(pair.substr(0, equals), "token");
        out += token ? base::Cat(pair.substr(0, equals + 1), kRedacted) : std::string(pair);
    }
    return out;
}

}  // namespace opensend::api
