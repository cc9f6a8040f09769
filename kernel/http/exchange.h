#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/base/mutex.h"
#include "kernel/http/message.h"
#include "kernel/http/server.h"

namespace opensend::http {

/// An answer on its way back to the connection it belongs to.
struct Answer {
    uint64_t connection = 0;
    uint64_t sequence = 0;
    std::optional<Response> response;  // none: the reply was dropped
};

/// Where handler threads leave answers for one reactor. Outlives the reactor as long as a reply
/// lives. Thread-safe.
class Mailbox {
public:
    Mailbox();  // throws base::Error kUnavailable when no descriptor is left
    ~Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Wakes the reactor when the box was empty: many answers cost one wake-up.
    void Post(Answer answer);
    void Wake();
    /// The reactor's side. A signal may still come for answers that are taken already, so it is
    /// cleared whenever the descriptor is readable, always before Take: then none is lost.
    void ClearSignal();
    void Take(std::vector<Answer>& out);
    /// Later answers are thrown away.
    void Close();
    int fd() const { return fd_; }

    /// While it lives, answers of this thread wake nobody: the caller takes them afterwards.
    class Quiet {
    public:
        explicit Quiet(Mailbox& box);
        ~Quiet();
        Quiet(const Quiet&) = delete;
        Quiet& operator=(const Quiet&) = delete;
    };

private:
    void Signal();

    const int fd_;
    base::Mutex mutex_;
    std::vector<Answer> answers_ OPENSEND_GUARDED_BY(mutex_);
    bool woken_ OPENSEND_GUARDED_BY(mutex_) = false;
    bool closed_ OPENSEND_GUARDED_BY(mutex_) = false;
};

/// One request between parser and answer. The last owner that goes without having answered posts a
/// dropped reply.
class Exchange {
public:
    Exchange(
        std::shared_ptr<Mailbox> mailbox, uint64_t connection, uint64_t sequence, Request given
    )
        : request(std::move(given)),
          mailbox_(std::move(mailbox)),
          connection_(connection),
          sequence_(sequence) {}
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// The first answer counts.
    void Answer(Response response);
    static Reply MakeReply(std::shared_ptr<Exchange> exchange);

    Request request;

private:
    void Post(std::optional<Response> response);

    const std::shared_ptr<Mailbox> mailbox_;
    const uint64_t connection_;
    const uint64_t sequence_;
    std::atomic<bool> answered_{false};
};

}  // namespace opensend::http
