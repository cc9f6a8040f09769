#include "plugins/smtp/message.h"

#include <algorithm>
#include <cstring>

namespace opensend::smtp_plugin {
namespace {

constexpr size_t kMaxAddress = 512;

size_t FindByte(std::string_view text, size_t from, size_t to, char byte) {
    const void* hit = std::memchr(text.data() + from, byte, to - from);
    if (hit == nullptr) return std::string_view::npos;
    return static_cast<size_t>(static_cast<const char*>(hit) - text.data());
}

/// Length of the well-formed multi-byte sequence at the start of `text`; 0: there is none.
size_t SequenceLength(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = at(0);
    size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    }
    if (length == 0 || text.size() < length || at(1) < low || at(1) > high) return 0;
    for (size_t i = 2; i < length; ++i) {
        if (at(i) < 0x80 || at(i) > 0xBF) return 0;
    }
    return length;
}

}  // namespace

void Transaction::Rewind() {
    verdicts.resize(rcpts.size());
    for (Verdict& verdict : verdicts) {
        verdict.outcome = Outcome::kOpen;
        verdict.stage = Stage::kConnect;
        verdict.hint = Hint::kAuto;
        verdict.code = 0;
        verdict.enhanced = {};
        verdict.text.clear();
    }
    transcript.clear();
    finished = untouched = replied = mail_ok = body_issued = false;
    step = Step::kReset;
    needs_utf8 = has_8bit = false;
    next_rcpt = accepted = 0;
    body_end = 0;
}

bool IsAscii(std::string_view text) {
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= text.size(); at += sizeof(uint64_t)) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + at, sizeof word);
        if ((word & 0x8080808080808080u) != 0) return false;
    }
    for (; at < text.size(); ++at) {
        if ((static_cast<unsigned char>(text[at]) & 0x80u) != 0) return false;
    }
    return true;
}

bool IsUtf8(std::string_view text) {
    while (!text.empty()) {
        size_t length = 1;
        if ((static_cast<unsigned char>(text[0]) & 0x80u) != 0) length = SequenceLength(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

bool IsSafeAddress(std::string_view address) {
    if (address.empty() || address.size() > kMaxAddress) return false;
    for (const char c : address) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte == 0x7F || c == '<' || c == '>') return false;
    }
    // The C1 controls and the no-break space are C2 80 to C2 A0 in UTF-8.
    for (size_t i = 0; i + 1 < address.size(); ++i) {
        if (address[i] == '\xC2' && static_cast<unsigned char>(address[i + 1]) <= 0xA0)
            return false;
    }
    return IsAscii(address) || IsUtf8(address);
}

EightBit FindEightBit(std::string_view data) {
    if (IsAscii(data)) return {};
    size_t end = data.find("\r\n\r\n");
    if (end == std::string_view::npos) end = data.find("\n\n");
    const std::string_view header = data.substr(0, end);
    return {!IsAscii(header), end != std::string_view::npos && !IsAscii(data.substr(end))};
}

void AppendStuffed(std::string& out, std::string_view data) {
    constexpr size_t kSlack = 64;
    out.reserve(out.size() + data.size() + data.size() / 64 + kSlack);
    size_t run = 0;  // start of what can be copied as it is
    size_t at = 0;   // start of the current line
    const auto flush = [&](size_t to) { out.append(data.data() + run, to - run); };
    while (at < data.size()) {
        if (data[at] == '.') {
            flush(at);
            out += '.';
            run = at;
        }
        const size_t newline = FindByte(data, at, data.size(), '\n');
        const size_t end = newline == std::string_view::npos ? data.size() : newline;
        const size_t cr = FindByte(data, at, end, '\r');
        if (cr != std::string_view::npos && cr + 1 == newline) {
            at = newline + 1;
            continue;
        }
        // A lone CR, a lone LF or no line end at all.
        const size_t stop = cr != std::string_view::npos ? cr : end;
        flush(stop);
        out += "\r\n";
        at = run = std::min(stop + 1, data.size());
    }
    flush(data.size());
    out += ".\r\n";
}

void AppendPrintable(std::string& out, std::string_view text, size_t limit) {
    static constexpr char kHex[] = "0123456789abcdef";
    size_t used = 0;
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text[0]);
        size_t length = 1;
        if (byte >= 0x80) length = SequenceLength(text);
        const bool plain = byte >= 0x80 ? length != 0 : byte >= ' ' && byte != 0x7F;
        const size_t cost = plain ? length : 4;
        if (used + cost > limit) return;
        if (plain) {
            out += text.substr(0, length);
        } else {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 0x0F];
            length = 1;
        }
        used += cost;
        text.remove_prefix(length);
    }
}

std::string_view FindQueueId(std::string_view text) {
    constexpr size_t kMaxId = 128;
    for (const std::string_view mark : {std::string_view("queued as "), std::string_view("id=")}) {
        size_t at = text.find(mark);
        if (at == std::string_view::npos) continue;
        at += mark.size();
        size_t end = at;
        while (end < text.size() && text[end] > ' ' && text[end] < 0x7F && text[end] != ';' &&
               text[end] != ')' && text[end] != ',') {
            ++end;
        }
        if (end > at && end - at <= kMaxId) return text.substr(at, end - at);
    }
    return {};
}

}  // namespace opensend::smtp_plugin
