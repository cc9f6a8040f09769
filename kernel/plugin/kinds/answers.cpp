#include "kernel/plugin/kinds/answers.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kernel/base/text.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;

constexpr std::string_view kStageNames[] = {"",     "connect", "tls",  "ehlo", "auth",
                                            "mail", "rcpt",    "data", "end",  "api"};

bool RuleFits(
    const runtime::AnswerRule& rule, const osp_rcpt_result& result, std::string_view lower_text
) {
    if (rule.code_from >= 0 &&
        (result.smtp_code < rule.code_from || result.smtp_code > rule.code_to))
        return false;
    for (size_t i = 0; i < 3; ++i) {
        if (rule.enhanced[i] >= 0 && rule.enhanced[i] != result.enhanced[i]) return false;
    }
    if (!rule.stage.empty() &&
        (result.stage >= std::size(kStageNames) || kStageNames[result.stage] != rule.stage))
        return false;
    return rule.words.empty() ||
           std::any_of(rule.words.begin(), rule.words.end(), [&](const std::string& word) {
               return lower_text.find(word) != std::string_view::npos;
           });
}

ResultClass ClassOfText(const std::string& text, ResultClass otherwise) {
    for (int i = 1; i <= static_cast<int>(ResultClass::kNotTried); ++i) {
        if (model::ToText(static_cast<ResultClass>(i)) == text) return static_cast<ResultClass>(i);
    }
    return otherwise;
}

}  // namespace

void AnswerBoard::Set(Rules rules) {
    auto next = std::make_shared<const Rules>(std::move(rules));
    rules_.With([&](auto& current) { current = std::move(next); });
}

ResultClass AnswerBoard::Apply(
    const std::string& transport, const osp_rcpt_result& result, ResultClass before
) const {
    if (before == ResultClass::kOk || before == ResultClass::kOkUnknown ||
        before == ResultClass::kNotTried)
        return before;
    const auto rules = rules_.With([](const auto& current) { return current; });
    if (!rules) return before;
    const auto found = rules->find(transport);
    if (found == rules->end() || found->second.empty()) return before;
    const std::string_view diag = result.diag.ptr == nullptr
                                      ? std::string_view()
                                      : std::string_view(result.diag.ptr, result.diag.len);
    const std::string text = base::AsciiLower(diag.substr(0, 4096));
    for (const auto& rule : found->second) {
        if (RuleFits(rule, result, text)) return ClassOfText(rule.result, before);
    }
    return before;
}

}  // namespace opensend::plugin
