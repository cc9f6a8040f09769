#include "kernel/plugin/kinds/classify.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;

constexpr int kAny = -1;
constexpr size_t kMaxDiagnostic = 1000, kMaxTranscript = 16 * 1024, kMaxName = 255;

/// A row fits when everything it names fits. `words`: alternatives in lower case, one of which is
/// in the text.
struct Row {
    int outcome, stage, code_from, code_to;
    int enhanced[3];
    const char* words;
    ResultClass result;
};

constexpr int kDeferred = OSP_OUT_DEFERRED, kRejected = OSP_OUT_REJECTED;
constexpr const char* kBlockWords =
    "blocklist|blacklist|block list|blocked using|spamhaus|dnsbl|rbl|reputation|listed|"
    "policy|not allowed to send|poor ip|accountsuspended";
constexpr const char* kContentWords = "spam|content|virus|malware|phish|attachment|messagerejected";
constexpr const char* kRateWords = "rate|too many|throttl|too fast|limit|slow down";
constexpr const char* kNotVerified = "not verified|notverified|not been verified";

// clang-format off
constexpr Row kRows[] = {
    // our own credentials, identity, TLS
    {kAny,      OSP_STAGE_AUTH, kAny, kAny, {4, 7, 0},          "throttl|too many|rate", ResultClass::kThrottle},
    {kDeferred, OSP_STAGE_AUTH, 421, 454,   {4, kAny, kAny},    "temporar|try again|later", ResultClass::kTemp},
    {kAny,      OSP_STAGE_AUTH, kAny, kAny, {kAny, kAny, kAny}, nullptr,        ResultClass::kAuthConfig},
    {kAny,      kAny,           530, 530,   {kAny, kAny, kAny}, nullptr,        ResultClass::kAuthConfig},
    {kAny,      kAny,           535, 535,   {kAny, kAny, kAny}, nullptr,        ResultClass::kAuthConfig},
    {kAny,      kAny,           kAny, kAny, {5, 7, 8},          nullptr,        ResultClass::kAuthConfig},
    {kAny,      OSP_STAGE_TLS,  kAny, kAny, {kAny, kAny, kAny}, "required|not offered|certificate", ResultClass::kAuthConfig},
    {kAny,      kAny,           kAny, kAny, {kAny, kAny, kAny}, kNotVerified,   ResultClass::kAuthConfig},
    {kAny,      OSP_STAGE_API,  kAny, kAny, {kAny, kAny, kAny}, "accountsuspended", ResultClass::kPermReputation},
    {kAny,      OSP_STAGE_API,  401, 401,   {kAny, kAny, kAny}, nullptr,        ResultClass::kAuthConfig},
    {kAny,      OSP_STAGE_API,  403, 403,   {kAny, kAny, kAny}, nullptr,        ResultClass::kAuthConfig},
    // too fast
    {kDeferred, OSP_STAGE_API,  429, 429,   {kAny, kAny, kAny}, nullptr,        ResultClass::kThrottle},
    {kDeferred, kAny,           421, 421,   {4, 7, 28},         nullptr,        ResultClass::kThrottle},
    {kDeferred, kAny,           450, 450,   {4, 2, 1},          kRateWords,     ResultClass::kThrottle},
    {kDeferred, kAny,           454, 454,   {4, 7, 0},          kRateWords,     ResultClass::kThrottle},
    // answers nobody expects
    {kDeferred, OSP_STAGE_API,  500, 599,   {kAny, kAny, kAny}, nullptr,        ResultClass::kTemp},
    {kDeferred, OSP_STAGE_API,  100, 399,   {kAny, kAny, kAny}, nullptr,        ResultClass::kProtocol},
    {kDeferred, OSP_STAGE_API,  kAny, kAny, {kAny, kAny, kAny}, nullptr,        ResultClass::kTemp},
    {kAny,      OSP_STAGE_EHLO, 500, 599,   {kAny, kAny, kAny}, nullptr,        ResultClass::kProtocol},
    {kDeferred, kAny,           1, 399,     {kAny, kAny, kAny}, nullptr,        ResultClass::kProtocol},
    {kDeferred, kAny,           500, 65535, {kAny, kAny, kAny}, nullptr,        ResultClass::kProtocol},
    {kDeferred, kAny,           kAny, kAny, {kAny, kAny, kAny}, nullptr,        ResultClass::kTemp},
    {kRejected, kAny,           400, 499,   {4, kAny, kAny},    nullptr,        ResultClass::kTemp},
    // the mailbox
    {kRejected, kAny,           556, 556,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermRecipient},
    {kRejected, kAny,           551, 551,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermRecipient},
    {kRejected, kAny,           kAny, kAny, {5, 1, kAny},       nullptr,        ResultClass::kPermRecipient},
    {kRejected, kAny,           kAny, kAny, {5, 2, 1},          nullptr,        ResultClass::kPermRecipient},
    // the sender
    {kRejected, kAny,           kAny, kAny, {5, 7, 25},         nullptr,        ResultClass::kPermReputation},
    {kRejected, kAny,           kAny, kAny, {5, 7, 26},         nullptr,        ResultClass::kPermReputation},
    {kRejected, kAny,           kAny, kAny, {5, 7, 27},         nullptr,        ResultClass::kPermReputation},
    {kRejected, kAny,           kAny, kAny, {5, 7, 1},          kBlockWords,    ResultClass::kPermReputation},
    {kRejected, kAny,           kAny, kAny, {5, 7, 0},          kBlockWords,    ResultClass::kPermReputation},
    // the message
    {kRejected, kAny,           552, 552,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
    {kRejected, kAny,           kAny, kAny, {5, 3, 4},          nullptr,        ResultClass::kPermContent},
    {kRejected, kAny,           kAny, kAny, {5, 6, kAny},       nullptr,        ResultClass::kPermContent},
    {kRejected, kAny,           kAny, kAny, {5, 7, kAny},       kContentWords,  ResultClass::kPermContent},
    // no row of its own
    {kRejected, OSP_STAGE_API,  400, 499,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
    {kRejected, kAny,           400, 499,   {kAny, kAny, kAny}, nullptr,        ResultClass::kTemp},
    {kRejected, OSP_STAGE_RCPT, 500, 599,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermRecipient},
    {kRejected, kAny,           500, 599,   {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
    {kRejected, OSP_STAGE_RCPT, 0, 0,       {kAny, kAny, kAny}, nullptr,        ResultClass::kPermRecipient},
    {kRejected, OSP_STAGE_DATA, 0, 0,       {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
    {kRejected, OSP_STAGE_END,  0, 0,       {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
    {kRejected, OSP_STAGE_API,  0, 0,       {kAny, kAny, kAny}, nullptr,        ResultClass::kPermContent},
};
// clang-format on

bool HasWord(std::string_view text, std::string_view words) {
    const auto parts = base::Split(words, '|');
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view word) {
        return text.find(word) != std::string_view::npos;
    });
}

bool Fits(const Row& row, const osp_rcpt_result& result, std::string_view lower_text) {
    if (row.outcome != kAny && row.outcome != result.outcome) return false;
    if (row.stage != kAny && row.stage != result.stage) return false;
    if (row.code_from != kAny &&
        (result.smtp_code < row.code_from || result.smtp_code > row.code_to))
        return false;
    for (size_t i = 0; i < 3; ++i) {
        if (row.enhanced[i] != kAny && row.enhanced[i] != result.enhanced[i]) return false;
    }
    return row.words == nullptr || HasWord(lower_text, row.words);
}

std::string_view ViewOfStr(osp_str text) {
    return text.ptr == nullptr ? std::string_view() : std::string_view(text.ptr, text.len);
}

}  // namespace

model::ResultClass Classify(const osp_rcpt_result& result) {
    if (result.rclass >= OSP_CLASS_OK && result.rclass <= OSP_CLASS_PROTOCOL)
        return static_cast<ResultClass>(result.rclass);
    switch (result.outcome) {
        case OSP_OUT_ACCEPTED: return ResultClass::kOk;
        case OSP_OUT_THROTTLED: return ResultClass::kThrottle;
        case OSP_OUT_INDETERMINATE: return ResultClass::kOkUnknown;
        case OSP_OUT_NOT_TRIED: return ResultClass::kNotTried;
        case OSP_OUT_DEFERRED:
        case OSP_OUT_REJECTED: break;
        default: return ResultClass::kProtocol;
    }
    const std::string text = base::AsciiLower(ViewOfStr(result.diag).substr(0, 4096));
    for (const Row& row : kRows) {
        if (Fits(row, result, text)) return row.result;
    }
    return ResultClass::kProtocol;
}

model::ResultClass ClassOfStatus(osp_status status) {
    switch (status) {
        case OSP_E_BUSY:
        case OSP_E_CANCELLED: return ResultClass::kNotTried;
        case OSP_E_UNAVAILABLE:
        case OSP_E_TIMEOUT: return ResultClass::kTemp;
        case OSP_E_CONFIG:
        case OSP_E_DENIED: return ResultClass::kAuthConfig;
        default: return ResultClass::kProtocol;
    }
}

model::DeliveryOutcome ToOutcome(
    const osp_rcpt_result& result,
    bool final_host,
    const AnswerBoard* answers,
    const std::string& transport
) {
    model::DeliveryOutcome out;
    out.result = Classify(result);
    if (answers != nullptr) out.result = answers->Apply(transport, result, out.result);
    out.final_host = final_host && out.result == ResultClass::kOk;
    const auto& e = result.enhanced;
    out.smtputf8_unsupported =
        result.outcome == OSP_OUT_REJECTED && e[0] == 5 && e[1] == 6 && e[2] == 7;
    out.smtp_code = result.smtp_code;
    if (e[0] == 2 || e[0] == 4 || e[0] == 5)
        out.enhanced_code = base::Cat(e[0], '.', e[1], '.', e[2]);
    out.diagnostic = Printable(ViewOfStr(result.diag), kMaxDiagnostic);
    out.remote_id = Printable(ViewOfStr(result.remote_id), kMaxName);
    out.remote_host = Printable(ViewOfStr(result.remote_host), kMaxName);
    out.remote_address = Printable(ViewOfStr(result.remote_addr), kMaxName);
    out.tls = Printable(ViewOfStr(result.tls), kMaxName);
    out.transcript = Printable(ViewOfStr(result.transcript), kMaxTranscript, true);
    out.retry_after_ms = result.retry_after_ms;
    return out;
}

std::string Printable(std::string_view text, size_t max, bool lines) {
    constexpr char kHex[] = "0123456789abcdef";
    text = text.substr(0, max);
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t start = at;
        const uint32_t point = base::NextCodePoint(text, at);
        const std::string_view piece = text.substr(start, at - start);
        const bool bad = point == 0xfffd && piece != "\xef\xbf\xbd";
        const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        std::string shown(piece);
        if (bad || (control && !(lines && point == '\n'))) {
            shown.clear();
            for (const char c : piece) {
                const auto byte = static_cast<unsigned char>(c);
                shown += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
            }
        }
        if (out.size() + shown.size() > max) break;
        out += shown;
    }
    return out;
}

}  // namespace opensend::plugin
