#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace hygiene_family {
namespace {

void Exercise(Trial& trial, int n) {
    const auto life = Life::Started(trial);
    for (int i = 0; i < n; ++i) AskOnce(trial, *life);
}
void RequireWithout(const std::string& text, std::string_view what, const char* where) {
    Require(text.find(what) == std::string::npos, base::Cat(where, " holds it"));
}

void SecretInLog(Trial& trial) {
    Exercise(trial, 3);
    RequireWithout(trial.host.log_text(), kCanary, "the log");
}
void SecretInStore(Trial& trial) {
    Exercise(trial, 3);
    RequireWithout(trial.services.kv_text(), kCanary, "the durable store");
    for (const std::string& name : trial.services.metric_names)
        RequireWithout(name, kCanary, "a metric");
}
void SecretInAnswer(Trial& trial) {
    const auto life = Life::Started(trial);
    const Asked asked = AskOnce(trial, *life);
    for (const std::string& text :
         {asked.answer.error, asked.answer.all.diag, asked.answer.all.transcript, asked.answer.body,
          asked.answer.reason})
        RequireWithout(text, kCanary, "an answer");
}
void MailInLog(Trial& trial) {
    if (trial.kind().iface != OSP_KIND_TRANSPORT) throw NotHere{"it sees no mail"};
    Exercise(trial, 3);
    const std::string text = trial.host.log_text();
    RequireWithout(text, "body-marker-51c7", "the log");
    RequireWithout(text, "rcpt@example.net", "the log");
}
void LogRate(Trial& trial) {
    const auto life = Life::Started(trial);
    const size_t before = trial.host.log_lines();
    for (int i = 0; i < 50; ++i) AskOnce(trial, *life);
    const size_t lines = trial.host.log_lines() - before;
    Require(lines <= 100, base::Cat(lines, " log lines for 50 calls"));
}
void MetricCount(Trial& trial) {
    const auto life = Life::Started(trial);
    const auto count = [&] {
        const auto& names = trial.services.metric_names;
        return std::set<std::string>(names.begin(), names.end()).size();
    };
    for (int i = 0; i < 5; ++i) AskOnce(trial, *life);
    const size_t before = count();
    for (int i = 0; i < 40; ++i) AskOnce(trial, *life);
    Require(count() < before + 20, base::Cat(count() - before, " metrics more after 40 calls"));
}
void Silent(Trial& trial) {
    const std::string said = base::Cat(trial.target.scratch, "/said");
    if (!std::filesystem::exists(said)) throw NotHere{"only in a process of its own"};
    Exercise(trial, 3);
    std::ifstream file(said);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    Require(text.empty(), base::Cat("it wrote: ", text.substr(0, 200)));
}
void Soak(Trial& trial) {
    const auto life = Life::Started(trial);
    const osp_time before = CheckHost::Monotonic();
    AskOnce(trial, *life);
    const int n = CheckHost::Monotonic() - before > 1'000'000 ? 40 : 400;
    for (int i = 0; i < n; ++i) {
        trial.stride_extra = trial.random() % 3 * 8;
        trial.services.defers = trial.random() % 2 == 0;
        const Asked asked = AskOnce(trial, *life);
        Require(asked.answered || asked.status < 0, base::Cat("call ", i + 1, " has no answer"));
    }
}

constexpr Check kHygiene[] = {
    {"hyg.secret-log",    "*", "No secret is logged",                                  "log what happened, not with what", SecretInLog   },
    {"hyg.secret-store",  "*", "No secret is stored or becomes a metric",
     "keep secrets in the secret service",                                                                                 SecretInStore },
    {"hyg.secret-answer", "*", "No secret is in an answer",
     "leave credentials out of texts and transcripts",                                                                     SecretInAnswer},
    {"hyg.mail-log",      "*", "No address and no mail is logged",                     "log the message id",               MailInLog     },
    {"hyg.log-rate",      "*", "At most two log lines for a call",                     "count instead of logging",         LogRate       },
    {"hyg.metrics",       "*", "The number of metrics does not grow with calls",
     "define them in create(); no labels from data",                                                                       MetricCount   },
    {"hyg.silent",        "*", "Nothing is written to standard output and error",      "use the host's log",
     Silent                                                                                                                              },
    {"hyg.soak",          "*", "Hundreds of calls in changing order are all answered",
     "run with --seed to repeat",                                                                                          Soak          },
};

}  // namespace
}  // namespace hygiene_family

std::span<const Check> HygieneChecks() { return hygiene_family::kHygiene; }

}  // namespace opensend::plugin_check
