#include "kernel/resources/emails/email_explain.h"

#include <algorithm>
#include <limits>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/json/writer.h"

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

constexpr db::Query kExplainRows{"emails.explain_rows", R"sql(
    SELECT r.ordinal, r.address, r.status, r.last_error_message, q.reason, q.due_at, q.first_due_at,
           q.phase, q.lease_owner, q.lease_until, q.lease_fence
      FROM recipients r
      LEFT JOIN queue q ON q.email_id = r.email_id AND q.ordinal = r.ordinal AND q.org_id = r.org_id
     WHERE r.org_id = $1 AND r.email_id = $2 ORDER BY r.ordinal)sql"};
constexpr db::Query kExplainTries{"emails.explain_tries", R"sql(
    SELECT ordinal, number, transport, started_at, finished_at, class, smtp_code, enhanced_code,
           uncertain, transcript
      FROM attempts WHERE org_id = $1 AND email_id = $2 ORDER BY started_at, id LIMIT 500)sql"};

/// One recipient, as its last decision left it.
struct RecipientState {
    int64_t ordinal = 0;
    std::string address, status, code, message;
    std::optional<base::Time> due_at, first_due_at, lease_until;
    std::string owner;
    int64_t fence = 0;
};

struct WhyRow {
    std::string_view reason, message;
};
/// Reasons that the queue stores and the contract knows.
constexpr WhyRow kWhy[] = {
    {"not_due",                "It is scheduled for later."                                 },
    {"ready",                  "It is due and waits for a free worker."                     },
    {"waiting_for_retry",      "An earlier try failed; the next one comes at its time."     },
    {"rate_wait",              "It waits for its turn at a transport or domain."            },
    {"no_route",               "No enabled transport may send it."                          },
    {"transport_circuit_open", "Every transport that may send it is in back-off."           },
    {"attachment_pending",     "An attachment could not be fetched yet."                    },
    {"operator_hold",          "An operator holds it."                                      },
    {"org_suspended",          "The organization is suspended."                             },
    {"quota_wait",             "The quota is used up."                                      },
    {"broadcast_paused",       "Its broadcast is paused."                                   },
    {"reputation_brake",       "Sending was slowed down to protect the sender's reputation."},
    {"restore_review",         "It waits for review after a restore."                       },
    {"poison",                 "It never reached the wire in several tries and is held."    },
    {"unknown_outcome",        "It was handed over, but no answer came; a policy decides."  },
};

const WhyRow& WhyOf(std::string_view reason) {
    for (const WhyRow& row : kWhy) {
        if (row.reason == reason) return row;
    }
    return kWhy[2];
}

constexpr int64_t kUnknownPhase = static_cast<int64_t>(queue::Phase::kUnknown);

RecipientState ReadState(const db::Row& row, const Email& email, base::Time now) {
    RecipientState out;
    out.ordinal = row.Int(0);
    out.address = row.Text(1);
    out.status = row.Text(2);
    const auto error = row.OptionalText(3);
    if (row.IsNull(4)) {
        out.code = "terminal";
        out.message = error.value_or(base::Cat("It has ended as ", out.status, '.'));
        return out;
    }
    out.due_at = row.Time(5);
    out.first_due_at = row.Time(6);
    if (row.Int(9) > 0) {
        out.status = "sending";
        out.code = "lease_held";
        out.message = "A worker has it now.";
        out.owner = row.Text(8);
        out.lease_until = row.Time(9);
        out.fence = row.Int(10);
        return out;
    }
    std::string reason = row.Text(4);
    if (row.Int(7) == kUnknownPhase) reason = "unknown_outcome";
    if (reason == "ready" && *out.due_at > now) reason = "not_due";
    const WhyRow& why = WhyOf(reason);
    out.code = why.reason;
    out.message = why.message;
    if (out.code == "waiting_for_retry" && error) out.message = *error;
    if (out.code == "not_due" && email.scheduled_at) {
        out.message = base::Cat("It is scheduled for ", base::FormatIso(*email.scheduled_at), '.');
    }
    return out;
}

void WriteWhy(json::Writer& out, const RecipientState& state) {
    out.Key("why").BeginObject().Field("code", state.code).Field("message", state.message);
    out.EndObject();
}

/// The recipient that speaks for the message: one that a worker has, else the first to be done.
const RecipientState& Speaker(const std::vector<RecipientState>& states) {
    const auto rank = [](const RecipientState& state) {
        if (state.lease_until) return base::Time{0};
        return state.due_at.value_or(base::Time{std::numeric_limits<int64_t>::max()});
    };
    return *std::min_element(states.begin(), states.end(), [&](const auto& a, const auto& b) {
        return rank(a) < rank(b);
    });
}

void WriteTry(json::Writer& out, const db::Row& row) {
    out.BeginObject().Field("number", row.Int(1)).Field("transport", row.Text(2));
    out.Field("started_at", row.Time(3)).Field("finished_at", row.OptionalTime(4));
    out.Field("class", row.OptionalText(5));
    const bool has_code = !row.IsNull(6) && row.Int(6) != 0;
    out.Field("smtp_code", has_code ? std::optional(row.Int(6)) : std::nullopt);
    const auto enhanced = row.OptionalText(7);
    out.Field("enhanced_code", enhanced && !enhanced->empty() ? enhanced : std::nullopt);
    out.Field("uncertain", row.Bool(8)).Key("transcript").BeginArray();
    const std::string transcript = row.OptionalText(9).value_or("");
    for (std::string_view line : base::Split(transcript, '\n')) {
        line = base::Trim(line);
        if (!line.empty()) out.String(line);
    }
    out.EndArray().EndObject();
}

/// The transport of the last try; null before there was one.
void WriteRoute(json::Writer& out, const db::Rows& tries) {
    if (tries.empty()) {
        out.NullField("route");
        return;
    }
    out.Key("route").BeginObject().NullField("group").Field("transport", tries.back().Text(2));
    out.NullField("rule").NullField("reason").Key("skipped").BeginArray().EndArray().EndObject();
}

void WriteLease(json::Writer& out, const RecipientState& state) {
    if (!state.lease_until) {
        out.NullField("lease");
        return;
    }
    out.Key("lease").BeginObject().Field("owner", state.owner);
    out.Field("expires_at", *state.lease_until).Field("fencing", state.fence).EndObject();
}

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

std::string ExplainAsJson(
    db::Session& session, const Email& email, base::Time now, base::Duration max_age
) {
    std::vector<RecipientState> states;
    for (const db::Row& row : session.Execute(kExplainRows, {email.tenant, email.id})) {
        states.push_back(ReadState(row, email, now));
    }
    if (states.empty()) throw base::NotFound("Email");
    const db::Rows tries = session.Execute(kExplainTries, {email.tenant, email.id});
    const RecipientState& speaker = Speaker(states);
    json::Writer out;
    out.BeginObject().Field("object", "email_explanation").Field("email_id", email.id.ToString());
    out.Field(
        "status",
        speaker.lease_until ? std::string("sending") : std::string(model::ToText(email.status))
    );
    WriteWhy(out, speaker);
    out.Field("next_action_at", speaker.lease_until ? std::nullopt : speaker.due_at);
    out.Field(
        "expires_at",
        speaker.first_due_at ? std::optional(*speaker.first_due_at + max_age) : std::nullopt
    );
    WriteLease(out, speaker);
    WriteRoute(out, tries);
    out.Key("recipients").BeginArray();
    for (const RecipientState& state : states) {
        out.BeginObject().Field("email", state.address).Field("status", state.status);
        WriteWhy(out, state);
        out.Key("attempts").BeginArray();
        for (const db::Row& row : tries) {
            if (row.Int(0) == state.ordinal) WriteTry(out, row);
        }
        out.EndArray().EndObject();
    }
    out.EndArray().EndObject();
    return out.Take();
}

}  // namespace opensend::emails
