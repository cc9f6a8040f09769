#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "kernel/plugin/worker/frame.h"
#include "kernel/plugin/worker/ring.h"

// Reads the bytes as a frame of the other process, and as the shared memory of a ring.
namespace {

namespace worker = opensend::plugin::worker;

void ReadFrame(std::string_view bytes) {
    worker::Received received;
    if (!received.ReadView(bytes)) return;
    // What was read can be written: every pointer in it is good.
    std::string again;
    (void)worker::Encode(received.frame, again);
}

void ReadRing(std::string_view bytes) {
    constexpr size_t kSize = 8192;
    static char area[kSize];
    static worker::RingShared shared;
    if (bytes.size() < 8) return;
    uint64_t head = 0;
    std::memcpy(&head, bytes.data(), sizeof head);
    std::memset(area, 0, sizeof area);
    std::memcpy(area, bytes.data(), bytes.size() < kSize ? bytes.size() : kSize);
    shared.head = head;
    shared.tail = 0;
    worker::Ring ring(&shared, area, kSize);
    std::string record;
    uint32_t flags = 0;
    uint64_t size = 0;
    for (int i = 0; i < 200; ++i) {
        if (ring.Read(record, flags, size) != worker::Ring::Got::kRecord) return;
        ReadFrame(record);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    ReadFrame(bytes);
    ReadRing(bytes);
    return 0;
}
