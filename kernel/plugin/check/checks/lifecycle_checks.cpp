#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/state.h"
#include "kernel/plugin/check/trial.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin_check {
namespace lifecycle_family {
namespace {

void Pause(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void Creates(Trial& trial) {
    Life life(trial, trial.config());
    Require(
        life.status() == OSP_OK, base::Cat("status ", life.status(), ": ", life.error().text())
    );
}
void Starts(Trial& trial) { Life::Started(trial); }

void StartsInTime(Trial& trial) {
    const osp_time before = CheckHost::Monotonic();
    const auto life = Life::Started(trial);
    const osp_time ms = (CheckHost::Monotonic() - before) / 1'000'000;
    Require(ms < 10'000, base::Cat("create and start took ", ms, " ms"));
}
void CreatesQuietly(Trial& trial) {
    trial.handle();
    const std::string before = ThreadsNow();
    Life life(trial, trial.config());
    // The peer's own thread comes with the configuration.
    const bool has_peer = trial.peer() != nullptr;
    const std::string after = ThreadsNow();
    Require(has_peer || before == after, base::Cat("threads before: ", before, ", after: ", after));
}
/// Many lives; `look` before and after, once the first ones have filled caches.
template <class Look>
void ManyLives(Trial& trial, const Look& look, long more = 0) {
    const std::string config = trial.config();
    const auto live = [&](int n) {
        for (int i = 0; i < n; ++i) {
            const auto life = Life::Started(trial);
            const osp_token done = trial.host.Open(TokenKind::kOther);
            trial.kind().life.drain(life->inst(), done, trial.host.Time());
            life->End();
            trial.host.Revoke(done);
        }
    };
    const osp_time start = CheckHost::Monotonic();
    live(5);
    const bool slow = CheckHost::Monotonic() - start > 50'000'000u;
    const auto before = look();
    live(slow ? 12 : 50);
    const auto after = look();
    Require(!(after > before + more), base::Cat("before: ", before, ", after many lives: ", after));
}
void LeavesNoThread(Trial& trial) {
    // One that was joined may be listed for a moment.
    ManyLives(trial, [] {
        Pause(20);
        return std::stol(ThreadsNow());
    });
}
void LeavesNoFile(Trial& trial) {
    ManyLives(trial, [] { return std::stol(FilesNow()); });
}
void LeavesNoMemory(Trial& trial) {
    // Instances that stay are more than this, were they only 80 bytes.
    ManyLives(
        trial, [] { return static_cast<long>(HeapBytes()); }, 4000
    );
}
void LeavesProcess(Trial& trial) {
    trial.handle();
    const auto look = [] {
        return base::Cat(
            SignalsNow(), LocaleNow(), " ", UmaskNow(), " ", FolderNow(), " ", EnvironmentNow(),
            " ", LimitsNow(), FloatNow()
        );
    };
    const std::string before = look();
    {
        const auto life = Life::Started(trial);
        AskOnce(trial, *life);
    }
    Require(before == look(), base::Cat("before: ", before, "; after: ", look()));
}

void TwoAtOnce(Trial& trial) {
    const auto first = Life::Started(trial);
    const auto second = Life::Started(trial);
    Require(first->inst() != second->inst(), "both instances are one");
    first->End();
    const Asked asked = AskOnce(trial, *second);
    Require(
        asked.answered || asked.status < 0, "the second does not answer once the first is gone"
    );
}
void LivesAgain(Trial& trial) {
    for (int i = 0; i < 3; ++i) {
        const auto life = Life::Started(trial);
        const Asked asked = AskOnce(trial, *life);
        Require(asked.answered || asked.status < 0, base::Cat("life ", i + 1, " does not answer"));
    }
}

void DrainsIdle(Trial& trial) {
    const auto life = Life::Started(trial);
    const osp_token done = trial.host.Open(TokenKind::kOther);
    const osp_status status =
        trial.kind().life.drain(life->inst(), done, trial.host.Time() + 1'000'000'000u);
    if (status == OSP_PENDING) {
        Require(Await(trial, done, 1500), "PENDING was said and `done` never completed");
        return;
    }
    Require(status == OSP_OK, base::Cat("drain returned ", status));
    Require(!trial.host.IsCompleted(done), "OK was said and `done` completed as well");
}
void DrainsAfterCalls(Trial& trial) {
    const auto life = Life::Started(trial);
    AskOnce(trial, *life);
    const osp_token done = trial.host.Open(TokenKind::kOther);
    const osp_status status =
        trial.kind().life.drain(life->inst(), done, trial.host.Time() + 2'000'000'000u);
    Require(status >= 0, base::Cat("drain returned ", status));
    if (status == OSP_PENDING) Require(Await(trial, done, 2500), "`done` never completed");
}
void AnswersEarly(Trial& trial) {
    Life life(trial, trial.config());
    const Asked asked = AskOnce(trial, life);
    Require(asked.answered || asked.status < 0, "a call before start() is never answered");
}
void DrainsWhileBusy(Trial& trial) {
    const auto life = Life::Started(trial);
    SmtpPeer::Script slow;
    slow.fault = Fault::kSlow;
    if (trial.peer() != nullptr) trial.peer()->Use(slow);
    trial.services.defers = true;
    trial.services.held_until = CheckHost::Monotonic() + 300'000'000u;
    bool answered = false;
    runtime::Worker caller("check-call", [&](runtime::StopToken&) {
        const Asked asked = AskOnce(trial, *life);
        answered = asked.answered || asked.status < 0;
    });
    Pause(50);
    const osp_token done = trial.host.Open(TokenKind::kOther);
    const osp_time deadline = trial.host.Time() + 3'000'000'000u;
    const osp_status status = trial.kind().life.drain(life->inst(), done, deadline);
    Require(status >= 0, base::Cat("drain returned ", status));
    const size_t out = trial.host.open_tokens() - (trial.host.IsCompleted(done) ? 0 : 1);
    if (status == OSP_OK) Require(out == 0, "drain said that nothing is out while a call was");
    if (status == OSP_PENDING)
        Require(Await(trial, done, 4000), "PENDING was said and `done` never completed");
    for (int i = 0; i < 300 && trial.host.open_tokens() > 1; ++i) Pause(10);
    Require(trial.host.open_tokens() == (status == OSP_OK ? 1u : 0u), "a call is never answered");
}
void DisarmsTimers(Trial& trial) {
    const auto life = Life::Started(trial);
    AskOnce(trial, *life);
    life->Stop();
    const size_t n = trial.services.armed_timers();
    Require(n == 0, base::Cat(n, " timers are armed after stop()"));
}
void QuietAfterStop(Trial& trial) {
    const auto life = Life::Started(trial);
    AskOnce(trial, *life);
    trial.kind().life.drain(life->inst(), trial.host.Open(TokenKind::kOther), trial.host.Time());
    life->Stop();
    trial.host.is_stopped = true;
    Pause(400);
    Require(trial.host.forbidden_calls == 0, "the host was called after stop() had returned");
    trial.host.is_stopped = false;
}
void NoThreadAfterStop(Trial& trial) {
    const std::string config = trial.config();
    trial.handle();
    const std::string before = ThreadsNow();
    const auto life = Life::Started(trial);
    AskOnce(trial, *life);
    life->Stop();
    // One that was joined may be listed for a moment.
    for (int i = 0; i < 50 && ThreadsNow() != before; ++i) Pause(10);
    Require(ThreadsNow() == before, base::Cat("before: ", before, ", after stop: ", ThreadsNow()));
}

void HealthAnswers(Trial& trial) {
    if (trial.kind().life.health == nullptr) throw NotHere{"it has no health()"};
    const auto life = Life::Started(trial);
    struct {
        osp_health health{};
        unsigned char guard[64];
    } place;
    std::memset(place.guard, 0xa5, sizeof place.guard);
    place.health.size = sizeof place.health;
    place.health.why.size = sizeof place.health.why;
    const osp_status status = trial.kind().life.health(life->inst(), &place.health);
    Require(status == OSP_OK, base::Cat("health returned ", status));
    Require(
        place.health.state >= OSP_HEALTH_UNKNOWN && place.health.state <= OSP_HEALTH_DOWN,
        base::Cat("state ", place.health.state, " does not exist")
    );
    Require(
        std::all_of(
            std::begin(place.guard), std::end(place.guard),
            [](unsigned char c) { return c == 0xa5; }
        ),
        "bytes behind the struct were written"
    );
}

void UnknownExtension(Trial& trial) {
    if (trial.kind().life.get_interface == nullptr) throw NotHere{"it has no extensions"};
    const auto life = Life::Started(trial);
    Require(
        trial.kind().life.get_interface(life->inst(), "opensend.nothing/9") == nullptr,
        "an unknown id got a table"
    );
    const std::string longer = trial.kind().iface + "x";
    Require(
        trial.kind().life.get_interface(life->inst(), longer.c_str()) == nullptr,
        "an id with more behind it got a table"
    );
}

constexpr Check kLifecycle[] = {
    {"life.create",           "*", "create takes the sample configuration",
     "put check.<kind>.config into the manifest",                                                                                                 Creates        },
    {"life.start",            "*", "start succeeds",                                             "do not demand a reachable provider in start()", Starts         },
    {"life.start-time",       "*", "create and start end in time",                               "connect lazily",                                StartsInTime   },
    {"life.create-quiet",     "*", "create starts no thread",                                    "start threads in start()",
     CreatesQuietly                                                                                                                                              },
    {"life.leak-threads",     "*", "Many lives leave no thread",                                 "join every thread in stop()",
     LeavesNoThread                                                                                                                                              },
    {"life.leak-files",       "*", "Many lives leave no open file",
     "close what was opened in stop() or destroy()",                                                                                              LeavesNoFile   },
    {"life.leak-memory",      "*", "Many lives leave no memory",                                 "free the instance in destroy()",
     LeavesNoMemory                                                                                                                                              },
    {"life.process",          "*", "A life changes nothing of the process",
     "no signal(), setlocale(), umask(), chdir(), setenv()",                                                                                      LeavesProcess  },
    {"life.two",              "*", "Two instances do not share their end",
     "no mutable state outside of the instance",                                                                                                  TwoAtOnce      },
    {"life.again",            "*", "A new instance works after the end of an old one",
     "no mutable state outside of the instance",                                                                                                  LivesAgain     },
    {"life.drain-idle",       "*", "drain without work is done, once",
     "return OSP_OK, or complete `done` after OSP_PENDING",                                                                                       DrainsIdle     },
    {"life.drain-used",       "*", "drain after calls is done in time",                          "count what is out",
     DrainsAfterCalls                                                                                                                                            },
    {"life.quiet-after-stop", "*", "The host is not called after stop()",
     "join threads and disarm timers in stop()",                                                                                                  QuietAfterStop },
    {"life.threads-stop",     "*", "stop() joins every thread",                                  "join in stop(), not in destroy()",
     NoThreadAfterStop                                                                                                                                           },
    {"life.timers",           "*", "stop() disarms every timer",                                 "disarm in stop()",                              DisarmsTimers  },
    {"life.early-call",       "*", "A call before start() is answered or refused",
     "start from a state that can answer",                                                                                                        AnswersEarly   },
    {"life.drain-busy",       "*", "drain() with a call under way says so and is done after it",
     "count what is out; OSP_OK means nothing is",                                                                                                DrainsWhileBusy},
    {"life.health",           "*", "health tells a state that exists",                           "write state only; one of OSP_HEALTH_",
     HealthAnswers                                                                                                                                               },
    {"life.extensions",       "*", "Unknown extensions are null",                                "compare the whole id",
     UnknownExtension                                                                                                                                            },
};

}  // namespace
}  // namespace lifecycle_family

std::span<const Check> LifecycleChecks() { return lifecycle_family::kLifecycle; }

}  // namespace opensend::plugin_check
