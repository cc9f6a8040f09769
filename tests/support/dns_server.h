#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace opensend::test {

/// What the server says to one question.
struct DnsReply {
    int rcode = 0;
    bool silent = false;
    bool truncate_udp = false;         // over UDP: no records and the TC bit
    std::vector<std::string> answers;  // whole resource records on the wire
    std::vector<std::string> authority;
    std::string raw_tail;  // in place of answers: garbage after the question
};

std::string DnsName(std::string_view name);
std::string DnsRecord(std::string_view owner, int type, uint32_t ttl, std::string_view data);
std::string DnsAddress(std::string_view owner, std::string_view address, uint32_t ttl = 60);
std::string DnsTxt(
    std::string_view owner, const std::vector<std::string>& texts, uint32_t ttl = 60
);
std::string DnsMx(std::string_view owner, int preference, std::string_view host);
std::string DnsCname(std::string_view owner, std::string_view target, uint32_t ttl = 60);
std::string DnsSoa(std::string_view zone, uint32_t ttl, uint32_t minimum);

/// A DNS server on loopback, UDP and TCP on one port. Names without a reply do not exist.
class DnsServer {
public:
    explicit DnsServer(std::string_view address = "127.0.0.1");
    ~DnsServer();
    /// "ip:port" for a resolver's options.
    std::string address() const;
    void Reply(const std::string& name, int type, DnsReply reply);
    int questions() const { return udp_questions_ + tcp_questions_; }
    int tcp_questions() const { return tcp_questions_; }

private:
    void Serve();
    void ServeTcp(int fd);
    std::string Answer(const std::string& question, bool udp);
    std::string host_;
    uint16_t port_ = 0;
    int udp_ = -1;
    int tcp_ = -1;
    std::atomic<int> udp_questions_{0};
    std::atomic<int> tcp_questions_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::map<std::pair<std::string, int>, DnsReply> replies_;
    std::thread thread_;
};

}  // namespace opensend::test
