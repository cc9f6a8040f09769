#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include <openssl/ssl.h>

namespace opensend::testing_support {

/// A listening socket on a free loopback port.
class LoopbackListener {
public:
    LoopbackListener() {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (bind(fd_, generic, length) != 0 || listen(fd_, 64) != 0) std::abort();
        getsockname(fd_, generic, &length);
        port_ = ntohs(address.sin_port);
    }
    ~LoopbackListener() { close(fd_); }
    LoopbackListener(const LoopbackListener&) = delete;
    LoopbackListener& operator=(const LoopbackListener&) = delete;
    int fd() const { return fd_; }
    int port() const { return port_; }

private:
    int fd_ = -1;
    int port_ = 0;
};

/// The server's end of one connection, blocking, with a limit of a few seconds on every wait.
class Peer {
public:
    explicit Peer(int fd) : fd_(fd) {}
    ~Peer() {
        SSL_free(ssl_);
        if (fd_ >= 0) close(fd_);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void Say(std::string_view text) {
        if (ssl_ != nullptr) {
            SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
        } else {
            static_cast<void>(send(fd_, text.data(), text.size(), MSG_NOSIGNAL));
        }
    }
    /// Reads up to and including `end`; what came after stays. Empty: the client left.
    std::string ReadTo(std::string_view end) {
        while (true) {
            const size_t at = buffer_.find(end);
            if (at != std::string::npos) {
                std::string out = buffer_.substr(0, at + end.size());
                buffer_.erase(0, at + end.size());
                return out;
            }
            char bytes[8192];
            ssize_t got = 0;
            if (ssl_ != nullptr) {
                got = SSL_read(ssl_, bytes, sizeof bytes);
            } else {
                pollfd entry{fd_, POLLIN, 0};
                if (poll(&entry, 1, 5000) <= 0) return {};
                got = recv(fd_, bytes, sizeof bytes, 0);
            }
            if (got <= 0) return {};
            buffer_.append(bytes, static_cast<size_t>(got));
        }
    }
    bool StartTls(SSL_CTX* context) {
        ssl_ = SSL_new(context);
        SSL_set_fd(ssl_, fd_);
        return SSL_accept(ssl_) == 1;
    }
    /// Closes with RST.
    void Reset() {
        const linger now{1, 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd_);
        fd_ = -1;
    }
    void Hello(std::string_view ehlo = "250-mx\r\n250 PIPELINING\r\n") {
        Say("220 mx\r\n");
        ReadTo("\r\n");
        Say(ehlo);
    }
    /// A whole transaction after Hello; false: the client left instead.
    bool Take() {
        if (ReadTo("DATA\r\n").empty()) return false;
        Say("250 m\r\n250 r\r\n354 go\r\n");
        if (ReadTo("\r\n.\r\n").empty()) return false;
        Say("250 2.0.0 Ok: queued as Q1\r\n");
        return true;
    }

private:
    int fd_;
    SSL* ssl_ = nullptr;
    std::string buffer_;
};

/// Accepts connections one after the other and hands each to `script` with its number from 0.
class ScriptServer {
public:
    explicit ScriptServer(std::function<void(Peer&, int)> script)
        : thread_([this, script = std::move(script)] {
              while (!stop_) {
                  pollfd entry{listener_.fd(), POLLIN, 0};
                  if (poll(&entry, 1, 20) <= 0) continue;
                  Peer peer(accept(listener_.fd(), nullptr, nullptr));
                  script(peer, accepted_++);
              }
          }) {}
    ~ScriptServer() {
        stop_ = true;
        thread_.join();
    }
    ScriptServer(const ScriptServer&) = delete;
    ScriptServer& operator=(const ScriptServer&) = delete;
    int port() const { return listener_.port(); }
    int accepted() const { return accepted_; }

private:
    LoopbackListener listener_;
    std::atomic<bool> stop_{false};
    std::atomic<int> accepted_{0};
    std::thread thread_;
};

}  // namespace opensend::testing_support
