#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/egress/guard.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using opensend::egress::Guard;
    static const Guard guard({}, [](const std::string&) { return std::nullopt; });
    const auto url = guard.CheckUrl({reinterpret_cast<const char*>(data), size});
    if (!url) return 0;
    // What was accepted reads the same again.
    const auto again = guard.CheckUrl(url->url);
    OPENSEND_CHECK(!again.ok() || again->host == url->host, "host changed");
    OPENSEND_CHECK(!again.ok() || again->url == url->url, "text changed");
    return 0;
}
