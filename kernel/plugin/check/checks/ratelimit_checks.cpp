#include <algorithm>
#include <atomic>
#include <map>

#include "kernel/base/embedded.h"
#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/host/threads.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {

std::span<const base::EmbeddedFile> RateVectors();

namespace ratelimit_family {
namespace {

std::unique_ptr<Life> Frozen(Trial& trial) {
    trial.host.held_ns = 1'000'000'000'000'000;
    return Life::Started(trial);
}
osp_rl_res One(Trial& trial, Life& life, const Bucket& bucket) {
    const Limited limited = Acquire(trial, life, {bucket});
    Require(limited.status == OSP_OK, base::Cat("acquire returned ", limited.status));
    return limited.results[0];
}
std::string Show(const osp_rl_res& r) {
    return base::Cat(
        "allowed ", r.allowed, " remaining ", r.remaining, " retry ", r.retry_after_us, " reset ",
        r.reset_us
    );
}

void Vectors(Trial& trial) {
    const auto document = json::Document::Parse(RateVectors().front().bytes);
    Require(document.ok(), "the vectors cannot be read");
    const json::Value sequences = document->root().Find("sequences");
    for (size_t s = 0; s < sequences.size(); ++s) {
        const json::Value sequence = sequences.At(s), steps = sequence.Find("steps");
        const auto life = Frozen(trial);
        const osp_time start = trial.host.held_ns;
        for (size_t i = 0; i < steps.size(); ++i) {
            const json::Value step = steps.At(i), expected = step.Find("buckets");
            trial.host.held_ns =
                start + static_cast<osp_time>(step.Find("offset_us").AsInt()) * 1000;
            std::vector<Bucket> buckets;
            for (size_t b = 0; b < sequence.Find("buckets").size(); ++b) {
                const json::Value one = sequence.Find("buckets").At(b);
                buckets.push_back(
                    {std::string(one.Find("key").AsString()),
                     static_cast<uint64_t>(one.Find("emission_interval_us").AsInt()),
                     static_cast<uint64_t>(one.Find("burst_us").AsInt()),
                     static_cast<uint32_t>(step.Find("costs").At(b).AsInt()), 1, 0}
                );
            }
            const Limited limited = Acquire(trial, *life, buckets);
            Require(limited.status == OSP_OK, base::Cat("acquire returned ", limited.status));
            const std::string where =
                base::Cat(sequence.Find("name").AsString(), ", step ", i + 1, ": ");
            uint64_t wait = 0;
            for (size_t b = 0; b < buckets.size(); ++b) {
                const osp_rl_res& got = limited.results[b];
                wait = std::max(wait, got.retry_after_us);
                Require((got.allowed != 0) == step.Find("allowed").AsBool(), where + Show(got));
                Require(
                    got.remaining ==
                            static_cast<uint64_t>(expected.At(b).Find("remaining").AsInt()) &&
                        got.reset_us ==
                            static_cast<uint64_t>(expected.At(b).Find("reset_us").AsInt()),
                    where + Show(got)
                );
            }
            Require(
                wait == static_cast<uint64_t>(step.Find("retry_after_us").AsInt()),
                base::Cat(where, "retry_after_us ", wait)
            );
        }
    }
}

/// The rule itself, to compare with.
struct Rule {
    uint64_t tat = 0;
    osp_rl_res Ask(uint64_t now, const Bucket& b) {
        const uint64_t from = std::min(std::max(tat, now), now + b.burst_us);
        const uint64_t next = from + std::min(b.cost * b.emission_us, b.burst_us);
        osp_rl_res out{};
        out.allowed = next - now <= b.burst_us ? 1 : 0;
        out.retry_after_us = out.allowed != 0 ? 0 : next - now - b.burst_us;
        if (out.allowed != 0) tat = next;
        out.reset_us = (out.allowed != 0 ? next : from) - now;
        out.remaining = (b.burst_us - out.reset_us) / b.emission_us;
        return out;
    }
};
void RandomSequence(Trial& trial) {
    const auto life = Frozen(trial);
    Rule rule;
    for (int i = 0; i < 400; ++i) {
        trial.host.held_ns += (trial.random() % 300'000) * 1000;
        Bucket bucket{"check:random"};
        bucket.cost = static_cast<uint32_t>(1 + trial.random() % 4);
        const osp_rl_res expected = rule.Ask(trial.host.held_ns / 1000, bucket);
        const osp_rl_res got = One(trial, *life, bucket);
        const bool same = got.allowed == expected.allowed && got.remaining == expected.remaining &&
                          got.reset_us == expected.reset_us &&
                          got.retry_after_us == expected.retry_after_us;
        Require(same, base::Cat("step ", i, ": expected ", Show(expected), "; got ", Show(got)));
    }
}
void GroupAtomic(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket full{"check:full", 1'000'000, 1'000'000, 1, 1, 0};
    One(trial, *life, full);
    Bucket open{"check:open", 1'000'000, 5'000'000, 1, 1, 0};
    const Limited refused = Acquire(trial, *life, {open, full});
    for (const osp_rl_res& result : refused.results)
        Require(result.allowed == 0, "one of a group passed alone");
    const osp_rl_res after = One(trial, *life, open);
    Require(after.remaining == 4, base::Cat("the other bucket was charged: ", Show(after)));
}
void GroupsApart(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket full{"check:apart-full", 1'000'000, 1'000'000, 1, 1, 0};
    One(trial, *life, full);
    Bucket open{"check:apart-open", 1'000'000, 5'000'000, 1, 2, 0};
    const Limited both = Acquire(trial, *life, {full, open});
    Require(
        both.results[0].allowed == 0 && both.results[1].allowed == 1, "groups depend on each other"
    );
}
void PeekFree(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket bucket{"check:peek"};
    for (int i = 0; i < 20; ++i) {
        Bucket peek = bucket;
        peek.flags = OSP_RL_PEEK;
        One(trial, *life, peek);
    }
    const osp_rl_res got = One(trial, *life, bucket);
    Require(got.remaining == 9, base::Cat("twenty looks charged: ", Show(got)));
}
void RefundExact(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket bucket{"check:refund"};
    for (int i = 0; i < 5; ++i) One(trial, *life, bucket);
    Bucket back = bucket;
    back.cost = 2;
    Refund(trial, *life, {back});
    const osp_rl_res got = One(trial, *life, bucket);
    Require(got.remaining == 6, base::Cat("5 charged, 2 refunded, 1 charged of 10: ", Show(got)));
}
void RefundFloor(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket bucket{"check:floor"};
    Bucket much = bucket;
    much.cost = 1000;
    Refund(trial, *life, {much});
    One(trial, *life, bucket);
    Refund(trial, *life, {much});
    const osp_rl_res got = One(trial, *life, bucket);
    Require(got.remaining == 9, base::Cat("a refund made more than the burst: ", Show(got)));
}
void Intact(Trial& trial) {
    const auto life = Frozen(trial);
    trial.stride_extra = 24;
    Require(
        Acquire(trial, *life, {{"a"}, {"b"}, {"c"}}).intact,
        "bytes between the results were written"
    );
}
void Nothing(Trial& trial) {
    const auto life = Frozen(trial);
    const Limited none = Acquire(trial, *life, {});
    Require(
        none.status == OSP_OK || none.status == OSP_E_INVALID, base::Cat("status ", none.status)
    );
}
void OverBurst(Trial& trial) {
    const auto life = Frozen(trial);
    Bucket bucket{"check:over"};
    bucket.cost = 5000;
    Require(One(trial, *life, bucket).allowed == 1, "more than the burst counts as the burst");
    Require(One(trial, *life, {"check:over"}).allowed == 0, "the burst was not charged");
}
void HugeNumbers(Trial& trial) {
    const auto life = Frozen(trial);
    const Bucket bucket{"check:huge", uint64_t{1} << 50, uint64_t{1} << 60, 1u << 14, 0, 0};
    const Limited limited = Acquire(trial, *life, {bucket});
    if (limited.status < 0) return;
    Require(limited.results[0].allowed == 1, "cost times interval overflowed");
    const Limited second = Acquire(trial, *life, {bucket});
    Require(second.status < 0 || second.results[0].allowed == 0, "cost times interval overflowed");
}
void AllowedIsBool(Trial& trial) {
    const auto life = Frozen(trial);
    for (int i = 0; i < 12; ++i) {
        const int32_t allowed = One(trial, *life, {"check:bool"}).allowed;
        Require(allowed == 0 || allowed == 1, base::Cat("allowed is ", allowed));
    }
}
void KeysApart(Trial& trial) {
    const auto life = Frozen(trial);
    for (int i = 0; i < 2000; ++i) {
        const osp_rl_res got = One(trial, *life, {base::Cat("check:key:", i)});
        Require(got.remaining == 9, base::Cat("a fresh key is not full: ", Show(got)));
    }
}
void Threads(Trial& trial) {
    const auto life = Frozen(trial);
    std::atomic<int> passed{0};
    RunInThreads(16, [&](size_t) {
        for (int i = 0; i < 50; ++i) {
            const Limited limited = Acquire(
                trial, *life,
                {
                    {"check:threads", 1'000'000, 100'000'000, 1, 1, 0}
            }
            );
            if (limited.status == OSP_OK && limited.results[0].allowed == 1) ++passed;
        }
    });
    Require(passed == 100, base::Cat(passed.load(), " of 100 passed"));
}

constexpr const char* kHere = OSP_KIND_RATELIMIT;
constexpr Check kRateLimit[] = {
    {"rl.gcra-vectors", kHere, "The published sequences come out to the microsecond",
     "integer GCRA with the host's clock",                                                                                   Vectors       },
    {"rl.gcra-random",  kHere, "A random sequence comes out to the microsecond",
     "TAT = max(TAT, now) + cost*T; deny above B",                                                                           RandomSequence},
    {"rl.group-atomic", kHere, "A group passes together or not at all",
     "test all buckets, then store",                                                                                         GroupAtomic   },
    {"rl.groups-apart", kHere, "Groups do not depend on each other",                  "decide for each group",
     GroupsApart                                                                                                                           },
    {"rl.peek",         kHere, "Looking charges nothing",                             "store nothing with OSP_RL_PEEK",      PeekFree      },
    {"rl.refund",       kHere, "A refund gives back exactly its units",               "TAT = max(TAT - cost*T, now)",
     RefundExact                                                                                                                           },
    {"rl.refund-floor", kHere, "A refund never makes more than the burst",            "TAT is at least now",
     RefundFloor                                                                                                                           },
    {"rl.intact",       kHere, "Nothing is written between the results",              "walk results by their stride",
     Intact                                                                                                                                },
    {"rl.nothing",      kHere, "No buckets is no error",                              "return OSP_OK",                       Nothing       },
    {"rl.over-burst",   kHere, "More than the burst counts as the burst",             "min(cost*T, B)",
     OverBurst                                                                                                                             },
    {"rl.huge",         kHere, "Large numbers do not overflow",                       "multiply with a test or in 128 bits",
     HugeNumbers                                                                                                                           },
    {"rl.allowed",      kHere, "allowed is 0 or 1",                                   "write 0 or 1",                        AllowedIsBool },
    {"rl.keys",         kHere, "Keys have buckets of their own",                      "compare whole keys",                  KeysApart     },
    {"rl.threads",      kHere, "Sixteen threads share a bucket exactly",
     "one lock around test and store",                                                                                       Threads       },
};

}  // namespace
}  // namespace ratelimit_family

std::span<const Check> RateLimitChecks() { return ratelimit_family::kRateLimit; }

}  // namespace opensend::plugin_check
