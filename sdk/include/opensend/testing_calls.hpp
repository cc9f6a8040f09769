// For tests of plugins: one call of each kind with all that belongs to it, and a count of what
// failed, for tests without a framework.
#pragma once

#include <cstdio>
#include <utility>

#include <opensend/testing.hpp>

namespace osp::testing {

/// Prints what does not hold. `return checks.Result();` ends a main().
class Checks {
public:
    bool That(bool holds, const std::string& sentence) {
        ++count_;
        if (!holds) {
            ++failed_;
            std::printf("FAIL  %s\n", sentence.c_str());
        }
        return holds;
    }
    template <class A, class B>
    bool Equal(const A& found, const B& expected, const std::string& what) {
        return That(found == expected, what + ": another value than expected");
    }
    int Result() const {
        std::printf("%zu of %zu checks hold\n", count_ - failed_, count_);
        return failed_ == 0 && count_ > 0 ? 0 : 1;
    }

private:
    size_t count_ = 0, failed_ = 0;
};

/// Hands a message to a transport, blocking or not, and waits for its answer.
inline Answer Send(
    const Plugin& plugin, const Running& running, FakeHost& host, const TestMessage& message
) {
    const auto& table = plugin.table<osp_transport_v1>();
    osp_error error{};
    error.size = sizeof error;
    const bool blocks = OSP_HAS(osp_transport_v1, &table, send);
    const osp_status status = blocks ? table.send(running.raw(), &message.batch, &error)
                                     : table.submit(running.raw(), &message.batch, &error);
    if (status >= 0 && !blocks) host.Wait(message.msg.token, 10'000);
    Answer answer = host.AnswerOf(message.msg.token);
    if (status < 0 && !host.IsCompleted(message.msg.token)) answer.status = status;
    return answer;
}

/// What a client presents.
struct Credential {
    std::string value, scheme = "bearer", peer = "192.0.2.1", username = "";
};

/// Asks an auth backend and waits for its answer.
inline Answer Authenticate(
    const Plugin& plugin, const Running& running, FakeHost& host, const Credential& credential
) {
    const std::string path = "/emails", method = "POST";
    const osp_kv username{Str("username"), Str(credential.username)};
    osp_auth_req request{};
    request.size = sizeof request;
    request.token = host.Open(TokenKind::kAuth);
    request.scheme = Str(credential.scheme);
    request.credential = Bytes(credential.value);
    request.peer = Str(credential.peer);
    request.method = Str(method);
    request.path = Str(path);
    request.attrs = credential.username.empty() ? nullptr : &username;
    request.n_attrs = credential.username.empty() ? 0 : 1;
    request.deadline = host.Time() + 5'000'000'000u;
    osp_error error{};
    error.size = sizeof error;
    const osp_status status =
        plugin.table<osp_auth_v1>().authenticate(running.raw(), &request, &error);
    if (status >= 0) host.Wait(request.token, 10'000);
    Answer answer = host.AnswerOf(request.token);
    if (status < 0 && !host.IsCompleted(request.token)) answer.status = status;
    return answer;
}

/// A request of a provider.
struct HttpRequest {
    std::string method = "POST", path = "/events/test", body;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Hands a request to an inbound plugin. Its views end with this call, so with `defers` of the
/// services the answer is read later, by the token.
inline osp_token Post(
    const Plugin& plugin, const Running& running, FakeHost& host, const HttpRequest& from
) {
    std::vector<osp_kv> headers;
    for (const auto& [name, value] : from.headers) headers.push_back({Str(name), Str(value)});
    osp_http_req request{};
    request.size = sizeof request;
    request.token = host.Open(TokenKind::kInbound);
    request.method = Str(from.method);
    request.path = Str(from.path);
    request.headers = headers.data();
    request.n_headers = static_cast<uint32_t>(headers.size());
    request.body = Bytes(from.body);
    request.deadline = host.Time() + 5'000'000'000u;
    osp_error error{};
    error.size = sizeof error;
    const osp_status status =
        plugin.table<osp_inbound_v1>().handle(running.raw(), &request, &error);
    if (status < 0 && !host.IsCompleted(request.token)) {
        const osp_completion refused{sizeof refused, status, nullptr, &error};
        host.table()->complete(host.table(), request.token, &refused);
    }
    return request.token;
}

/// One bucket of a rate-limit call: so many units per second, so many at once.
inline osp_rl_req Bucket(
    std::string_view key,
    uint64_t per_second,
    uint64_t at_once,
    uint32_t cost = 1,
    uint32_t group = 0
) {
    osp_rl_req request{};
    request.size = sizeof request;
    request.group = group;
    request.cost = cost;
    request.processes = 1;
    request.key = Str(key);
    request.emission_us = 1'000'000 / per_second;
    request.burst_us = request.emission_us * at_once;
    return request;
}

/// The answers to the buckets, in their order. Empty: the store could not be asked, or not in time.
inline std::vector<osp_rl_res> Acquire(
    const Plugin& plugin,
    const Running& running,
    FakeHost& host,
    const std::vector<osp_rl_req>& requests
) {
    std::vector<osp_rl_res> results(requests.size());
    for (osp_rl_res& result : results) result.size = sizeof result;
    const osp_token token = host.Open(TokenKind::kOther);
    const osp_status status = plugin.table<osp_ratelimit_v1>().acquire(
        running.raw(), requests.data(), sizeof(osp_rl_req), results.data(), sizeof(osp_rl_res),
        static_cast<uint32_t>(requests.size()), token, host.Time() + 1'000'000'000u
    );
    if (status == OSP_PENDING && host.Wait(token, 10'000)) return results;
    if (status != OSP_OK) return {};
    // Answered inside the call: the token is not used.
    host.Forget(token);
    return results;
}

}  // namespace osp::testing
