#include "kernel/http/reactor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "kernel/http/response_writer.h"

namespace opensend::http {
namespace {

constexpr size_t kReadBuffer = 64 * 1024;
constexpr int kAcceptsPerEvent = 64;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::milliseconds kShortTurn{50};
constexpr std::chrono::milliseconds kLongTurn{1'000};

int OpenSpare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

Connection::Peer ToPeer(const sockaddr_storage& address) {
    static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    Connection::Peer peer;
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        std::memcpy(peer.address.bytes.data(), &v4.sin_addr, 4);
        peer.port = ntohs(v4.sin_port);
    } else if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        peer.port = ntohs(v6.sin6_port);
        const auto* bytes = v6.sin6_addr.s6_addr;
        if (std::memcmp(bytes, kMapped, sizeof kMapped) == 0) {
            std::memcpy(peer.address.bytes.data(), bytes + 12, 4);
        } else {
            std::memcpy(peer.address.bytes.data(), bytes, 16);
            peer.address.is_v6 = true;
        }
    }
    return peer;
}

}  // namespace

class Reactor::Listener final : public Watcher {
public:
    Listener(Reactor& reactor, const Poco::Net::ServerSocket& listening)
        : socket(listening), reactor_(reactor) {}
    void OnReadable() override { reactor_.Accept(*this); }
    void OnWritable() override {}
    void OnError() override { reactor_.PauseAccept(); }

    Poco::Net::ServerSocket socket;

private:
    Reactor& reactor_;
};

class Reactor::MailWatcher final : public Watcher {
public:
    explicit MailWatcher(Reactor& reactor) : reactor_(reactor) {}
    void OnReadable() override {
        reactor_.mailbox_->ClearSignal();
        reactor_.DeliverAnswers();
    }
    void OnWritable() override {}
    void OnError() override {}

private:
    Reactor& reactor_;
};

Reactor::Reactor(ServerContext& context)
    : context_(context),
      mailbox_(std::make_shared<Mailbox>()),
      loop_([this] { OnTurn(); }),
      mail_socket_(::fcntl(mailbox_->fd(), F_DUPFD_CLOEXEC, 0)),
      mail_watcher_(std::make_unique<MailWatcher>(*this)),
      timers_(context.clock.Mono()),
      now_(context.clock.Mono()),
      spare_fd_(OpenSpare()),
      read_buffer_(kReadBuffer) {
    loop_.SetTurn(kLongTurn);
    loop_.Watch(mail_socket_, *mail_watcher_, {.read = true});
}

Reactor::~Reactor() {
    mailbox_->Close();
    if (spare_fd_ >= 0) ::close(spare_fd_);
}

void Reactor::AddListener(const Poco::Net::ServerSocket& socket) {
    listeners_.push_back(std::make_unique<Listener>(*this, socket));
    loop_.Watch(listeners_.back()->socket, *listeners_.back(), {.read = true});
}

void Reactor::Run() {
    loop_.Run();
    // The loop ends for good: what is open goes with it.
    StartDrain();
    while (!connections_.empty()) connections_.begin()->second->Close();
    retired_.clear();
}

void Reactor::Drain() {
    drain_asked_ = true;
    mailbox_->Wake();
}

void Reactor::Quit() {
    quit_asked_ = true;
    loop_.Stop();
    mailbox_->Wake();
}

void Reactor::OnTurn() {
    now_ = context_.clock.Mono();
    retired_.clear();
    // A stop that came before the loop ran would otherwise be forgotten.
    if (quit_asked_) loop_.Stop();
    if (drain_asked_ && !draining_) StartDrain();
    if (accept_paused_ && now_ >= accept_again_at_) ResumeAccept();
    timers_.Advance(now_, [](TimerNode& node) { static_cast<Connection&>(node).OnDeadline(); });
    AdjustTurn();
}

void Reactor::AdjustTurn() {
    const bool wanted = !connections_.empty() || accept_paused_;
    if (wanted == short_turns_) return;
    short_turns_ = wanted;
    loop_.SetTurn(wanted ? kShortTurn : kLongTurn);
}

void Reactor::StartDrain() {
    if (draining_) return;
    draining_ = true;
    for (auto& listener : listeners_) {
        if (!accept_paused_) loop_.Unwatch(listener->socket, *listener, {.read = true});
        listener->socket.close();
    }
    listeners_.clear();
    accept_paused_ = false;
    std::vector<Connection*> open;
    for (auto& [id, connection] : connections_) open.push_back(connection.get());
    for (Connection* connection : open) connection->OnDrain();
}

std::string_view Reactor::date() {
    const base::Time now = context_.clock.Now();
    if (now.Seconds() != date_second_) {
        date_second_ = now.Seconds();
        date_ = FormatHttpDate(now);
    }
    return date_;
}

void Reactor::Retire(Connection& connection) {
    context_.limits.Release(connection.peer().address);
    context_.open.fetch_sub(1, std::memory_order_relaxed);
    const auto found = connections_.find(connection.id());
    retired_.push_back(std::move(found->second));
    connections_.erase(found);
}

void Reactor::AfterEvent() {
    if (context_.pool == nullptr) DeliverAnswers();
}

void Reactor::DeliverAnswers() {
    const Mailbox::Quiet quiet(*mailbox_);
    for (;;) {
        mailbox_->Take(answers_);
        if (answers_.empty()) return;
        for (Answer& answer : answers_) {
            const auto found = connections_.find(answer.connection);
            if (found != connections_.end()) {
                found->second->OnAnswer(answer);
            } else if (answer.response) {
                context_.late_replies.fetch_add(1, std::memory_order_relaxed);
            }
        }
        answers_.clear();
    }
}

void Reactor::Accept(Listener& listener) {
    for (int i = 0; i < kAcceptsPerEvent; ++i) {
        sockaddr_storage address{};
        socklen_t length = sizeof address;
        // Reading the address in place spares a call per connection.
        const int fd = ::accept4(
            listener.socket.impl()->sockfd(), reinterpret_cast<sockaddr*>(&address), &length,
            SOCK_NONBLOCK | SOCK_CLOEXEC
        );
        if (fd >= 0) {
            Admit(fd, address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return OnDescriptorsExhausted(listener);
        }
        if (errno == EAGAIN) return;
        // Anything else concerns one connection that died in the queue.
    }
}

void Reactor::Admit(int fd, const sockaddr_storage& address) {
    const auto peer = ToPeer(address);
    if (!context_.limits.Admit(peer.address)) {
        context_.refused.fetch_add(1, std::memory_order_relaxed);
        ::close(fd);
        return;
    }
    context_.accepted.fetch_add(1, std::memory_order_relaxed);
    context_.open.fetch_add(1, std::memory_order_relaxed);
    const uint64_t id = next_id_++;
    auto owner = std::make_unique<Connection>(*this, context_, id, fd, peer);
    Connection& connection = *owner;
    connections_.emplace(id, std::move(owner));
    try {
        connection.Start();
    } catch (const std::exception&) {
        connection.Close();
    }
    AdjustTurn();
}

void Reactor::OnDescriptorsExhausted(Listener& listener) {
    if (spare_fd_ >= 0) {
        ::close(spare_fd_);
        const int fd = ::accept4(listener.socket.impl()->sockfd(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) {
            context_.refused.fetch_add(1, std::memory_order_relaxed);
            ::close(fd);
        }
    }
    spare_fd_ = OpenSpare();
    PauseAccept();
}

void Reactor::PauseAccept() {
    if (accept_paused_) return;
    accept_paused_ = true;
    accept_again_at_ = now_ + kAcceptPause;
    for (auto& listener : listeners_) {
        loop_.Unwatch(listener->socket, *listener, {.read = true});
    }
    AdjustTurn();
}

void Reactor::ResumeAccept() {
    accept_paused_ = false;
    for (auto& listener : listeners_) {
        loop_.Watch(listener->socket, *listener, {.read = true});
    }
}

}  // namespace opensend::http
