#include "kernel/resources/suppressions/suppression_request.h"

#include <algorithm>

#include "kernel/api/query.h"
#include "kernel/base/text.h"
#include "kernel/mime/address.h"
#include "kernel/mime/idna.h"

namespace opensend::suppressions {
namespace {

constexpr std::string_view kReasons[] = {"manual", "bounced", "complained"};
constexpr std::string_view kOrigins[] = {"bounce", "complaint", "manual"};

template <size_t N>
bool IsOneOf(const std::string_view (&names)[N], std::string_view name) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

template <size_t N>
std::string ReadChoice(
    const api::Call& call, std::string_view name, const std::string_view (&names)[N]
) {
    const auto text = api::QueryText(call, name);
    if (!text) return "";
    if (!IsOneOf(names, *text)) throw api::Call::BadParameter(name, "is not a known value");
    return *text;
}

}  // namespace

SuppressionFilter ReadFilter(const api::Call& call) {
    SuppressionFilter filter;
    filter.origin = ReadChoice(call, "origin", kOrigins);
    filter.reason = ReadChoice(call, "reason", kReasons);
    if (const auto email = api::QueryText(call, "email")) {
        const auto address = mime::ParseAddress(*email);
        if (!address.ok()) throw api::Call::BadParameter("email", "must be an email address");
        filter.match_key = address->Key();
    }
    if (const auto search = api::QueryText(call, "search")) {
        filter.search = base::AsciiLower(base::Trim(*search));
    }
    if (const auto domain = api::QueryText(call, "domain")) {
        const auto label = mime::ToALabel(base::Trim(*domain));
        if (!label) throw api::Call::BadParameter("domain", "must be a domain name");
        filter.domain = *label;
    }
    if (const auto time = api::QueryTime(call, "created_after", false)) {
        filter.created_after = *time;
    }
    if (const auto time = api::QueryTime(call, "created_before", true)) {
        filter.created_before = *time;
    }
    return filter;
}

void ReadAddress(
    const json::Value& value, std::string_view path, json::Problems& problems, Suppression& entry
) {
    if (!value.IsString()) return problems.Add(path, "must be text.", "invalid_type");
    const auto address = mime::ParseAddress(value.AsString());
    if (!address.ok()) return problems.Add(path, address.error().message, "invalid_email");
    entry.match_key = address->Key();
    entry.email = address->text;
}

Suppression ReadSuppression(json::ObjectReader& in) {
    Suppression entry;
    entry.origin = entry.reason = "manual";
    const json::Value email = in.Take("email");
    if (email.IsAbsent()) {
        in.problems().AddMissing("email");
    } else {
        ReadAddress(email, "email", in.problems(), entry);
    }
    if (const auto reason = in.OptionalText("reason")) {
        entry.reason = *reason;
        if (!IsOneOf(kReasons, *reason)) {
            in.problems().Add("reason", "must be manual, bounced or complained.", "invalid_value");
        }
    }
    entry.note = in.OptionalText("note", {.max = 255, .single_line = true});
    return entry;
}

void WriteSuppression(json::Writer& out, const Suppression& s) {
    const auto source = s.source_email ? std::optional(s.source_email->ToString()) : std::nullopt;
    out.BeginObject().Field("object", "suppression").Field("id", s.id.ToString());
    out.Field("email", s.email).Field("origin", s.origin).Field("reason", s.reason);
    out.Field("scope", "org").Field("source_id", source).Field("source_email_id", source);
    out.Field(
        "source_event_id",
        s.source_event ? std::optional(model::MessageIdOf(*s.source_event)) : std::nullopt
    );
    out.Field("source_message_id", s.source_message_id).RawField("metadata", s.metadata);
    out.Field("note", s.note).Field("created_at", s.created_at);
    out.Field("suppressed_at", s.created_at);
    out.Field("updated_at", s.updated_at.value_or(s.created_at)).EndObject();
}

}  // namespace opensend::suppressions
