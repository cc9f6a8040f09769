#include "kernel/resources/suppressions/suppression_csv.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/address.h"

namespace opensend::suppressions {
namespace {

constexpr size_t kMaxNote = 255;
constexpr size_t kMaxShownValue = 100;
constexpr size_t kMaxColumns = 100;

/// Rows of a text, one after the other.
class CsvReader {
public:
    explicit CsvReader(std::string_view text) : text_(text) {
        if (text_.substr(0, 3) == "\xef\xbb\xbf") text_.remove_prefix(3);
    }
    enum class Read { kRow = 1, kEnd, kBroken };
    /// The next row that is not empty. kBroken: a quote that never ends, or text behind one.
    Read Next(std::vector<std::string>& row) {
        while (!text_.empty()) {
            row.clear();
            const Read read = OneRow(row);
            const bool empty = row.size() == 1 && base::Trim(row.front()).empty();
            if (read == Read::kBroken || !empty) return read;
        }
        return Read::kEnd;
    }

private:
    Read OneRow(std::vector<std::string>& row) {
        for (;;) {
            std::string cell;
            if (!text_.empty() && text_.front() == '"') {
                if (!Quoted(cell)) return Read::kBroken;
            } else {
                const size_t end = std::min(text_.find_first_of(",\r\n"), text_.size());
                cell = text_.substr(0, end);
                text_.remove_prefix(end);
            }
            if (row.size() < kMaxColumns) row.push_back(std::move(cell));
            if (text_.empty()) return Read::kRow;
            const char next = text_.front();
            text_.remove_prefix(1);
            if (next == ',') continue;
            if (next == '\r' && !text_.empty() && text_.front() == '\n') text_.remove_prefix(1);
            return next == '\r' || next == '\n' ? Read::kRow : Read::kBroken;
        }
    }
    bool Quoted(std::string& cell) {
        for (size_t i = 1; i < text_.size(); ++i) {
            if (text_[i] != '"') {
                cell += text_[i];
            } else if (i + 1 < text_.size() && text_[i + 1] == '"') {
                cell += text_[i++];
            } else {
                text_.remove_prefix(i + 1);
                return true;
            }
        }
        return false;
    }

    std::string_view text_;
};

struct Columns {
    std::optional<size_t> email, reason, note;
};

Columns ColumnsOf(const std::vector<std::string>& header) {
    Columns columns;
    for (size_t i = 0; i < header.size(); ++i) {
        const std::string name = base::AsciiLower(base::Trim(header[i]));
        if (name == "email" && !columns.email) columns.email = i;
        if (name == "reason" && !columns.reason) columns.reason = i;
        if (name == "note" && !columns.note) columns.note = i;
    }
    return columns;
}

std::string CellOf(const std::vector<std::string>& row, const std::optional<size_t>& column) {
    return column && *column < row.size() ? row[*column] : std::string();
}

class FileBuilder {
public:
    void Refuse(size_t row, std::string_view field, std::string_view value, const char* message) {
        ++file.rejected;
        if (file.errors.size() >= kMaxCsvErrors) return;
        const std::string shown(base::TruncateUtf8(value, kMaxShownValue));
        file.errors.push_back({row, std::string(field), shown, message});
    }
    void Take(size_t number, const std::vector<std::string>& row, const Columns& columns) {
        const std::string email = CellOf(row, columns.email);
        const auto address = mime::ParseAddress(email);
        if (!address.ok()) return Refuse(number, "email", email, "Not an email address.");
        CsvEntry entry{address->Key(), address->text, "manual", std::nullopt};
        const std::string reason = base::AsciiLower(base::Trim(CellOf(row, columns.reason)));
        if (reason == "bounced" || reason == "complained") entry.reason = reason;
        if (!reason.empty() && reason != entry.reason) {
            return Refuse(number, "reason", reason, "Must be manual, bounced or complained.");
        }
        const std::string note = CellOf(row, columns.note);
        if (base::CountCodePoints(note) > kMaxNote) {
            return Refuse(number, "note", note, "Must have at most 255 characters.");
        }
        if (base::HasControl(note)) {
            return Refuse(number, "note", "", "Must be one line of text.");
        }
        if (!note.empty()) entry.note = note;
        file.entries.push_back(std::move(entry));
    }

    CsvFile file;
};

}  // namespace

CsvFile ReadCsv(std::string_view text) {
    FileBuilder builder;
    if (!base::IsUtf8(text)) {
        builder.Refuse(1, "", "", "The file is not UTF-8 text.");
        return std::move(builder.file);
    }
    CsvReader reader(text);
    std::vector<std::string> row;
    const auto first = reader.Next(row);
    const Columns columns = first == CsvReader::Read::kRow ? ColumnsOf(row) : Columns{};
    if (!columns.email) {
        builder.Refuse(1, "email", "", "The first line must name a column email.");
        return std::move(builder.file);
    }
    for (size_t number = 2;; ++number) {
        const auto read = reader.Next(row);
        if (read == CsvReader::Read::kEnd) break;
        if (read == CsvReader::Read::kBroken) {
            builder.Refuse(number, "", "", "A quoted value does not end where it should.");
            break;
        }
        if (number - 1 > kMaxCsvRows) {
            builder.Refuse(number, "", "", "The file has more than 50000 rows.");
            break;
        }
        builder.Take(number, row, columns);
    }
    return std::move(builder.file);
}

std::string CsvCell(std::string_view text) {
    std::string out;
    if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos)
        out += '\'';
    out += text;
    if (out.find_first_of(",\"\r\n") == std::string::npos) return out;
    return base::Cat('"', base::ReplaceAll(out, "\"", "\"\""), '"');
}

}  // namespace opensend::suppressions
