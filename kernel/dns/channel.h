#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ares.h>

#include "kernel/base/cidr.h"
#include "kernel/dns/answer_cache.h"
#include "kernel/dns/record.h"

namespace opensend::dns {

struct ServerAddress {
    base::IpAddress ip;
    int port = 53;
};

/// "ip", "ip:port" or "[v6]:port".
std::optional<ServerAddress> ParseServer(std::string_view text);

/// A question under way. Used by the resolver's thread only.
struct Question {
    std::string name;   // as asked first: the cache's key
    std::string asked;  // the alias that is asked now
    RecordType type = RecordType::kA;
    std::function<void(Answers)> done;
    std::chrono::steady_clock::time_point deadline;
    int aliases = 0;
    int tries = 0;
    uint32_t ttl_s = 0x7fffffff;
    bool ended = false;  // answered by the deadline while c-ares still works on it
};

/// How one server answered; a c-ares status and the message, if any.
struct ServerReply {
    std::shared_ptr<Question> question;
    int status = 0;
    std::string message;
};

/// One c-ares channel for one server: which server is asked is decided outside. One thread.
class Channel {
public:
    /// Without a server it is for SystemServers only.
    Channel(const std::optional<ServerAddress>& server, std::chrono::milliseconds timeout);
    ~Channel();  // as Cancel
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Servers of the machine's configuration.
    std::vector<ServerAddress> SystemServers() const;
    /// Appends the reply to `replies` once it is there, which may be at once.
    void Ask(std::vector<ServerReply>& replies, std::shared_ptr<Question> question);
    void AddSockets(std::vector<pollfd>& sockets) const;
    /// Shortens `wait` to the next timeout of this channel.
    void LimitWait(std::chrono::milliseconds& wait) const;
    /// Reads and writes a socket that poll reported; ignores another channel's.
    void Process(const pollfd& socket);
    void ProcessTimeouts();
    /// Every open question gets a reply now.
    void Cancel();

private:
    static void OnSocketState(void* arg, ares_socket_t fd, int readable, int writable);
    void Use(const ServerAddress& server);

    ares_channel channel_ = nullptr;
    std::map<int, short> sockets_;
};

}  // namespace opensend::dns
