#include "kernel/dns/channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/dns/message.h"

namespace opensend::dns {
namespace {

using std::chrono::milliseconds;

constexpr int kEdnsSize = 1232;

/// What a c-ares callback gets; it only notes the reply, the loop works on it afterwards.
struct CallbackArgument {
    std::vector<ServerReply>* replies;
    std::shared_ptr<Question> question;
};

void OnReply(void* arg, int status, int, unsigned char* bytes, int size) {
    const std::unique_ptr<CallbackArgument> argument(static_cast<CallbackArgument*>(arg));
    std::string message;
    if (bytes != nullptr && size > 0) {
        message.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    }
    argument->replies->push_back({std::move(argument->question), status, std::move(message)});
}

void InitAres() {
    static const int once = ares_library_init(ARES_LIB_INIT_ALL);
    OPENSEND_CHECK(once == ARES_SUCCESS, "c-ares starts");
}

}  // namespace

std::optional<ServerAddress> ParseServer(std::string_view text) {
    if (const auto bare = base::ParseIp(text, true)) return ServerAddress{*bare, 53};
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const auto port = base::ParseInt(text.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return std::nullopt;
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    const auto ip = base::ParseIp(host, true);
    if (!ip || ip->is_v6 != brackets) return std::nullopt;
    return ServerAddress{*ip, static_cast<int>(*port)};
}

Channel::Channel(const std::optional<ServerAddress>& server, milliseconds timeout) {
    InitAres();
    ares_options options{};
    options.flags =
        ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS;
    options.timeout = static_cast<int>(timeout.count());
    options.tries = 1;
    options.ednspsz = kEdnsSize;
    options.sock_state_cb = &OnSocketState;
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
                     ARES_OPT_EDNSPSZ;
    const int rc = ares_init_options(&channel_, &options, mask);
    if (rc != ARES_SUCCESS) throw base::Unavailable("dns_failed", ares_strerror(rc));
    if (server) Use(*server);
}
Channel::~Channel() { ares_destroy(channel_); }

std::vector<ServerAddress> Channel::SystemServers() const {
    std::vector<ServerAddress> out;
    ares_addr_port_node* first = nullptr;
    if (ares_get_servers_ports(channel_, &first) != ARES_SUCCESS) return out;
    for (const auto* node = first; node != nullptr; node = node->next) {
        ServerAddress server;
        server.ip.is_v6 = node->family == AF_INET6;
        std::memcpy(server.ip.bytes.data(), &node->addr, server.ip.is_v6 ? 16 : 4);
        if (node->udp_port != 0) server.port = node->udp_port;
        out.push_back(server);
    }
    ares_free_data(first);
    return out;
}

void Channel::Ask(std::vector<ServerReply>& replies, std::shared_ptr<Question> question) {
    const std::string name = question->asked;
    const int type = WireType(question->type);
    auto argument =
        std::make_unique<CallbackArgument>(CallbackArgument{&replies, std::move(question)});
    ares_query(channel_, name.c_str(), 1, type, &OnReply, argument.release());
}
void Channel::AddSockets(std::vector<pollfd>& sockets) const {
    for (const auto& [fd, events] : sockets_) sockets.push_back({fd, events, 0});
}
void Channel::LimitWait(milliseconds& wait) const {
    timeval limit{};
    const timeval* next = ares_timeout(channel_, nullptr, &limit);
    if (next == nullptr) return;
    wait = std::min(wait, milliseconds(next->tv_sec * 1000 + next->tv_usec / 1000 + 1));
}
void Channel::Process(const pollfd& socket) {
    if (!sockets_.contains(socket.fd)) return;
    const bool broken = (socket.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    const bool in = broken || (socket.revents & POLLIN) != 0;
    const bool out = broken || (socket.revents & POLLOUT) != 0;
    ares_process_fd(channel_, in ? socket.fd : ARES_SOCKET_BAD, out ? socket.fd : ARES_SOCKET_BAD);
}
void Channel::ProcessTimeouts() { ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD); }
void Channel::Cancel() { ares_cancel(channel_); }

void Channel::OnSocketState(void* arg, ares_socket_t fd, int readable, int writable) {
    auto& sockets = static_cast<Channel*>(arg)->sockets_;
    if (readable == 0 && writable == 0) {
        sockets.erase(fd);
    } else {
        sockets[fd] = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    }
}
void Channel::Use(const ServerAddress& server) {
    ares_addr_port_node node{};
    node.family = server.ip.is_v6 ? AF_INET6 : AF_INET;
    std::memcpy(&node.addr, server.ip.bytes.data(), server.ip.is_v6 ? 16 : 4);
    node.udp_port = node.tcp_port = server.port;
    const int rc = ares_set_servers_ports(channel_, &node);
    if (rc != ARES_SUCCESS) throw base::Unavailable("dns_failed", ares_strerror(rc));
}

}  // namespace opensend::dns
