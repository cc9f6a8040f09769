// For tests of plugins: a host with a clock that the test moves and a book of its tokens, a shared
// object loaded by path, and a started instance. Services of the host are in testing_services.hpp,
// calls of each kind in testing_calls.hpp, the other end of an SMTP connection in testing_peer.hpp.
// Nothing but the standard library.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <time.h>

#include <opensend/plugin.hpp>

namespace osp::testing {

/// A copy of what a plugin said of one recipient.
struct RcptAnswer {
    int32_t outcome = -1;
    uint32_t index = 0, retry_after_ms = 0;
    uint16_t smtp_code = 0, enhanced[3] = {}, rclass = 0, stage = 0;
    std::string remote_id, diag, transcript;
};

/// A copy of a completion. Which part is filled follows from the kind the token was opened for.
struct Answer {
    osp_status status = OSP_E_STATE;
    std::string error;
    bool readable = false;  // there was a result struct of plausible size
    RcptAnswer all;
    std::vector<RcptAnswer> rcpts;
    int32_t decision = -1;
    std::string subject, tenant, challenge, reason;
    std::vector<std::string> scopes;
    int32_t http_status = 0;
    std::string body;
};

enum class TokenKind { kOther = 1, kTransport, kAuth, kInbound };

/// Copies the struct behind a completion; nothing of the plugin's is kept.
inline Answer CopyAnswer(TokenKind kind, const osp_completion& completion);

/// Answers the services a plugin asks for from plain members. Completions are passed to
/// `on_complete`, or only counted; those of tokens from Open are kept and may come once.
class FakeHost {
    template <class F>
    auto Locked(F&& call) {
        const std::lock_guard lock(mutex_);
        return call();
    }

public:
    FakeHost() {
        place_.table = {
            sizeof place_.table, OSP_MAGIC, OSP_ABI_MAJOR, OSP_ABI_MINOR, 0,      "fake", "1", this,
            &GetInterface,       &Complete, &Log,          &Now,          &UnixMs};
        std::memset(place_.beyond, 0x5a, sizeof place_.beyond);
    }
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;
    const osp_host* table() const { return &place_.table; }

    osp_time now_ns = 1'000'000'000;
    int64_t unix_ms = 1'767'225'600'000;
    /// The clocks run by themselves, from the machine's.
    bool real_time = false;
    std::map<std::string, std::string> secrets;
    bool grants_secrets = true;
    std::function<void(osp_token, const osp_completion&)> on_complete;
    /// Called behind the bookkeeping, without a lock.
    std::function<void(osp_token)> after_complete;
    size_t completions = 0;
    std::vector<std::string> log_lines;
    /// Tables that get_interface gives out besides the secrets, by id.
    std::map<std::string, const void*> services;
    /// For the tables above.
    void* context = nullptr;
    /// From now on every call into the host counts in `forbidden_calls`.
    std::atomic<bool> is_stopped{false};
    std::atomic<size_t> forbidden_calls{0};

    static FakeHost& Of(const osp_host* host) { return *static_cast<FakeHost*>(host->self); }

    /// The table claims a later minor version and is longer than this header knows.
    void PretendNewer() {
        place_.table.size = sizeof place_;
        place_.table.abi_minor = OSP_ABI_MINOR + 7;
    }
    /// A new token whose answer is kept.
    osp_token Open(TokenKind kind) {
        const std::lock_guard lock(mutex_);
        const osp_token token = ++last_token_;
        open_[token] = kind;
        return token;
    }
    /// Takes back a token that the call did not need.
    void Forget(osp_token token) {
        const std::lock_guard lock(mutex_);
        open_.erase(token);
    }
    /// Waits until the token was completed. False: it was not in time.
    bool Wait(osp_token token, int ms) {
        std::unique_lock lock(mutex_);
        return completed_.wait_for(lock, std::chrono::milliseconds(ms), [&] {
            return answers_.count(token) != 0;
        });
    }
    bool IsCompleted(osp_token token) {
        const std::lock_guard lock(mutex_);
        return answers_.count(token) != 0;
    }
    Answer AnswerOf(osp_token token) {
        const std::lock_guard lock(mutex_);
        const auto found = answers_.find(token);
        return found == answers_.end() ? Answer{} : found->second;
    }
    /// The audit of tokens: completed again, never handed out, and still open.
    size_t double_completions() {
        return Locked([&] { return doubles_; });
    }
    size_t unknown_completions() {
        return Locked([&] { return strangers_; });
    }
    size_t open_tokens() {
        return Locked([&] { return open_.size() - answers_.size(); });
    }
    /// "" when each token from Open was completed once, and nothing else was; otherwise what is
    /// wrong.
    std::string Audit() {
        return Locked([&]() -> std::string {
            if (doubles_ > 0) return std::to_string(doubles_) + " tokens were completed again";
            if (strangers_ > 0) return std::to_string(strangers_) + " unknown tokens completed";
            const size_t waiting = open_.size() - answers_.size();
            return waiting == 0 ? "" : std::to_string(waiting) + " tokens were never completed";
        });
    }
    std::string log_text() {
        return Locked([&] {
            std::string all;
            for (const std::string& line : log_lines) all.append(line).append("\n");
            return all;
        });
    }
    /// Counts a call of any service; the tables beside this one use it, too.
    void Enter() noexcept {
        if (is_stopped) ++forbidden_calls;
    }
    osp_time Time() const noexcept { return real_time ? Monotonic() : now_ns; }
    static osp_time Monotonic() noexcept {
        return static_cast<osp_time>(
            std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)
        );
    }

private:
    static const void* GetInterface(const osp_host* host, const char* id) noexcept {
        FakeHost& self = Of(host);
        self.Enter();
        if (std::strcmp(id, OSP_HOST_SECRET) == 0) return self.grants_secrets ? &kSecrets : nullptr;
        const auto found = self.services.find(id);
        return found == self.services.end() ? nullptr : found->second;
    }
    /// False: refused by the book.
    osp_status Book(osp_token token, const osp_completion& completion) {
        const std::lock_guard lock(mutex_);
        ++completions;
        if (on_complete) on_complete(token, completion);
        if (last_token_ == kFirstToken) return OSP_OK;
        const auto found = open_.find(token);
        if (found == open_.end()) {
            ++strangers_;
            return OSP_E_STATE;
        }
        if (!answers_.emplace(token, CopyAnswer(found->second, completion)).second) {
            ++doubles_;
            return OSP_E_STATE;
        }
        completed_.notify_all();
        return OSP_OK;
    }
    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* completion
    ) noexcept {
        FakeHost& self = Of(host);
        self.Enter();
        const osp_status status = self.Book(token, *completion);
        if (status == OSP_OK && self.after_complete) self.after_complete(token);
        return status;
    }
    static void Log(
        const osp_host* host, int32_t, osp_str text, const osp_kv* fields, uint32_t n
    ) noexcept {
        FakeHost& self = Of(host);
        self.Enter();
        std::string line(View(text));
        for (uint32_t i = 0; i < n; ++i)
            line.append(" ").append(View(fields[i].key)).append("=").append(View(fields[i].value));
        const std::lock_guard lock(self.mutex_);
        self.log_lines.push_back(std::move(line));
    }
    static osp_time Now(const osp_host* host) noexcept {
        Of(host).Enter();
        return Of(host).Time();
    }
    static int64_t UnixMs(const osp_host* host) noexcept {
        Of(host).Enter();
        return Of(host).real_time ? static_cast<int64_t>(time(nullptr)) * 1000 : Of(host).unix_ms;
    }
    static osp_status With(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* ctx
    ) noexcept {
        Of(host).Enter();
        const auto found = Of(host).secrets.find(std::string(View(ref)));
        if (found == Of(host).secrets.end()) return OSP_E_NOTFOUND;
        use(ctx, Bytes(found->second));
        return OSP_OK;
    }
    static osp_status
    Watch(const osp_host* host, osp_str, void (*)(void*) noexcept, void*) noexcept {
        Of(host).Enter();
        return OSP_OK;
    }
    static constexpr osp_host_secret_v1 kSecrets{sizeof(osp_host_secret_v1), 0, With, Watch};

    struct {
        osp_host table;
        unsigned char beyond[64];
    } place_{};
    std::mutex mutex_;
    std::condition_variable completed_;
    static constexpr osp_token kFirstToken = 0x7100;
    osp_token last_token_ = kFirstToken;
    std::map<osp_token, TokenKind> open_;
    std::map<osp_token, Answer> answers_;
    size_t doubles_ = 0, strangers_ = 0;
};

}  // namespace osp::testing

#include <opensend/testing_plugin.hpp>
