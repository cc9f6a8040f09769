#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/mime/builder.h"

/// The text is never longer than its source but for the last line end.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view html(reinterpret_cast<const char*>(data), size);
    const auto text = opensend::mime::HtmlToText(html);
    OPENSEND_CHECK(text.size() <= html.size() + 1, "the text grew");
    OPENSEND_CHECK(text.find('\r') == std::string::npos, "the text holds a carriage return");
    return 0;
}
