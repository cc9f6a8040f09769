// A transport as third parties write them: each message is posted to a web service, through the
// server's HTTP client. {"url": "...", "die_every": "7"}: every seventh call ends the process while
// the service already has the message; {"hang_every": "7"}: never returns; {"leak_every": "7"}:
// takes memory until there is none.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include <opensend/plugin.hpp>

namespace {

std::string TextOf(const std::string& config, const std::string& name) {
    const std::string head = "\"" + name + "\":\"";
    const size_t from = config.find(head);
    if (from == std::string::npos) return {};
    const size_t begin = from + head.size();
    return config.substr(begin, config.find('"', begin) - begin);
}

class HttpRelay final : public osp::Transport {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;
    explicit HttpRelay(const osp_create_args& args) : Transport(args) {
        const std::string config(osp::View(args.config));
        url_ = TextOf(config, "url");
        die_every_ = strtoul(TextOf(config, "die_every").c_str(), nullptr, 10);
        hang_every_ = strtoul(TextOf(config, "hang_every").c_str(), nullptr, 10);
        leak_every_ = strtoul(TextOf(config, "leak_every").c_str(), nullptr, 10);
        if (url_.empty()) throw osp::Error(OSP_E_CONFIG, "url is missing");
    }
    osp_transport_caps Caps() const override {
        osp_transport_caps caps{};
        caps.flags = OSP_TR_BLOCKING;
        caps.max_batch = 1;
        caps.max_concurrency = 8;
        return caps;
    }
    void Deliver(const osp_msg& message, osp::Completion&& done) override {
        const unsigned long call = ++calls_;
        const auto is_turn = [&](unsigned long every) { return every != 0 && call % every == 0; };
        const int status = Post(message);
        if (is_turn(die_every_)) abort();
        while (is_turn(hang_every_)) std::this_thread::sleep_for(std::chrono::hours(1));
        if (is_turn(leak_every_)) Leak();
        if (status > 0 && status != 200)
            throw osp::Error(OSP_E_UNAVAILABLE, "the service did not take it");
        osp_rcpt_result all{};
        // Without an answer nobody knows whether the service has it.
        all.outcome = status > 0 ? OSP_OUT_ACCEPTED : OSP_OUT_INDETERMINATE;
        all.remote_id = message.id;
        done.Done(all);
    }

private:
    /// More than any limit of a test; a build whose memory cannot be limited ends here, too.
    static void Leak() {
        for (int i = 0; i < 400; ++i) std::memset(new char[1 << 20], 1, 1 << 20);
        abort();
    }
    struct Answer {
        std::mutex mutex;
        std::condition_variable changed;
        int status = 0;
    };
    int Post(const osp_msg& message) {
        const auto* http = host.Service<osp_host_http_v1>(OSP_HOST_HTTP);
        if (http == nullptr) throw osp::Error(OSP_E_DENIED, "http is not granted");
        Answer answer;
        osp_http_call call{};
        call.size = sizeof call;
        call.method = osp::Str("POST");
        call.url = osp::Str(url_);
        call.body = message.data;
        call.deadline = message.deadline;
        call.ctx = &answer;
        call.done = [](void* to, osp_status status, const osp_http_res* result) noexcept {
            auto& self = *static_cast<Answer*>(to);
            const std::lock_guard lock(self.mutex);
            self.status = result != nullptr && status == OSP_OK ? result->status : -1;
            self.changed.notify_all();
        };
        osp_error error{};
        error.size = sizeof error;
        if (http->start(host.raw(), &call, &error) == 0)
            throw osp::Error(OSP_E_UNAVAILABLE, std::string(error.msg, error.msg_len));
        std::unique_lock lock(answer.mutex);
        answer.changed.wait(lock, [&] { return answer.status != 0; });
        return answer.status;
    }

    std::string url_;
    unsigned long die_every_ = 0, hang_every_ = 0, leak_every_ = 0;
    std::atomic<unsigned long> calls_{0};
};

}  // namespace

OSP_PLUGIN(
    "test.http_relay",
    "1",
    "[\"" OSP_KIND_TRANSPORT ":http_relay\"]",
    ",\"grants\":{\"http\":[]},\"isolation\":[\"worker\",\"inproc\"]",
    osp::TransportKind<HttpRelay>("http_relay", "{}")
)
