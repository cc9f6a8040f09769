#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <Poco/Net/ServerSocket.h>

#include "kernel/http/connection.h"
#include "kernel/http/event_loop.h"
#include "kernel/http/exchange.h"
#include "kernel/http/server_context.h"
#include "kernel/http/timer_wheel.h"

namespace opensend::http {

/// One event loop with its listeners and connections.
class Reactor {
public:
    explicit Reactor(ServerContext& context);
    ~Reactor();

    /// Before Run.
    void AddListener(const Poco::Net::ServerSocket& socket);
    /// Until Quit.
    void Run();

    // Any thread.
    /// Closes the listeners and idle connections; the others close after their answer.
    void Drain();
    void Quit();

    // For connections, on the loop's thread.
    EventLoop& loop() { return loop_; }
    TimerWheel& timers() { return timers_; }
    base::MonoTime now() const { return now_; }
    std::string_view date();
    std::span<char> read_buffer() { return read_buffer_; }
    const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
    bool draining() const { return draining_; }
    /// Destroys `connection` when the current event is over.
    void Retire(Connection& connection);
    /// Delivers answers that handlers gave on this thread.
    void AfterEvent();

private:
    class Listener;
    class MailWatcher;

    void OnTurn();
    void StartDrain();
    void DeliverAnswers();
    void Accept(Listener& listener);
    void Admit(int fd, const sockaddr_storage& address);
    /// Refuses one connection with the spare descriptor, then rests.
    void OnDescriptorsExhausted(Listener& listener);
    void PauseAccept();
    void ResumeAccept();
    void AdjustTurn();

    ServerContext& context_;
    const std::shared_ptr<Mailbox> mailbox_;
    std::atomic<bool> drain_asked_{false};
    std::atomic<bool> quit_asked_{false};

    // Used by the loop's thread only.
    EventLoop loop_;
    AdoptedSocket mail_socket_;
    std::unique_ptr<MailWatcher> mail_watcher_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    TimerWheel timers_;
    base::MonoTime now_;
    base::MonoTime accept_again_at_;
    bool accept_paused_ = false;
    bool draining_ = false;
    bool short_turns_ = false;
    int spare_fd_ = -1;
    uint64_t next_id_ = 1;
    int64_t date_second_ = -1;
    std::string date_;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::vector<std::unique_ptr<Connection>> retired_;
    std::vector<Answer> answers_;
    std::vector<char> read_buffer_;
};

}  // namespace opensend::http
