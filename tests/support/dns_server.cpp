#include "tests/support/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace opensend::test {
namespace {

std::string Big(uint64_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>((value >> (8 * i)) & 0xff);
    return out;
}

int Small(const std::string& text, size_t at) {
    return static_cast<unsigned char>(text.at(at)) << 8 |
           static_cast<unsigned char>(text.at(at + 1));
}

}  // namespace

std::string DnsName(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        out += static_cast<char>(label.size());
        out += label;
        name.remove_prefix(std::min(label.size() + 1, name.size()));
    }
    return out + '\0';
}

std::string DnsRecord(std::string_view owner, int type, uint32_t ttl, std::string_view data) {
    return DnsName(owner) + Big(static_cast<uint64_t>(type), 2) + Big(1, 2) + Big(ttl, 4) +
           Big(data.size(), 2) + std::string(data);
}

std::string DnsAddress(std::string_view owner, std::string_view address, uint32_t ttl) {
    unsigned char bytes[16];
    const bool v6 = address.find(':') != std::string_view::npos;
    inet_pton(v6 ? AF_INET6 : AF_INET, std::string(address).c_str(), bytes);
    const std::string data(reinterpret_cast<const char*>(bytes), v6 ? 16 : 4);
    return DnsRecord(owner, v6 ? 28 : 1, ttl, data);
}

std::string DnsTxt(std::string_view owner, const std::vector<std::string>& texts, uint32_t ttl) {
    std::string data;
    for (const auto& text : texts) data += Big(text.size(), 1) + text;
    return DnsRecord(owner, 16, ttl, data);
}

std::string DnsMx(std::string_view owner, int preference, std::string_view host) {
    return DnsRecord(owner, 15, 60, Big(static_cast<uint64_t>(preference), 2) + DnsName(host));
}

std::string DnsCname(std::string_view owner, std::string_view target, uint32_t ttl) {
    return DnsRecord(owner, 5, ttl, DnsName(target));
}

std::string DnsSoa(std::string_view zone, uint32_t ttl, uint32_t minimum) {
    return DnsRecord(
        zone, 6, ttl,
        DnsName("ns.example") + DnsName("admin.example") + std::string(16, '\1') + Big(minimum, 4)
    );
}

DnsServer::DnsServer(std::string_view address) : host_(address) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        inet_pton(AF_INET, host_.c_str(), &name.sin_addr);
        socklen_t size = sizeof name;
        auto* plain = reinterpret_cast<sockaddr*>(&name);
        udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(udp_, plain, size) == 0 && getsockname(udp_, plain, &size) == 0 &&
            bind(tcp_, plain, size) == 0 && listen(tcp_, 64) == 0) {
            port_ = ntohs(name.sin_port);
            thread_ = std::thread([this] { Serve(); });
            return;
        }
        close(udp_);
        close(tcp_);
    }
    throw std::runtime_error("no port for the DNS server");
}

DnsServer::~DnsServer() {
    stop_ = true;
    thread_.join();
    close(udp_);
    close(tcp_);
}

std::string DnsServer::address() const { return host_ + ':' + std::to_string(port_); }

void DnsServer::Reply(const std::string& name, int type, DnsReply reply) {
    const std::lock_guard lock(mutex_);
    replies_[{name, type}] = std::move(reply);
}

void DnsServer::Serve() {
    while (!stop_) {
        pollfd waited[] = {
            {udp_, POLLIN, 0},
            {tcp_, POLLIN, 0}
        };
        if (poll(waited, 2, 20) <= 0) continue;
        if (waited[1].revents != 0) ServeTcp(accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC));
        if (waited[0].revents == 0) continue;
        char buffer[2048];
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        auto* peer = reinterpret_cast<sockaddr*>(&from);
        const long got = recvfrom(udp_, buffer, sizeof buffer, 0, peer, &size);
        if (got < 12) continue;
        ++udp_questions_;
        const std::string answer = Answer({buffer, static_cast<size_t>(got)}, true);
        if (!answer.empty()) sendto(udp_, answer.data(), answer.size(), 0, peer, size);
    }
}

void DnsServer::ServeTcp(int fd) {
    std::string data;
    char buffer[2048];
    while (!stop_) {
        pollfd waited{fd, POLLIN, 0};
        if (poll(&waited, 1, 20) == 0) continue;
        const long got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        data.append(buffer, static_cast<size_t>(got));
        if (data.size() < 2 || data.size() < static_cast<size_t>(Small(data, 0)) + 2) continue;
        ++tcp_questions_;
        const std::string answer = Answer(data.substr(2), false);
        data.clear();
        if (answer.empty()) break;
        const std::string framed = Big(answer.size(), 2) + answer;
        for (size_t sent = 0; sent < framed.size();) {
            const long now = send(fd, framed.data() + sent, framed.size() - sent, MSG_NOSIGNAL);
            if (now <= 0) break;
            sent += static_cast<size_t>(now);
        }
    }
    close(fd);
}

std::string DnsServer::Answer(const std::string& question, bool udp) {
    std::string name;
    size_t at = 12;
    while (question.at(at) != 0) {
        const auto length = static_cast<size_t>(question.at(at));
        name += (name.empty() ? "" : ".") + question.substr(at + 1, length);
        at += length + 1;
    }
    const int type = Small(question, at + 1);
    const std::string asked = question.substr(12, at + 5 - 12);
    DnsReply reply;
    {
        const std::lock_guard lock(mutex_);
        const auto found = replies_.find({name, type});
        reply.rcode = 3;
        if (found != replies_.end()) reply = found->second;
    }
    if (reply.silent) return {};
    const bool cut = udp && reply.truncate_udp;
    const size_t answers = cut ? 0 : reply.answers.size() + (reply.raw_tail.empty() ? 0U : 1U);
    std::string out = question.substr(0, 2);
    out += Big(0x8180U | (cut ? 0x0200U : 0U) | static_cast<unsigned>(reply.rcode), 2);
    out += Big(1, 2) + Big(answers, 2) + Big(reply.authority.size(), 2) + Big(0, 2) + asked;
    if (cut) return out;
    for (const auto& record : reply.answers) out += record;
    out += reply.raw_tail;
    for (const auto& record : reply.authority) out += record;
    return out;
}

}  // namespace opensend::test
