// Texts of a name, one per line, as records of each kind.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/text.h"
#include "kernel/workers/domains/record_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> texts;
    for (const auto line : opensend::base::Split(input, '\n')) texts.emplace_back(line);
    const std::string key = "v=DKIM1; k=rsa; p=AAAA";
    for (const char* record : {"DKIM", "SPF", "DMARC", "Claim"}) {
        opensend::domain_checks::JudgeTexts(record, key, texts);
        opensend::domain_checks::JudgeTexts(record, "v=spf1 include:a.example ~all", texts);
    }
    return 0;
}
