#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace opensend::http {

/// A blocking client that writes exactly what it is told; every read gives up after ten seconds.
class RawClient {
public:
    explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        timeval limit{.tv_sec = 10, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    ~RawClient() { ::close(fd_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool connected() const { return connected_; }
    int fd() const { return fd_; }

    /// False when the server closed.
    bool Send(std::string_view data) {
        while (!data.empty()) {
            const auto sent = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            data.remove_prefix(static_cast<size_t>(sent));
        }
        return true;
    }
    void EndSending() { ::shutdown(fd_, SHUT_WR); }

    /// One answer with its body (none for `head_only`); empty when the connection ended first.
    std::string ReadAnswer(bool head_only = false) {
        size_t end = 0;
        while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
            if (!Fill()) return {};
        }
        end += 4;
        const size_t field = input_.find("Content-Length: ");
        const size_t length = head_only || field == std::string::npos || field > end
                                  ? 0
                                  : std::strtoul(input_.c_str() + field + 16, nullptr, 10);
        while (input_.size() < end + length) {
            if (!Fill()) return {};
        }
        const std::string answer = input_.substr(0, end + length);
        input_.erase(0, end + length);
        return answer;
    }
    /// Everything until the server closes; "(open)" at the end when it does not.
    std::string ReadAll() {
        while (Fill()) {
        }
        return std::exchange(input_, {}) + (timed_out_ ? "(open)" : "");
    }

private:
    bool Fill() {
        char buffer[16384];
        const auto got = ::recv(fd_, buffer, sizeof buffer, 0);
        if (got < 0) timed_out_ = errno == EAGAIN;
        if (got <= 0) return false;
        input_.append(buffer, static_cast<size_t>(got));
        return true;
    }

    const int fd_;
    bool connected_ = false;
    bool timed_out_ = false;
    std::string input_;
};

inline int StatusOf(std::string_view answer) {
    return answer.size() < 12 ? 0 : std::atoi(std::string(answer.substr(9, 3)).c_str());
}
inline std::string BodyOf(std::string_view answer) {
    return std::string(answer.substr(std::min(answer.find("\r\n\r\n") + 4, answer.size())));
}

}  // namespace opensend::http
