#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "kernel/plugin/check/check.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace {

struct Outcome {
    Verdict verdict = Verdict::kPass;
    std::string detail;
};

std::string OneLine(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' '
    );
    return text.substr(0, 400);
}

Outcome RunHere(const Check& check, const Target& target, const std::string& kind, uint64_t seed) {
    try {
        Trial trial(target, kind, seed);
        check.run(trial);
        return {};
    } catch (const Failed& failed) {
        return {Verdict::kFail, OneLine(failed.why)};
    } catch (const NotHere& reason) {
        return {Verdict::kNotApplicable, OneLine(reason.why)};
    } catch (const std::exception& error) {
        return {Verdict::kFail, OneLine(base::Cat("an exception: ", error.what()))};
    }
}

[[noreturn]] void RunChild(
    const Check& check, const Target& target, const std::string& kind, uint64_t seed, int out
) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGPIPE, SIG_IGN);
    const int said = open(
        base::Cat(target.scratch, "/said").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600
    );
    dup2(said, 1);
    dup2(said, 2);
    close(said);
    const Outcome outcome = RunHere(check, target, kind, seed);
    std::string text(1, static_cast<char>('0' + static_cast<int>(outcome.verdict)));
    text += outcome.detail;
    const ssize_t written = write(out, text.data(), text.size());
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : 99);
}

/// Reads what the child says until it ends; false when it does not in time.
bool ReadUntilEnd(int fd, int limit_ms, std::string& text) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::milliseconds(limit_ms);
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        if (left <= 0) return false;
        pollfd ready{fd, POLLIN, 0};
        const int n = poll(&ready, 1, static_cast<int>(left));
        if (n < 0 && errno != EINTR) return false;
        if (n <= 0) continue;
        char chunk[512];
        const ssize_t got = read(fd, chunk, sizeof chunk);
        if (got <= 0) return true;
        text.append(chunk, static_cast<size_t>(got));
        if (text.size() > 4096) return true;
    }
}

std::string LastWords(const Target& target) {
    std::ifstream said(base::Cat(target.scratch, "/said"));
    std::string text((std::istreambuf_iterator<char>(said)), {});
    return text.empty() ? "" : OneLine(base::Cat("; it said: ", text.substr(0, 200)));
}

Outcome OutcomeOf(
    const std::string& text, bool in_time, int status, const Target& target, int limit
) {
    if (!in_time) return {Verdict::kFail, base::Cat("did not end within ", limit, " ms")};
    if (WIFSIGNALED(status))
        return {
            Verdict::kFail, base::Cat(
                                "died of signal ", WTERMSIG(status), " (",
                                strsignal(WTERMSIG(status)), ")", LastWords(target)
                            )};
    if (WEXITSTATUS(status) != 0 || text.empty())
        return {
            Verdict::kFail,
            base::Cat("ended the process with status ", WEXITSTATUS(status), LastWords(target))};
    const int verdict = text[0] - '0';
    if (verdict < 1 || verdict > 3) return {Verdict::kFail, "the child's answer is unreadable"};
    return {static_cast<Verdict>(verdict), text.substr(1)};
}

Outcome RunForked(
    const Check& check, const Target& target, const std::string& kind, const Options& options
) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return {Verdict::kFail, "no pipe for the child"};
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        RunChild(check, target, kind, options.seed, ends[1]);
    }
    close(ends[1]);
    std::string text;
    const bool in_time = child > 0 && ReadUntilEnd(ends[0], options.limit_ms, text);
    if (child > 0 && !in_time) kill(child, SIGKILL);
    close(ends[0]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0) return {Verdict::kFail, "no child process"};
    return OutcomeOf(text, in_time, status, target, options.limit_ms);
}

bool Matches(const std::string& id, const std::vector<std::string>& beginnings) {
    return std::any_of(beginnings.begin(), beginnings.end(), [&](const std::string& beginning) {
        return id.rfind(beginning, 0) == 0;
    });
}

/// What other checks stand on: they run even when nobody asked for them.
bool IsGround(const Check& check) {
    return std::string_view(check.id) == "load.opens" ||
           std::string_view(check.id) == "life.create" ||
           std::string_view(check.id) == "kind.slots";
}

class Runner {
public:
    Runner(Target target, const Options& options, Report& report)
        : target_(std::move(target)), options_(options), report_(report) {}

    void Run() {
        for (const auto family : StaticFamilies()) {
            for (const Check& check : family)
                if (Wanted(check.id)) Put(check, "", RunHere(check, target_, "", options_.seed));
        }
        for (const auto family : DynamicFamilies()) Dynamic(family);
    }

private:
    bool Wanted(const std::string& id) const {
        if (Matches(id, options_.skip)) return false;
        return options_.only.empty() || Matches(id, options_.only);
    }
    void Put(const Check& check, const std::string& kind, Outcome outcome, int64_t ms = 0) {
        if (!Wanted(check.id)) return;
        report_.lines.push_back(
            {check.id, kind, check.sentence, check.hint, std::move(outcome.detail), outcome.verdict,
             ms}
        );
    }
    Outcome RunOne(const Check& check, const std::string& kind) {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(target_.scratch, ignored))
            std::filesystem::remove_all(entry.path(), ignored);
        return options_.in_process ? RunHere(check, target_, kind, options_.seed)
                                   : RunForked(check, target_, kind, options_);
    }
    std::string MissingFor(const std::string& kind) const {
        if (target_.manifest.empty()) return "a note that can be read";
        if (!broken_load_.empty()) return broken_load_;
        const auto broken = broken_kinds_.find(kind);
        return broken == broken_kinds_.end() ? "" : broken->second;
    }
    /// A check whose ground is missing says so instead of failing as well.
    void RunOn(const Check& check, const std::string& kind) {
        if (!IsGround(check) && !Wanted(check.id)) return;
        if (const std::string missing = MissingFor(kind); !missing.empty())
            return Put(check, kind, {Verdict::kNotApplicable, base::Cat("needs ", missing)});
        const auto before = std::chrono::steady_clock::now();
        Outcome outcome = RunOne(check, kind);
        const auto took = std::chrono::steady_clock::now() - before;
        if (IsGround(check) && outcome.verdict == Verdict::kFail) {
            if (kind.empty()) {
                broken_load_ = check.id;
            } else {
                broken_kinds_.emplace(kind, check.id);
            }
        }
        Put(check, kind, std::move(outcome),
            std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    }
    void Dynamic(std::span<const Check> family) {
        for (const Check& check : family) {
            const std::string_view iface = check.iface;
            if (iface.empty()) {
                RunOn(check, "");
                continue;
            }
            bool applies = false;
            for (const std::string& kind : target_.kinds) {
                const std::string_view own(kind.data(), kind.find(':'));
                if (iface != "*" && iface != own) continue;
                if (!options_.kind.empty() && kind.substr(own.size() + 1) != options_.kind)
                    continue;
                applies = true;
                RunOn(check, kind);
            }
            if (!applies)
                Put(check, "", {Verdict::kNotApplicable, base::Cat("it has no kind of ", iface)});
        }
    }

    const Target target_;
    const Options& options_;
    Report& report_;
    std::string broken_load_;
    std::map<std::string, std::string> broken_kinds_;  // and the check that says so
};

}  // namespace

Report RunChecks(const std::string& path, const Options& options) {
    Report report;
    std::error_code ignored;
    report.path = std::filesystem::absolute(path, ignored).string();
    const Scratch scratch;
    auto target = ReadTarget(report.path, scratch.path(), report.problem);
    if (!target) return report;
    target->config = options.config;
    Runner(std::move(*target), options, report).Run();
    return report;
}

}  // namespace opensend::plugin_check
