#include "kernel/resources/emails/email_explain.h"

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"

namespace opensend::emails {
namespace {

constexpr db::Query kExplainEmail{"emails.explain", R"sql(
    SELECT e.org_id, e.status, e.from_text, e.subject, e.created_at FROM emails e WHERE e.id = $1)sql"};
constexpr db::Query kExplainRecipients{"emails.explain_recipients", R"sql(
    SELECT r.ordinal, r.address, r.kind, r.status, r.last_error_message, q.reason, q.due_at,
           q.lease_owner, q.lease_until, q.phase
      FROM recipients r LEFT JOIN queue q ON q.email_id = r.email_id AND q.ordinal = r.ordinal
     WHERE r.email_id = $1 ORDER BY r.ordinal)sql"};
constexpr db::Query kExplainAttempts{"emails.explain_attempts", R"sql(
    SELECT number, transport, started_at, class, message, uncertain
      FROM attempts WHERE email_id = $1 AND ordinal = $2 ORDER BY started_at)sql"};

std::string Why(const db::Row& row) {
    if (row.IsNull(5)) return row.OptionalText(4).value_or("finished");
    if (row.Int(8) > 0) {
        return base::Cat(
            "lease_held until ", base::FormatIso(row.Time(8)), " by ", row.Text(7).substr(0, 8)
        );
    }
    return base::Cat(row.Text(5), ", next action ", base::FormatIso(row.Time(6)));
}

}  // namespace

std::string ExplainAsText(db::Session& session, const model::EmailId& id) {
    const auto email = session.First(kExplainEmail, {id});
    if (!email) throw base::NotFound("Email");
    std::string out = base::Cat(
        "email      ", id.ToString(), "\nstatus     ", email->Text(1), "\nfrom       ",
        email->Text(2), "\nsubject    ", email->Text(3), "\naccepted   ",
        base::FormatIso(email->Time(4)), '\n'
    );
    for (const db::Row& row : session.Execute(kExplainRecipients, {id})) {
        out += base::Cat(
            "recipient  ", row.Text(1), " (", row.Text(2), ") ", row.Text(3), ": ", Why(row), '\n'
        );
        for (const db::Row& attempt : session.Execute(kExplainAttempts, {id, row.Int(0)})) {
            out += base::Cat(
                "  attempt ", attempt.Int(0), " via ", attempt.Text(1), " at ",
                base::FormatIso(attempt.Time(2)), ": ",
                attempt.OptionalText(3).value_or("no result yet"), ' ',
                attempt.OptionalText(4).value_or(""), attempt.Bool(5) ? " (uncertain repeat)" : "",
                '\n'
            );
        }
    }
    return out;
}

}  // namespace opensend::emails
