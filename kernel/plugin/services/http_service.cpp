#include "kernel/plugin/services/http_service.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "kernel/base/mutex.h"
#include "kernel/base/text.h"
#include "kernel/egress/url.h"
#include "kernel/plugin/load/import.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxCalls = 64;  // at once, for one instance
constexpr size_t kMaxRequestHeaders = 64, kMaxHeaderBytes = 16 * 1024;
constexpr size_t kMaxRequestBody = 10 * 1024 * 1024;
constexpr uint32_t kDefaultResponse = 64 * 1024, kMaxResponse = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds kLongestCall{60'000};
constexpr std::chrono::seconds kStrandWait{5};
constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
/// Set by the client itself, or a matter between it and the next hop.
constexpr std::string_view kOwnHeaders[] = {"host",       "content-length", "transfer-encoding",
                                            "connection", "keep-alive",     "upgrade",
                                            "te",         "trailer",        "proxy-authorization"};

std::string_view TextView(osp_str text) {
    return text.ptr == nullptr ? std::string_view() : std::string_view(text.ptr, text.len);
}

struct Refused {
    osp_status status;
    std::string text;
};

bool IsToken(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

std::optional<Refused> CopyHeaders(const osp_http_call& call, http::Headers& out) {
    if (call.n_headers > kMaxRequestHeaders || (call.n_headers > 0 && call.headers == nullptr))
        return Refused{OSP_E_TOOBIG, "at most 64 header fields"};
    size_t bytes = 0;
    for (uint32_t i = 0; i < call.n_headers; ++i) {
        const std::string_view name = TextView(call.headers[i].key);
        const std::string_view value = TextView(call.headers[i].value);
        bytes += name.size() + value.size();
        if (bytes > kMaxHeaderBytes) return Refused{OSP_E_TOOBIG, "at most 16 KiB of headers"};
        if (!IsToken(name) || base::HasControl(value, true))
            return Refused{OSP_E_INVALID, "a header field that cannot be sent"};
        const std::string lower = base::AsciiLower(name);
        if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower) !=
            std::end(kOwnHeaders))
            return Refused{OSP_E_INVALID, "a header field that the client sets itself"};
        out.Add(name, value);
    }
    const std::string_view trace = TextView(call.traceparent);
    if (!trace.empty() && !base::HasControl(trace)) out.Set("traceparent", trace.substr(0, 128));
    return std::nullopt;
}

osp_status StatusOfFailure(egress::ClientFailure failure) {
    switch (failure) {
        case egress::ClientFailure::kNone: return OSP_OK;
        case egress::ClientFailure::kTimeout: return OSP_E_TIMEOUT;
        case egress::ClientFailure::kResponseTooLarge: return OSP_E_TOOBIG;
        case egress::ClientFailure::kCanceled: return OSP_E_CANCELLED;
        default: return OSP_E_UNAVAILABLE;
    }
}

}  // namespace

struct HttpService::State : std::enable_shared_from_this<HttpService::State> {
    struct Call {
        void (*done)(void*, osp_status, const osp_http_res*) noexcept = nullptr;
        void* ctx = nullptr;
    };
    State(Deps d, Strand& s, Vitals& v, const base::Clock& c)
        : deps(std::move(d)), strand(s), vitals(v), clock(c) {}

    std::optional<Refused> Check(const osp_http_call& call, egress::Url& url) const;
    void Resolve(uint64_t id, egress::FetchRequest request, const egress::Url& url);
    void Arrived(uint64_t id, egress::FetchResult result);
    void Answer(uint64_t id, const egress::FetchResult& result);
    void Fail(uint64_t id, egress::ClientFailure failure) {
        egress::FetchResult result;
        result.failure = failure;
        Answer(id, result);
    }
    bool Later(std::function<void()> task);

    const Deps deps;
    std::vector<egress::Url> origins;
    Strand& strand;
    Vitals& vitals;
    const base::Clock& clock;
    base::Mutex mutex;
    std::map<uint64_t, Call> calls OPENSEND_GUARDED_BY(mutex);
    uint64_t last_id OPENSEND_GUARDED_BY(mutex) = 0;
    bool closed OPENSEND_GUARDED_BY(mutex) = false;
    std::unique_ptr<runtime::WorkerPool> pool OPENSEND_GUARDED_BY(mutex);
};

HttpService::HttpService(
    Deps deps,
    std::vector<std::string> origins,
    Strand& strand,
    Vitals& vitals,
    const base::Clock& clock
)
    : state_(std::make_shared<State>(std::move(deps), strand, vitals, clock)) {
    for (const std::string& origin : origins) {
        auto url = egress::ParseUrl(origin);
        if (url.ok()) state_->origins.push_back(std::move(*url));
    }
}

HttpService::~HttpService() { Close(); }

std::optional<Refused> HttpService::State::Check(const osp_http_call& call, egress::Url& url)
    const {
    const std::string_view method = TextView(call.method);
    if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods))
        return Refused{OSP_E_INVALID, "GET, HEAD, POST, PUT, PATCH or DELETE"};
    if (call.body.len > kMaxRequestBody || (call.body.ptr == nullptr && call.body.len > 0))
        return Refused{OSP_E_TOOBIG, "at most 10 MiB of body"};
    auto parsed = egress::ParseUrl(TextView(call.url));
    if (!parsed.ok()) return Refused{OSP_E_INVALID, parsed.error().reason};
    url = std::move(*parsed);
    const bool granted = std::any_of(origins.begin(), origins.end(), [&](const auto& origin) {
        return origin.scheme == url.scheme && origin.host == url.host && origin.port == url.port;
    });
    if (!granted) {
        runtime::Count("opensend_egress_refused_total", {"plugin", "not_granted"});
        return Refused{OSP_E_DENIED, "this destination is not granted"};
    }
    return std::nullopt;
}

bool HttpService::State::Later(std::function<void()> task) {
    base::MutexLock lock(mutex);
    if (closed) return false;
    if (!pool) pool = std::make_unique<runtime::WorkerPool>("plugin-http", 2, 4 * kMaxCalls);
    return pool->Run(std::move(task));
}

void HttpService::State::Resolve(
    uint64_t id, egress::FetchRequest request, const egress::Url& url
) {
    const auto began = clock.Mono();
    if (url.literal) {
        request.pinned = {*url.literal};
    } else if (deps.resolve) {
        for (const auto& address :
             deps.resolve(url.host).value_or(std::vector<base::IpAddress>())) {
            if (deps.guard == nullptr || !deps.guard->IsRefused(address))
                request.pinned.push_back(address);
        }
    }
    if (request.pinned.empty()) {
        runtime::Count("opensend_egress_refused_total", {"plugin", "no_address"});
        return Fail(id, egress::ClientFailure::kConnectFailed);
    }
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(clock.Mono() - began);
    if (spent >= request.deadline) return Fail(id, egress::ClientFailure::kTimeout);
    request.deadline -= spent;
    deps.client->Start(std::move(request), [self = shared_from_this(), id](auto result) {
        self->Arrived(id, std::move(result));
    });
}

void HttpService::State::Arrived(uint64_t id, egress::FetchResult result) {
    auto kept = std::make_shared<egress::FetchResult>(std::move(result));
    Later([this, id, kept] { Answer(id, *kept); });
}

void HttpService::State::Answer(uint64_t id, const egress::FetchResult& result) {
    Call call;
    {
        base::MutexLock lock(mutex);
        const auto found = calls.find(id);
        if (found == calls.end()) return;
        call = found->second;
        calls.erase(found);
    }
    std::vector<osp_kv> headers;
    for (const auto& [name, value] : result.headers.all())
        headers.push_back({
            {name.data(),  name.size() },
            {value.data(), value.size()}
        });
    osp_http_res answer{};
    answer.size = sizeof answer;
    answer.status = result.status;
    answer.headers = headers.data();
    answer.n_headers = static_cast<uint32_t>(headers.size());
    answer.body = {reinterpret_cast<const uint8_t*>(result.body.data()), result.body.size()};
    const osp_status status = StatusOfFailure(result.failure);
    const auto run = [&] { call.done(call.ctx, status, status == OSP_OK ? &answer : nullptr); };
    // It comes once whatever happens: a strand that stays busy is passed by.
    if (!RunOnStrand(strand, vitals, clock.Mono() + kStrandWait, "http", run)) run();
}

uint64_t HttpService::Start(const osp_http_call& call, osp_error* error) {
    const auto refuse = [&](const Refused& why) -> uint64_t {
        if (error == nullptr || error->size < sizeof *error) return 0;
        error->code = why.status;
        error->msg_len = static_cast<uint32_t>(why.text.copy(error->msg, sizeof error->msg));
        return 0;
    };
    if (call.done == nullptr) return refuse({OSP_E_INVALID, "a function that takes the answer"});
    egress::Url url;
    if (const auto why = state_->Check(call, url)) return refuse(*why);
    egress::FetchRequest request;
    request.method = std::string(TextView(call.method));
    request.url = url.url;
    if (const auto why = CopyHeaders(call, request.headers)) return refuse(*why);
    if (call.body.len > 0)
        request.body.assign(reinterpret_cast<const char*>(call.body.ptr), call.body.len);
    const uint32_t wanted = call.max_response == 0 ? kDefaultResponse : call.max_response;
    request.max_response_body = std::min(wanted, kMaxResponse);
    request.cut_body = false;
    request.deadline = kLongestCall;
    if (call.deadline != 0) {
        const base::MonoTime end{static_cast<int64_t>(call.deadline)};
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - state_->clock.Mono());
        if (left.count() <= 0) return refuse({OSP_E_TIMEOUT, "the deadline has passed"});
        request.deadline = std::min(request.deadline, left);
    }
    uint64_t id = 0;
    {
        base::MutexLock lock(state_->mutex);
        if (state_->closed) return refuse({OSP_E_STATE, "the instance has stopped"});
        if (state_->calls.size() >= kMaxCalls)
            return refuse({OSP_E_BUSY, "64 calls are under way"});
        id = ++state_->last_id;
        state_->calls[id] = {call.done, call.ctx};
    }
    State* state = state_.get();
    auto shared = std::make_shared<egress::FetchRequest>(std::move(request));
    if (state->Later([state, id, shared, url] { state->Resolve(id, std::move(*shared), url); }))
        return id;
    base::MutexLock lock(state_->mutex);
    // Cancelled meanwhile: then it has been answered and was taken.
    if (state_->calls.erase(id) == 0) return id;
    return refuse({OSP_E_BUSY, "too many calls are under way"});
}

void HttpService::Cancel(uint64_t id) {
    State* state = state_.get();
    state->Later([state, id] { state->Fail(id, egress::ClientFailure::kCanceled); });
}

void HttpService::CancelAll() {
    std::vector<uint64_t> open;
    {
        base::MutexLock lock(state_->mutex);
        for (const auto& [id, call] : state_->calls) open.push_back(id);
    }
    for (const uint64_t id : open) state_->Fail(id, egress::ClientFailure::kCanceled);
}

void HttpService::Close() {
    std::unique_ptr<runtime::WorkerPool> pool;
    {
        base::MutexLock lock(state_->mutex);
        state_->closed = true;
        state_->calls.clear();
        pool = std::move(state_->pool);
    }
}

}  // namespace opensend::plugin
