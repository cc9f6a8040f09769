#include <algorithm>

#include "kernel/api/problem.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/emails_api.h"

namespace opensend::emails {
namespace {

constexpr size_t kMaxBatch = 100;

/// Strict: all or nothing. Permissive: what is good is stored, the rest reported.
bool IsPermissive(const api::Call& call) {
    const auto mode = call.request.headers.Find("x-batch-validation");
    if (!mode || *mode == "strict") return false;
    if (*mode == "permissive") return true;
    throw api::Call::BadParameter("x-batch-validation", "must be strict or permissive");
}

void CheckShape(const json::Value& body) {
    if (!body.IsArray()) throw base::Invalid("", "the body must be an array.", "invalid_type");
    if (body.size() == 0) throw base::Invalid("", "at least one email.", "too_few");
    if (body.size() > kMaxBatch) throw base::Invalid("", "at most 100 emails.", "too_many");
}

bool AnyScheduled(const json::Value& body) {
    for (size_t i = 0; i < body.size(); ++i) {
        const json::Value item = body.At(i);
        if (item.IsObject() && !item.Find("scheduled_at").IsAbsent()) return true;
    }
    return false;
}

/// What makes one item bad, as opposed to the request as a whole.
bool IsAboutItem(base::ErrorCode code) {
    const int status = api::StatusOf(code);
    return status == 403 || status == 404 || status == 413 || status == 422;
}

void WriteItemError(json::Writer& out, size_t index, const base::Error& error) {
    const std::string name(api::NameOf(error.code()));
    out.BeginObject().Field("index", static_cast<int64_t>(index));
    out.Field("message", error.public_message()).Field("name", name);
    out.Field("code", error.reason().empty() ? name : error.reason());
    out.Field("statusCode", api::StatusOf(error.code())).EndObject();
}

/// Names of unknown fields, each once.
void AddIgnored(std::vector<std::string>& all, const std::vector<std::string>& more) {
    for (const std::string& name : more) {
        if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
    }
}

}  // namespace

api::Answer EmailsApi::Batch(const std::shared_ptr<api::Call>& call) {
    const bool permissive = IsPermissive(*call);
    const json::Value body = call->body();
    CheckShape(body);
    auto item = std::make_shared<Acceptor::Item>();
    if (auto replayed =
            Replay(*call, "emails.batch", permissive ? "permissive" : "strict", *item)) {
        return replayed;
    }
    const ReadContext context = ContextOf(*call, AnyScheduled(body));
    std::vector<SendRequest> good;
    json::Writer errors;
    errors.BeginArray();
    size_t cost = 0;
    for (size_t i = 0; i < body.size(); ++i) {
        try {
            json::Problems problems;
            std::vector<std::string> ignored;
            SendRequest request = ReadSendRequest(
                body.At(i), permissive ? "" : base::Cat(i), context, call->strict_fields, problems,
                ignored
            );
            AddIgnored(call->facts->ignored_fields, ignored);
            problems.ThrowIfAny();
            acceptor_.Check(call->principal, request);
            cost += CountRecipients(request);
            good.push_back(std::move(request));
        } catch (const base::Error& error) {
            if (!permissive || !IsAboutItem(error.code())) throw;
            WriteItemError(errors, i, error);
        }
    }
    errors.EndArray();
    return Submit(call, item, cost, [&] {
        json::Writer answer;
        answer.BeginObject().Key("data").BeginArray();
        for (SendRequest& request : good) {
            item->emails.push_back(acceptor_.Prepare(call->principal, std::move(request), "batch"));
            answer.BeginObject().Field("id", item->emails.back().email.id.ToString()).EndObject();
        }
        answer.EndArray();
        if (permissive) answer.RawField("errors", errors.text());
        answer.EndObject();
        item->answer = {200, answer.Take()};
    });
}

}  // namespace opensend::emails
