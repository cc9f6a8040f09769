// For tests of plugins: the other end of an SMTP connection, which can misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace osp::testing {

/// Where the peer leaves the script, and how.
enum class Fault {
    kNone = 1,
    kResetOnConnect,   // closes before the greeting
    kHalfReply,        // sends half a reply to MAIL and closes
    kResetAfterData,   // closes after 354, before the message is complete
    kResetAfterDot,    // takes the whole message and closes without a reply
    kSilentAfterDot,   // takes the whole message and says nothing
    kSilentOnConnect,  // never greets
    kSlow,             // waits 20 ms before each reply
    kOneByteAtATime,   // replies in single bytes
    kLongReply,        // an endless multi-line reply to EHLO
    kGarbageReply,     // answers MAIL with something that is no reply
};

struct PeerMessage {
    std::string mail_from;
    std::vector<std::string> rcpts;
    std::string data;  // dots already removed
};

/// Replies that differ from the usual ones.
struct SmtpScript {
    Fault fault = Fault::kNone;
    std::string greeting = "220 peer.test ESMTP", mail = "250 2.1.0 ok", rcpt = "250 2.1.5 ok",
                data = "354 go on", dot = "250 2.0.0 queued as PEER1";
    /// Speaks LMTP instead: one reply for each recipient after the message, the first of these for
    /// the first; `dot` for those without one.
    bool lmtp = false;
    std::vector<std::string> lmtp_dots;
};

/// Speaks SMTP on a free port of the loopback until it is destroyed, one connection after another.
class SmtpPeer {
public:
    using Script = SmtpScript;
    explicit SmtpPeer(Script script = {}) : script_(std::move(script)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* plain = static_cast<sockaddr*>(static_cast<void*>(&address));
        if (listener_ < 0 || bind(listener_, plain, length) != 0 || listen(listener_, 16) != 0 ||
            getsockname(listener_, plain, &length) != 0)
            throw std::runtime_error("no port for the SMTP peer");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { Serve(); });
    }
    ~SmtpPeer() {
        stop_ = true;
        thread_.join();
        close(listener_);
    }
    SmtpPeer(const SmtpPeer&) = delete;
    SmtpPeer& operator=(const SmtpPeer&) = delete;

    uint16_t port() const { return port_; }
    std::vector<PeerMessage> messages() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return messages_;
    }
    /// Every command line as it came.
    std::vector<std::string> commands() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return commands_;
    }
    void Use(Script script) {
        const std::lock_guard<std::mutex> lock(mutex_);
        script_ = std::move(script);
    }

private:
    void Serve() {
        while (!stop_) {
            pollfd ready{listener_, POLLIN, 0};
            if (poll(&ready, 1, 20) <= 0) continue;
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) continue;
            buffer_.clear();
            Talk(fd, CurrentScript());
            close(fd);
        }
    }
    Script CurrentScript() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return script_;
    }
    void Idle() const {
        while (!stop_) poll(nullptr, 0, 20);
    }
    bool Send(int fd, const Script& script, const std::string& text) {
        if (script.fault == Fault::kSlow) poll(nullptr, 0, 20);
        const std::string line = text + "\r\n";
        const size_t step = script.fault == Fault::kOneByteAtATime ? 1 : line.size();
        for (size_t at = 0; at < line.size(); at += step) {
            if (send(fd, line.data() + at, step, MSG_NOSIGNAL) < 0) return false;
        }
        return true;
    }
    bool ReadLine(int fd, std::string& line) {
        for (;;) {
            const size_t end = buffer_.find("\r\n");
            if (end != std::string::npos) {
                line = buffer_.substr(0, end);
                buffer_.erase(0, end + 2);
                return true;
            }
            pollfd ready{fd, POLLIN, 0};
            if (stop_) return false;
            if (poll(&ready, 1, 20) <= 0) continue;
            char chunk[4096];
            const ssize_t got = recv(fd, chunk, sizeof chunk, 0);
            if (got <= 0 || buffer_.size() > 64u * 1024 * 1024) return false;
            buffer_.append(chunk, static_cast<size_t>(got));
        }
    }
    bool Greet(int fd, const Script& script) {
        if (script.fault == Fault::kResetOnConnect) return false;
        if (script.fault == Fault::kSilentOnConnect) Idle();
        return !stop_ && Send(fd, script, script.greeting);
    }
    bool Endless(int fd, const Script& script) {
        while (!stop_ && Send(fd, script, "250-" + std::string(500, 'x'))) {
        }
        return false;
    }
    bool TakeData(int fd, const Script& script, PeerMessage message) {
        if (!Send(fd, script, script.data)) return false;
        if (script.data[0] != '3') return true;
        if (script.fault == Fault::kResetAfterData) return false;
        std::string line;
        while (ReadLine(fd, line)) {
            if (line == ".") {
                if (script.fault == Fault::kResetAfterDot) return false;
                if (script.fault == Fault::kSilentAfterDot) Idle();
                const size_t n = message.rcpts.size();
                if (script.dot[0] == '2') Keep(std::move(message));
                if (!script.lmtp) return !stop_ && Send(fd, script, script.dot);
                for (size_t i = 0; i < n && !stop_; ++i) {
                    const bool own = i < script.lmtp_dots.size();
                    if (!Send(fd, script, own ? script.lmtp_dots[i] : script.dot)) return false;
                }
                return !stop_;
            }
            message.data += (line[0] == '.' ? line.substr(1) : line) + "\r\n";
        }
        return false;
    }
    void Keep(PeerMessage message) {
        const std::lock_guard<std::mutex> lock(mutex_);
        messages_.push_back(std::move(message));
    }
    static std::string Path(const std::string& line) {
        const size_t open = line.find('<'), end = line.find('>');
        return open == std::string::npos || end == std::string::npos || end < open
                   ? std::string()
                   : line.substr(open + 1, end - open - 1);
    }
    void Talk(int fd, const Script& script) {
        if (!Greet(fd, script)) return;
        PeerMessage message;
        std::string line;
        while (ReadLine(fd, line)) {
            {
                const std::lock_guard<std::mutex> lock(mutex_);
                commands_.push_back(line);
            }
            if (!Answer(fd, script, line, message)) return;
        }
    }
    bool Answer(int fd, const Script& script, const std::string& line, PeerMessage& message) {
        std::string verb = line.substr(0, 4);
        for (char& c : verb) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        if (verb == "EHLO" && script.fault == Fault::kLongReply) return Endless(fd, script);
        if (script.lmtp ? verb == "LHLO" : verb == "EHLO" || verb == "HELO")
            return Send(fd, script, "250 peer.test");
        if (verb == "MAIL") {
            message = {Path(line), {}, {}};
            if (script.fault == Fault::kHalfReply) return send(fd, "25", 2, MSG_NOSIGNAL) < 0;
            if (script.fault == Fault::kGarbageReply) return Send(fd, script, "no reply at all");
            return Send(fd, script, script.mail);
        }
        if (verb == "RCPT") {
            if (script.rcpt[0] == '2') message.rcpts.push_back(Path(line));
            return Send(fd, script, script.rcpt);
        }
        if (verb == "DATA") return TakeData(fd, script, message);
        if (verb == "QUIT") return Send(fd, script, "221 bye") && false;
        if (verb == "RSET" || verb == "NOOP") return Send(fd, script, "250 ok");
        return Send(fd, script, "500 5.5.1 what?");
    }

    mutable std::mutex mutex_;
    Script script_;
    std::vector<PeerMessage> messages_;
    std::vector<std::string> commands_;
    std::string buffer_;  // of the connection being served
    int listener_ = -1;
    uint16_t port_ = 0;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace osp::testing
