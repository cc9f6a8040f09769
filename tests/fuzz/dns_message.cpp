#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/dns/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using opensend::dns::RecordType;
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    for (const auto type :
         {RecordType::kA, RecordType::kAaaa, RecordType::kTxt, RecordType::kMx,
          RecordType::kCname}) {
        static_cast<void>(opensend::dns::ReadAnswer(message, "a.example", type, 0));
    }
    return 0;
}
