// Two transport kinds, "hostile" (blocking) and "hostile_async", that do to the process what
// {"do":"..."} says while they handle a first attempt, and accept every later one.
#include <fcntl.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include <opensend/plugin.h>

extern char** environ;

struct osp_inst {
    const osp_host* host = nullptr;
    std::string config;
    osp_token kept = 0;
    uint64_t counter = 0;
};

namespace {

void Rest(long ms) {
    const timespec time{ms / 1000, ms % 1000 * 1'000'000};
    nanosleep(&time, nullptr);
}

osp_status Accept(osp_inst* inst, osp_token token, const std::string& text = {}) {
    osp_msg_result result{};
    result.size = sizeof result;
    result.all.size = sizeof result.all;
    result.all.outcome = OSP_OUT_ACCEPTED;
    result.all.remote_id = {text.data(), text.size()};
    const osp_completion completion{sizeof completion, OSP_OK, &result, nullptr};
    return inst->host->complete(inst->host, token, &completion);
}

void* EndThread(void*) { return nullptr; }

void KeepSecret(void* context, osp_bytes value) noexcept {
    static_cast<std::string*>(context)->assign(reinterpret_cast<const char*>(value.ptr), value.len);
}

struct Due {
    osp_inst* inst;
    osp_token token;
};
void Fire(void* context, uint64_t) noexcept {
    auto* due = static_cast<Due*>(context);
    Accept(due->inst, due->token, "from a timer");
    delete due;
}

void Touch(volatile char* place) { *place = 1; }

/// What ends or hurts the process.
void Hurt(const std::string& what) {
    volatile int* nowhere = nullptr;
    if (what == "segfault") *nowhere = 1;
    if (what == "abort") abort();
    if (what == "exit") _exit(7);
    if (what == "spin") {
        char byte = 0;
        for (;;) Touch(&byte);
    }
    if (what == "block") Rest(600'000);
    if (what == "leak") {
        for (;;) std::memset(new char[1 << 20], 1, 1 << 20);
    }
    if (what == "leak_malloc") {
        for (;;) {
            char* piece = static_cast<char*>(malloc(1 << 20));
            // As C code does that does not look.
            for (int i = 0; i < 1 << 20; i += 4096) Touch(piece + i);
        }
    }
    if (what == "fork" && fork() == 0) _exit(0);
    if (what == "thread") {
        pthread_t thread;
        if (pthread_create(&thread, nullptr, EndThread, nullptr) == 0)
            pthread_join(thread, nullptr);
    }
    if (what == "close") {
        for (int fd = 0; fd < 64; ++fd) close(fd);
    }
    if (what == "open") (void)open("/etc/passwd", O_RDONLY);
    if (what == "socket") (void)socket(AF_INET, SOCK_STREAM, 0);
    if (what == "exec") execl("/bin/true", "true", nullptr);
    if (what == "ptrace") ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr);
    if (what == "kill") kill(getppid(), SIGTERM);
    if (what == "handler") {
        struct sigaction ignored {};
        ignored.sa_handler = SIG_IGN;
        sigaction(SIGSYS, &ignored, nullptr);
    }
}

void NoMatter(void*, osp_status, const osp_http_res*) noexcept {}

/// Asks for something and does not live to see it.
void Leave(osp_inst* inst) {
    const auto* table =
        static_cast<const osp_host_http_v1*>(inst->host->get_interface(inst->host, OSP_HOST_HTTP));
    const size_t from = inst->config.find("\"url\":\"") + 7;
    osp_http_call call{};
    call.size = sizeof call;
    call.method = OSP_S("GET");
    call.url = {inst->config.data() + from, inst->config.find('"', from) - from};
    call.done = NoMatter;
    osp_error error{};
    error.size = sizeof error;
    for (int i = 0; i < 8; ++i) table->start(inst->host, &call, &error);
    abort();
}

/// The subject becomes a secret copy for somebody else.
void AddBcc(const osp_msg& message) {
    constexpr char kBcc[] = "Bcc: e@x.y";
    std::memcpy(const_cast<uint8_t*>(message.data.ptr), kBcc, sizeof kBcc - 1);
}

void Serve(osp_inst* inst, osp_token token, const std::string& what) {
    std::string text;
    if (what == "twice") Accept(inst, token);
    if (what == "strangers") {
        for (const osp_token one : {osp_token{0}, token + 77, ~osp_token{0}}) Accept(inst, one);
    }
    if (what == "environment") {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            const std::string one = std::string(*entry) + ";";
            // Results are cut; what a test looks for comes first.
            text = one.rfind("OPENSEND_TEST", 0) == 0 ? one + text : text + one;
        }
    }
    if (what == "secret") {
        const auto* table = static_cast<const osp_host_secret_v1*>(
            inst->host->get_interface(inst->host, OSP_HOST_SECRET)
        );
        const osp_str name = OSP_S("relay");
        if (table == nullptr || table->with(inst->host, name, KeepSecret, &text) != OSP_OK)
            text = "none";
    }
    if (what == "services") {
        for (const char* id :
             {OSP_HOST_METRIC, OSP_HOST_SECRET, OSP_HOST_KV, OSP_HOST_HTTP, OSP_HOST_CREDENTIAL,
              OSP_HOST_NET})
            text += inst->host->get_interface(inst->host, id) == nullptr ? '-' : '+';
    }
    if (what == "metric") {
        const auto* table = static_cast<const osp_host_metric_v1*>(
            inst->host->get_interface(inst->host, OSP_HOST_METRIC)
        );
        const osp_str name = OSP_S("sent"), help = OSP_S("messages");
        table->add(inst->host, table->define(inst->host, 0, name, help, nullptr, 0), 5);
        const osp_kv field{OSP_S("n"), OSP_S("5")};
        inst->host->log(inst->host, OSP_LOG_INFO, OSP_S("counted"), &field, 1);
    }
    if (what == "timer") {
        const auto* table = static_cast<const osp_host_timer_v1*>(
            inst->host->get_interface(inst->host, OSP_HOST_TIMER)
        );
        const osp_time soon = inst->host->now(inst->host) + 20'000'000;
        table->arm(inst->host, soon, 0, Fire, new Due{inst, token});
        return;
    }
    if (what == "leave") Leave(inst);
    if (what == "long") text.assign(200'000, 'x');
    if (what == "late") Rest(400);
    if (what == "silent") return;
    Accept(inst, token, text);
}

osp_status Create(const osp_create_args* args, osp_inst** out, osp_error*) noexcept {
    auto* inst = new osp_inst;
    inst->host = args->host;
    inst->config.assign(args->config.ptr, args->config.len);
    if (inst->config.find("\"create\"") != std::string::npos) Hurt("segfault");
    *out = inst;
    return OSP_OK;
}

void Stop(osp_inst* inst) noexcept {
    const osp_kv field{OSP_S("in"), OSP_S("order")};
    inst->host->log(inst->host, OSP_LOG_INFO, OSP_S("stopped"), &field, 1);
}

void Destroy(osp_inst* inst) noexcept { delete inst; }

osp_status GetCaps(osp_inst*, osp_transport_caps* caps) noexcept {
    caps->flags = OSP_TR_BLOCKING | OSP_TR_ASYNC;
    caps->max_batch = 4;
    caps->max_concurrency = 2;
    return OSP_OK;
}

osp_status Take(osp_inst* inst, const osp_batch* batch, osp_error*) noexcept {
    const size_t from = inst->config.find("\"do\":\"");
    std::string what = from == std::string::npos ? "" : inst->config.substr(from + 6);
    what = what.substr(0, what.find('"'));
    for (uint32_t i = 0; i < batch->n; ++i) {
        const osp_msg& message = batch->msgs[i];
        const std::string act = message.attempt == 1 ? what : "";
        if (act == "throw") throw 5;
        if (act == "bcc") AddBcc(message);
        Hurt(act);
        Serve(inst, message.token, act);
    }
    return OSP_OK;
}

constexpr osp_instance_vt kInstance{sizeof kInstance, 0,       Create,  nullptr, nullptr, Stop,
                                    Destroy,          nullptr, nullptr, nullptr};
constexpr osp_transport_v1 kBlocking{sizeof kBlocking, 0, GetCaps, nullptr, Take, nullptr, nullptr};
constexpr osp_transport_v1 kAsync{sizeof kAsync, 0, GetCaps, Take, nullptr, nullptr, nullptr};
constexpr osp_kind kFirst{sizeof kFirst, 0,   OSP_KIND_TRANSPORT, "hostile", &kInstance,
                          &kBlocking,    "{}"};
constexpr osp_kind kSecond{sizeof kSecond, 0,   OSP_KIND_TRANSPORT, "hostile_async", &kInstance,
                           &kAsync,        "{}"};
constexpr const osp_kind* kKinds[] = {&kFirst, &kSecond};
constexpr osp_plugin kPlugin{
    sizeof kPlugin,
    OSP_MAGIC,
    OSP_ABI_MAJOR,
    OSP_ABI_MINOR,
    0,
    0,
    "test.hostile",
    "1",
    "hostile",
    "",
    "",
    "",
    kKinds,
    2,
    0,
    nullptr,
    nullptr};

OSP_MANIFEST(
    0,
    "{\"id\":\"test.hostile\",\"version\":\"1\",\"kinds\":[\"" OSP_KIND_TRANSPORT
    ":hostile\",\"" OSP_KIND_TRANSPORT ":hostile_async\"]}"
);

}  // namespace

const osp_plugin* osp_plugin_v1(void) noexcept { return &kPlugin; }
