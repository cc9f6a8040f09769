#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/plugin/load/elf.h"
#include "kernel/plugin/load/note.h"

// Reads the bytes as the dynamic loader would, checked for their form before or not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)opensend::plugin::CheckElf(bytes);
    const auto facts = opensend::plugin::ReadElf(bytes);
    if (facts.ok()) (void)opensend::plugin::CheckHygiene(*facts, {{}, 2, 36});
    return 0;
}
