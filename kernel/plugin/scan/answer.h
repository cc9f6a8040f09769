#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

inline constexpr size_t kMaxScanAnswer = 4096;

/// What a scan found, as text between the processes and in the memory of verdicts.
std::string AnswerText(const std::optional<Problem>& problem);
/// nullopt: no answer. The inner one is empty when the file was good.
std::optional<std::optional<Problem>> ParseAnswer(std::string_view text);

/// What is remembered of a content; nullopt: nothing, or by somebody else.
std::optional<std::optional<Problem>> RecallVerdict(const std::string& path);
/// Writes it for the next start. A folder that cannot be written to only costs another scan.
void RememberVerdict(const std::string& path, const std::optional<Problem>& problem);

}  // namespace opensend::plugin
