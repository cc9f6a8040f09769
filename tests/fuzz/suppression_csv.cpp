#include "kernel/resources/suppressions/suppression_csv.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernel/base/check.h"
#include "kernel/base/utf8.h"

namespace suppressions = opensend::suppressions;

/// A file, and its entries written and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = suppressions::ReadCsv(text);
    OPENSEND_CHECK(file.errors.size() <= suppressions::kMaxCsvErrors, "errors have a limit");
    OPENSEND_CHECK(file.errors.size() <= file.rejected, "every error is counted");
    OPENSEND_CHECK((file.rejected == 0) == file.errors.empty(), "a refusal is explained");
    OPENSEND_CHECK(file.entries.size() <= suppressions::kMaxCsvRows, "rows have a limit");
    for (const auto& error : file.errors) {
        OPENSEND_CHECK(opensend::base::IsUtf8(error.value), "what is shown is text");
    }
    std::string again = "email,reason,note\r\n";
    bool plain = true;
    for (const auto& entry : file.entries) {
        const std::string cell = suppressions::CsvCell(entry.email);
        const std::string note = suppressions::CsvCell(entry.note.value_or(""));
        // A marked cell reads as another text.
        plain =
            plain && cell.find('\'') == std::string::npos && note.find('\'') == std::string::npos;
        again += cell + "," + entry.reason + "," + note + "\r\n";
    }
    if (!plain) return 0;
    const auto copy = suppressions::ReadCsv(again);
    OPENSEND_CHECK(copy.rejected == 0, "what was written can be read");
    OPENSEND_CHECK(copy.entries.size() == file.entries.size(), "no entry is lost");
    for (size_t i = 0; i < copy.entries.size(); ++i) {
        OPENSEND_CHECK(copy.entries[i].match_key == file.entries[i].match_key, "the same address");
        OPENSEND_CHECK(copy.entries[i].note == file.entries[i].note, "the same note");
    }
    return 0;
}
