#include "kernel/plugin/check/host/check_host.h"

#include <chrono>
#include <cstring>
#include <ctime>

#include <opensend/plugin.hpp>

namespace opensend::plugin_check {

struct CheckHost::Tables {
    static const void* GetInterface(const osp_host* host, const char* id) noexcept {
        CheckHost& self = Of(host);
        self.Enter();
        if (std::strcmp(id, OSP_HOST_SECRET) == 0) return self.grants_secrets ? &kSecrets : nullptr;
        const auto found = self.services.find(id);
        return found == self.services.end() ? nullptr : found->second;
    }
    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* completion
    ) noexcept {
        CheckHost& self = Of(host);
        self.Enter();
        if (self.before_complete) self.before_complete(token);
        const osp_status status = self.Book(token, *completion);
        if (status == OSP_OK && self.after_complete) self.after_complete(token);
        return status;
    }
    static void Log(
        const osp_host* host, int32_t, osp_str text, const osp_kv* fields, uint32_t n
    ) noexcept {
        CheckHost& self = Of(host);
        self.Enter();
        std::string line(osp::View(text));
        for (uint32_t i = 0; i < n; ++i)
            line.append(" ")
                .append(osp::View(fields[i].key))
                .append("=")
                .append(osp::View(fields[i].value));
        const std::lock_guard lock(self.mutex_);
        self.log_.push_back(std::move(line));
    }
    static osp_time Now(const osp_host* host) noexcept {
        Of(host).Enter();
        return Of(host).Time();
    }
    static int64_t UnixMs(const osp_host* host) noexcept {
        Of(host).Enter();
        timespec now{};
        clock_gettime(CLOCK_REALTIME, &now);
        return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    }
    static osp_status With(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* ctx
    ) noexcept {
        CheckHost& self = Of(host);
        self.Enter();
        const auto found = self.secrets.find(std::string(osp::View(ref)));
        if (found == self.secrets.end()) return OSP_E_NOTFOUND;
        use(ctx, osp::Bytes(found->second));
        return OSP_OK;
    }
    static osp_status
    Watch(const osp_host* host, osp_str, void (*)(void*) noexcept, void*) noexcept {
        Of(host).Enter();
        return OSP_OK;
    }
    static constexpr osp_host_secret_v1 kSecrets{sizeof(osp_host_secret_v1), 0, With, Watch};
};

CheckHost::CheckHost() {
    place_.table = {
        sizeof place_.table,
        OSP_MAGIC,
        OSP_ABI_MAJOR,
        OSP_ABI_MINOR,
        0,
        "opensend plugins check",
        "1",
        this,
        Tables::GetInterface,
        Tables::Complete,
        Tables::Log,
        Tables::Now,
        Tables::UnixMs};
    std::memset(place_.beyond, 0x5a, sizeof place_.beyond);
}

void CheckHost::PretendNewer() {
    place_.table.size = sizeof place_;
    place_.table.abi_minor = OSP_ABI_MINOR + 7;
}

osp_time CheckHost::Monotonic() noexcept {
    return static_cast<osp_time>(
        std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)
    );
}

osp_token CheckHost::Open(TokenKind kind) {
    const std::lock_guard lock(mutex_);
    const osp_token token = ++last_token_;
    open_[token] = kind;
    return token;
}

void CheckHost::Revoke(osp_token token) {
    const std::lock_guard lock(mutex_);
    open_.erase(token);
    answers_.erase(token);
}

size_t CheckHost::open_tokens() {
    const std::lock_guard lock(mutex_);
    return open_.size() - answers_.size();
}

bool CheckHost::Wait(osp_token token, int64_t ms) {
    std::unique_lock lock(mutex_);
    return completed_.wait_for(lock, std::chrono::milliseconds(ms), [&] {
        return answers_.count(token) != 0;
    });
}

bool CheckHost::IsCompleted(osp_token token) {
    const std::lock_guard lock(mutex_);
    return answers_.count(token) != 0;
}

Answer CheckHost::AnswerOf(osp_token token) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(token);
    if (found == answers_.end()) return {};
    if (keeps_answers) return found->second;
    open_.erase(token);
    return std::move(answers_.extract(found).mapped());
}

size_t CheckHost::double_completions() {
    const std::lock_guard lock(mutex_);
    return doubles_;
}

size_t CheckHost::unknown_completions() {
    const std::lock_guard lock(mutex_);
    return strangers_;
}

size_t CheckHost::log_lines() {
    const std::lock_guard lock(mutex_);
    return log_.size();
}

std::string CheckHost::log_text() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : log_) all.append(line).append("\n");
    return all;
}

osp_status CheckHost::Book(osp_token token, const osp_completion& completion) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(token);
    if (found == open_.end()) {
        ++strangers_;
        return OSP_E_STATE;
    }
    if (answers_.count(token) != 0) {
        ++doubles_;
        return OSP_E_STATE;
    }
    answers_.emplace(token, CopyAnswer(found->second, completion));
    completed_.notify_all();
    return OSP_OK;
}

}  // namespace opensend::plugin_check
