#include "kernel/http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

#include "kernel/base/error.h"
#include "kernel/base/mutex.h"
#include "kernel/base/text.h"
#include "kernel/http/reactor.h"
#include "kernel/http/server_context.h"
#include "kernel/runtime/worker.h"

namespace opensend::http {
namespace {

constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kDrainPoll{5};

size_t CoreCount() { return static_cast<size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))); }

void Bind(
    Poco::Net::ServerSocket& socket, const Poco::Net::SocketAddress& address, bool share_port
) {
    if (address.family() == Poco::Net::SocketAddress::IPv6) {
        socket.bind6(address, true, share_port, true);
    } else {
        socket.bind(address, true, share_port);
    }
}

/// Listening sockets on one address, one per reactor.
std::vector<Poco::Net::ServerSocket> OpenListeners(
    const std::string& host, uint16_t port, size_t count
) {
    std::vector<Poco::Net::ServerSocket> sockets;
    try {
        Poco::Net::SocketAddress address(host, port);
        if (port != 0) {
            // Sharing a port among reactors would also share it with another process unseen; a
            // socket that does not share finds out.
            Poco::Net::ServerSocket probe;
            Bind(probe, address, false);
        }
        for (size_t i = 0; i < count; ++i) {
            Poco::Net::ServerSocket socket;
            Bind(socket, address, true);
            // Accepted sockets inherit it.
            socket.setOption(IPPROTO_TCP, TCP_NODELAY, 1);
            socket.setBlocking(false);
            socket.listen(kBacklog);
            address = Poco::Net::SocketAddress(host, socket.address().port());
            sockets.push_back(std::move(socket));
        }
    } catch (const Poco::Exception& error) {
        throw base::Unavailable(
            "service_unavailable",
            base::Cat("cannot listen on ", host, " port ", port, ": ", error.displayText())
        );
    }
    return sockets;
}

}  // namespace

struct Server::State {
    explicit State(ServerOptions options) : context(std::move(options)) {}

    ServerContext context;
    uint16_t port = 0;
    base::Mutex stop_mutex;
    bool stopped OPENSEND_GUARDED_BY(stop_mutex) = false;
    std::vector<std::unique_ptr<Reactor>> reactors;
    std::unique_ptr<runtime::WorkerPool> pool;
    std::vector<std::unique_ptr<runtime::Worker>> workers;
};

Server::Server(ServerOptions options, Head head, Handler handler, ErrorBody error_body)
    : state_(std::make_unique<State>(std::move(options))) {
    ServerContext& context = state_->context;
    context.head = std::move(head);
    context.handler = std::move(handler);
    context.error_body = std::move(error_body);
    const auto& settings = context.options;
    const size_t count =
        settings.reactors > 0 ? static_cast<size_t>(settings.reactors) : CoreCount();
    for (size_t i = 0; i < count; ++i) {
        state_->reactors.push_back(std::make_unique<Reactor>(context));
    }
    state_->port = settings.port;
    for (const auto& host : settings.bind) {
        const auto sockets = OpenListeners(host, state_->port, count);
        for (size_t i = 0; i < count; ++i) state_->reactors[i]->AddListener(sockets[i]);
        state_->port = sockets.front().address().port();
    }
    if (!settings.inline_handlers) {
        const size_t threads = settings.handler_threads > 0
                                   ? static_cast<size_t>(settings.handler_threads)
                                   : 2 * CoreCount();
        state_->pool = std::make_unique<runtime::WorkerPool>(
            base::Cat(settings.name, "-handler"), threads, settings.max_queued_requests
        );
        context.pool = state_->pool.get();
    }
    for (auto& reactor : state_->reactors) {
        state_->workers.push_back(std::make_unique<runtime::Worker>(
            base::Cat(settings.name, "-reactor"),
            [loop = reactor.get()](runtime::StopToken&) { loop->Run(); }
        ));
    }
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

uint16_t Server::port() const { return state_->port; }

void Server::Stop(std::chrono::milliseconds grace) {
    base::MutexLock lock(state_->stop_mutex);
    if (state_->stopped) return;
    state_->stopped = true;
    ServerContext& context = state_->context;
    for (auto& reactor : state_->reactors) reactor->Drain();
    const base::MonoTime end = context.clock.Mono() + grace;
    base::Mutex nap_mutex;
    base::CondVar nap;
    while (context.open.load() > 0 && context.clock.Mono() < end) {
        base::MutexLock nap_lock(nap_mutex);
        nap.WaitFor(nap_lock, kDrainPoll);
    }
    context.stopping = true;
    for (auto& reactor : state_->reactors) reactor->Quit();
    state_->workers.clear();
    // Handlers that still run are waited for: they may use what the owner destroys next.
    state_->pool.reset();
    state_->reactors.clear();
}

Server::Counters Server::counters() const {
    const ServerContext& context = state_->context;
    return {
        .accepted = context.accepted.load(),
        .refused = context.refused.load(),
        .requests = context.requests.load(),
        .open = context.open.load(),
        .late_replies = context.late_replies.load(),
    };
}

}  // namespace opensend::http
