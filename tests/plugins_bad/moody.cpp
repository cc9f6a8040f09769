// A transport and an auth backend that do what a message or credential asks of them, good or bad.
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include <opensend/plugin.hpp>

namespace {

void Sleep(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

bool Has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// What it was lent is constant; a bad plugin writes there all the same.
void Spoil(const char* place) { *const_cast<char*>(place) = '#'; }

class Moody final : public osp::Transport {
public:
    explicit Moody(const osp_create_args& args) : Transport(args), config_(osp::View(args.config)) {
        if (Has(config_, "refuse")) throw osp::Error(OSP_E_CONFIG, "it says refuse");
    }
    osp_transport_caps Caps() const override {
        osp_transport_caps caps{};
        caps.flags = OSP_TR_BLOCKING;
        caps.max_batch = 1;
        caps.max_concurrency = 1;
        return caps;
    }
    void Probe(osp_time) override {
        if (Has(config_, "unreachable")) throw osp::Error(OSP_E_UNAVAILABLE, "nobody there");
    }
    void Deliver(const osp_msg& message, osp::Completion&& done) override {
        const std::string_view data = osp::View(message.data);
        const std::string_view body = data.substr(data.find("\r\n\r\n") + 4);
        const std::string command(body.substr(0, body.find("\r\n")));
        std::string text;
        if (command == "hang") Sleep(700);
        if (command == "headers") Spoil(data.data());
        if (command == "body") Spoil(body.data());
        if (command == "envelope") Spoil(message.rcpts[0].addr.ptr);
        if (command == "kv") text = Kv();
        if (command == "timer")
            text = host.Service<osp_host_timer_v1>(OSP_HOST_TIMER) != nullptr ? "yes" : "no";
        if (command == "event")
            text = host.Service<void>(OSP_HOST_EVENT) != nullptr ||
                           host.Service<void>(OSP_HOST_INGEST) != nullptr
                       ? "yes"
                       : "no";
        if (Has(command, "secret ")) text = Secret(command.substr(7));
        if (Has(command, "http ")) text = Http(command.substr(5));
        osp_rcpt_result all{};
        all.outcome = OSP_OUT_ACCEPTED;
        all.remote_id = osp::Str(config_);
        all.diag = osp::Str(text);
        done.Done(all);
    }

private:
    std::string Secret(const std::string& ref) {
        try {
            return host.Secret(ref);
        } catch (const osp::Error& error) {
            return std::to_string(error.code());
        }
    }
    std::string Kv() {
        const auto* kv = host.Service<osp_host_kv_v1>(OSP_HOST_KV);
        if (kv == nullptr) return "none";
        const osp_host* raw = host.raw();
        struct Got {
            std::string value;
            uint64_t version = 0;
        } got;
        const auto keep = [](void* to, osp_bytes bytes, uint64_t version) noexcept {
            static_cast<Got*>(to)->value = osp::View(bytes);
            static_cast<Got*>(to)->version = version;
        };
        std::string out;
        const auto add = [&](osp_status status) { out += std::to_string(status) + " "; };
        add(kv->put(raw, osp::Str("k"), osp::Bytes("one"), 0, 0));
        add(kv->put(raw, osp::Str("k"), osp::Bytes("two"), 0, 0));
        add(kv->get(raw, osp::Str("k"), keep, &got));
        add(kv->put(raw, osp::Str("k"), osp::Bytes("three"), got.version, 0));
        add(kv->put(raw, osp::Str("k"), osp::Bytes("four"), got.version, 0));
        add(kv->put(raw, osp::Str("big"), osp::Bytes(std::string(5000, 'x')), 0, 0));
        add(kv->get(raw, osp::Str(""), keep, &got));
        add(kv->get(raw, osp::Str("k"), keep, &got));
        return out + got.value;
    }
    std::string Http(const std::string& url) {
        const auto* http = host.Service<osp_host_http_v1>(OSP_HOST_HTTP);
        if (http == nullptr) return "none";
        struct Answer {
            std::mutex mutex;
            std::condition_variable changed;
            std::string text;
        } answer;
        osp_http_call call{};
        call.size = sizeof call;
        call.method = osp::Str("GET");
        call.url = osp::Str(url);
        call.ctx = &answer;
        call.done = [](void* to, osp_status status, const osp_http_res* result) noexcept {
            auto& self = *static_cast<Answer*>(to);
            const std::lock_guard lock(self.mutex);
            self.text = std::to_string(status);
            if (result != nullptr)
                self.text += " " + std::to_string(result->status) + " " +
                             std::string(osp::View(result->body));
            self.changed.notify_all();
        };
        osp_error error{};
        error.size = sizeof error;
        if (http->start(host.raw(), &call, &error) == 0)
            return "refused " + std::to_string(error.code);
        std::unique_lock lock(answer.mutex);
        answer.changed.wait(lock, [&] { return !answer.text.empty(); });
        return answer.text;
    }

    const std::string config_;
};

class MoodyAuth final : public osp::Auth {
public:
    using Auth::Auth;
    void Authenticate(const osp_auth_req& request, osp::Completion&& done) override {
        const std::string_view credential = osp::View(request.credential);
        if (credential == "slow") Sleep(150);
        if (credential == "down") throw osp::Error(OSP_E_UNAVAILABLE, "down");
        if (credential == "change") Spoil(credential.data());
        osp_auth_result result{};
        result.size = sizeof result;
        result.decision = OSP_AUTH_ALLOW;
        result.subject = osp::Str("somebody");
        result.tenant = osp::Str("tenant");
        const osp_str scope = osp::Str("sending_access");
        result.scopes = &scope;
        result.n_scopes = 1;
        done.Done(&result);
    }
};

}  // namespace

OSP_PLUGIN(
    "test.moody",
    "1",
    "[\"" OSP_KIND_TRANSPORT ":moody\",\"" OSP_KIND_AUTH ":moody_auth\"]",
    ",\"grants\":{\"kv\":\"1MiB\",\"timers\":true}",
    osp::TransportKind<Moody>("moody", "{}"),
    osp::AuthKind<MoodyAuth>("moody_auth", "{}")
)
