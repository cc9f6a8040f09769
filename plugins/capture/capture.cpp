#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rapidjson/document.h>

#include <opensend/plugin.hpp>

namespace {

constexpr uint32_t kMaxSlowMs = 600'000;

/// What the configuration wants for an address.
struct Outcome {
    const char* name;
    int32_t outcome;
    uint16_t code, enhanced[3], stage;
    const char* text;
};
constexpr Outcome kOutcomes[] = {
    {"accepted",      OSP_OUT_ACCEPTED,  250, {2, 0, 0}, OSP_STAGE_END,  "kept"                      },
    {"deferred",      OSP_OUT_DEFERRED,  451, {4, 3, 0}, OSP_STAGE_RCPT, "deferred by configuration" },
    {"rejected",      OSP_OUT_REJECTED,  550, {5, 1, 1}, OSP_STAGE_RCPT, "rejected by configuration" },
    {"throttled",     OSP_OUT_THROTTLED, 450, {4, 2, 1}, OSP_STAGE_RCPT, "throttled by configuration"},
    {"indeterminate",
     OSP_OUT_INDETERMINATE,              0,
     {0, 0, 0},
     OSP_STAGE_END,                                                      "unknown by configuration"  },
    {"auth",          OSP_OUT_DEFERRED,  535, {5, 7, 8}, OSP_STAGE_AUTH, "refused by configuration"  },
};

struct Rule {
    const Outcome* outcome = &kOutcomes[0];
    uint32_t slow_ms = 0;
};

std::string Lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    });
    return out;
}

[[noreturn]] void Misconfigured(const std::string& text) { throw osp::Error(OSP_E_CONFIG, text); }

Rule ParseRule(std::string_view text) {
    constexpr std::string_view kSlow = "slow:";
    if (text.substr(0, kSlow.size()) == kSlow) {
        const std::string_view digits = text.substr(kSlow.size());
        Rule rule;
        const char* end = digits.data() + digits.size();
        const auto [stop, error] = std::from_chars(digits.data(), end, rule.slow_ms);
        if (error == std::errc() && stop == end && rule.slow_ms <= kMaxSlowMs) return rule;
        Misconfigured("outcome slow: takes 0 to 600000 milliseconds");
    }
    for (const Outcome& outcome : kOutcomes) {
        if (text == outcome.name) return {&outcome, 0};
    }
    Misconfigured(
        "an outcome is accepted, deferred, rejected, throttled, indeterminate, auth or slow:<ms>"
    );
}

std::map<std::string, Rule> ParseOutcomes(const rapidjson::Value& value) {
    rapidjson::Document inner;
    const rapidjson::Value* object = &value;
    if (value.IsString()) {
        inner.Parse(value.GetString(), value.GetStringLength());
        object = &inner;
    }
    if (!object->IsObject()) Misconfigured("outcomes is an object of address and outcome");
    std::map<std::string, Rule> rules;
    for (const auto& member : object->GetObject()) {
        if (!member.value.IsString()) Misconfigured("an outcome is a text");
        rules[Lower(member.name.GetString())] = ParseRule(member.value.GetString());
    }
    return rules;
}

[[noreturn]] void Failed(const char* what) {
    const int code = errno;
    const osp_status status =
        code == ENOSPC || code == EDQUOT || code == EIO ? OSP_E_UNAVAILABLE : OSP_E_CONFIG;
    throw osp::Error(status, std::string(what) + ": " + std::strerror(code));
}

/// An open file or folder.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    const int fd_;
};

void MakeFolder(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) Failed("cannot make the folder");
        if (slash == std::string::npos) return;
    }
}

void WriteAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) Failed("cannot write");
        bytes.remove_prefix(static_cast<size_t>(written));
    }
}

void CheckAddress(std::string_view address) {
    const bool control = std::any_of(address.begin(), address.end(), [](unsigned char c) {
        return c < ' ' || c == 127;
    });
    if (control) throw osp::Error(OSP_E_INVALID, "control character in an address");
}

/// A maildir: a message is in new/ whole and durable, or not at all.
class Maildir {
public:
    void Open(const std::string& path) {
        path_ = path;
        for (const char* part : {"/tmp", "/new", "/cur"}) MakeFolder(path + part);
    }
    /// Returns the name of the new file.
    std::string Store(int64_t unix_ms, std::string_view envelope, std::string_view message) {
        const std::string name = std::to_string(unix_ms / 1000) + ".M" +
                                 std::to_string(unix_ms % 1000) + "P" + std::to_string(getpid()) +
                                 "Q" + std::to_string(++count_) + ".capture";
        const std::string temporary = path_ + "/tmp/" + name;
        try {
            const Descriptor file(
                open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)
            );
            if (file.get() < 0) Failed("cannot make a file");
            WriteAll(file.get(), envelope);
            WriteAll(file.get(), message);
            if (fsync(file.get()) != 0) Failed("cannot sync a file");
            if (rename(temporary.c_str(), (path_ + "/new/" + name).c_str()) != 0)
                Failed("cannot rename a file");
        } catch (const std::exception&) {
            unlink(temporary.c_str());
            throw;
        }
        const Descriptor folder(open((path_ + "/new").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (folder.get() < 0 || fsync(folder.get()) != 0) Failed("cannot sync the folder");
        return name;
    }

private:
    std::string path_;
    std::atomic<uint64_t> count_{0};
};

class Capture final : public osp::Transport {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;

    explicit Capture(const osp_create_args& args) : Transport(args) {
        rapidjson::Document document;
        document.Parse(args.config.ptr, args.config.len);
        const rapidjson::Value& config = document;
        if (!config.IsObject()) Misconfigured("the configuration is no JSON object");
        for (const auto& member : config.GetObject()) {
            const std::string_view name = member.name.GetString();
            if (name == "path" && member.value.IsString()) {
                path_ = member.value.GetString();
            } else if (name == "outcomes") {
                rules_ = ParseOutcomes(member.value);
            } else {
                Misconfigured("unknown or mistyped key " + std::string(name));
            }
        }
        while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
        if (path_.size() < 2 || path_.front() != '/')
            Misconfigured("path names a folder and begins with /");
    }

    void Start() override { maildir_.Open(path_); }
    void Stop() override {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        stopped_.notify_all();
    }

    osp_transport_caps Caps() const override {
        osp_transport_caps caps{};
        caps.flags = OSP_TR_BLOCKING | OSP_TR_PER_RCPT | OSP_TR_SMTPUTF8 | OSP_TR_FINAL_HOST;
        caps.max_batch = 64;
        caps.max_concurrency = 4;
        return caps;
    }

    void Deliver(const osp_msg& message, osp::Completion&& done) override {
        std::vector<Rule> rules(message.n_rcpts);
        uint32_t slow_ms = 0;
        for (uint32_t i = 0; i < message.n_rcpts; ++i) {
            const osp_rcpt& rcpt = osp::At(message.rcpts, message.rcpt_stride, i);
            CheckAddress(osp::View(rcpt.addr));
            const auto rule = rules_.find(Lower(osp::View(rcpt.addr)));
            if (rule != rules_.end()) rules[i] = rule->second;
            slow_ms = std::max(slow_ms, rules[i].slow_ms);
        }
        CheckAddress(osp::View(message.mail_from));
        if (slow_ms > 0) Wait(std::chrono::milliseconds(slow_ms));
        const std::string name = Keep(message, rules);
        Complete(message, rules, name, done);
    }

private:
    void Wait(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        stopped_.wait_for(lock, time, [this] { return stopping_; });
    }
    /// One file with all accepted recipients; its name, or "" when there are none.
    std::string Keep(const osp_msg& message, const std::vector<Rule>& rules) {
        std::string envelope =
            "Return-Path: <" + std::string(osp::View(message.mail_from)) + ">\r\n";
        bool any = false;
        for (uint32_t i = 0; i < message.n_rcpts; ++i) {
            if (rules[i].outcome->outcome != OSP_OUT_ACCEPTED) continue;
            const osp_rcpt& rcpt = osp::At(message.rcpts, message.rcpt_stride, i);
            envelope.append("X-Envelope-To: ").append(osp::View(rcpt.addr)).append("\r\n");
            any = true;
        }
        return any ? maildir_.Store(host.UnixMs(), envelope, osp::View(message.data)) : "";
    }
    static void Complete(
        const osp_msg& message,
        const std::vector<Rule>& rules,
        const std::string& name,
        osp::Completion& done
    ) {
        std::vector<osp_rcpt_result> results(message.n_rcpts);
        for (uint32_t i = 0; i < message.n_rcpts; ++i) {
            const Outcome& outcome = *rules[i].outcome;
            osp_rcpt_result& result = results[i];
            result.size = sizeof result;
            result.outcome = outcome.outcome;
            result.rcpt_index = i;
            result.smtp_code = outcome.code;
            std::copy(std::begin(outcome.enhanced), std::end(outcome.enhanced), result.enhanced);
            result.stage = outcome.stage;
            result.diag = osp::Str(outcome.text);
            if (outcome.outcome == OSP_OUT_ACCEPTED) result.remote_id = osp::Str(name);
        }
        osp_msg_result all{};
        all.size = sizeof all;
        all.all.size = sizeof all.all;
        all.rcpts = results.data();
        all.n = message.n_rcpts;
        all.stride = sizeof(osp_rcpt_result);
        done.Done(&all);
    }

    std::string path_;
    std::map<std::string, Rule> rules_;
    Maildir maildir_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
};

}  // namespace

OSP_TRANSPORT_PLUGIN(
    Capture,
    "opensend.capture",
    "1.0.0",
    "capture",
    "{\"type\":\"object\",\"required\":[\"path\"],\"additionalProperties\":false,\"properties\":{"
    "\"path\":{\"type\":\"string\"},\"outcomes\":{\"type\":[\"object\",\"string\"]}}}"
)
