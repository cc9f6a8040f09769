#include "tests/support/raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <openssl/ssl.h>

namespace opensend::test {
namespace {

SSL* Tls(void* ssl) { return static_cast<SSL*>(ssl); }

void Run(const std::string& command) {
    if (std::system((command + " >/dev/null 2>&1").c_str()) != 0) {
        throw std::runtime_error("failed: " + command);
    }
}

}  // namespace

RawPeer::RawPeer(int fd, void* ssl, const std::atomic<bool>& stop)
    : fd_(fd), ssl_(ssl), stop_(stop) {}

RawPeer::~RawPeer() {
    if (ssl_ != nullptr) {
        SSL_shutdown(Tls(ssl_));
        SSL_free(Tls(ssl_));
    }
    close(fd_);
}

long RawPeer::Read(char* buffer, size_t size) {
    while (!stop_) {
        pollfd waited{fd_, POLLIN, 0};
        const bool pending = ssl_ != nullptr && SSL_pending(Tls(ssl_)) > 0;
        if (!pending && poll(&waited, 1, 20) == 0) continue;
        if (ssl_ == nullptr) return recv(fd_, buffer, size, 0);
        return SSL_read(Tls(ssl_), buffer, static_cast<int>(size));
    }
    return 0;
}

std::string RawPeer::ReadRequest() {
    size_t total = std::string::npos;
    while (buffered_.size() < total) {
        const size_t end = buffered_.find("\r\n\r\n");
        if (end != std::string::npos && total == std::string::npos) {
            total = end + 4;
            const size_t length = buffered_.find("Content-Length: ");
            if (length < end) total += std::stoul(buffered_.substr(length + 16));
            continue;
        }
        char buffer[4096];
        const long got = Read(buffer, sizeof buffer);
        if (got <= 0) return {};
        buffered_.append(buffer, static_cast<size_t>(got));
    }
    std::string request = buffered_.substr(0, total);
    buffered_.erase(0, total);
    return request;
}

bool RawPeer::Write(std::string_view bytes) {
    while (!bytes.empty() && !stop_) {
        pollfd waited{fd_, POLLOUT, 0};
        if (poll(&waited, 1, 20) == 0) continue;
        const size_t piece = std::min<size_t>(bytes.size(), 4096);
        const long sent = ssl_ == nullptr
                              ? send(fd_, bytes.data(), piece, MSG_NOSIGNAL | MSG_DONTWAIT)
                              : SSL_write(Tls(ssl_), bytes.data(), static_cast<int>(piece));
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return !stop_;
}

void RawPeer::WaitForClose() {
    char buffer[4096];
    while (Read(buffer, sizeof buffer) > 0) {
    }
}

bool RawPeer::Pause(std::chrono::milliseconds time) const {
    const auto until = std::chrono::steady_clock::now() + time;
    while (!stop_ && std::chrono::steady_clock::now() < until) poll(nullptr, 0, 5);
    return !stop_;
}

RawServer::RawServer(std::function<void(RawPeer&)> script) : RawServer(Tls{}, std::move(script)) {}

RawServer::RawServer(Tls tls, std::function<void(RawPeer&)> script, std::string address)
    : script_(std::move(script)) {
    std::signal(SIGPIPE, SIG_IGN);
    if (!tls.certificate_file.empty()) {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        context_ = context;
        SSL_CTX_use_certificate_chain_file(context, tls.certificate_file.c_str());
        SSL_CTX_use_PrivateKey_file(context, tls.key_file.c_str(), SSL_FILETYPE_PEM);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &name.sin_addr);
    socklen_t size = sizeof name;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&name), size) != 0 ||
        listen(listener_, 512) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
        throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(name.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
}

RawServer::~RawServer() {
    stop_ = true;
    acceptor_.join();
    for (auto& thread : threads_) thread.join();
    close(listener_);
    SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

void RawServer::Accept() {
    while (!stop_) {
        pollfd waited{listener_, POLLIN, 0};
        if (poll(&waited, 1, 20) <= 0) continue;
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        ++connections_;
        threads_.emplace_back([this, fd] {
            SSL* ssl = nullptr;
            if (context_ != nullptr) {
                ssl = SSL_new(static_cast<SSL_CTX*>(context_));
                SSL_set_fd(ssl, fd);
                if (SSL_accept(ssl) != 1) {
                    SSL_free(ssl);
                    close(fd);
                    return;
                }
            }
            RawPeer peer(fd, ssl, stop_);
            script_(peer);
        });
    }
}

TestCertificates::TestCertificates(const std::string& host) {
    char name[] = "/tmp/opensend-tls-XXXXXX";
    if (mkdtemp(name) == nullptr) throw std::runtime_error("no temporary folder");
    folder = name;
    ca_file = folder + "/ca.pem";
    certificate_file = folder + "/server.pem";
    key_file = folder + "/server.key";
    const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes ";
    Run("openssl req -x509 -days 2 -subj '/CN=Test CA'" + key + "-keyout " + folder +
        "/ca.key -out " + ca_file);
    Run("openssl req -new -subj '/CN=" + host + "'" + key + "-keyout " + key_file + " -out " +
        folder + "/server.csr");
    std::ofstream(folder + "/names") << "subjectAltName=DNS:" << host << "\n";
    Run("openssl x509 -req -days 2 -in " + folder + "/server.csr -CA " + ca_file + " -CAkey " +
        folder + "/ca.key -CAcreateserial -extfile " + folder + "/names -out " + certificate_file);
}

TestCertificates::~TestCertificates() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}

}  // namespace opensend::test
