#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/plugin/grants.h"
#include "kernel/plugin/load/note.h"

// Reads the bytes as a plugin file, and as the manifest of one.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (opensend::plugin::CheckElf(bytes).ok()) {
        const auto note = opensend::plugin::ReadNote(bytes);
        if (note.ok()) (void)opensend::plugin::ParseManifest(note->json);
    }
    (void)opensend::plugin::ReadNote(bytes);
    (void)opensend::plugin::ParseManifest(bytes);
    (void)opensend::plugin::ParseGrants(bytes);
    return 0;
}
