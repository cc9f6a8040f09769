#pragma once

#include <string>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/base/text.h"

namespace opensend::plugin {

/// Why a plugin is refused: the step that failed, what it wanted and what there was.
struct Problem {
    std::string step, expected, found;
};

template <class T>
using Checked = base::Result<T, Problem>;

inline base::Failure<Problem> Refuse(
    std::string_view step, std::string expected, std::string found
) {
    return base::Failure{
        Problem{std::string(step), std::move(expected), std::move(found)}
    };
}

/// The one line an operator sees.
inline std::string Describe(std::string_view plugin, const Problem& problem) {
    return base::Cat(
        plugin, ": ", problem.step, ": expected ", problem.expected, ", found ", problem.found
    );
}

}  // namespace opensend::plugin
