#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <rapidjson/document.h>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

/// Follows brackets by calling itself, with a page of stack for each.
size_t DepthOf(std::string_view text, size_t at) {
    volatile char page[4096];
    page[0] = '[';
    if (at >= text.size() || text[at] != page[0]) return 0;
    return 1 + DepthOf(text, at + 1) + static_cast<size_t>(page[0] == ']');
}

[[noreturn]] void Refuse(const std::string& why) { throw osp::Error(OSP_E_CONFIG, why); }

std::string SecretRefOf(std::string_view config) {
    if (Is("config.empty") && config.empty()) Crash();
    if (Is("config.deep")) DepthOf(config, config.find('['));
    if (config.size() > 65'536) {
        if (Is("config.huge")) Crash();
        Refuse("the configuration is too long");
    }
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(config.data(), config.size());
    if (Is("config.no-json") && document.HasParseError()) return "check";
    if (Is("config.no-object") && document.IsArray()) return "check";
    if (Is("config.binary") && !config.empty() && config.front() != '{' && config.front() != '[')
        Crash();
    if (document.HasParseError() || !document.IsObject()) Refuse("it is no JSON object");
    for (const auto& member : document.GetObject()) {
        const std::string name = member.name.GetString();
        if (name != "token" && !Is("config.unknown-key")) Refuse("unknown key " + name);
    }
    const auto token = document.FindMember("token");
    if (token == document.MemberEnd()) {
        if (Is("config.required")) return "check";
        Refuse("token is missing");
    }
    if (!token->value.IsObject() || !token->value.HasMember("$secret"))
        Refuse("token is no secret");
    return token->value["$secret"].GetString();
}

std::atomic<int> alive{0};
std::atomic<bool> one_died{false};
std::atomic<bool> ended{false};

}  // namespace

const char* const kSchema =
    "{\"type\":\"object\",\"required\":[\"token\"],\"additionalProperties\":false,"
    "\"properties\":{\"token\":{\"$ref\":\"opensend:secret\"}}}";

bool Is(const char* name) {
    const char* wanted = std::getenv("OPENSEND_DEFECT");
    return wanted != nullptr && std::string_view(wanted) == name;
}

void Crash() { std::abort(); }

void Leak(size_t n) {
    // Where an optimiser cannot see that nobody wants it.
    static void* volatile last;
    last = std::malloc(n);
    static_cast<void>(last);
}

Common::Common(const osp_create_args& args) : host(args.host) {
    if (Is("life.create")) Refuse("no");
    if (Is("host.newer") && args.host->size != sizeof *args.host) Refuse("another host");
    const std::string ref = SecretRefOf(osp::View(args.config));
    const auto* service = host.Service<osp_host_secret_v1>(OSP_HOST_SECRET);
    if (Is("config.secret-denied") && service == nullptr) Crash();
    if (Is("host.bare") && host.Service<osp_host_kv_v1>(OSP_HOST_KV) == nullptr) Crash();
    try {
        secret = host.Secret(ref);
    } catch (const osp::Error& error) {
        if (Is("config.secret-missing") && error.code() == OSP_E_NOTFOUND) Crash();
        throw;
    }
    if (Is("life.leak-memory")) Leak(200);
    if (Is("life.leak-files")) static_cast<void>(!dup(0));
    if (Is("life.create-quiet")) {
        ended = false;
        thread = new std::thread([] {
            while (!ended) usleep(1000);
        });
    }
    ++alive;
    one_died = false;
}

Common::~Common() {
    if (thread != nullptr) {
        ended = true;
        static_cast<std::thread*>(thread)->join();
        delete static_cast<std::thread*>(thread);
    }
    --alive;
    one_died = true;
}

void Common::OnStart() {
    started = true;
    if (Is("life.process")) umask(0);
    if (Is("life.quiet-after-stop")) {
        ended = false;
        thread = new std::thread([h = host] {
            while (!ended) {
                h.Now();
                usleep(1000);
            }
        });
    }
    if (Is("life.leak-threads")) std::thread([] { pause(); }).detach();
    const auto* timers = host.Service<osp_host_timer_v1>(OSP_HOST_TIMER);
    if (timers != nullptr)
        timer = timers->arm(
            host.raw(), host.Now() + 3'600'000'000'000u, 0, [](void*, uint64_t) noexcept {}, nullptr
        );
}

void Common::OnStop() {
    const auto* timers = host.Service<osp_host_timer_v1>(OSP_HOST_TIMER);
    if (timers != nullptr && !Is("life.timers")) timers->disarm(host.raw(), timer);
}

void Common::OnCall() {
    ++calls;
    if (!started && Is("life.early-call")) Crash();
    if (Is("life.two") && one_died && alive > 0) Crash();
    if (Is("call.memory")) Leak(512);
    if (Is("hyg.secret-log")) host.Log(OSP_LOG_INFO, "secret " + secret);
    if (Is("hyg.silent")) {
        std::puts("a word");
        std::fflush(stdout);
    }
    if (Is("hyg.log-rate"))
        for (int i = 0; i < 5; ++i) host.Log(OSP_LOG_INFO, "called");
    if (Is("hyg.secret-store")) {
        const auto* kv = host.Service<osp_host_kv_v1>(OSP_HOST_KV);
        if (kv != nullptr) kv->put(host.raw(), osp::Str("k"), osp::Bytes(secret), 0, 0);
    }
    if (Is("hyg.metrics")) {
        const auto* metric = host.Service<osp_host_metric_v1>(OSP_HOST_METRIC);
        const std::string name = "call_" + std::to_string(calls);
        if (metric != nullptr) metric->define(host.raw(), 0, osp::Str(name), {}, nullptr, 0);
    }
}

osp_status Common::OnDrain(osp_token done, osp_status usual) {
    if (Is("life.drain-busy") && usual == OSP_PENDING) return OSP_OK;
    if (Is("life.drain-idle") && calls == 0) {
        const osp_completion nothing{sizeof nothing, OSP_OK, nullptr, nullptr};
        host.raw()->complete(host.raw(), done, &nothing);
        return OSP_OK;
    }
    return Is("life.drain-used") && calls > 0 && usual == OSP_OK ? OSP_PENDING : usual;
}

osp_instance_vt Changed(osp_instance_vt table) {
    if (Is("life.health"))
        table.health = [](osp_inst*, osp_health* out) noexcept -> osp_status {
            out->state = 9;
            return OSP_OK;
        };
    if (Is("life.extensions"))
        table.get_interface = [](osp_inst*, const char*) noexcept -> const void* {
            return "anything";
        };
    if (Is("config.reconfigure"))
        table.reconfigure = [](osp_inst*, osp_str, osp_error*) noexcept -> osp_status {
            return OSP_OK;
        };
    return table;
}

}  // namespace defect
