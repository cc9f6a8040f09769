#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/http/message.h"

namespace opensend::egress {

/// Why no HTTP answer came (REST 2.14, EGR-09).
enum class ClientFailure {
    kNone = 1,
    kTimeout,
    kConnectFailed,
    kTlsFailed,
    kResponseTooLarge,
    kRedirectRefused,  // not used by Fetch itself: a 3xx is an answer
    kCanceled,
    kProtocol,
};
std::string_view ToText(ClientFailure failure);  // "timeout", "connect_failed", …

struct FetchRequest {
    std::string method = "POST";
    std::string url;
    http::Headers headers;
    std::string body;
    /// The only addresses the connection may go to; Host and TLS name stay those of `url`. Empty:
    /// kConnectFailed, no resolver is ever asked.
    std::vector<base::IpAddress> pinned;
    std::chrono::milliseconds deadline{15'000};  // whole exchange
    std::chrono::milliseconds connect_timeout{5'000};
    size_t max_response_head = 16 * 1024;
    size_t max_response_body = 64 * 1024;  // read so far, then cut or refused
    bool cut_body = true;                  // true: a longer body is cut, false: kResponseTooLarge
};

struct FetchResult {
    ClientFailure failure = ClientFailure::kNone;
    int status = 0;
    http::Headers headers;
    std::string body;
    std::string remote_address;
    std::string tls_version;  // "TLSv1.3"; empty without TLS
    std::chrono::milliseconds duration{0};
};

/// libcurl multi on its own thread: kept connections, total deadline, no redirects, no proxies, no
/// cookies, certificates verified. Thread-safe.
class Client {
public:
    struct Options {
        int max_connections = 1024;
        int max_connections_per_host = 16;
        std::string ca_file;  // empty: system roots
    };
    explicit Client(Options options);
    ~Client();  // cancels what is running; every `done` has been called on return
    /// `done` is called exactly once, on the client's thread: it must not block. With 20,000 under
    /// way it is called at once, on this thread, with kCanceled.
    void Start(FetchRequest request, std::function<void(FetchResult)> done);
    /// Start and wait; not from a `done`.
    FetchResult Fetch(FetchRequest request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace opensend::egress
