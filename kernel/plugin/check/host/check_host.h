#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/plugin/check/host/answer.h"

namespace opensend::plugin_check {

/// The host that a plugin under test gets: a clock that can be held, a book of its tokens, a log
/// that can be read. Every table function may be called by any thread.
class CheckHost {
public:
    CheckHost();
    CheckHost(const CheckHost&) = delete;
    CheckHost& operator=(const CheckHost&) = delete;
    const osp_host* table() const { return &place_.table; }
    static CheckHost& Of(const osp_host* host) { return *static_cast<CheckHost*>(host->self); }

    /// 0: the clock is the machine's.
    osp_time held_ns = 0;
    std::map<std::string, std::string> secrets;
    bool grants_secrets = true;
    /// Tables that get_interface gives out besides the secrets, by id, and their owner.
    std::map<std::string, const void*> services;
    void* context = nullptr;
    std::function<void(osp_token)> before_complete, after_complete;
    /// From now on every call into the host counts in `forbidden_calls`.
    std::atomic<bool> is_stopped{false};
    std::atomic<size_t> forbidden_calls{0};
    /// The answers of completed tokens are forgotten: only their number is kept.
    bool keeps_answers = true;

    /// The table claims a later minor version and is longer than this header knows.
    void PretendNewer();
    /// A new token whose answer is kept.
    osp_token Open(TokenKind kind);
    /// Forgets a token: what comes for it is a stranger's.
    void Revoke(osp_token token);
    /// Tokens that were handed out and not completed.
    size_t open_tokens();
    /// Waits until the token was completed. False: it was not in time.
    bool Wait(osp_token token, int64_t ms);
    bool IsCompleted(osp_token token);
    Answer AnswerOf(osp_token token);
    /// The audit: completions of a token for the second time, and of one nobody was given.
    size_t double_completions();
    size_t unknown_completions();
    std::string log_text();
    size_t log_lines();
    /// Counts a call of any service; the tables beside this one use it, too.
    void Enter() noexcept {
        if (is_stopped) ++forbidden_calls;
    }
    osp_time Time() const noexcept { return held_ns != 0 ? held_ns : Monotonic(); }
    static osp_time Monotonic() noexcept;

private:
    struct Tables;
    osp_status Book(osp_token token, const osp_completion& completion);

    struct {
        osp_host table;
        unsigned char beyond[64];
    } place_{};
    std::mutex mutex_;
    std::condition_variable completed_;
    osp_token last_token_ = 0x7100;
    std::map<osp_token, TokenKind> open_;
    std::map<osp_token, Answer> answers_;
    std::vector<std::string> log_;
    size_t doubles_ = 0, strangers_ = 0;
};

}  // namespace opensend::plugin_check
