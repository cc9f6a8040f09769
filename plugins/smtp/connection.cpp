#include "plugins/smtp/connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace opensend::smtp_plugin {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSlice = 250 * kMillisecond;  // how late a cancellation may be noticed
constexpr uint64_t kConnectLimit = 30 * kSecond;
constexpr uint64_t kCommandLimit = 60 * kSecond;
constexpr uint64_t kBodyLimit = 180 * kSecond;
constexpr uint64_t kFinalLimit = 300 * kSecond;
constexpr uint64_t kLeastPerAddress = 5 * kSecond;

constexpr std::string_view kCancelled = "cancelled";

std::string ErrnoText(int code) { return std::generic_category().message(code); }

struct AddressListFree {
    void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressListFree>;

int Resolve(const std::string& host, const char* port, int flags, AddressList& out) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int status = getaddrinfo(host.c_str(), port, &hints, &list);
    out.reset(list);
    return status;
}

std::string NumericHost(const sockaddr* address, socklen_t length) {
    char text[NI_MAXHOST] = {};
    const int status = getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    return status == 0 ? text : "";
}

bool IsLoopback(std::string_view numeric) {
    return numeric.starts_with("127.") || numeric == "::1" || numeric.starts_with("::ffff:127.");
}

Verdict ConnectFailure(std::string text) {
    Verdict verdict;
    verdict.outcome = Outcome::kDeferred;
    verdict.stage = Stage::kConnect;
    verdict.text = std::move(text);
    return verdict;
}

int SocketOf(BIO* bio) { return *static_cast<const int*>(BIO_get_data(bio)); }

bool IsRetry(int code) { return code == EAGAIN || code == EINTR; }

int BioSend(BIO* bio, const char* bytes, int count) {
    BIO_clear_retry_flags(bio);
    const ssize_t sent = send(SocketOf(bio), bytes, static_cast<size_t>(count), MSG_NOSIGNAL);
    if (sent < 0 && IsRetry(errno)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

int BioReceive(BIO* bio, char* buffer, int capacity) {
    BIO_clear_retry_flags(bio);
    const ssize_t got = recv(SocketOf(bio), buffer, static_cast<size_t>(capacity), 0);
    if (got < 0 && IsRetry(errno)) BIO_set_retry_read(bio);
    return static_cast<int>(got);
}

long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

bool IsAddressLiteral(const std::string& host) {
    unsigned char bytes[sizeof(in6_addr)];
    return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
           inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

std::unique_ptr<TlsContext> TlsContext::Open(const std::string& ca_file, std::string& problem) {
    auto context = std::make_unique<TlsContext>();
    context->method_.reset(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket"));
    context->context_.reset(SSL_CTX_new(TLS_client_method()));
    BIO_METHOD* method = context->method_.get();
    SSL_CTX* ssl = context->context_.get();
    if (method == nullptr || ssl == nullptr) {
        problem = "TLS is not available";
        return nullptr;
    }
    BIO_meth_set_write(method, BioSend);
    BIO_meth_set_read(method, BioReceive);
    BIO_meth_set_ctrl(method, BioControl);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    const int trusted = ca_file.empty()
                            ? SSL_CTX_set_default_verify_paths(ssl)
                            : SSL_CTX_load_verify_locations(ssl, ca_file.c_str(), nullptr);
    ERR_clear_error();
    if (trusted == 1) return context;
    problem = ca_file.empty() ? "the system's certificates cannot be read"
                              : "ca_file cannot be read as PEM certificates";
    return nullptr;
}

TlsContext::Ssl TlsContext::Wrap(const int* socket, const std::string& host, bool verify) const {
    Ssl ssl(SSL_new(context_.get()));
    BIO* bio = BIO_new(method_.get());
    if (ssl == nullptr || bio == nullptr) {
        BIO_free(bio);
        return nullptr;
    }
    BIO_set_data(bio, const_cast<int*>(socket));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl.get(), bio, bio);
    bool named = true;
    if (IsAddressLiteral(host)) {
        named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) == 1;
    } else {
        named = SSL_ctrl(
                    ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(host.c_str())
                ) == 1 &&
                SSL_set1_host(ssl.get(), host.c_str()) == 1;
    }
    if (verify && !named) return nullptr;
    SSL_set_verify(ssl.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    return ssl;
}

uint64_t MonotonicNow() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

Connection::~Connection() {
    ssl_.reset();
    if (socket_ >= 0) close(socket_);
}

bool Connection::Await(short events, uint64_t until, const Patient& patient, std::string_view& why)
    const {
    const uint64_t limit = patient.deadline != 0 ? std::min(until, patient.deadline) : until;
    while (true) {
        if (patient.stopping != nullptr && patient.stopping->load(std::memory_order_relaxed)) {
            why = "the plugin is stopping";
            return false;
        }
        if (patient.cancelled != nullptr && patient.cancelled->load(std::memory_order_relaxed)) {
            why = kCancelled;
            return false;
        }
        const uint64_t now = MonotonicNow();
        if (now >= limit) {
            why = limit == until ? "the server took too long" : "the message's deadline passed";
            return false;
        }
        const uint64_t wait = std::min(kSlice, limit - now);
        pollfd entry{socket_, events, 0};
        const int ready =
            poll(&entry, 1, static_cast<int>((wait + kMillisecond - 1) / kMillisecond));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) {
            why = "the socket cannot be waited for";
            return false;
        }
    }
}

bool Connection::ConnectOne(
    const Config& config,
    const addrinfo& address,
    uint64_t until,
    const Patient& patient,
    std::string& problem
) {
    socket_ = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
        problem = "socket: " + ErrnoText(errno);
        return false;
    }
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!config.local_address.empty()) {
        AddressList local;
        const int status = Resolve(config.local_address, nullptr, AI_NUMERICHOST, local);
        if (status != 0 || local->ai_family != address.ai_family ||
            bind(socket_, local->ai_addr, local->ai_addrlen) != 0) {
            problem = "local_address cannot be used";
            return false;
        }
    }
    int error = 0;
    if (connect(socket_, address.ai_addr, address.ai_addrlen) != 0) error = errno;
    if (error == EINPROGRESS) {
        std::string_view why;
        if (!Await(POLLOUT, until, patient, why)) {
            problem = why;
            return false;
        }
        socklen_t length = sizeof error;
        if (getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    }
    if (error != 0) problem = ErrnoText(error);
    return error == 0;
}

bool Connection::ConnectAny(const Config& config, const Patient& patient, Verdict& failure) {
    AddressList list;
    const int status = Resolve(config.host, config.port.c_str(), 0, list);
    if (status != 0) {
        failure = ConnectFailure("name look-up failed: " + std::string(gai_strerror(status)));
        return false;
    }
    uint64_t addresses = 0;
    for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) ++addresses;
    const uint64_t end = MonotonicNow() + kConnectLimit;
    const uint64_t share = std::max(kConnectLimit / addresses, kLeastPerAddress);
    for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
        std::string problem;
        remote_address_ = NumericHost(at->ai_addr, at->ai_addrlen);
        const uint64_t until = std::min(end, MonotonicNow() + share);
        if (ConnectOne(config, *at, until, patient, problem)) {
            loopback_ = IsLoopback(remote_address_);
            return true;
        }
        failure = ConnectFailure("connect to " + remote_address_ + ": " + problem);
        if (socket_ >= 0) close(std::exchange(socket_, -1));
    }
    return false;
}

std::unique_ptr<Connection> Connection::Open(
    const Config& config,
    const TlsContext& tls,
    std::string username,
    std::string password,
    const Patient& patient,
    Verdict& failure,
    std::string& transcript
) {
    std::unique_ptr<Connection> connection(new Connection);
    if (!connection->ConnectAny(config, patient, failure)) return nullptr;

    SessionOptions options;
    options.tls = config.tls;
    options.helo = config.helo;
    options.may_auth_in_clear = connection->loopback_ || config.allow_insecure_auth;
    // Credentials leave over a checked connection only.
    if (options.tls == TlsMode::kOpportunistic && !username.empty() && !options.may_auth_in_clear) {
        options.tls = TlsMode::kRequired;
    }
    connection->verify_ = options.tls == TlsMode::kRequired || options.tls == TlsMode::kImplicit;
    options.username = std::move(username);
    options.password = std::move(password);
    connection->session_ = std::make_unique<ClientSession>(std::move(options));

    ClientSession& session = *connection->session_;
    while (session.want() != Want::kIdle && session.want() != Want::kClosed) {
        if (session.want() == Want::kTls) {
            connection->Handshake(config, tls, patient);
        } else {
            connection->Exchange(nullptr, patient);
        }
    }
    if (session.want() == Want::kIdle) return connection;
    failure = session.failure();
    transcript = session.preamble();
    return nullptr;
}

void Connection::Handshake(const Config& config, const TlsContext& tls, const Patient& patient) {
    ssl_ = tls.Wrap(&socket_, config.host, verify_);
    if (ssl_ == nullptr) return session_->OnClosed("TLS cannot be started");
    const uint64_t until = MonotonicNow() + kCommandLimit;
    while (true) {
        ERR_clear_error();
        const int result = SSL_connect(ssl_.get());
        if (result == 1) break;
        const Io io = TlsIo(result);
        std::string_view why;
        if (io == Io::kRead || io == Io::kWrite) {
            if (Await(io == Io::kRead ? POLLIN : POLLOUT, until, patient, why)) continue;
            return session_->OnClosed(why);
        }
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (verify_ && verdict != X509_V_OK) {
            std::string text = "the server's certificate is not accepted: ";
            text += X509_verify_cert_error_string(verdict);
            return session_->OnClosed(text, Hint::kAuthConfig);
        }
        const char* reason = ERR_reason_error_string(ERR_peek_last_error());
        std::string text = "TLS handshake failed: ";
        text += reason != nullptr ? reason : "the connection was closed";
        return session_->OnClosed(text, Hint::kTemporary);
    }
    tls_text_ = SSL_get_version(ssl_.get());
    tls_text_ += ' ';
    tls_text_ += SSL_get_cipher_name(ssl_.get());
    session_->OnTls();
}

uint64_t Connection::TimeLimit() const {
    switch (session_->patience()) {
        case Patience::kGreeting:
        case Patience::kCommand: return kCommandLimit;
        case Patience::kBody: return kBodyLimit;
        case Patience::kFinal: return kFinalLimit;
    }
    return kCommandLimit;
}

void Connection::Exchange(const bool* finished, const Patient& patient) {
    std::array<char, 4096> buffer;
    const auto is_over = [&] {
        return session_->want() != Want::kReply || (finished != nullptr && *finished);
    };
    uint64_t until = MonotonicNow() + TimeLimit();
    uint64_t answers = session_->replies();
    while (!is_over()) {
        short events = POLLIN;
        size_t count = 0;
        if (!session_->pending().empty()) {
            const Io io = Write(session_->pending(), count);
            if (io == Io::kClosed || io == Io::kFailed) return GiveUp(io);
            session_->Wrote(count);
            if (count > 0) until = MonotonicNow() + TimeLimit();
            if (io == Io::kDone) continue;
            if (io == Io::kWrite) events = POLLIN | POLLOUT;
        }
        const bool buffered = ssl_ != nullptr && SSL_pending(ssl_.get()) > 0;
        std::string_view why;
        if (!buffered && !Await(events, until, patient, why)) {
            if (why != kCancelled || session_->current() == nullptr) return session_->OnClosed(why);
            if (session_->Cancel()) return;
            // The body is out: only the server's answer tells what became of it.
            return Exchange(finished, {patient.deadline, nullptr, patient.stopping});
        }
        const Io io = Read(buffer.data(), buffer.size(), count);
        if (io == Io::kClosed || io == Io::kFailed) return GiveUp(io);
        if (io == Io::kDone) session_->OnBytes({buffer.data(), count});
        if (io == Io::kDone && session_->pending().empty() && session_->want() == Want::kReply) {
            // The server may hold the next answer back until this one is acknowledged.
            const int on = 1;
            setsockopt(socket_, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
        }
        // A limit holds for a whole answer, however slowly its octets come.
        if (std::exchange(answers, session_->replies()) != session_->replies()) {
            until = MonotonicNow() + TimeLimit();
        }
    }
}

void Connection::GiveUp(Io why) {
    // What the server said before it hung up explains more than a broken pipe.
    std::array<char, 4096> buffer;
    size_t count = 0;
    while (why == Io::kFailed && session_->want() == Want::kReply &&
           Read(buffer.data(), buffer.size(), count) == Io::kDone) {
        session_->OnBytes({buffer.data(), count});
    }
    session_->OnClosed(
        why == Io::kClosed ? "the server closed the connection" : "the connection broke"
    );
}

Connection::Io Connection::TlsIo(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return Io::kRead;
        case SSL_ERROR_WANT_WRITE: return Io::kWrite;
        case SSL_ERROR_ZERO_RETURN: return Io::kClosed;
        default: return Io::kFailed;
    }
}

Connection::Io Connection::Write(std::string_view bytes, size_t& count) {
    count = 0;
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
        return result == 1 ? Io::kDone : TlsIo(result);
    }
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
        count = static_cast<size_t>(sent);
        return Io::kDone;
    }
    return errno == EAGAIN || errno == EINTR ? Io::kWrite : Io::kFailed;
}

Connection::Io Connection::Read(char* buffer, size_t capacity, size_t& count) {
    count = 0;
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_.get(), buffer, capacity, &count);
        return result == 1 ? Io::kDone : TlsIo(result);
    }
    const ssize_t got = recv(socket_, buffer, capacity, 0);
    if (got > 0) {
        count = static_cast<size_t>(got);
        return Io::kDone;
    }
    if (got == 0) return Io::kClosed;
    return errno == EAGAIN || errno == EINTR ? Io::kRead : Io::kFailed;
}

void Connection::Deliver(Transaction& message, const Patient& patient) {
    ++served;
    if (!message.finished) Exchange(&message.finished, patient);
    if (!message.finished) session_->OnClosed("the session ended");
}

void Connection::Close(bool wait, const Patient& patient) {
    if (session_->want() != Want::kIdle) return;
    session_->Quit();
    if (wait) return Exchange(nullptr, patient);
    size_t count = 0;
    static_cast<void>(Write(session_->pending(), count));
}

bool Connection::IsQuiet() const {
    if (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0) return false;
    char byte = 0;
    const ssize_t got = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // TLS tickets may lie there; the session sees what they are when it reads.
    if (got > 0) return ssl_ != nullptr;
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

}  // namespace opensend::smtp_plugin
