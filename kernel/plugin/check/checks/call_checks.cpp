#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/host/threads.h"
#include "kernel/plugin/check/state.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace call_family {
namespace {

Asked AskFresh(Trial& trial) {
    const auto life = Life::Started(trial);
    return AskOnce(trial, *life);
}

void Answers(Trial& trial) {
    const Asked asked = AskFresh(trial);
    Require(asked.answered || asked.status < 0, "the token was never completed");
}
void CompletesOnce(Trial& trial) {
    const auto life = Life::Started(trial);
    for (int i = 0; i < 5; ++i) AskOnce(trial, *life);
    const size_t n = trial.host.double_completions();
    Require(n == 0, base::Cat(n, " completions came a second time"));
}
void CompletesItsOwn(Trial& trial) {
    const auto life = Life::Started(trial);
    for (int i = 0; i < 5; ++i) AskOnce(trial, *life);
    const size_t n = trial.host.unknown_completions();
    Require(n == 0, base::Cat(n, " completions of tokens nobody had handed out"));
}
void ResultReadable(Trial& trial) {
    const Asked asked = AskFresh(trial);
    if (!asked.answered || trial.kind().iface == OSP_KIND_RATELIMIT) return;
    Require(
        asked.answer.status != OSP_OK || asked.answer.readable,
        "OSP_OK was said with a result that cannot be read"
    );
}
void StatusKnown(Trial& trial) {
    const Asked asked = AskFresh(trial);
    const auto known = [](osp_status status) {
        return status >= OSP_E_PANIC && status <= OSP_PENDING;
    };
    Require(known(asked.status), base::Cat("the call returned ", asked.status));
    if (asked.answered)
        Require(known(asked.answer.status), base::Cat("completed with ", asked.answer.status));
}
void ErrorRoom(Trial& trial) {
    Require(AskFresh(trial).error_intact, "bytes behind a struct of the caller were written");
}
void ViewsEnd(Trial& trial) {
    trial.revokes_views = true;
    const auto life = Life::Started(trial);
    for (int i = 0; i < 3; ++i) AskOnce(trial, *life);
}
void Strides(Trial& trial) {
    const auto life = Life::Started(trial);
    if (trial.kind().iface == OSP_KIND_TRANSPORT) {
        const auto answers = [&] {
            const Sent sent = Send(trial, *life, {PlainMail("a"), PlainMail("b"), PlainMail("c")});
            return std::count(sent.answered.begin(), sent.answered.end(), true);
        };
        const auto usual = answers();
        trial.stride_extra = 40;
        const auto spaced = answers();
        Require(spaced == usual, base::Cat(usual, " of 3 messages have an answer, apart ", spaced));
        return;
    }
    trial.stride_extra = 40;
    if (trial.kind().iface == OSP_KIND_RATELIMIT) {
        const Limited limited = Acquire(trial, *life, {{"a"}, {"b"}, {"c"}});
        for (const osp_rl_res& result : limited.results)
            Require(limited.status < 0 || result.allowed != -1, "a result was not filled");
        return;
    }
    throw NotHere{"its calls have no arrays of structs"};
}
void LongerRequest(Trial& trial) {
    trial.request_extra = 64;
    const Asked asked = AskFresh(trial);
    Require(asked.answered || asked.status < 0, "no answer to a struct of a later version");
    Require(
        asked.status != OSP_E_INVALID && asked.status != OSP_E_UNSUPPORTED,
        "a struct of a later version was refused"
    );
}
void KeepsNoMemory(Trial& trial) {
    const auto life = Life::Started(trial);
    trial.host.keeps_answers = false;
    const osp_time before_first = CheckHost::Monotonic();
    AskOnce(trial, *life);
    const bool slow = CheckHost::Monotonic() - before_first > 1'000'000;
    const int n = slow ? 40 : 500;
    const auto use = [&](int count) {
        for (int i = 0; i < count; ++i) {
            AskOnce(trial, *life);
            if (trial.peer() != nullptr) trial.peer()->Forget();
            trial.services.Forget();
        }
    };
    use(n / 4);
    const size_t logged = trial.host.log_text().size(), before = HeapBytes();
    use(n);
    // The host's own book of log lines is taken off.
    const size_t log = 4 * (trial.host.log_text().size() - logged);
    const size_t after = HeapBytes();
    const size_t room = static_cast<size_t>(n) * 100 + 20'000 + log;
    Require(after < before + room, base::Cat(n, " calls kept ", after - before, " bytes"));
}
/// Too much for the memory that is left, in whatever the plugin is asked with.
Asked AskWithMuch(Trial& trial, Life& life) {
    const std::string much(24u << 20, 'x');
    const std::string& iface = trial.kind().iface;
    if (iface == OSP_KIND_AUTH) return Authenticate(trial, life, {"bearer", much, ""});
    if (iface == OSP_KIND_INBOUND) {
        HttpAsk request;
        request.body = much;
        return Handle(trial, life, request);
    }
    if (iface != OSP_KIND_TRANSPORT) throw NotHere{"its calls carry no large data"};
    Mail mail = PlainMail();
    mail.data += much;
    const Sent sent = Send(trial, life, {mail});
    return {sent.status,       sent.tokens[0],  sent.answered[0],
            sent.error_intact, sent.answers[0], sent.took_ns};
}
void NoMemory(Trial& trial) {
#if defined(OPENSEND_SANITIZED)
    throw NotHere{"a sanitizer ends the process when memory is short"};
#endif
    const auto life = Life::Started(trial);
    rlimit usual{};
    getrlimit(RLIMIT_AS, &usual);
    trial.before_call = [&] {
        std::ifstream statm("/proc/self/statm");
        rlim_t pages = 0;
        statm >> pages;
        const rlimit tight{
            pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (8u << 20), usual.rlim_max};
        setrlimit(RLIMIT_AS, &tight);
    };
    trial.after_call = [&] { setrlimit(RLIMIT_AS, &usual); };
    const Asked asked = AskWithMuch(trial, *life);
    Require(asked.answered || asked.status < 0, "no answer when memory is short");
}
void ReturnsSoon(Trial& trial) {
    const auto life = Life::Started(trial);
    if (trial.kind().iface == OSP_KIND_TRANSPORT && trial.kind().transport.submit == nullptr)
        throw NotHere{"its calls may block"};
    trial.by_submit = true;
    trial.services.defers = true;
    std::vector<osp_time> times;
    osp_time before = 0;
    trial.before_call = [&] { before = CheckHost::Monotonic(); };
    trial.after_call = [&] { times.push_back(CheckHost::Monotonic() - before); };
    for (int i = 0; i < 15; ++i) AskOnce(trial, *life);
    std::sort(times.begin(), times.end());
    const osp_time ms = times[times.size() / 2] / 1'000'000;
    Require(ms < 20, base::Cat("half of the calls took more than ", ms, " ms"));
}
void SideBySide(Trial& trial) {
    const auto life = Life::Started(trial);
    const bool pool = trial.kind().iface == OSP_KIND_TRANSPORT;
    const bool any = (trial.kind().life.flags & OSP_INST_CONCURRENT) != 0 ||
                     trial.kind().iface == OSP_KIND_RATELIMIT;
    if (!any) throw NotHere{"its calls come one after the other"};
    std::atomic<int> missing{0};
    osp_transport_caps caps{};
    caps.size = sizeof caps;
    if (pool) trial.kind().transport.get_caps(life->inst(), &caps);
    const size_t threads =
        pool ? std::min<size_t>(std::max<size_t>(caps.max_concurrency, 1), 4) : 4;
    RunInThreads(threads, [&](size_t) {
        for (int i = 0; i < 10; ++i) {
            const Kind& kind = trial.kind();
            if (kind.iface == OSP_KIND_RATELIMIT) {
                if (Acquire(trial, *life, {{"check:side"}}).status < 0) ++missing;
                continue;
            }
            const Asked asked = AskOnce(trial, *life);
            if (!asked.answered && asked.status >= 0) ++missing;
        }
    });
    Require(missing == 0, base::Cat(missing.load(), " calls side by side have no answer"));
}

constexpr Check kCalls[] = {
    {"call.answers",         "*", "A call is answered",                             "complete the token on every path",   Answers        },
    {"call.double-complete", "*", "No token is completed twice",
     "return after complete(); Completion of plugin.hpp does it",                                                         CompletesOnce  },
    {"call.stranger",        "*", "Only tokens of the host are completed",
     "take the token from the request",                                                                                   CompletesItsOwn},
    {"call.result-size",     "*", "Results begin with their size",                  "size = sizeof of the result struct",
     ResultReadable                                                                                                                      },
    {"call.status",          "*", "Status codes are ones of the header",            "use the OSP_E_ names",
     StatusKnown                                                                                                                         },
    {"call.error-room",      "*", "Nothing is written behind the caller's structs",
     "msg has 240 bytes; respect size and stride",                                                                        ErrorRoom      },
    {"call.views-late",      "*", "Views are not read once the token is completed",
     "copy what you need before complete()",                                                                              ViewsEnd       },
    {"call.stride",          "*", "Arrays are walked by their stride",
     "use osp::At or the stride, not an index",                                                                           Strides        },
    {"call.longer",          "*", "Requests of a later version are taken",
     "test size >= what you read, never ==",                                                                              LongerRequest  },
    {"call.memory",          "*", "Calls keep no memory",                           "free what a call allocated",         KeepsNoMemory  },
    {"call.no-memory",       "*", "A call for which memory is short is answered",
     "catch std::bad_alloc; Guard of plugin.hpp does it",                                                                 NoMemory       },
    {"call.returns",         "*", "Calls that may not block return soon",
     "answer later, from a callback or a thread",                                                                         ReturnsSoon    },
    {"call.side-by-side",    "*", "Calls that may run side by side do",
     "guard shared members with a mutex",                                                                                 SideBySide     },
};

}  // namespace
}  // namespace call_family

std::span<const Check> CallChecks() { return call_family::kCalls; }

}  // namespace opensend::plugin_check
