#include "kernel/base/schedule.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/base/zone.h"

/// Expressions, spans, zone rules and zone files: the first byte chooses.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace opensend::base;
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Time now{1'772'442'930'000'000};
    switch (data[0] % 4) {
        case 0: ParseSchedule(text, now, "Europe/Oslo"); break;
        case 1:
            if (const auto span = ParseSpan(text)) {
                OPENSEND_CHECK(span->count() > 0, "a span is positive");
            }
            break;
        case 2:
            if (const auto rule = ParseZoneRule(text)) rule->OffsetAt(now.Seconds());
            break;
        default:
            if (const auto zone = Zone::FromFile(text)) zone->ToUtc(zone->ToLocal(now));
    }
    return 0;
}
