#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/base/clock.h"
#include "kernel/http/message.h"
#include "kernel/tls/identity.h"

namespace opensend::http {

/// Sends the one answer of one request; may be called on any thread, at once or later, once. When
/// it is dropped without an answer, 500 is sent. Answers of pipelined requests keep their order.
using Reply = std::function<void(Response)>;

/// What the server asks once the head is read, before any body byte: reject early or give limits.
struct HeadVerdict {
    std::optional<Response> refuse{};  // answered at once, connection closes when a body was due
    size_t max_body = 1024 * 1024;     // 413 beyond it
    /// Another time than ServerOptions::handler_timeout: exports, uploads, long polls.
    std::optional<std::chrono::milliseconds> handler_timeout{};
};

/// Framing and limit failures (400, 408, 413, 414, 431, 503) in the caller's error form.
using ErrorBody =
    std::function<Response(int status, std::string_view code, std::string_view reason)>;

struct ServerOptions {
    std::string name = "api";  // thread and metric label
    std::vector<std::string> bind = {"127.0.0.1"};
    uint16_t port = 0;                    // 0: any free port, see Server::port()
    int reactors = 0;                     // 0: one per core
    int handler_threads = 0;              // 0: twice the cores
    size_t max_queued_requests = 10'000;  // beyond it 503 queue_full
    size_t max_head_bytes = 32 * 1024;
    size_t max_request_line = 8 * 1024;
    size_t max_fields = 100;
    /// Bodies above its threshold wait in files of this folder, which must exist.
    SpoolRules spool{};
    std::chrono::milliseconds head_timeout{10'000};
    std::chrono::milliseconds body_idle_timeout{60'000};
    std::chrono::milliseconds body_total_timeout{600'000};
    std::chrono::milliseconds keep_alive_timeout{75'000};
    std::chrono::milliseconds handler_timeout{30'000};
    size_t max_connections = 16'384;  // 0: no cap
    size_t max_connections_per_address = 256;
    std::vector<base::Cidr> uncapped_peers{};  // trusted proxies
    /// Every connection speaks TLS with it; null: none does. Outlives the server.
    tls::Identity* identity = nullptr;
    /// Handlers run on the reactor, not on a pool: they must not block.
    bool inline_handlers = false;
};

/// HTTP/1.1 and 1.0 listener: Poco SocketReactor loops -> strict parser -> bounded handler pool ->
/// replies (PROC-11…14). A connection costs no thread.
class Server {
public:
    using Head = std::function<HeadVerdict(const Request& head)>;  // on the reactor: fast, no I/O
    using Handler = std::function<void(Request&&, Reply)>;         // on a handler thread

    /// Binds and starts; throws base::Error kUnavailable when an address cannot be bound.
    Server(ServerOptions options, Head head, Handler handler, ErrorBody error_body);
    ~Server();  // as Stop(0)
    uint16_t port() const;
    /// Stops accepting, lets requests in flight finish for `grace`, then closes.
    void Stop(std::chrono::milliseconds grace);
    struct Counters {
        uint64_t accepted = 0, refused = 0, requests = 0, open = 0;
        uint64_t late_replies = 0;  // came after the 503 or after the connection was gone
    };
    Counters counters() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace opensend::http
