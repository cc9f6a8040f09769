#include "kernel/runtime/settings/properties.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/runtime/settings.h"
#include "kernel/runtime/settings/url.h"
#include "kernel/runtime/settings/values.h"

namespace runtime = opensend::runtime;

/// A properties file, and every value of it under the row of its key and as a URL.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = runtime::ParseProperties(text);
    for (const auto& entry : file.entries) {
        OPENSEND_CHECK(!entry.key.empty(), "an entry has a key");
        OPENSEND_CHECK(entry.value.size() <= runtime::kMaxPropertiesLine, "a value has a limit");
        const auto* setting = runtime::FindSetting(entry.key);
        if (setting != nullptr && !entry.value.empty()) {
            static_cast<void>(runtime::CheckValue(*setting, entry.value));
        }
        const auto url = runtime::ParseConfigUrl(entry.value);
        OPENSEND_CHECK(!url.ok() || !url->scheme.empty(), "a URL has a scheme");
    }
    return 0;
}
