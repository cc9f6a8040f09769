#include "kernel/http/parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/text.h"

namespace opensend::http {
namespace {

constexpr size_t kMaxMethod = 32;
constexpr size_t kMaxReserve = 64 * 1024;
constexpr int kMaxSizeDigits = 15;

constexpr std::array<bool, 256> MakeTokenTable() {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
    for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
    for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<size_t>(c)] = true;
    return table;
}
constexpr auto kTokenTable = MakeTokenTable();

bool IsToken(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return kTokenTable[static_cast<unsigned char>(c)];
    });
}

bool IsControl(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

size_t FindControl(std::string_view data) {
    size_t i = 0;
    while (i < data.size() && !IsControl(data[i])) ++i;
    return i;
}

std::string_view TrimBlanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Digits only; nullopt-like false when it is another thing or does not fit.
bool ReadLength(std::string_view text, uint64_t& out) {
    if (text.empty() || text.size() > 18) return false;
    out = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        out = out * 10 + static_cast<uint64_t>(c - '0');
    }
    return true;
}

int HexValue(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool IsHostText(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte < 0x7f &&
               std::string_view("/\\?#@,<>\"{}|^`").find(c) == std::string_view::npos;
    });
}

/// Path and query of a request target in origin or absolute form, "*" or an authority.
bool SplitTarget(std::string_view target, Request& request) {
    if (target.empty() || target.find('#') != std::string_view::npos) return false;
    if (target.front() != '/' && target != "*" && request.method != "CONNECT") {
        const size_t scheme = base::StartsWithIgnoreCase(target, "http://")    ? 7
                              : base::StartsWithIgnoreCase(target, "https://") ? 8
                                                                               : 0;
        if (scheme == 0) return false;
        const size_t end = std::min(target.find_first_of("/?", scheme), target.size());
        if (!IsHostText(target.substr(scheme, end - scheme))) return false;
        target.remove_prefix(end);
    }
    const size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    request.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    if (request.path.empty()) request.path = "/";
    return true;
}

int SkipBody(llhttp_t*) { return 1; }

const llhttp_settings_t& CheckSettings() {
    static const llhttp_settings_t settings = [] {
        llhttp_settings_t made;
        llhttp_settings_init(&made);
        made.on_headers_complete = SkipBody;
        return made;
    }();
    return settings;
}

}  // namespace

RequestParser::RequestParser(const ParserLimits& limits) : limits_(limits) { Reset(); }

void RequestParser::Reset() {
    state_ = State::kLine;
    saw_cr_ = skipped_empty_line_ = chunked_ = expects_continue_ = false;
    asked_close_ = asked_keep_alive_ = false;
    keep_alive_ = true;
    hosts_ = lengths_ = codings_ = 0;
    size_digits_ = 0;
    head_bytes_ = line_bytes_ = fields_ = chunk_extra_ = max_body_ = 0;
    content_length_ = remaining_ = 0;
    std::string().swap(pending_);
    request_ = Request();
    failure_ = Problem();
    llhttp_init(&check_, HTTP_REQUEST, &CheckSettings());
}

RequestParser::Step RequestParser::Fail(
    int status, std::string_view code, std::string_view reason
) {
    state_ = State::kFailed;
    failure_ = {status, code, reason};
    return Step::kFailed;
}

RequestParser::Step RequestParser::Feed(std::string_view& data) {
    switch (state_) {
        case State::kLine:
        case State::kFields: return TakeLines(data);
        case State::kHeadDone: {
            const Step step = StartBody();
            if (step != Step::kNeedMore || data.empty()) return step;
            return Feed(data);
        }
        case State::kFixed: return TakeFixed(data);
        case State::kTrailers: return TakeLines(data);
        case State::kDone: return Step::kComplete;
        case State::kFailed: return Step::kFailed;
        default: return TakeChunked(data);
    }
}

bool RequestParser::CountLineBytes(size_t count) {
    const size_t head_left = limits_.max_head_bytes - head_bytes_;
    if (state_ == State::kLine) {
        const size_t line_left = limits_.max_request_line - line_bytes_;
        if (count > line_left && line_left <= head_left) {
            Fail(414, "uri_too_long", "the request line is too long");
            return false;
        }
    }
    if (count > head_left) {
        Fail(431, "headers_too_large", "the head is too large");
        return false;
    }
    head_bytes_ += count;
    line_bytes_ += count;
    return true;
}

RequestParser::Step RequestParser::TakeLines(std::string_view& data) {
    while (!data.empty()) {
        if (!saw_cr_) {
            const size_t plain = FindControl(data);
            if (!CountLineBytes(plain)) return Step::kFailed;
            // The line end counts for the head, not for the line.
            if (plain < data.size()) {
                if (head_bytes_ == limits_.max_head_bytes) {
                    return Fail(431, "headers_too_large", "the head is too large");
                }
                if (data[plain] != '\r') return FailBad("a control byte or bare LF in the head");
                ++head_bytes_;
                saw_cr_ = true;
            }
            // A line that lies in one piece is read where it is.
            if (pending_.empty() && saw_cr_ && plain + 1 < data.size()) {
                const auto line = data.substr(0, plain);
                data.remove_prefix(plain + 1);
                if (head_bytes_ == limits_.max_head_bytes) {
                    return Fail(431, "headers_too_large", "the head is too large");
                }
                if (data.front() != '\n') return FailBad("a bare CR in the head");
                data.remove_prefix(1);
                ++head_bytes_;
                saw_cr_ = false;
                line_bytes_ = 0;
                if (const Step step = OnLine(line); step != Step::kNeedMore) return step;
                continue;
            }
            pending_.append(data.substr(0, plain));
            data.remove_prefix(std::min(plain + 1, data.size()));
            continue;
        }
        if (head_bytes_ == limits_.max_head_bytes) {
            return Fail(431, "headers_too_large", "the head is too large");
        }
        if (data.front() != '\n') return FailBad("a bare CR in the head");
        data.remove_prefix(1);
        ++head_bytes_;
        saw_cr_ = false;
        line_bytes_ = 0;
        const std::string line = std::exchange(pending_, std::string());
        if (const Step step = OnLine(line); step != Step::kNeedMore) return step;
    }
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::OnLine(std::string_view line) {
    if (state_ == State::kLine) {
        if (!line.empty()) return OnRequestLine(line);
        // Some clients send one line end too many after a body.
        if (skipped_empty_line_) return FailBad("empty lines before the request line");
        skipped_empty_line_ = true;
        return Step::kNeedMore;
    }
    if (!line.empty()) return OnField(line);
    if (state_ == State::kFields) return OnHeadEnd();
    state_ = State::kDone;
    return Step::kComplete;
}

bool RequestParser::SecondOpinion(std::string_view text) {
    const auto verdict = llhttp_execute(&check_, text.data(), text.size());
    return verdict == HPE_OK || verdict == HPE_PAUSED_UPGRADE;
}

RequestParser::Step RequestParser::OnRequestLine(std::string_view line) {
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || last == first) return FailBad("not a request line");
    const auto method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (method.size() > kMaxMethod || !IsToken(method)) return FailBad("not a method");
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return FailBad("not HTTP/1.1 or HTTP/1.0");
    if (target.find_first_of(" \t") != std::string_view::npos)
        return FailBad("blanks in the target");
    request_.version_minor = version.back() - '0';
    request_.method = method;
    if (!SplitTarget(target, request_)) return FailBad("not a request target");
    // llhttp knows a fixed set of methods and treats some of them apart; which methods exist is the
    // router's business, so it sees one method only, and always a target in origin form.
    const std::string_view path = target.front() == '/' ? target : std::string_view("/");
    if (!SecondOpinion("POST ") || !SecondOpinion(path) || !SecondOpinion(" ") ||
        !SecondOpinion(version) || !SecondOpinion("\r\n")) {
        return FailBad("not a request line");
    }
    state_ = State::kFields;
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::OnField(std::string_view line) {
    if (++fields_ > limits_.max_fields) {
        return Fail(431, "headers_too_large", "too many header fields");
    }
    if (line.front() == ' ' || line.front() == '\t') return FailBad("a folded header field");
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return FailBad("a header field without colon");
    const auto name = line.substr(0, colon);
    if (!IsToken(name)) return FailBad("not a header field name");
    // Trailers are checked and dropped: no field of theirs may change what was decided at the head.
    if (state_ == State::kTrailers) return Step::kNeedMore;
    if (!SecondOpinion(line) || !SecondOpinion("\r\n")) return FailBad("not a header field");
    const auto value = TrimBlanks(line.substr(colon + 1));
    request_.headers.Add(name, value);
    return OnKnownField(name, value);
}

RequestParser::Step RequestParser::OnKnownField(std::string_view name, std::string_view value) {
    const auto is = [&](std::string_view known) {
        return name.size() == known.size() && base::EqualsIgnoreCase(name, known);
    };
    if (is("Host")) {
        if (++hosts_ > 1) return FailBad("a repeated Host");
        if (!IsHostText(value)) return FailBad("not a Host");
    } else if (is("Content-Length")) {
        if (++lengths_ > 1) return FailBad("a repeated Content-Length");
        if (!ReadLength(value, content_length_)) return FailBad("not a Content-Length");
    } else if (is("Transfer-Encoding")) {
        if (++codings_ > 1) return FailBad("a repeated Transfer-Encoding");
        if (!base::EqualsIgnoreCase(value, "chunked")) return FailBad("not one chunked coding");
        chunked_ = true;
    } else if (is("Connection")) {
        return OnConnection(value);
    } else if (is("Expect")) {
        expects_continue_ = base::EqualsIgnoreCase(value, "100-continue");
    }
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::OnConnection(std::string_view value) {
    for (const auto part : base::Split(value, ',')) {
        const auto option = TrimBlanks(part);
        if (base::EqualsIgnoreCase(option, "close")) asked_close_ = true;
        if (base::EqualsIgnoreCase(option, "keep-alive")) asked_keep_alive_ = true;
    }
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::OnHeadEnd() {
    const bool is_old = request_.version_minor == 0;
    if (!is_old && hosts_ == 0) return FailBad("no Host");
    if (chunked_ && (lengths_ > 0 || is_old)) return FailBad("Transfer-Encoding beside a length");
    if (!SecondOpinion("\r\n")) return FailBad("not a head");
    keep_alive_ = !asked_close_ && (!is_old || asked_keep_alive_);
    if (is_old) expects_continue_ = false;
    state_ = State::kHeadDone;
    return Step::kHead;
}

RequestParser::Step RequestParser::StartBody() {
    if (chunked_) {
        state_ = State::kChunkSize;
        return Step::kNeedMore;
    }
    if (content_length_ == 0) {
        state_ = State::kDone;
        return Step::kComplete;
    }
    if (content_length_ > max_body_) {
        return Fail(413, "payload_too_large", "the body is too large");
    }
    remaining_ = content_length_;
    // A declared length is a promise only: memory is taken as bytes come.
    request_.body.Reserve(std::min<size_t>(static_cast<size_t>(remaining_), kMaxReserve));
    state_ = State::kFixed;
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::TakeFixed(std::string_view& data) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(remaining_, data.size()));
    if (!request_.body.Append(data.substr(0, count), limits_.spool)) return FailSpool();
    data.remove_prefix(count);
    remaining_ -= count;
    if (remaining_ > 0) return Step::kNeedMore;
    state_ = State::kDone;
    return Step::kComplete;
}

RequestParser::Step RequestParser::TakeChunked(std::string_view& data) {
    while (!data.empty()) {
        if (state_ == State::kChunkData) {
            const size_t count = static_cast<size_t>(std::min<uint64_t>(remaining_, data.size()));
            if (!request_.body.Append(data.substr(0, count), limits_.spool)) return FailSpool();
            data.remove_prefix(count);
            remaining_ -= count;
            if (remaining_ == 0) state_ = State::kChunkCr;
            continue;
        }
        if (state_ == State::kTrailers) return TakeLines(data);
        const char c = data.front();
        data.remove_prefix(1);
        if (state_ == State::kChunkCr) {
            if (c != '\r') return FailBad("a chunk is not ended by a line end");
            state_ = State::kChunkLf;
        } else if (state_ == State::kChunkLf) {
            if (c != '\n') return FailBad("a chunk is not ended by a line end");
            state_ = State::kChunkSize;
            size_digits_ = 0;
        } else if (const Step step = TakeChunkSize(c); step != Step::kNeedMore) {
            return step;
        }
    }
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::TakeChunkSize(char c) {
    if (state_ == State::kChunkSizeLf) {
        return c == '\n' ? EndChunkSize() : FailBad("a bare CR after a chunk size");
    }
    if (state_ == State::kChunkSize && HexValue(c) >= 0) {
        if (++size_digits_ > kMaxSizeDigits) return FailBad("a chunk size that is too long");
        remaining_ = remaining_ * 16 + static_cast<uint64_t>(HexValue(c));
        return Step::kNeedMore;
    }
    if (size_digits_ == 0) return FailBad("not a chunk size");
    if (c == '\r') {
        state_ = State::kChunkSizeLf;
        return Step::kNeedMore;
    }
    if (state_ == State::kChunkSize) {
        if (c != ';') return FailBad("not a chunk size");
        state_ = State::kChunkExtra;
    }
    if (IsControl(c)) return FailBad("a control byte in a chunk extension");
    if (++chunk_extra_ > limits_.max_chunk_extra) return FailBad("chunk extensions are too long");
    return Step::kNeedMore;
}

RequestParser::Step RequestParser::EndChunkSize() {
    if (remaining_ == 0) {
        // Trailers have limits of their own, equal to those of the head.
        head_bytes_ = line_bytes_ = fields_ = 0;
        state_ = State::kTrailers;
        return Step::kNeedMore;
    }
    if (remaining_ > max_body_ - request_.body.size()) {
        return Fail(413, "payload_too_large", "the body is too large");
    }
    state_ = State::kChunkData;
    return Step::kNeedMore;
}

}  // namespace opensend::http
