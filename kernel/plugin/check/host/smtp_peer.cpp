#include "kernel/plugin/check/host/smtp_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/base/text.h"
#include "kernel/plugin/check/verdict.h"

namespace opensend::plugin_check {
namespace {

constexpr int kConnections = 6;

std::string PathOf(const std::string& line) {
    const size_t open = line.find('<'), end = line.find('>');
    return open == std::string::npos || end == std::string::npos || end < open
               ? std::string()
               : line.substr(open + 1, end - open - 1);
}

}  // namespace

SmtpPeer::SmtpPeer() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* plain = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (listener_ < 0 || bind(listener_, plain, length) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, plain, &length) != 0)
        throw Failed{"the check found no port for its SMTP server"};
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < kConnections; ++i)
        threads_.push_back(std::make_unique<runtime::Worker>(
            "check-peer", [this](runtime::StopToken&) { Serve(); }
        ));
}

SmtpPeer::~SmtpPeer() {
    stop_ = true;
    threads_.clear();
    close(listener_);
}

std::vector<PeerMessage> SmtpPeer::messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
}

std::vector<std::string> SmtpPeer::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

void SmtpPeer::Use(Script script) {
    const std::lock_guard lock(mutex_);
    script_ = std::move(script);
}

void SmtpPeer::Forget() {
    const std::lock_guard lock(mutex_);
    messages_ = {};
    commands_ = {};
}

void SmtpPeer::Serve() {
    while (!stop_) {
        pollfd ready{listener_, POLLIN, 0};
        if (poll(&ready, 1, 20) <= 0) continue;
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        Wire wire{fd, {}};
        Talk(wire, CurrentScript());
        close(fd);
    }
}

SmtpPeer::Script SmtpPeer::CurrentScript() const {
    const std::lock_guard lock(mutex_);
    return script_;
}

void SmtpPeer::Idle() const {
    while (!stop_) poll(nullptr, 0, 20);
}

bool SmtpPeer::Send(Wire& wire, const Script& script, const std::string& text) const {
    if (script.fault == Fault::kSlow) poll(nullptr, 0, 20);
    const std::string line = text + "\r\n";
    const size_t step = script.fault == Fault::kOneByteAtATime ? 1 : line.size();
    for (size_t at = 0; at < line.size(); at += step) {
        if (send(wire.fd, line.data() + at, step, MSG_NOSIGNAL) < 0) return false;
    }
    return true;
}

bool SmtpPeer::ReadLine(Wire& wire, std::string& line) {
    for (;;) {
        const size_t end = wire.buffer.find("\r\n");
        if (end != std::string::npos) {
            line = wire.buffer.substr(0, end);
            wire.buffer.erase(0, end + 2);
            return true;
        }
        pollfd ready{wire.fd, POLLIN, 0};
        if (stop_) return false;
        if (poll(&ready, 1, 20) <= 0) continue;
        char chunk[4096];
        const ssize_t got = recv(wire.fd, chunk, sizeof chunk, 0);
        if (got <= 0 || wire.buffer.size() > 64u * 1024 * 1024) return false;
        wire.buffer.append(chunk, static_cast<size_t>(got));
    }
}

bool SmtpPeer::Greet(Wire& wire, const Script& script) const {
    if (script.fault == Fault::kResetOnConnect) return false;
    if (script.fault == Fault::kSilentOnConnect) Idle();
    return !stop_ && Send(wire, script, script.greeting);
}

bool SmtpPeer::Endless(Wire& wire, const Script& script) const {
    while (!stop_ && Send(wire, script, "250-" + std::string(500, 'x'))) {
    }
    return false;
}

bool SmtpPeer::TakeData(Wire& wire, const Script& script, PeerMessage message) {
    if (!Send(wire, script, script.data)) return false;
    if (script.data[0] != '3') return true;
    if (script.fault == Fault::kResetAfterData) return false;
    std::string line;
    while (ReadLine(wire, line)) {
        if (line == ".") {
            if (script.fault == Fault::kResetAfterDot) return false;
            if (script.fault == Fault::kSilentAfterDot) Idle();
            if (script.dot[0] == '2') Keep(std::move(message));
            return !stop_ && Send(wire, script, script.dot);
        }
        message.data += (line[0] == '.' ? line.substr(1) : line) + "\r\n";
    }
    return false;
}

void SmtpPeer::Keep(PeerMessage message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
}

void SmtpPeer::Talk(Wire& wire, const Script& script) {
    if (!Greet(wire, script)) return;
    PeerMessage message;
    std::string line;
    while (ReadLine(wire, line)) {
        {
            const std::lock_guard lock(mutex_);
            commands_.push_back(line);
        }
        if (!Answer(wire, script, line, message)) return;
    }
}

/// Takes whatever it gets: AUTH PLAIN with or without an initial answer, AUTH LOGIN with two more.
bool SmtpPeer::Authenticate(Wire& wire, const Script& script, const std::string& line) {
    const bool login = line.find("LOGIN") != std::string::npos;
    const auto words = base::Split(line, ' ');
    int more = (login ? 2 : 1) - (words.size() > 2 ? 1 : 0);
    std::string answer;
    for (; more > 0; --more) {
        if (!Send(wire, script, "334 VXNlcm5hbWU6") || !ReadLine(wire, answer)) return false;
    }
    return Send(wire, script, "235 2.7.0 welcome");
}

bool SmtpPeer::Answer(
    Wire& wire, const Script& script, const std::string& line, PeerMessage& message
) {
    std::string verb = line.substr(0, 4);
    for (char& c : verb) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    if (verb == "EHLO" && script.fault == Fault::kLongReply) return Endless(wire, script);
    if (verb == "EHLO") return Send(wire, script, "250-peer.test\r\n250 AUTH PLAIN LOGIN");
    if (verb == "HELO") return Send(wire, script, "250 peer.test");
    if (verb == "AUTH") return Authenticate(wire, script, line);
    if (verb == "MAIL") {
        message = {PathOf(line), {}, {}};
        if (script.fault == Fault::kHalfReply) return send(wire.fd, "25", 2, MSG_NOSIGNAL) < 0;
        if (script.fault == Fault::kGarbageReply) return Send(wire, script, "no reply at all");
        return Send(wire, script, script.mail);
    }
    if (verb == "RCPT") {
        if (script.rcpt[0] == '2') message.rcpts.push_back(PathOf(line));
        return Send(wire, script, script.rcpt);
    }
    if (verb == "DATA") return TakeData(wire, script, message);
    if (verb == "QUIT") return Send(wire, script, "221 bye") && false;
    if (verb == "RSET" || verb == "NOOP") return Send(wire, script, "250 ok");
    return Send(wire, script, "500 5.5.1 what?");
}

}  // namespace opensend::plugin_check
