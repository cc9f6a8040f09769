#include "kernel/http/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <utility>

#include "kernel/http/reactor.h"
#include "kernel/http/response_writer.h"
#include "kernel/runtime/worker.h"

namespace opensend::http {
namespace {

// A client reads its answer when it has sent all it wants to, so what it sends is taken for a
// while.
constexpr size_t kLingerStep = 64 * 1024;
constexpr std::chrono::milliseconds kLingerPause{2'000};  // for one step
constexpr std::chrono::milliseconds kLingerTime{30'000};  // in all
constexpr std::chrono::milliseconds kDrainLingerTime{100};
constexpr size_t kTlsPiece = 64 * 1024;
constexpr size_t kMaxLinger = 64 * 1024 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

void RunHandler(ServerContext& context, std::shared_ptr<Exchange> exchange) {
    // Without an answer the exchange says so when it goes.
    if (context.stopping.load(std::memory_order_relaxed)) return;
    Request request = std::move(exchange->request);
    Reply reply = Exchange::MakeReply(exchange);
    try {
        context.handler(std::move(request), std::move(reply));
    } catch (const std::exception&) {
        exchange->Answer(context.error_body(500, "internal_server_error", "the handler failed"));
    }
}

}  // namespace

Connection::Connection(
    Reactor& reactor, ServerContext& context, uint64_t id, int fd, const Peer& peer
)
    : reactor_(reactor),
      context_(context),
      id_(id),
      peer_(peer),
      socket_(fd),
      fd_(fd),
      parser_(context.parser_limits),
      handler_timeout_(context.options.handler_timeout) {
    if (context.options.identity != nullptr) tls_ = context.options.identity->Accept();
}

Connection::~Connection() { Unlink(); }

void Connection::Start() {
    interest_ = {.read = true};
    reactor_.loop().Watch(socket_, *this, interest_);
    SetDeadline(
        reactor_.now() +
        (tls_ ? context_.options.head_timeout : context_.options.keep_alive_timeout)
    );
}

void Connection::Close() {
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    Unlink();
    reactor_.loop().Unwatch(socket_, *this, interest_);
    socket_.close();
    reactor_.Retire(*this);
}

void Connection::Want(Interest interest) {
    if (interest == interest_) return;
    reactor_.loop().Change(socket_, *this, interest_, interest);
    interest_ = interest;
}

void Connection::SetDeadline(base::MonoTime at) { reactor_.timers().Set(*this, at); }

void Connection::SetReadDeadline(bool got_body_bytes) {
    const auto& options = context_.options;
    if (tls_ && !tls_->established()) return;  // the first deadline holds
    if (parser_.idle()) {
        SetDeadline(reactor_.now() + options.keep_alive_timeout);
    } else if (parser_.in_head()) {
        SetDeadline(request_started_ + options.head_timeout);
    } else {
        if (got_body_bytes) body_moved_ = reactor_.now();
        SetDeadline(std::min(
            body_moved_ + options.body_idle_timeout, body_started_ + options.body_total_timeout
        ));
    }
}

void Connection::OnReadable() {
    try {
        if (state_ == State::kReading) {
            ReadSocket();
        } else if (state_ == State::kLingering) {
            Discard();
        } else if (state_ != State::kClosed) {
            // The client sends ahead: its bytes wait in the kernel until the answer is out.
            Want({.read = false, .write = interest_.write});
        }
    } catch (const std::exception&) {
        Close();
    }
    reactor_.AfterEvent();
}

void Connection::OnWritable() {
    try {
        if (state_ == State::kWriting) {
            if (Flush()) FinishAnswer();
        } else if (state_ == State::kReading) {
            SendAside();
        }
    } catch (const std::exception&) {
        Close();
    }
    reactor_.AfterEvent();
}

void Connection::OnError() { Close(); }

void Connection::ReadSocket() {
    const auto buffer = reactor_.read_buffer();
    const auto got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) Close();
        return;
    }
    // A client that ends in the middle of a request gets no answer: nothing is handled by half.
    if (got == 0) return Close();
    const std::string_view data(buffer.data(), static_cast<size_t>(got));
    if (tls_) {
        TakeWire(data);
    } else {
        TakePlain(data);
    }
}

void Connection::TakeWire(std::string_view data) {
    const bool was_established = tls_->established();
    std::string plain;
    const auto result = tls_->Feed(data, plain, wire_);
    SendAside();
    if (state_ == State::kReading && !was_established) SetReadDeadline(false);
    if (state_ == State::kReading && !plain.empty()) TakePlain(plain);
    // A goodbye while a request is handled still lets its answer out.
    if (result != tls::Session::Result::kGoOn && state_ == State::kReading) Close();
}

void Connection::SendAside() {
    while (wire_sent_ < wire_.size()) {
        const auto sent = ::send(
            fd_, wire_.data() + wire_sent_, wire_.size() - wire_sent_, MSG_NOSIGNAL | MSG_DONTWAIT
        );
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return Close();
            return Want({.read = true, .write = true});
        }
        wire_sent_ += static_cast<size_t>(sent);
    }
    wire_.clear();
    wire_sent_ = 0;
    Want({.read = true, .write = false});
}

void Connection::TakePlain(std::string_view data) {
    const size_t used = Consume(data);
    if (used < data.size() && (state_ == State::kHandling || state_ == State::kWriting)) {
        unread_.assign(data.substr(used));
        unread_at_ = 0;
    }
}

size_t Connection::Consume(std::string_view data) {
    const size_t size = data.size();
    consuming_ = true;
    while (!data.empty() && state_ == State::kReading) {
        if (parser_.idle()) request_started_ = reactor_.now();
        RequestParser::Step step = parser_.Feed(data);
        if (step == RequestParser::Step::kHead) {
            OnHead();
            if (state_ != State::kReading || parser_.idle()) continue;
            step = parser_.Feed(data);
            if (step == RequestParser::Step::kNeedMore && parser_.expects_continue() &&
                parser_.request().body.empty() && data.empty()) {
                if (tls_) {
                    tls_->Write(kContinue, wire_);
                } else {
                    wire_.append(kContinue);
                }
                SendAside();
            }
        }
        if (step == RequestParser::Step::kFailed) {
            const auto& failure = parser_.failure();
            Fail(failure.status, failure.code, failure.reason);
        } else if (step == RequestParser::Step::kComplete) {
            OnComplete();
        }
    }
    consuming_ = false;
    if (state_ == State::kReading) SetReadDeadline(size > 0);
    return size - data.size();
}

void Connection::OnHead() {
    Request& request = parser_.request();
    request.peer = peer_.address;
    request.peer_port = peer_.port;
    is_head_ = request.method == "HEAD";
    body_started_ = body_moved_ = reactor_.now();
    HeadVerdict verdict;
    if (context_.head) verdict = context_.head(request);
    parser_.SetMaxBody(verdict.max_body);
    handler_timeout_ = verdict.handler_timeout.value_or(context_.options.handler_timeout);
    if (!verdict.refuse) return;
    context_.requests.fetch_add(1, std::memory_order_relaxed);
    Send(std::move(*verdict.refuse), parser_.keep_alive() && !parser_.has_body());
}

void Connection::OnComplete() {
    context_.requests.fetch_add(1, std::memory_order_relaxed);
    auto exchange = std::make_shared<Exchange>(
        reactor_.mailbox(), id_, sequence_, std::move(parser_.request())
    );
    state_ = State::kHandling;
    SetDeadline(reactor_.now() + handler_timeout_);
    if (context_.pool == nullptr) return RunHandler(context_, std::move(exchange));
    ServerContext* const context = &context_;
    if (context_.pool->Run([context, exchange] { RunHandler(*context, exchange); })) return;
    Send(
        context_.error_body(503, "queue_full", "too many requests are waiting"),
        parser_.keep_alive()
    );
}

void Connection::OnAnswer(Answer& answer) {
    if (state_ != State::kHandling || answer.sequence != sequence_) {
        if (answer.response) context_.late_replies.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    try {
        Send(
            answer.response
                ? std::move(*answer.response)
                : context_.error_body(500, "internal_server_error", "no answer was made"),
            parser_.keep_alive()
        );
    } catch (const std::exception&) {
        Close();
    }
}

void Connection::OnDeadline() {
    try {
        if (state_ == State::kHandling) {
            Send(
                context_.error_body(503, "service_unavailable", "the handler took too long"), false
            );
        } else if (state_ == State::kReading && !parser_.idle()) {
            Fail(408, "request_timeout", "the request took too long to arrive");
        } else {
            Close();
        }
    } catch (const std::exception&) {
        Close();
    }
}

void Connection::OnDrain() {
    if (state_ == State::kReading && parser_.idle()) return Close();
    if (state_ != State::kLingering) return;
    linger_until_ = std::min(linger_until_, reactor_.now() + kDrainLingerTime);
    SetDeadline(linger_until_);
}

void Connection::Fail(int status, std::string_view code, std::string_view reason) {
    is_head_ = is_head_ && !parser_.in_head();
    Send(context_.error_body(status, code, reason), false);
}

void Connection::Send(Response response, bool keep_alive) {
    keep_alive_ = keep_alive && !response.close && !reactor_.draining();
    if (response.status == 503 && !response.headers.Find("Retry-After")) {
        response.headers.Add("Retry-After", "1");
    }
    // From here on the answer of this request is late.
    ++sequence_;
    state_ = State::kWriting;
    out_head_ = WriteHead(
        response, {.date = reactor_.date(),
                   .keep_alive = keep_alive_,
                   .request_version_minor = parser_.request().version_minor}
    );
    const bool has_body = !is_head_ && StatusHasBody(response.status);
    out_body_ = has_body ? std::move(response.body) : std::string();
    sent_ = 0;
    if (!tls_ && wire_sent_ < wire_.size()) {
        out_head_.insert(0, wire_, wire_sent_);
        wire_.clear();
        wire_sent_ = 0;
    }
    if (Flush()) FinishAnswer();
}

bool Connection::Flush() { return tls_ ? FlushTls() : FlushPlain(); }

bool Connection::FlushTls() {
    const size_t total = out_head_.size() + out_body_.size();
    for (;;) {
        if (wire_sent_ == wire_.size()) {
            wire_.clear();
            wire_sent_ = 0;
            if (sent_ == total) return true;
            // One piece at a time: an answer is not held twice.
            const bool in_head = sent_ < out_head_.size();
            const std::string& part = in_head ? out_head_ : out_body_;
            const size_t at = in_head ? sent_ : sent_ - out_head_.size();
            const auto piece = std::string_view(part).substr(at, kTlsPiece);
            if (!tls_->Write(piece, wire_)) {
                Close();
                return false;
            }
            sent_ += piece.size();
        }
        const auto sent = ::send(
            fd_, wire_.data() + wire_sent_, wire_.size() - wire_sent_, MSG_NOSIGNAL | MSG_DONTWAIT
        );
        if (sent >= 0) {
            wire_sent_ += static_cast<size_t>(sent);
        } else if (errno == EAGAIN) {
            SetDeadline(reactor_.now() + context_.options.body_idle_timeout);
            Want({.read = false, .write = true});
            return false;
        } else if (errno != EINTR) {
            Close();
            return false;
        }
    }
}

bool Connection::FlushPlain() {
    const size_t total = out_head_.size() + out_body_.size();
    while (sent_ < total) {
        iovec parts[2];
        size_t count = 0;
        if (sent_ < out_head_.size()) {
            parts[count++] = {out_head_.data() + sent_, out_head_.size() - sent_};
        }
        const size_t body_at = sent_ > out_head_.size() ? sent_ - out_head_.size() : 0;
        if (body_at < out_body_.size()) {
            parts[count++] = {out_body_.data() + body_at, out_body_.size() - body_at};
        }
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = count;
        const auto sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) {
                Close();
                return false;
            }
            SetDeadline(reactor_.now() + context_.options.body_idle_timeout);
            Want({.read = false, .write = true});
            return false;
        }
        sent_ += static_cast<size_t>(sent);
    }
    return true;
}

void Connection::FinishAnswer() {
    std::string().swap(out_head_);
    std::string().swap(out_body_);
    if (wire_.empty()) std::string().swap(wire_);
    if (!keep_alive_) return BeginLinger();
    parser_.Reset();
    is_head_ = false;
    state_ = State::kReading;
    SetReadDeadline(false);
    if (!consuming_) ReadOn();
}

void Connection::ReadOn() {
    if (unread_at_ < unread_.size()) {
        unread_at_ += Consume(std::string_view(unread_).substr(unread_at_));
    }
    if (state_ == State::kClosed) return;
    if (unread_at_ == unread_.size() && !unread_.empty()) {
        std::string().swap(unread_);
        unread_at_ = 0;
    }
    if (state_ != State::kReading) return;
    if (reactor_.draining() && parser_.idle()) return Close();
    Want({.read = true, .write = false});
}

void Connection::BeginLinger() {
    // Closing with unread bytes would reset the connection and may take the answer with it.
    state_ = State::kLingering;
    std::string().swap(unread_);
    unread_at_ = 0;
    if (tls_) {
        tls_->Close(wire_);
        ::send(fd_, wire_.data(), wire_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    ::shutdown(fd_, SHUT_WR);
    linger_step_ = kLingerStep;
    linger_until_ = reactor_.now() + (reactor_.draining() ? kDrainLingerTime : kLingerTime);
    SetDeadline(std::min(reactor_.now() + kLingerPause, linger_until_));
    Want({.read = true, .write = false});
}

void Connection::Discard() {
    const auto buffer = reactor_.read_buffer();
    const auto got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return Close();
    lingered_ += static_cast<size_t>(got);
    if (lingered_ > kMaxLinger) return Close();
    // A drip is not worth the wait.
    if (lingered_ < linger_step_) return;
    linger_step_ = lingered_ + kLingerStep;
    SetDeadline(std::min(reactor_.now() + kLingerPause, linger_until_));
}

}  // namespace opensend::http
