#pragma once

#include <vector>

#include "kernel/runtime/settings.h"

namespace opensend::runtime {

/// The two halves of the table of settings.
std::vector<Setting> ServerSettings();
std::vector<Setting> MailSettings();

}  // namespace opensend::runtime
