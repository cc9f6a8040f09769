#include "kernel/plugin/worker/program/reverse_host.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "kernel/plugin/load/import.h"
#include "kernel/plugin/worker/program/reverse_tables.h"

namespace opensend::plugin::worker {
namespace {

constexpr auto kSendPatience = std::chrono::milliseconds(30'000);
constexpr auto kAskTurn = std::chrono::milliseconds(50);
constexpr auto kNoTimer = std::chrono::milliseconds(100);
constexpr int kServerGone = 3;

uint64_t ThisThread() { return static_cast<uint64_t>(syscall(SYS_gettid)); }

}  // namespace

osp_time MonotonicNow() {
    return static_cast<osp_time>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch()
    )
                                     .count());
}

ReverseHost::ReverseHost(Channel& channel, std::function<void()> beat)
    : channel_(channel),
      beat_(std::move(beat)),
      table_(ReverseTables::MakeHost(this)),
      answers_(channel.answers(), channel.socket()),
      replies_(channel.replies(), channel.socket(), false),
      strand_(ThisThread()) {}

void ReverseHost::Send(const Frame& frame) {
    const auto parcel = Sender::Pack(frame, false);
    if (!parcel) return;
    base::MutexLock lock(send_mutex_);
    // A server that does not read for so long will not read again.
    if (!answers_.SendInPieces(*parcel, kSendPatience)) _exit(kServerGone);
}

void ReverseHost::OpenToken(osp_token token, FrameKind kind, std::shared_ptr<void> call) {
    base::MutexLock lock(mutex_);
    tokens_[token] = {kind, std::move(call), nullptr, 0};
}

void ReverseHost::SetResults(osp_token token, const osp_rl_res* results, uint32_t n) {
    base::MutexLock lock(mutex_);
    const auto found = tokens_.find(token);
    if (found == tokens_.end()) return;
    found->second.results = results;
    found->second.n = n;
}

void ReverseHost::CompleteIfOpen(osp_token token, const osp_completion& completion) {
    {
        base::MutexLock lock(mutex_);
        if (tokens_.count(token) == 0) return;
    }
    Complete(token, &completion);
}

osp_status ReverseHost::Complete(osp_token token, const osp_completion* source) {
    osp_completion completion{};
    if (!Import(source, OPENSEND_SIZE_THROUGH(osp_completion, status), completion))
        return OSP_E_INVALID;
    Open open;
    {
        base::MutexLock lock(mutex_);
        const auto found = tokens_.find(token);
        if (found != tokens_.end()) {
            open = std::move(found->second);
            tokens_.erase(found);
        }
    }
    if (!open.call) {
        Frame bad = NewFrame(FrameKind::kBadToken);
        bad.token = token;
        Send(bad);
        return OSP_E_STATE;
    }
    Frame frame = NewFrame(FrameKind::kComplete);
    frame.token = token;
    frame.status = completion.status;
    frame.error = completion.error;
    frame.n_error = completion.error == nullptr ? 0 : 1;
    const uint32_t one = completion.result == nullptr || completion.status != OSP_OK ? 0 : 1;
    if (open.kind == FrameKind::kBatch) {
        frame.msg_result = static_cast<const osp_msg_result*>(completion.result);
        frame.n_msg_result = one;
    } else if (open.kind == FrameKind::kAuth) {
        frame.auth_result = static_cast<const osp_auth_result*>(completion.result);
        frame.n_auth_result = one;
    } else if (open.kind == FrameKind::kInbound) {
        frame.http_res = static_cast<const osp_http_res*>(completion.result);
        frame.n_http_res = one;
    } else if (open.kind == FrameKind::kAcquire) {
        frame.rl_res = open.results;
        frame.n_rl_res = open.n;
    }
    std::string readable;
    if (Encode(frame, readable)) {
        Send(frame);
        return OSP_OK;
    }
    Frame unreadable = NewFrame(FrameKind::kComplete);
    unreadable.token = token;
    unreadable.status = OSP_E_INTERNAL;
    osp_error error{};
    error.size = sizeof error;
    error.code = OSP_E_INTERNAL;
    constexpr std::string_view kText = "unreadable result";
    error.msg_len = static_cast<uint32_t>(kText.size());
    std::memcpy(error.msg, kText.data(), kText.size());
    unreadable.error = &error;
    unreadable.n_error = 1;
    Send(unreadable);
    return OSP_E_INVALID;
}

std::shared_ptr<Received> ReverseHost::Ask(Frame frame, HostOp op) {
    base::MutexLock lock(ask_mutex_);
    frame.op = static_cast<uint32_t>(op);
    frame.id = ++last_ask_;
    Send(frame);
    std::string bytes;
    for (;;) {
        if (replies_.Receive(bytes) == Receiver::Got::kFrame) {
            auto reply = std::make_shared<Received>();
            if (!reply->Read(std::move(bytes))) _exit(kServerGone);
            if (reply->frame.id == frame.id) return reply;
            continue;
        }
        replies_.Wait(kAskTurn);
        if (ThisThread() == strand_) beat_();
        if (channel_.PeerGone()) _exit(kServerGone);
    }
}

osp_status ReverseHost::AskStatus(const Frame& frame, HostOp op, osp_error* error) {
    const auto reply = Ask(frame, op);
    if (error != nullptr && error->size >= sizeof *error && reply->frame.n_error == 1) {
        *error = *reply->frame.error;
    }
    return reply->frame.status;
}

uint64_t ReverseHost::Expect(Waiting waiting) {
    base::MutexLock lock(mutex_);
    waiting_[++last_id_] = waiting;
    return last_id_;
}

void ReverseHost::Forget(uint64_t id) {
    base::MutexLock lock(mutex_);
    waiting_.erase(id);
}

void ReverseHost::RunCallback(const Frame& frame) {
    Waiting waiting;
    {
        base::MutexLock lock(mutex_);
        const auto found = waiting_.find(frame.id);
        if (found == waiting_.end()) return;
        waiting = found->second;
        waiting_.erase(found);
    }
    if (waiting.http != nullptr)
        waiting.http(
            waiting.context, frame.status, frame.n_http_res == 1 ? frame.http_res : nullptr
        );
    if (waiting.emit != nullptr)
        waiting.emit(
            waiting.context, frame.status, frame.n_emit_res == 1 ? frame.emit_res : nullptr
        );
    if (waiting.ingest != nullptr)
        waiting.ingest(
            waiting.context, frame.status, frame.n_ingest_res == 1 ? frame.ingest_res : nullptr
        );
    if (waiting.credential != nullptr)
        waiting.credential(
            waiting.context, frame.status, frame.n_credential == 1 ? frame.credential : nullptr
        );
}

uint64_t ReverseHost::Arm(
    osp_time at, uint64_t period, void (*fire)(void*, uint64_t) noexcept, void* context
) {
    base::MutexLock lock(mutex_);
    timers_[++last_id_] = {at, period, fire, context};
    const uint64_t id = last_id_;
    // The strand may sleep until a later one.
    channel_.calls().Interrupt();
    return id;
}

osp_status ReverseHost::Disarm(uint64_t id) {
    base::MutexLock lock(mutex_);
    const bool known = timers_.erase(id) != 0;
    while (firing_ == id && ThisThread() != strand_) fired_.Wait(lock);
    return known ? OSP_OK : OSP_E_NOTFOUND;
}

std::chrono::nanoseconds ReverseHost::RunTimers() {
    for (;;) {
        Timer due;
        uint64_t id = 0;
        {
            base::MutexLock lock(mutex_);
            if (timers_.empty()) return kNoTimer;
            const auto first =
                std::min_element(timers_.begin(), timers_.end(), [](const auto& a, const auto& b) {
                    return a.second.at < b.second.at;
                });
            const osp_time now = MonotonicNow();
            if (first->second.at > now) {
                const auto left = std::chrono::nanoseconds(first->second.at - now);
                return std::min<std::chrono::nanoseconds>(left, kNoTimer);
            }
            id = firing_ = first->first;
            due = first->second;
            if (due.period == 0) {
                timers_.erase(first);
            } else {
                first->second.at = std::max(due.at + due.period, now);
            }
        }
        due.fire(due.context, id);
        base::MutexLock lock(mutex_);
        firing_ = 0;
        fired_.NotifyAll();
    }
}

const void* ReverseHost::Find(std::string_view id) const {
    return ReverseTables::Find(id, granted_);
}

}  // namespace opensend::plugin::worker
