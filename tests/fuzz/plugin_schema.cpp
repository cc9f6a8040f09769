#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/plugin/load/schema.h"

// A schema, a NUL and a configuration. What was accepted once is accepted as it was handed on.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const size_t split = bytes.find('\0');
    if (split == std::string_view::npos) return 0;
    const std::string_view schema = bytes.substr(0, split), config = bytes.substr(split + 1);
    const auto applied = opensend::plugin::ApplySchema(schema, config);
    if (applied.ok() && !opensend::plugin::ApplySchema(schema, *applied).ok()) std::abort();
    return 0;
}
