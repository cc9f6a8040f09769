#include "kernel/runtime/answer_rule.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "kernel/base/text.h"

namespace opensend::runtime {
namespace {

using Problem = std::optional<std::string>;

constexpr size_t kMostRuleText = 1000;
constexpr std::string_view kClasses[] = {
    "throttle",        "temp",        "perm_recipient", "perm_content",
    "perm_reputation", "auth_config", "protocol"};
constexpr std::string_view kStages[] = {"connect", "tls",  "ehlo", "auth", "mail",
                                        "rcpt",    "data", "end",  "api"};

template <size_t N>
bool IsOneOf(const std::string_view (&list)[N], std::string_view text) {
    return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

template <size_t N>
std::string Listed(const std::string_view (&list)[N]) {
    return base::Join({std::begin(list), std::end(list)}, ", ");
}

std::optional<int> NumberUpTo(std::string_view text, int64_t most) {
    const auto number = base::ParseInt(text);
    if (!number || *number < 0 || *number > most) return std::nullopt;
    return static_cast<int>(*number);
}

Problem ReadCode(std::string_view value, AnswerRule& rule) {
    const size_t dash = value.find('-');
    const auto from = NumberUpTo(value.substr(0, dash), 999);
    const auto to = dash == value.npos ? from : NumberUpTo(value.substr(dash + 1), 999);
    if (!from || !to || *from < 100 || *to < *from) {
        return base::Cat(
            "code=", value, " is neither a code such as 421 nor a range such as 500-599"
        );
    }
    rule.code_from = *from;
    rule.code_to = *to;
    return std::nullopt;
}

Problem ReadEnhanced(std::string_view value, AnswerRule& rule) {
    const auto parts = base::Split(value, '.');
    bool good = parts.size() == 3 && (parts[0] == "4" || parts[0] == "5");
    for (size_t i = 0; good && i < 3; ++i) {
        if (parts[i] == "*") continue;
        const auto number = NumberUpTo(parts[i], 999);
        good = number.has_value();
        if (good) rule.enhanced[i] = *number;
    }
    if (good) return std::nullopt;
    return base::Cat("enhanced=", value, " is not a code such as 4.7.28 or 5.7.*");
}

Problem ReadWords(std::string_view value, AnswerRule& rule) {
    for (const std::string_view word : base::Split(value, '|')) {
        const auto bare = base::Trim(word);
        if (bare.empty())
            return std::string("text= has an empty alternative, which fits every answer");
        rule.words.push_back(base::AsciiLower(bare));
    }
    return std::nullopt;
}

Problem ReadCondition(std::string_view name, std::string_view value, AnswerRule& rule) {
    if (name == "code") return ReadCode(value, rule);
    if (name == "enhanced") return ReadEnhanced(value, rule);
    if (name == "stage") {
        if (!IsOneOf(kStages, value)) {
            return base::Cat("stage=", value, " is not one of ", Listed(kStages));
        }
        rule.stage = std::string(value);
        return std::nullopt;
    }
    if (name == "kind") {
        if (value.empty()) return std::string("kind= names no kind of transport");
        rule.kind = std::string(value);
        return std::nullopt;
    }
    return base::Cat("\"", name, "=\" is not one of code, enhanced, stage, kind, text");
}

}  // namespace

base::Result<AnswerRule, std::string> ParseAnswerRule(std::string_view text) {
    AnswerRule rule;
    if (text.size() > kMostRuleText)
        return base::Failure{std::string("longer than 1000 characters")};
    text = base::Trim(text);
    const size_t space = std::min(text.find(' '), text.size());
    rule.result = std::string(text.substr(0, space));
    if (!IsOneOf(kClasses, rule.result)) {
        return base::Failure{
            base::Cat("begins with \"", rule.result, "\", which is not one of ", Listed(kClasses))};
    }
    text = base::Trim(text.substr(space));
    if (text.empty())
        return base::Failure{std::string("names no condition; it would fit every answer")};
    std::vector<std::string_view> seen;
    while (!text.empty()) {
        const size_t equals = text.find('=');
        const size_t end = std::min(text.find(' '), text.size());
        if (equals == text.npos || equals > end) {
            return base::Failure{
                base::Cat("\"", text.substr(0, end), "\" is not a condition such as code=421")};
        }
        const std::string_view name = text.substr(0, equals);
        if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
            return base::Failure{base::Cat("names ", name, "= twice")};
        }
        seen.push_back(name);
        const bool is_text = name == "text";
        const auto value = text.substr(equals + 1, is_text ? text.npos : end - equals - 1);
        const auto problem = is_text ? ReadWords(value, rule) : ReadCondition(name, value, rule);
        if (problem) return base::Failure{*problem};
        text = is_text ? std::string_view() : base::Trim(text.substr(end));
    }
    return rule;
}

}  // namespace opensend::runtime
