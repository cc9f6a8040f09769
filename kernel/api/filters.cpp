#include "kernel/api/filters.h"

#include <algorithm>

#include "kernel/api/problem.h"
#include "kernel/api/redact.h"
#include "kernel/api/trace.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/http/client_address.h"
#include "kernel/http/uri.h"
#include "kernel/json/writer.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::api {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxIdempotencyKey = 256;
constexpr size_t kMaxLoggedText = 2'000;
constexpr size_t kMaxLoggedTags = 50;
constexpr size_t kMaxLoggedAnswer = 256 * 1024;

Error RouteNotFound() {
    return Error(ErrorCode::kNotFound, "Route not found.").WithReason("route_not_found");
}

Error MethodNotAllowed(std::string_view method, std::string_view allow) {
    return Error(
        ErrorCode::kMethodNotAllowed, base::Cat(method, " is not available here; use ", allow, '.')
    );
}

/// True for application/json and application/*+json with charset utf-8 or none.
bool IsJsonType(std::string_view header) {
    const auto parts = base::Split(header, ';');
    const std::string type = base::AsciiLower(base::Trim(parts.front()));
    const bool plus_json = type.find('/') != std::string::npos && type.size() > 5 &&
                           type.rfind("+json") == type.size() - 5;
    if (type != "application/json" && !plus_json) return false;
    for (size_t i = 1; i < parts.size(); ++i) {
        const std::string parameter = base::AsciiLower(base::Trim(parts[i]));
        if (parameter.rfind("charset=", 0) != 0) continue;
        const std::string charset = base::ReplaceAll(parameter.substr(8), "\"", "");
        if (charset != "utf-8" && charset != "utf8") return false;
    }
    return true;
}

bool IsCsvType(std::string_view header) {
    return base::EqualsIgnoreCase(base::Trim(base::Split(header, ';').front()), "text/csv");
}

bool TakesBody(Method method) { return method != Method::GET && method != Method::DELETE; }

/// Failed credentials, as opposed to valid ones with too little scope, cost an addr.authfail unit.
bool IsCredentialFailure(ErrorCode code) {
    return code == ErrorCode::kMissingApiKey || code == ErrorCode::kInvalidApiKey;
}

std::string IgnoredHeader(const std::vector<std::string>& names) {
    std::string out;
    size_t count = 0;
    for (const std::string& name : names) {
        std::string clean;
        for (const char c : name) {
            const bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                            (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
            if (ok) clean += c;
        }
        if (clean.empty() || out.size() + clean.size() + 2 > 256 || ++count > 8) continue;
        if (!out.empty()) out += ", ";
        out += clean;
    }
    return out;
}

std::string_view BodyText(Call& call) {
    if (call.request.body.empty()) return "{}";
    bool readable = true;
    const std::string_view text = call.request.body.View(&readable);
    if (!readable) throw base::Unavailable("service_unavailable", "the body cannot be read again");
    return text;
}

/// Path and header fields may hold any byte; the log holds UTF-8 of a bounded length.
std::string LoggedText(std::string_view text) {
    const std::string valid = base::ReplaceInvalidUtf8(text.substr(0, kMaxLoggedText));
    return std::string(base::TruncateUtf8(valid, kMaxLoggedText));
}

/// The parts of the body that the request log keeps.
void RecordBody(RequestRecord& record, const json::Value& body) {
    record.request_body = Redact(body);
    const json::Value tags = body.Find("tags");
    for (size_t i = 0; tags.IsArray() && i < std::min<size_t>(tags.size(), kMaxLoggedTags); ++i) {
        const json::Value name = tags.At(i).Find("name");
        const json::Value value = tags.At(i).Find("value");
        if (name.IsString() && value.IsString()) {
            record.tags.emplace_back(name.AsString(), value.AsString());
        }
    }
}

}  // namespace

void AddSecurityHeaders(http::Headers& headers, bool https) {
    headers.Set("X-Content-Type-Options", "nosniff");
    headers.Set("Referrer-Policy", "no-referrer");
    headers.Set("X-Frame-Options", "DENY");
    if (!headers.Find("Content-Security-Policy")) {
        headers.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    }
    headers.Set("Cross-Origin-Resource-Policy", "same-origin");
    headers.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
    if (!headers.Find("Cache-Control")) headers.Set("Cache-Control", "no-store");
    if (https) {
        headers.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains");
    }
}

Filters::Filters(
    const Router& router,
    access::AccessControl& access,
    access::RateGate& rates,
    base::UuidSource& ids,
    base::Random& random,
    const base::Clock& clock,
    Options options
)
    : router_(router),
      access_(access),
      rates_(rates),
      ids_(ids),
      random_(random),
      clock_(clock),
      options_(std::move(options)),
      trusted_proxies_(std::make_shared<const std::vector<base::Cidr>>(options_.trusted_proxies)) {}

void Filters::SetTrustedProxies(std::vector<base::Cidr> proxies) {
    auto next = std::make_shared<const std::vector<base::Cidr>>(std::move(proxies));
    trusted_proxies_.With([&](auto& current) { current = std::move(next); });
}

http::HeadVerdict Filters::OnHead(const http::Request& head) const {
    http::HeadVerdict verdict;
    const Router::Match match = router_.Find(head.method, head.path);
    if (match.route != nullptr) verdict.max_body = match.route->traits.max_body;
    return verdict;
}

http::Response Filters::OnFramingError(int status, std::string_view code, std::string_view reason)
    const {
    ErrorCode error = ErrorCode::kBadRequest;
    std::string message = base::Cat("The request could not be read: ", reason, '.');
    switch (status) {
        case 408:
            error = ErrorCode::kRequestTimeout;
            message = "The request took too long to arrive.";
            break;
        case 413:
            error = ErrorCode::kPayloadTooLarge;
            message = base::Cat("The body exceeds ", reason, " bytes.");
            break;
        case 414:
            error = ErrorCode::kUriTooLong;
            message = "The request line is too long.";
            break;
        case 431:
            error = ErrorCode::kHeadersTooLarge;
            message = "The request headers are too large.";
            break;
        case 500: error = ErrorCode::kInternal; break;
        case 503: error = ErrorCode::kUnavailable; break;
        default: break;
    }
    if (error == ErrorCode::kUnavailable) {
        message = "The service cannot take this request now; retry later.";
    }
    const std::string request_id = "req_" + ids_.Next().ToBase62();
    const bool finer = error == ErrorCode::kBadRequest || error == ErrorCode::kUnavailable;
    http::Response response = ToResponse(
        Error(error, std::move(message)).WithReason(finer ? std::string(code) : std::string()),
        request_id
    );
    AddSecurityHeaders(response.headers, options_.https);
    response.headers.Set("X-Request-Id", request_id);
    return response;
}

void Filters::OnRequest(http::Request&& request, http::Reply reply) const {
    const auto shared_call = std::make_shared<Call>();
    Call& call = *shared_call;
    ReplyFacts& facts = *call.facts;
    call.request = std::move(request);
    call.now = clock_.Now();
    facts.id = ids_.Next();
    facts.request_id = "req_" + facts.id.ToBase62();
    facts.method = call.request.method;
    Trace trace = ContinueTrace(
        call.request.headers.Find("traceparent"), call.request.headers.Find("x-correlation-id"),
        random_
    );
    facts.traceparent = std::move(trace.traceparent);
    facts.correlation_id = std::move(trace.correlation_id);
    facts.started = clock_.Mono();
    const auto proxies = trusted_proxies_.With([](const auto& current) { return current; });
    call.client = http::ClientAddress(call.request.peer, call.request.headers, *proxies);
    call.reply = [this, known = call.facts, reply = std::move(reply)](http::Response response) {
        reply(Finish(*known, std::move(response)));
    };
    const runtime::LogScope scope({runtime::kv("request_id", facts.request_id)});
    const http::Reply answer = call.reply;
    try {
        const Router::Match match = router_.Find(call.request.method, call.request.path);
        if (match.allow.empty()) throw RouteNotFound();
        if (call.request.method == "OPTIONS") {
            http::Response options;
            options.status = 204;
            options.headers.Set("Allow", match.allow);
            return answer(std::move(options));
        }
        if (match.route == nullptr) {
            http::Response refusal =
                ToResponse(MethodNotAllowed(call.request.method, match.allow), facts.request_id);
            refusal.headers.Set("Allow", match.allow);
            return answer(std::move(refusal));
        }
        facts.route = match.route->path;
        call.params = match.params;
        Admit(call, *match.route);
        ReadBody(call, *match.route);
        Answer made = match.route->handler(shared_call);
        if (made) answer(std::move(*made));
    } catch (const Error& error) {
        if (StatusOf(error.code()) >= 500) {
            OPENSEND_LOG(
                kError, "http.failed", "request failed", kv("route", facts.route),
                kv("detail", error.what())
            );
        }
        answer(ToResponse(error, facts.request_id));
    } catch (const std::exception& error) {
        OPENSEND_LOG(
            kError, "http.failed", "request failed", kv("route", facts.route),
            kv("detail", error.what())
        );
        answer(ToResponse(Error(ErrorCode::kInternal, "", error.what()), facts.request_id));
    }
}

void Filters::Admit(Call& call, const MountedRoute& route) const {
    ReplyFacts& facts = *call.facts;
    if (route.scope == model::RouteClass::kPublic) {
        if (!route.traits.health) rates_.ChargeAnonymous(call.client, facts.rates);
        return;
    }
    try {
        base::Secret token = access::BearerToken(call.request.headers);
        call.principal = access_.Authenticate(
            std::move(token), {call.client, call.request.method, facts.route, options_.listener}
        );
    } catch (const Error& error) {
        if (IsCredentialFailure(error.code())) {
            runtime::Count("opensend_auth_failures_total", {"api_key"});
            rates_.ChargeAuthFailure(call.client, facts.rates);
        }
        throw;
    }
    BeginRecord(call, route);
    access_.Authorize(call.principal, route.scope, route.traits.open_to_restricted);
    rates_.ChargeRequest(
        call.principal, {route.traits.admin_cost, route.traits.export_cost}, facts.rates
    );
}

void Filters::BeginRecord(Call& call, const MountedRoute& route) const {
    if (!options_.record || route.traits.health || route.traits.unlogged) return;
    RequestRecord record;
    record.tenant = call.principal.tenant;
    record.key = call.principal.key;
    record.at = call.now;
    record.endpoint = call.request.path;
    if (!call.request.query.empty()) record.endpoint += "?" + RedactQuery(call.request.query);
    record.endpoint = LoggedText(record.endpoint);
    record.method = call.request.method;
    if (const auto agent = call.request.headers.Find("User-Agent")) {
        record.user_agent = LoggedText(*agent);
    }
    record.request_id = call.facts->request_id;
    record.id = model::LogId(call.facts->id);
    record.correlation_id = call.facts->correlation_id;
    call.facts->record = std::move(record);
}

void Filters::ReadBody(Call& call, const MountedRoute& route) const {
    const http::Headers& headers = call.request.headers;
    const auto query = http::ParseQuery(call.request.query);
    if (!query) throw Call::BadParameter("query", "must be well-formed percent-encoded UTF-8");
    for (const auto& [name, value] : query->all()) call.query.emplace(name, value);
    call.strict_fields = headers.Find("X-OpenSend-Strict") == std::string_view("true");
    if (route.method == Method::POST) {
        if (const auto raw = headers.Find("Idempotency-Key")) {
            const std::string_view key = base::Trim(*raw);
            bool printable = !key.empty() && key.size() <= kMaxIdempotencyKey;
            for (const char c : key) printable = printable && c >= 0x20 && c <= 0x7e;
            if (!printable || headers.Count("Idempotency-Key") > 1) {
                throw Error(
                    ErrorCode::kInvalidIdempotencyKey,
                    "`Idempotency-Key` must have 1 to 256 printable characters."
                );
            }
            call.idempotency_key = std::string(key);
        }
    }
    if (!TakesBody(route.method)) return;
    const auto encoding = headers.Find("Content-Encoding");
    const auto type = headers.Find("Content-Type");
    const bool bad_encoding =
        encoding && !base::EqualsIgnoreCase(base::Trim(*encoding), "identity");
    const bool csv = route.traits.takes_csv && type && IsCsvType(*type);
    const bool bad_type = type && !csv && !IsJsonType(*type);
    if (!call.request.body.empty() && (bad_encoding || bad_type)) {
        throw Error(
            ErrorCode::kUnsupportedMediaType,
            base::Cat(
                "Send the body as application/json", route.traits.takes_csv ? " or text/csv." : "."
            )
        );
    }
    std::string wrapped;
    std::string_view text = BodyText(call);
    if (csv) {
        if (!base::IsUtf8(text)) throw base::Invalid("csv", "must be UTF-8 text.", "invalid_value");
        wrapped = base::Cat("{\"csv\":", json::Quote(call.request.body.empty() ? "" : text), '}');
        text = wrapped;
    }
    auto parsed = json::Document::Parse(text);
    if (!parsed.ok()) {
        throw Error(
            ErrorCode::kInvalidJson,
            base::Cat("The request body could not be read as JSON: ", parsed.error().reason, '.')
        )
            .WithReason(parsed.error().too_complex ? "json_too_complex" : "invalid_json");
    }
    call.document.emplace(std::move(*parsed));
    if (call.facts->record && !call.request.body.empty()) {
        RecordBody(*call.facts->record, call.body());
    }
    // The document has copies of its own.
    call.request.body = http::Body();
}

http::Response Filters::Finish(ReplyFacts& facts, http::Response response) const {
    AddSecurityHeaders(response.headers, options_.https);
    response.headers.Set("X-Request-Id", facts.request_id);
    if (!facts.traceparent.empty()) {
        response.headers.Set("traceparent", facts.traceparent);
        response.headers.Set("x-correlation-id", facts.correlation_id);
    }
    facts.rates.WriteTo(response.headers);
    if (const std::string ignored = IgnoredHeader(facts.ignored_fields); !ignored.empty()) {
        response.headers.Set("X-OpenSend-Ignored-Fields", ignored);
    }
    const auto seconds = std::chrono::duration<double>(clock_.Mono() - facts.started).count();
    runtime::Count(
        "opensend_http_requests_total",
        {options_.listener, facts.route, facts.method, base::Cat(response.status)}
    );
    runtime::Observe("opensend_http_request_seconds", {options_.listener, facts.route}, seconds);
    if (facts.record && options_.record) {
        RequestRecord record = std::move(*facts.record);
        facts.record.reset();
        record.status = response.status;
        record.duration_ms = static_cast<int64_t>(seconds * 1'000);
        record.replayed = response.headers.Find("Idempotency-Replayed").has_value();
        record.email_ids = std::move(facts.email_ids);
        if (response.body.size() <= kMaxLoggedAnswer) record.response_body = response.body;
        options_.record(std::move(record));
    }
    return response;
}

}  // namespace opensend::api
