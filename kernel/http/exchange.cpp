#include "kernel/http/exchange.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "kernel/base/error.h"

namespace opensend::http {
namespace {

thread_local const Mailbox* quiet_mailbox = nullptr;

int OpenEventFd() {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) throw base::Unavailable("service_unavailable", "eventfd: no descriptor left");
    return fd;
}

}  // namespace

Mailbox::Mailbox() : fd_(OpenEventFd()) {}
Mailbox::~Mailbox() { ::close(fd_); }

Mailbox::Quiet::Quiet(Mailbox& box) { quiet_mailbox = &box; }
Mailbox::Quiet::~Quiet() { quiet_mailbox = nullptr; }

void Mailbox::Post(Answer answer) {
    base::MutexLock lock(mutex_);
    if (closed_) return;
    answers_.push_back(std::move(answer));
    if (quiet_mailbox == this || woken_) return;
    woken_ = true;
    lock.Unlock();
    Signal();
}

void Mailbox::Wake() {
    {
        const base::MutexLock lock(mutex_);
        woken_ = true;
    }
    Signal();
}

void Mailbox::Signal() {
    const uint64_t one = 1;
    // The only failure is a full counter, and then the reactor is awake anyway.
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void Mailbox::Take(std::vector<Answer>& out) {
    const base::MutexLock lock(mutex_);
    woken_ = false;
    out.swap(answers_);
}

void Mailbox::ClearSignal() {
    uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
}

void Mailbox::Close() {
    std::vector<Answer> dropped;
    base::MutexLock lock(mutex_);
    closed_ = true;
    dropped.swap(answers_);
    lock.Unlock();
}

Exchange::~Exchange() {
    if (!answered_.exchange(true)) Post(std::nullopt);
}

void Exchange::Answer(Response response) {
    if (!answered_.exchange(true)) Post(std::move(response));
}

void Exchange::Post(std::optional<Response> response) {
    mailbox_->Post({connection_, sequence_, std::move(response)});
}

Reply Exchange::MakeReply(std::shared_ptr<Exchange> exchange) {
    return [exchange = std::move(exchange)](Response response) {
        exchange->Answer(std::move(response));
    };
}

}  // namespace opensend::http
