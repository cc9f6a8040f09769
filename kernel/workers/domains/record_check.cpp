#include "kernel/workers/domains/record_check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::domain_checks {
namespace {

constexpr size_t kMaxSeen = 5;
constexpr size_t kMaxSeenBytes = 512;

using Tags = std::map<std::string, std::string, std::less<>>;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string WithoutBlanks(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (!IsBlank(c)) out += c;
    }
    return out;
}

/// "v=DKIM1; k=rsa; p=…" as tags; nullopt when it is no tag list, or names a tag twice.
std::optional<Tags> ReadTags(std::string_view text) {
    Tags tags;
    for (const std::string_view part : base::Split(text, ';')) {
        const std::string_view tag = base::Trim(part);
        if (tag.empty()) continue;
        const size_t equals = tag.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const std::string name(base::Trim(tag.substr(0, equals)));
        if (!tags.emplace(name, std::string(base::Trim(tag.substr(equals + 1)))).second) {
            return std::nullopt;
        }
    }
    return tags;
}

std::string TagOr(const Tags& tags, std::string_view name, std::string_view otherwise) {
    const auto found = tags.find(name);
    return found == tags.end() ? std::string(otherwise) : found->second;
}

/// A key record need not begin with v=, and k= is rsa without it (RFC 6376).
Finding JudgeKey(const std::string& wanted, const std::vector<std::string>& texts) {
    const auto expected = ReadTags(wanted);
    const std::string key = TagOr(*expected, "p", "");
    Finding finding = Finding::kAbsent;
    for (const std::string& text : texts) {
        const auto tags = ReadTags(text);
        if (!tags || !tags->contains("p")) continue;
        const bool right = TagOr(*tags, "v", "DKIM1") == "DKIM1" &&
                           TagOr(*tags, "k", "rsa") == TagOr(*expected, "k", "rsa") &&
                           WithoutBlanks(TagOr(*tags, "p", "")) == key;
        if (right) return Finding::kRight;
        finding = Finding::kDifferent;
    }
    return finding;
}

bool IsSpf(std::string_view text) {
    constexpr std::string_view kVersion = "v=spf1";
    return base::StartsWithIgnoreCase(text, kVersion) &&
           (text.size() == kVersion.size() || text[kVersion.size()] == ' ');
}

/// The terms that let somebody send: lower case, without "+", up to the first "all".
std::vector<std::string> SpfTerms(std::string_view text) {
    std::vector<std::string> terms;
    for (const std::string_view part : base::Split(text, ' ')) {
        std::string term = base::AsciiLower(base::Trim(part));
        if (!term.empty() && term.front() == '+') term.erase(0, 1);
        if (term == "all" || term == "~all" || term == "-all" || term == "?all") break;
        if (!term.empty()) terms.push_back(std::move(term));
    }
    return terms;
}

/// Ours must be among the terms; the owner may let others send too. Two records are none.
Finding JudgeSpf(const std::string& wanted, const std::vector<std::string>& texts) {
    std::vector<std::string> found;
    std::copy_if(texts.begin(), texts.end(), std::back_inserter(found), IsSpf);
    if (found.empty()) return Finding::kAbsent;
    if (found.size() > 1) return Finding::kDifferent;
    const auto terms = SpfTerms(found.front());
    for (const std::string& term : SpfTerms(wanted)) {
        if (std::find(terms.begin(), terms.end(), term) == terms.end()) return Finding::kDifferent;
    }
    return Finding::kRight;
}

/// Any policy is as good as the one that is recommended.
Finding JudgeDmarc(const std::vector<std::string>& texts) {
    std::vector<std::string> found;
    for (const std::string& text : texts) {
        if (base::StartsWithIgnoreCase(WithoutBlanks(text), "v=dmarc1")) found.push_back(text);
    }
    if (found.empty()) return Finding::kAbsent;
    if (found.size() > 1) return Finding::kDifferent;
    const auto tags = ReadTags(found.front());
    const std::string policy = tags ? base::AsciiLower(TagOr(*tags, "p", "")) : "";
    const bool known = policy == "none" || policy == "quarantine" || policy == "reject";
    return known ? Finding::kRight : Finding::kDifferent;
}

Finding JudgeFailure(dns::LookupFailure failure) {
    if (dns::IsAbsence(failure)) return Finding::kAbsent;
    // No server and no wait makes these right.
    if (failure == dns::LookupFailure::kChainTooLong || failure == dns::LookupFailure::kBadName) {
        return Finding::kDifferent;
    }
    return Finding::kUnknown;
}

std::string Shown(const domains::DnsRecord& wanted, const dns::Record& record) {
    const std::string text =
        wanted.type == "MX" ? base::Cat(record.preference, ' ', record.text) : record.text;
    return std::string(base::TruncateUtf8(base::IsUtf8(text) ? text : "", kMaxSeenBytes));
}

}  // namespace

dns::RecordType QuestionOf(const domains::DnsRecord& wanted) {
    if (wanted.type == "MX") return dns::RecordType::kMx;
    return wanted.type == "CNAME" ? dns::RecordType::kCname : dns::RecordType::kTxt;
}

Finding JudgeTexts(
    std::string_view record, const std::string& wanted, const std::vector<std::string>& texts
) {
    if (record == "DKIM") return JudgeKey(wanted, texts);
    if (record == "SPF") return JudgeSpf(wanted, texts);
    if (record == "DMARC") return JudgeDmarc(texts);
    const bool there = std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
        return base::Trim(text) == wanted;
    });
    return there ? Finding::kRight : Finding::kAbsent;
}

domains::Observation Judge(const domains::DnsRecord& wanted, const dns::Answers& answers) {
    domains::Observation out{wanted.type, wanted.fqdn, Finding::kUnknown, {}};
    if (!answers.ok()) {
        out.finding = JudgeFailure(answers.error());
        return out;
    }
    std::vector<std::string> texts;
    bool names_us = false;
    for (const dns::Record& record : *answers) {
        texts.push_back(record.text);
        names_us = names_us || base::EqualsIgnoreCase(record.text, wanted.value);
        if (out.seen.size() < kMaxSeen) out.seen.push_back(Shown(wanted, record));
    }
    if (wanted.type == "TXT") {
        out.finding = JudgeTexts(wanted.record, wanted.value, texts);
    } else {
        out.finding = names_us ? Finding::kRight : Finding::kDifferent;
    }
    return out;
}

}  // namespace opensend::domain_checks
