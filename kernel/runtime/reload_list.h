#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/runtime/config.h"

namespace opensend::runtime {

/// What is done with a configuration that was read again (PROC-25). Whoever has something to
/// exchange adds a function at start; each answers for itself.
class ReloadList {
public:
    /// Puts the new values into effect, or keeps the old ones and gives the reasons.
    using Apply = std::function<std::vector<std::string>(const Config&)>;
    void Add(std::string name, Apply apply) {
        entries_.emplace_back(std::move(name), std::move(apply));
    }
    /// Runs all, in order of their addition; one that throws does not keep the others from running.
    /// The problems as "name: reason".
    std::vector<std::string> Run(const Config& config) const;

private:
    std::vector<std::pair<std::string, Apply>> entries_;
};

}  // namespace opensend::runtime
