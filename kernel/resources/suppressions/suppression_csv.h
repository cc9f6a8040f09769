#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opensend::suppressions {

/// One entry of a file that can be used.
struct CsvEntry {
    std::string match_key, email, reason;
    std::optional<std::string> note;
};

/// Why a row cannot be used. The header is row 1.
struct CsvError {
    size_t row = 0;
    std::string field, value, message;
};

struct CsvFile {
    std::vector<CsvEntry> entries;
    std::vector<CsvError> errors;  // the first ones
    size_t rejected = 0;           // rows with an error
};

inline constexpr size_t kMaxCsvRows = 50'000;
inline constexpr size_t kMaxCsvErrors = 50;

/// Reads RFC 4180 text, LF or CRLF, with a header that has `email` and may have `reason` and
/// `note`; other columns are skipped, empty lines too. The cost grows with the text alone.
CsvFile ReadCsv(std::string_view text);

/// A cell as an export writes it: one that a spreadsheet would run is marked, and quotes stand
/// where they are needed.
std::string CsvCell(std::string_view text);

}  // namespace opensend::suppressions
