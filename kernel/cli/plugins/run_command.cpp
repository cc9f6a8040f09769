#include <chrono>
#include <filesystem>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>

#include "kernel/base/clock.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/plugins/plugin_tools.h"
#include "kernel/dns/resolver.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"
#include "kernel/plugin/check/bench.h"
#include "kernel/plugin/host.h"

namespace opensend::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxMessage = 64u * 1024 * 1024;

/// Exit statuses of run and bench, as those of check.
enum RunExit { kAccepted = 0, kNotAccepted = 1, kNotRun = 2 };

struct RunFlags {
    std::string file, config_file, from, kind;
    std::vector<std::string> to, secrets;
    bool grant = false;
    int timeout_s = 60;
};

/// Values that last as long as this process.
class MemoryKv final : public model::KvStore {
public:
    std::optional<model::KvEntry> Get(std::string_view space, std::string_view key) override {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(Name(space, key));
        return found == entries_.end() ? std::nullopt : std::optional(found->second);
    }
    model::KvVerdict Put(
        std::string_view space,
        std::string_view key,
        std::string_view value,
        uint64_t expected,
        std::chrono::nanoseconds,
        uint64_t quota
    ) override {
        const std::lock_guard lock(mutex_);
        model::KvEntry& entry = entries_[Name(space, key)];
        if (entry.version != expected) return model::KvVerdict::kConflict;
        const uint64_t used = used_ - entry.value.size() + value.size();
        if (used > quota) return model::KvVerdict::kOverQuota;
        used_ = used;
        entry = {std::string(value), expected + 1};
        return model::KvVerdict::kDone;
    }
    model::KvVerdict Delete(std::string_view space, std::string_view key, uint64_t expected)
        override {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(Name(space, key));
        if (found == entries_.end() || found->second.version == 0)
            return model::KvVerdict::kNotFound;
        if (expected != 0 && found->second.version != expected) return model::KvVerdict::kConflict;
        used_ -= found->second.value.size();
        entries_.erase(found);
        return model::KvVerdict::kDone;
    }

private:
    static std::string Name(std::string_view space, std::string_view key) {
        return base::Cat(space.size(), " ", space, key);
    }
    std::mutex mutex_;
    std::map<std::string, model::KvEntry> entries_;
    uint64_t used_ = 0;
};

base::Error RunError(std::string text) {
    return base::Error(base::ErrorCode::kApplication, std::move(text));
}

/// "ref=FILE": the reference and the file's content without the newline at its end.
std::map<std::string, std::string> ReadSecrets(const std::vector<std::string>& pairs) {
    std::map<std::string, std::string> out;
    for (const std::string& pair : pairs) {
        const size_t equals = pair.find('=');
        if (equals == std::string::npos) throw RunError("--secret wants reference=FILE");
        std::string value = ReadSmallFile(pair.substr(equals + 1));
        if (!value.empty() && value.back() == '\n') value.pop_back();
        out[pair.substr(0, equals)] = std::move(value);
    }
    return out;
}

/// The mail from the standard input, with CRLF at the end of each line.
std::string ReadMail() {
    std::string out;
    bool after_cr = false;
    for (std::istreambuf_iterator<char> at(std::cin), end; at != end; ++at) {
        if (*at == '\n' && !after_cr) out += '\r';
        out += *at;
        after_cr = *at == '\r';
        if (out.size() > kMaxMessage) throw RunError("the mail is larger than 64 MB");
    }
    if (out.empty()) throw RunError("there is no mail at the standard input");
    return out;
}

std::string TransportKindOf(const PluginBytes& plugin, const std::string& wanted) {
    std::vector<std::string> names;
    constexpr std::string_view kPrefix = "opensend.transport/1:";
    for (const std::string& kind : plugin.manifest.kinds) {
        if (kind.compare(0, kPrefix.size(), kPrefix) == 0)
            names.push_back(kind.substr(kPrefix.size()));
    }
    if (names.empty()) throw RunError("it has no transport kind");
    for (const std::string& name : names) {
        if (wanted.empty() || name == wanted) return name;
    }
    throw RunError(base::Cat("it has no kind ", wanted, ", but ", base::Join(names, " ")));
}

/// Everything a plugin host of its own needs.
struct Bed {
    explicit Bed(const RunFlags& flags) : secrets(ReadSecrets(flags.secrets)) {
        deps.clock = &clock;
        deps.kv = &kv;
        deps.http = &http;
        deps.guard = &guard;
        deps.resolve = [this](const std::string& host) { return resolver.ResolveAll(host); };
        deps.secret = [this](std::string_view ref) -> std::optional<base::Secret> {
            const auto found = secrets.find(std::string(ref));
            if (found == secrets.end()) return std::nullopt;
            return base::Secret(found->second);
        };
        deps.log = [](int level, const std::string&, std::string_view text, const auto& fields) {
            std::string line = base::Cat("log ", level, "  ", text);
            for (const auto& [key, value] : fields) line += base::Cat(" ", key, "=", value);
            std::cerr << line << '\n';
        };
    }
    const std::map<std::string, std::string> secrets;
    base::SystemClock clock;
    MemoryKv kv;
    dns::Resolver resolver{{}, clock};
    egress::Guard guard{
        egress::Rules{}, [this](const std::string& host) { return resolver.ResolveAll(host); }};
    egress::Client http{egress::Client::Options{}};
    plugin::HostDeps deps;
};

plugin::HostConfig ConfigOf(const RunFlags& flags, const PluginBytes& bytes) {
    const fs::path path = fs::absolute(flags.file);
    plugin::PluginConfig plugin;
    plugin.name = PluginNameOf(flags.file);
    plugin.file = path.filename();
    plugin.isolation = "inproc";
    plugin.grants.emplace();
    auto asked = plugin::ParseGrants(bytes.note.json);
    if (!asked.ok()) throw RunError(plugin::Describe(flags.file, asked.error()));
    for (const std::string& line : asked->Lines())
        std::cerr << (flags.grant ? "granted " : "not granted ") << line << '\n';
    if (flags.grant) plugin.grants = std::move(*asked);
    plugin::HostConfig config;
    config.dir = path.parent_path();
    config.ratelimit_backend = "disabled";
    config.call_timeout = std::chrono::seconds(flags.timeout_s);
    const std::string text = flags.config_file.empty() ? "{}" : ReadSmallFile(flags.config_file);
    config.transports.push_back({"run", TransportKindOf(bytes, flags.kind), plugin.name, text});
    config.plugins.push_back(std::move(plugin));
    return config;
}

model::DeliveryResult Deliver(const RunFlags& flags, model::Transport& transport, Bed& bed) {
    auto mail = std::make_shared<model::OutgoingMessage>();
    mail->id = "opensend-plugins-run-1";
    mail->tenant = "opensend-plugins-run";
    mail->mail_from = flags.from;
    mail->recipients = flags.to;
    mail->data = ReadMail();
    mail->deadline = bed.clock.Mono() + std::chrono::seconds(flags.timeout_s);
    auto answer = std::make_shared<std::promise<model::DeliveryResult>>();
    auto result = answer->get_future();
    transport.Deliver({mail}, [answer](size_t, model::DeliveryResult outcome) {
        answer->set_value(std::move(outcome));
    });
    return result.get();
}

void PrintOutcomes(const RunFlags& flags, const model::DeliveryResult& results, bool json) {
    json::Writer out;
    out.BeginArray();
    for (size_t i = 0; i < results.size() && i < flags.to.size(); ++i) {
        const model::DeliveryOutcome& one = results[i];
        out.BeginObject().Field("to", flags.to[i]).Field("result", model::ToText(one.result));
        out.Field("smtp_code", int64_t{one.smtp_code}).Field("enhanced_code", one.enhanced_code);
        out.Field("diagnostic", one.diagnostic).Field("remote_id", one.remote_id);
        out.Field("remote_host", one.remote_host).Field("tls", one.tls);
        out.Field("retry_after_ms", int64_t{one.retry_after_ms}).EndObject();
        if (json) continue;
        std::cout << model::ToText(one.result) << "  " << flags.to[i];
        if (one.smtp_code != 0) std::cout << "  " << one.smtp_code << ' ' << one.enhanced_code;
        if (!one.remote_id.empty()) std::cout << "  id " << one.remote_id;
        if (!one.diagnostic.empty()) std::cout << "  " << one.diagnostic;
        std::cout << '\n';
    }
    if (json) std::cout << out.EndArray().Take() << '\n';
}

int SendOne(const RunFlags& flags, bool json) {
    const PluginBytes bytes = ReadPluginBytes(flags.file);
    Bed bed(flags);
    plugin::Host host(ConfigOf(flags, bytes), bed.deps);
    model::Transport* transport = host.FindTransport("run");
    if (transport == nullptr) {
        for (const auto& plugin : host.plugins())
            if (!plugin.problem.empty()) throw RunError(plugin.problem);
        for (const auto& one : host.transports()) throw RunError(one.problem);
        throw RunError("the transport is not up");
    }
    const auto results = Deliver(flags, *transport, bed);
    PrintOutcomes(flags, results, json);
    for (const auto& one : results)
        if (one.result != model::ResultClass::kOk) return kNotAccepted;
    return results.empty() ? kNotAccepted : kAccepted;
}

int BenchFile(const std::string& file, const std::string& config_file, bool json) {
    plugin_check::BenchOptions options;
    if (!config_file.empty()) options.config = ReadSmallFile(config_file);
    const auto report = plugin_check::Bench(file, options);
    if (!report.problem.empty()) throw RunError(base::Cat(file, ": ", report.problem));
    std::cout << (json ? plugin_check::BenchJson(report) + "\n" : plugin_check::BenchText(report));
    for (const auto& cost : report.costs)
        if (!cost.problem.empty()) return kNotAccepted;
    return kAccepted;
}

/// What cannot be run at all ends with its own status, not with that of a refusal.
template <class F>
int OrNotRun(F&& call) {
    try {
        return call();
    } catch (const base::Error& error) {
        std::cerr << "opensend: " << error.what() << '\n';
        return kNotRun;
    }
}

}  // namespace

void AddPluginRunCommands(CLI::App& plugins, Global& global, Run& run) {
    static RunFlags flags;
    auto* send = plugins.add_subcommand(
        "run", "Send the mail at the standard input through a plugin, without a server"
    );
    send->add_option("file", flags.file, "A shared object")->required();
    send->add_option("--config", flags.config_file, "JSON configuration of the transport");
    send->add_option("--from", flags.from, "Envelope sender; none: the null reverse path");
    send->add_option("--to", flags.to, "Envelope recipient; repeatable")->required();
    send->add_option("--kind", flags.kind, "Which transport of the plugin; the first without it");
    send->add_option("--secret", flags.secrets, "reference=FILE; repeatable");
    send->add_flag("--grant", flags.grant, "Give the plugin what its manifest asks for");
    send->add_option("--timeout", flags.timeout_s, "Seconds")->check(CLI::Range(1, 3600));
    send->callback([&] {
        run = [&] { return OrNotRun([&] { return SendOne(flags, global.json); }); };
    });
    auto* bench = plugins.add_subcommand("bench", "Measure what the calls of a plugin cost");
    bench->add_option("file", flags.file, "A shared object")->required();
    bench->add_option("--config", flags.config_file, "JSON configuration for every kind");
    bench->callback([&] {
        run = [&] {
            return OrNotRun([&] { return BenchFile(flags.file, flags.config_file, global.json); });
        };
    });
}

}  // namespace opensend::cli
