#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/backend/backend.h"
#include "kernel/runtime/crash_point.h"

namespace opensend::db {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

std::string_view Word(std::string_view word, Dialect dialect) {
    const bool postgres = dialect == Dialect::kPostgres;
    if (word == "skip_locked") return postgres ? "FOR UPDATE SKIP LOCKED" : "";
    if (word == "for_update") return postgres ? "FOR UPDATE" : "";
    OPENSEND_CHECK(word == "blob", "a word in braces is known");
    return postgres ? "BYTEA" : "BLOB";
}

/// One pass over a statement: copies quoted text and comments as they are.
class Translator {
public:
    Translator(std::string_view sql, Dialect dialect) : sql_(sql), dialect_(dialect) {}

    StatementText Run() {
        while (at_ < sql_.size()) Step();
        return std::move(text_);
    }

private:
    void Step() {
        const char c = sql_[at_];
        const std::string_view rest = sql_.substr(at_);
        if (c == '\'' || c == '"') {
            CopyThrough(std::string_view(&c, 1), 1);
        } else if (rest.starts_with("--")) {
            CopyThrough("\n", 2);
        } else if (rest.starts_with("/*")) {
            CopyThrough("*/", 2);
        } else if (c == '{') {
            const size_t end = rest.find('}');
            OPENSEND_CHECK(end != std::string_view::npos, "a brace in a statement is closed");
            text_.sql += Word(rest.substr(1, end - 1), dialect_);
            at_ += end + 1;
        } else if (c == '$' && rest.size() > 1 && IsDigit(rest[1])) {
            Parameter();
        } else {
            text_.sql += c;
            ++at_;
        }
    }

    /// Copies up to and with the next `end` that starts `skip` characters from here or later.
    void CopyThrough(std::string_view end, size_t skip) {
        const size_t found = sql_.find(end, at_ + skip);
        const size_t stop = found == std::string_view::npos ? sql_.size() : found + end.size();
        text_.sql += sql_.substr(at_, stop - at_);
        at_ = stop;
    }

    void Parameter() {
        ++at_;
        size_t number = 0;
        while (at_ < sql_.size() && IsDigit(sql_[at_]) && number < 100'000)
            number = number * 10 + static_cast<size_t>(sql_[at_++] - '0');
        OPENSEND_CHECK(
            number >= 1 && number <= text_.parameters + 1,
            "parameters of a statement first appear in the order $1, $2, $3"
        );
        if (number > text_.parameters) text_.parameters = number;
        text_.sql += base::Cat(dialect_ == Dialect::kPostgres ? '$' : '?', number);
    }

    std::string_view sql_;
    Dialect dialect_;
    size_t at_ = 0;
    StatementText text_;
};

/// The statement as it would be had its author forgotten the tenant: "q.org_id = $1" holds always.
std::string Tenantless(const std::string& sql) {
    constexpr std::string_view kPredicate = "org_id = ";
    std::string out;
    size_t done = 0;
    for (size_t at = sql.find(kPredicate); at != sql.npos; at = sql.find(kPredicate, at + 1)) {
        size_t end = at + kPredicate.size();
        if (end >= sql.size() || (sql[end] != '$' && sql[end] != '?')) continue;
        ++end;
        while (end < sql.size() && IsDigit(sql[end])) ++end;
        size_t begin = at;
        while (begin > done && (IsLower(sql[begin - 1]) || sql[begin - 1] == '.')) --begin;
        out += base::Cat(
            std::string_view(sql).substr(done, begin - done), '(',
            std::string_view(sql).substr(begin, end - begin), " OR 1 = 1)"
        );
        done = end;
    }
    return out + sql.substr(done);
}

}  // namespace

StatementText MakeStatementText(std::string_view sql, Dialect dialect) {
    StatementText text = Translator(sql, dialect).Run();
    if (OPENSEND_HAS_FAULT("no_tenant_predicates")) text.sql = Tenantless(text.sql);
    return text;
}

void RefuseNul(const Query& query, const Params& params) {
    for (const Value& value : params) {
        const auto* text = std::get_if<std::string>(&value.storage());
        if (text != nullptr && text->find('\0') != std::string::npos)
            throw BrokenStatement(base::Cat(query.name, ": a text parameter holds a NUL"));
    }
}

void ThrowPoisoned(std::string_view what) {
    throw BrokenStatement(base::Cat(what, " in a transaction in which a statement failed"));
}

base::Error UniqueViolation(std::string detail) {
    return base::Error(base::ErrorCode::kConflict, "This object already exists.", std::move(detail))
        .WithReason("already_exists");
}

base::Error BrokenStatement(std::string detail) {
    return {base::ErrorCode::kInternal, "An internal error occurred.", std::move(detail)};
}

}  // namespace opensend::db
