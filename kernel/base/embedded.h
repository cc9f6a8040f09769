#pragma once

#include <string_view>

namespace opensend::base {

/// A file that the build put into the binary: its name without folder, and its bytes.
struct EmbeddedFile {
    std::string_view name;
    std::string_view bytes;
};

}  // namespace opensend::base
