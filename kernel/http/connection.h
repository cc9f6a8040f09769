#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/cidr.h"
#include "kernel/base/clock.h"
#include "kernel/http/event_loop.h"
#include "kernel/http/exchange.h"
#include "kernel/http/parser.h"
#include "kernel/http/server_context.h"
#include "kernel/http/timer_wheel.h"
#include "kernel/tls/session.h"

namespace opensend::http {

class Reactor;

/// One client connection: a state machine on its reactor's thread. Requests are handled one at a
/// time; while one is, nothing is read.
class Connection final : public Watcher, public TimerNode {
public:
    struct Peer {
        base::IpAddress address;
        uint16_t port = 0;
    };
    /// Takes the descriptor.
    Connection(Reactor& reactor, ServerContext& context, uint64_t id, int fd, const Peer& peer);
    ~Connection() override;

    void Start();
    void OnAnswer(Answer& answer);
    void OnDeadline();
    /// Closes when no request is under way; otherwise after its answer.
    void OnDrain();
    /// At once. The reactor destroys it later.
    void Close();

    void OnReadable() override;
    void OnWritable() override;
    void OnError() override;

    uint64_t id() const { return id_; }
    const Peer& peer() const { return peer_; }

private:
    enum class State { kReading = 1, kHandling, kWriting, kLingering, kClosed };

    /// Feeds the parser until it needs more or a request is under way; returns the bytes taken.
    size_t Consume(std::string_view data);
    void ReadSocket();
    /// Hands received plain bytes on; keeps what belongs to later requests.
    void TakePlain(std::string_view data);
    /// Decrypts what came, answers the handshake.
    void TakeWire(std::string_view data);
    /// Sends small things beside answers: the handshake, 100 Continue.
    void SendAside();
    void OnHead();
    void OnComplete();
    void Fail(int status, std::string_view code, std::string_view reason);
    void Send(Response response, bool keep_alive);
    /// Sends what is left; false while the socket takes no more.
    bool Flush();
    bool FlushPlain();
    bool FlushTls();
    void FinishAnswer();
    void ReadOn();
    void BeginLinger();
    void Discard();
    void Want(Interest interest);
    void SetReadDeadline(bool got_body_bytes);
    void SetDeadline(base::MonoTime at);

    // Constant after construction.
    Reactor& reactor_;
    ServerContext& context_;
    const uint64_t id_;
    const Peer peer_;
    AdoptedSocket socket_;
    const int fd_;

    RequestParser parser_;
    State state_ = State::kReading;
    Interest interest_;
    bool consuming_ = false;
    bool keep_alive_ = false;  // of the answer that is written
    bool is_head_ = false;
    uint64_t sequence_ = 1;  // of the request that is read or handled
    size_t lingered_ = 0;
    size_t linger_step_ = 0;  // bytes that earn more time
    std::chrono::milliseconds handler_timeout_;
    base::MonoTime linger_until_;
    base::MonoTime request_started_;
    base::MonoTime body_started_;
    base::MonoTime body_moved_;
    std::string unread_;  // bytes after the request that is handled
    size_t unread_at_ = 0;
    std::string out_head_;
    std::string out_body_;
    size_t sent_ = 0;
    std::unique_ptr<tls::Session> tls_;
    std::string wire_;  // encrypted, to be sent before anything else
    size_t wire_sent_ = 0;
};

}  // namespace opensend::http
