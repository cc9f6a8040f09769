#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/plugin/load/requests.h"
#include "kernel/plugin/scan/answer.h"

// Reads the bytes as a manifest with grants and schemas, and as the answer of a scan.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)opensend::plugin::ParseManifest(bytes);
    (void)opensend::plugin::CheckSchemas(bytes);
    (void)opensend::plugin::SchemaOf(bytes, "k");
    const auto requests = opensend::plugin::ReadGrantRequests(bytes);
    if (requests.ok())
        (void)opensend::plugin::CompareGrants(
            *requests,
            {
                {"http", "*"   },
                {"kv",   "1MiB"}
        },
            "p"
        );
    (void)opensend::plugin::ParseAnswer(bytes);
    return 0;
}
