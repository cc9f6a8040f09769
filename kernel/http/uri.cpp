#include "kernel/http/uri.h"

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::http {
namespace {

int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool IsUnreserved(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::optional<std::string> DecodeSegment(std::string_view raw) {
    auto segment = PercentDecode(raw);
    if (!segment || segment->empty() || *segment == "." || *segment == "..") return std::nullopt;
    for (const char c : *segment) {
        if (c == '/' || c == '\\' || c == '\0') return std::nullopt;
    }
    if (!base::IsUtf8(*segment)) return std::nullopt;
    return segment;
}

std::optional<std::string> DecodeQueryText(std::string_view raw) {
    auto text = PercentDecode(raw, true);
    if (!text || text->find('\0') != std::string::npos || !base::IsUtf8(*text)) return std::nullopt;
    return text;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_blank) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_blank) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            if (text.size() - i < 3) return std::nullopt;
            const int high = HexDigit(text[i + 1]);
            const int low = HexDigit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

std::string PercentEncode(std::string_view text) {
    static constexpr char kDigits[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (IsUnreserved(c)) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += kDigits[byte >> 4];
            out += kDigits[byte & 15];
        }
    }
    return out;
}

std::optional<std::vector<std::string>> SplitPath(std::string_view raw_path) {
    std::vector<std::string> segments;
    if (raw_path.empty() || raw_path.front() != '/') return std::nullopt;
    if (raw_path == "/") return segments;
    if (raw_path.back() == '/') raw_path.remove_suffix(1);
    if (raw_path.empty()) return std::nullopt;
    raw_path.remove_prefix(1);
    for (;;) {
        const size_t slash = raw_path.find('/');
        auto segment = DecodeSegment(raw_path.substr(0, slash));
        if (!segment) return std::nullopt;
        segments.push_back(std::move(*segment));
        if (slash == std::string_view::npos) break;
        raw_path.remove_prefix(slash + 1);
    }
    if (segments.front() == "api") segments.erase(segments.begin());
    return segments;
}

void QueryParameters::Add(std::string name, std::string value) {
    values_.emplace_back(std::move(name), std::move(value));
}

std::optional<std::string_view> QueryParameters::Find(std::string_view name) const {
    for (const auto& [key, value] : values_) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::vector<std::string_view> QueryParameters::All(std::string_view name) const {
    std::vector<std::string_view> out;
    for (const auto& [key, value] : values_) {
        if (key == name) out.push_back(value);
    }
    return out;
}

std::optional<QueryParameters> ParseQuery(std::string_view raw_query) {
    QueryParameters out;
    while (!raw_query.empty()) {
        const size_t end = raw_query.find('&');
        const auto piece = raw_query.substr(0, end);
        raw_query.remove_prefix(end == std::string_view::npos ? raw_query.size() : end + 1);
        if (piece.empty()) continue;
        if (out.all().size() == kMaxQueryParameters) return std::nullopt;
        const size_t equals = piece.find('=');
        auto name = DecodeQueryText(piece.substr(0, equals));
        auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                      : DecodeQueryText(piece.substr(equals + 1));
        if (!name || !value) return std::nullopt;
        out.Add(std::move(*name), std::move(*value));
    }
    return out;
}

}  // namespace opensend::http
