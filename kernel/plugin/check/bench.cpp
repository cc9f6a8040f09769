#include "kernel/plugin/check/bench.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "kernel/json/writer.h"
#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/target.h"

namespace opensend::plugin_check {
namespace {

constexpr uint32_t kMostInBatch = 256;

/// Times `ask` again and again; it returns how long the answer took.
void Measure(const BenchOptions& options, const std::function<osp_time()>& ask, CallCost& cost) {
    constexpr int kWarmUp = 10;
    std::vector<osp_time> times;
    const osp_time end =
        CheckHost::Monotonic() + static_cast<osp_time>(options.limit_ms) * 1'000'000;
    for (int i = 0; i < kWarmUp && CheckHost::Monotonic() < end; ++i) ask();
    do {
        times.push_back(ask());
    } while (times.size() < options.max_samples && CheckHost::Monotonic() < end);
    std::sort(times.begin(), times.end());
    cost.samples = times.size();
    cost.median_ns = static_cast<int64_t>(times[times.size() / 2]);
    cost.p99_ns = static_cast<int64_t>(times[times.size() * 99 / 100]);
}

osp_time TimeOfMails(Trial& trial, Life& life, const std::vector<Mail>& mails) {
    const Sent sent = Send(trial, life, mails);
    for (size_t i = 0; i < mails.size(); ++i)
        Require(sent.answered[i] || sent.status < 0, "a message has no answer");
    return sent.took_ns;
}

class Bencher {
public:
    Bencher(const Target& target, const BenchOptions& options, BenchReport& report)
        : target_(target), options_(options), report_(report) {}

    void Run(const std::string& kind) {
        Trial trial(target_, kind, 1);
        trial.host.keeps_answers = false;
        try {
            const auto life = Life::Started(trial);
            const std::string iface = trial.kind().iface;
            if (iface == OSP_KIND_TRANSPORT) {
                Mails(trial, *life, kind);
            } else {
                const char* call = iface == OSP_KIND_AUTH        ? "authenticate"
                                   : iface == OSP_KIND_RATELIMIT ? "acquire"
                                                                 : "handle";
                Line(trial, kind, call, 1, [&] { return AskOnce(trial, *life).took_ns; });
            }
        } catch (const Failed& failed) {
            report_.costs.push_back({kind, "", 0, 0, 0, 0, failed.why});
        } catch (const NotHere& reason) {
            report_.costs.push_back({kind, "", 0, 0, 0, 0, reason.why});
        }
        trial.Close();
    }

private:
    void Line(
        Trial& trial,
        const std::string& kind,
        const char* call,
        uint32_t batch,
        const std::function<osp_time()>& ask
    ) {
        CallCost cost{kind, call, batch, 0, 0, 0, ""};
        Measure(
            options_,
            [&] {
                const osp_time took = ask();
                trial.services.Forget();
                if (trial.peer() != nullptr) trial.peer()->Forget();
                return took;
            },
            cost
        );
        report_.costs.push_back(std::move(cost));
    }
    void Mails(Trial& trial, Life& life, const std::string& kind) {
        osp_transport_caps caps{};
        caps.size = sizeof caps;
        trial.kind().transport.get_caps(life.inst(), &caps);
        const uint32_t most = std::clamp(caps.max_batch, 1u, kMostInBatch);
        std::vector<uint32_t> sizes = {1};
        if (most > 1) sizes.push_back(most);
        for (const bool by_submit : {false, true}) {
            const auto& table = trial.kind().transport;
            if (by_submit ? table.submit == nullptr : table.send == nullptr) continue;
            trial.by_submit = by_submit;
            for (const uint32_t size : sizes) {
                std::vector<Mail> mails;
                for (uint32_t i = 0; i < size; ++i)
                    mails.push_back(PlainMail(base::Cat("bench-", i)));
                Line(trial, kind, by_submit ? "submit" : "send", size, [&] {
                    return TimeOfMails(trial, life, mails);
                });
            }
        }
    }

    const Target& target_;
    const BenchOptions& options_;
    BenchReport& report_;
};

/// "850 ns", "12.3 us", "4.5 ms".
std::string TimeText(int64_t ns) {
    char text[32];
    const double value = static_cast<double>(ns);
    if (ns < 1000) {
        std::snprintf(text, sizeof text, "%d ns", static_cast<int>(ns));
    } else if (ns < 1'000'000) {
        std::snprintf(text, sizeof text, "%.1f us", value / 1e3);
    } else {
        std::snprintf(text, sizeof text, "%.1f ms", value / 1e6);
    }
    return text;
}

std::string Padded(std::string text, size_t width) {
    text.resize(std::max(width, text.size()), ' ');
    return text;
}

}  // namespace

BenchReport Bench(const std::string& path, const BenchOptions& options) {
    BenchReport report;
    const Scratch scratch;
    const auto target = ReadTarget(path, scratch.path(), report.problem);
    if (!target) return report;
    if (target->kinds.empty()) report.problem = "its note cannot be read";
    Target with_config = *target;
    with_config.config = options.config;
    for (const std::string& kind : target->kinds) Bencher(with_config, options, report).Run(kind);
    return report;
}

std::string BenchText(const BenchReport& report) {
    if (!report.problem.empty()) return base::Cat(report.problem, "\n");
    std::string out = base::Cat(
        Padded("kind", 36), Padded("call", 14), Padded("batch", 7), Padded("calls", 7),
        Padded("median", 12), "p99\n"
    );
    for (const CallCost& cost : report.costs) {
        if (!cost.problem.empty()) {
            out += base::Cat(Padded(cost.kind, 36), cost.problem, "\n");
            continue;
        }
        out += base::Cat(
            Padded(cost.kind, 36), Padded(cost.call, 14), Padded(base::Cat(cost.batch), 7),
            Padded(base::Cat(cost.samples), 7), Padded(TimeText(cost.median_ns), 12),
            TimeText(cost.p99_ns), "\n"
        );
    }
    return out;
}

std::string BenchJson(const BenchReport& report) {
    json::Writer writer;
    writer.BeginObject();
    if (!report.problem.empty()) writer.Field("problem", report.problem);
    writer.Key("calls").BeginArray();
    for (const CallCost& cost : report.costs) {
        writer.BeginObject().Field("kind", cost.kind);
        if (!cost.problem.empty()) {
            writer.Field("problem", cost.problem).EndObject();
            continue;
        }
        writer.Field("call", cost.call).Field("batch", static_cast<int64_t>(cost.batch));
        writer.Field("samples", static_cast<int64_t>(cost.samples));
        writer.Field("median_ns", cost.median_ns).Field("p99_ns", cost.p99_ns).EndObject();
    }
    return writer.EndArray().EndObject().Take();
}

}  // namespace opensend::plugin_check
