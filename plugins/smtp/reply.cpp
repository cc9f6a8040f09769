#include "plugins/smtp/reply.h"

#include <algorithm>

namespace opensend::smtp_plugin {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::array<uint16_t, 3> ParseEnhanced(int code, std::string_view text) {
    std::array<uint16_t, 3> parts{};
    size_t at = 0;
    for (size_t part = 0; part < parts.size(); ++part) {
        const size_t limit = part == 0 ? 1 : 3;
        size_t digits = 0;
        unsigned value = 0;
        while (at < text.size() && IsDigit(text[at]) && digits < limit) {
            value = value * 10 + static_cast<unsigned>(text[at] - '0');
            ++at;
            ++digits;
        }
        if (digits == 0) return {};
        parts[part] = static_cast<uint16_t>(value);
        if (part == 2) break;
        if (at >= text.size() || text[at] != '.') return {};
        ++at;
    }
    if (at < text.size() && text[at] != ' ' && text[at] != '\t') return {};
    if (parts[0] != code / 100) return {};
    return parts;
}

void ReplyParser::Reset() {
    reply_.code = 0;
    reply_.enhanced = {};
    reply_.text.clear();
    line_.clear();
    lines_ = 0;
    complete_ = false;
    broken_ = false;
}

ReplyState ReplyParser::Malformed(std::string_view why) {
    broken_ = true;
    problem_ = why;
    return ReplyState::kMalformed;
}

ReplyParser::LineKind ReplyParser::TakeLine(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool numeric = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && IsDigit(line[1]) &&
                         IsDigit(line[2]);
    if (!numeric) return LineKind::kBad;
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (lines_ > 0 && code != reply_.code) return LineKind::kBad;
    const char separator = line.size() > 3 ? line[3] : ' ';
    if (separator != ' ' && separator != '-') return LineKind::kBad;

    const std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view();
    if (lines_ == 0) {
        reply_.code = code;
        reply_.enhanced = ParseEnhanced(code, text);
    } else {
        reply_.text += '\n';
    }
    reply_.text += text;
    ++lines_;
    return separator == '-' ? LineKind::kMore : LineKind::kLast;
}

ReplyState ReplyParser::Feed(std::string_view& input) {
    if (broken_) return ReplyState::kMalformed;
    if (complete_) Reset();
    while (!input.empty()) {
        const size_t newline = input.find('\n');
        const size_t piece = newline == std::string_view::npos ? input.size() : newline + 1;
        if (line_.size() + piece > kMaxReplyLine) return Malformed("a reply line is too long");
        std::string_view line;
        if (newline == std::string_view::npos) {
            line_ += input;
            input = {};
            break;
        }
        if (line_.empty()) {
            line = input.substr(0, newline);
        } else {
            line_ += input.substr(0, newline);
            line = line_;
        }
        input.remove_prefix(piece);
        if (lines_ == kMaxReplyLines) return Malformed("a reply has too many lines");
        const LineKind kind = TakeLine(line);
        line_.clear();
        if (kind == LineKind::kBad) return Malformed("a reply line is not well formed");
        if (kind == LineKind::kLast) {
            complete_ = true;
            return ReplyState::kComplete;
        }
    }
    return ReplyState::kIncomplete;
}

}  // namespace opensend::smtp_plugin
