#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace opensend::test {

/// One accepted connection, plain or TLS, blocking.
class RawPeer {
public:
    RawPeer(int fd, void* ssl, const std::atomic<bool>& stop);
    ~RawPeer();
    RawPeer(const RawPeer&) = delete;
    RawPeer& operator=(const RawPeer&) = delete;
    /// Head and body of one request by Content-Length; empty: the peer closed.
    std::string ReadRequest();
    /// False when the peer is gone.
    bool Write(std::string_view bytes);
    /// Reads and drops until the peer closes or the server stops.
    void WaitForClose();
    /// False when the server stops meanwhile.
    bool Pause(std::chrono::milliseconds time) const;

private:
    long Read(char* buffer, size_t size);
    int fd_;
    void* ssl_;
    const std::atomic<bool>& stop_;
    std::string buffered_;
};

/// A loopback server: every connection runs `script` on its own thread.
class RawServer {
public:
    struct Tls {
        std::string certificate_file, key_file;
    };
    explicit RawServer(std::function<void(RawPeer&)> script);
    RawServer(Tls tls, std::function<void(RawPeer&)> script, std::string address = "127.0.0.1");
    ~RawServer();
    uint16_t port() const { return port_; }
    int connections() const { return connections_; }

private:
    void Accept();
    std::function<void(RawPeer&)> script_;
    void* context_ = nullptr;
    int listener_ = -1;
    uint16_t port_ = 0;
    std::atomic<int> connections_{0};
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;  // used by the accepting thread, joined after it
    std::thread acceptor_;
};

/// A certificate authority and a certificate for `host`, made in a folder of their own.
struct TestCertificates {
    explicit TestCertificates(const std::string& host);
    ~TestCertificates();
    TestCertificates(const TestCertificates&) = delete;
    TestCertificates& operator=(const TestCertificates&) = delete;
    std::string folder, ca_file, certificate_file, key_file;
};

}  // namespace opensend::test
