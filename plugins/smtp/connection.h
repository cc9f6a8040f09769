#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "plugins/smtp/client_session.h"
#include "plugins/smtp/config.h"

struct addrinfo;

namespace opensend::smtp_plugin {

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] uint64_t MonotonicNow();

inline constexpr uint64_t kSecond = 1'000'000'000;

/// When a wait ends early. `deadline` 0: none; the flags may be null. `cancelled` lets a message
/// whose body is out wait for its answer, `stopping` does not.
struct Patient {
    uint64_t deadline = 0;
    const std::atomic<bool>* cancelled = nullptr;
    const std::atomic<bool>* stopping = nullptr;
};

/// Client side TLS: one OpenSSL context and the BIO type that never raises SIGPIPE.
class TlsContext {
public:
    /// nullptr: `problem` says why, for instance an unreadable CA file.
    static std::unique_ptr<TlsContext> Open(const std::string& ca_file, std::string& problem);

    struct SslFree {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    using Ssl = std::unique_ptr<SSL, SslFree>;
    /// A handshake about to start on `socket`, which must outlive it; null on lack of memory.
    [[nodiscard]] Ssl Wrap(const int* socket, const std::string& host, bool verify) const;

private:
    struct ContextFree {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    struct MethodFree {
        void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
    };
    std::unique_ptr<BIO_METHOD, MethodFree> method_;
    std::unique_ptr<SSL_CTX, ContextFree> context_;
};

/// One socket with its session. Used by one thread at a time.
class Connection {
public:
    /// Connects and leads the session to readiness. nullptr: `failure` is the verdict for every
    /// message that would have used it and `transcript` the dialogue so far.
    static std::unique_ptr<Connection> Open(
        const Config& config,
        const TlsContext& tls,
        std::string username,
        std::string password,
        const Patient& patient,
        Verdict& failure,
        std::string& transcript
    );

    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    ClientSession& session() { return *session_; }
    /// Reads and writes until `message` is decided; always ends with message.finished.
    void Deliver(Transaction& message, const Patient& patient);
    /// QUIT; waits for the answer only when asked to.
    void Close(bool wait, const Patient& patient);
    /// False when the idle connection was closed or spoken on by the server.
    [[nodiscard]] bool IsQuiet() const;

    [[nodiscard]] const std::string& remote_address() const { return remote_address_; }
    /// "TLSv1.3 TLS_AES_256_GCM_SHA384", empty in clear.
    [[nodiscard]] const std::string& tls_text() const { return tls_text_; }

    size_t served = 0;        // messages begun on it
    uint64_t idle_since = 0;  // for the pool

private:
    enum class Io { kDone = 1, kRead, kWrite, kClosed, kFailed };
    Connection() = default;

    bool ConnectAny(const Config& config, const Patient& patient, Verdict& failure);
    bool ConnectOne(
        const Config& config,
        const addrinfo& address,
        uint64_t until,
        const Patient& patient,
        std::string& problem
    );
    void Handshake(const Config& config, const TlsContext& tls, const Patient& patient);
    void Exchange(const bool* finished, const Patient& patient);
    Io Write(std::string_view bytes, size_t& count);
    Io Read(char* buffer, size_t capacity, size_t& count);
    Io TlsIo(int result);
    void GiveUp(Io why);
    uint64_t TimeLimit() const;
    /// Waits for `events`. False: time is over or the wait was cancelled.
    bool Await(short events, uint64_t until, const Patient& patient, std::string_view& why) const;

    int socket_ = -1;
    TlsContext::Ssl ssl_;
    std::unique_ptr<ClientSession> session_;
    std::string remote_address_;
    std::string tls_text_;
    bool verify_ = false;
    bool loopback_ = false;
};

}  // namespace opensend::smtp_plugin
