#pragma once

#include <signal.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// The state of the process that loading a plugin must leave as it was.
class Snapshot {
public:
    Snapshot();
    /// What differs now, as a problem of step "snapshot". `threads`: also when there are more
    /// threads; only where nobody else starts any.
    std::optional<Problem> Compare(bool threads) const;
    /// Brings signal handlers, locale, umask, folder and the floating-point mode back.
    void Restore() const;

private:
    std::array<struct sigaction, 65> handlers_{};
    std::string locale_, umask_, threads_, folder_;
    std::vector<std::string> environment_;
    uint64_t float_mode_ = 0;
};

}  // namespace opensend::plugin
