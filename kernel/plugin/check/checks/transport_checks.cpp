#include <algorithm>
#include <cstring>
#include <set>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace transport_family {
namespace {

osp_transport_caps CapsOf(Trial& trial, const Life& life) {
    osp_transport_caps caps{};
    caps.size = sizeof caps;
    const osp_status status = trial.kind().transport.get_caps(life.inst(), &caps);
    Require(status == OSP_OK, base::Cat("get_caps returned ", status));
    return caps;
}

void CapsAnswer(Trial& trial) { CapsOf(trial, *Life::Started(trial)); }
void CapsFlags(Trial& trial) {
    const auto caps = CapsOf(trial, *Life::Started(trial));
    Require((caps.flags & ~127u) == 0, "a flag that does not exist");
    const osp_transport_v1& table = trial.kind().transport;
    Require(
        ((caps.flags & OSP_TR_BLOCKING) != 0) == (table.send != nullptr),
        "BLOCKING and send belong together"
    );
    Require(
        ((caps.flags & OSP_TR_ASYNC) != 0) == (table.submit != nullptr),
        "ASYNC and submit belong together"
    );
}
void CapsSame(Trial& trial) {
    const auto life = Life::Started(trial);
    const auto first = CapsOf(trial, *life);
    AskOnce(trial, *life);
    const auto second = CapsOf(trial, *life);
    Require(std::memcmp(&first, &second, sizeof first) == 0, "they changed");
}
void CapsShort(Trial& trial) {
    const auto life = Life::Started(trial);
    struct {
        osp_transport_caps caps{};
    } place;
    std::memset(static_cast<void*>(&place), 0xa5, sizeof place);
    place.caps.size = 8;
    trial.kind().transport.get_caps(life->inst(), &place.caps);
    const auto* bytes = static_cast<const unsigned char*>(static_cast<const void*>(&place));
    Require(
        std::all_of(bytes + 8, bytes + sizeof place, [](unsigned char c) { return c == 0xa5; }),
        "bytes behind the caller's size were written"
    );
}

void RequireAll(const Sent& sent) {
    for (size_t i = 0; i < sent.answered.size(); ++i)
        Require(
            sent.answered[i] || sent.status < 0, base::Cat("message ", i + 1, " has no answer")
        );
}
void BatchFull(Trial& trial) {
    const auto life = Life::Started(trial);
    const uint32_t max = std::max(CapsOf(trial, *life).max_batch, 1u);
    std::vector<Mail> mails;
    for (uint32_t i = 0; i < std::min(max, 64u); ++i)
        mails.push_back(PlainMail(base::Cat("batch-", i)));
    RequireAll(Send(trial, *life, mails));
    trial.by_submit = true;
    RequireAll(Send(trial, *life, mails));
}
void BatchOver(Trial& trial) {
    const auto life = Life::Started(trial);
    const uint32_t max = std::max(CapsOf(trial, *life).max_batch, 1u);
    if (max > 1000) throw NotHere{"its batches have no limit worth a test"};
    std::vector<Mail> mails;
    for (uint32_t i = 0; i <= max; ++i) mails.push_back(PlainMail(base::Cat("over-", i)));
    RequireAll(Send(trial, *life, mails));
}
void Busy(Trial& trial) {
    if (trial.kind().transport.submit == nullptr) throw NotHere{"it has no submit()"};
    const auto life = Life::Started(trial);
    const uint32_t max = CapsOf(trial, *life).max_inflight;
    if (max == 0 || max > 1000) throw NotHere{"it names no limit worth a test"};
    trial.by_submit = true;
    trial.services.defers = true;
    trial.services.held_until = CheckHost::Monotonic() + 700'000'000u;
    std::vector<Mail> mails;
    for (uint32_t i = 0; i <= max; ++i) mails.push_back(PlainMail(base::Cat("busy-", i)));
    for (const Mail& mail : mails) {
        const Sent sent = Submit(trial, *life, mail);
        if (sent.status >= 0) continue;
        Require(sent.status == OSP_E_BUSY, base::Cat("a full instance returned ", sent.status));
        Require(!trial.host.IsCompleted(sent.tokens[0]), "BUSY was said and the token completed");
        trial.host.Revoke(sent.tokens[0]);
    }
    for (int i = 0; i < 300 && trial.host.open_tokens() > 0; ++i) Await(trial, 0, 10);
    const size_t n = trial.host.open_tokens();
    Require(n == 0, base::Cat(n, " messages that were taken have no answer"));
}
void SendCompletes(Trial& trial) {
    if (trial.kind().transport.send == nullptr) throw NotHere{"it has no send()"};
    const auto life = Life::Started(trial);
    const Sent sent = Send(trial, *life, {PlainMail("a"), PlainMail("b")});
    Require(
        sent.open_after_return == 0 || sent.status < 0,
        base::Cat(sent.open_after_return, " tokens were open when send() returned")
    );
}

/// All results of a mail for three recipients, each with its index.
std::vector<RcptAnswer> ThreeResults(Trial& trial) {
    const auto life = Life::Started(trial);
    Mail mail = PlainMail();
    mail.rcpts = {"one@example.net", "two@example.net", "three@example.net"};
    const Sent sent = Send(trial, *life, {mail});
    if (!sent.answers[0].readable) throw NotHere{base::Cat("there is no result: ", Told(sent))};
    if (sent.answers[0].rcpts.empty()) return {sent.answers[0].all};
    return sent.answers[0].rcpts;
}
void RcptIndex(Trial& trial) {
    std::set<uint32_t> seen;
    const auto results = ThreeResults(trial);
    if (results.size() == 1 && results[0].index == 0) return;
    for (const auto& one : results) {
        Require(one.index < 3, base::Cat("index ", one.index, " of 3 recipients"));
        Require(seen.insert(one.index).second, base::Cat("index ", one.index, " stands twice"));
    }
}
void RcptComplete(Trial& trial) {
    const auto results = ThreeResults(trial);
    // One result stands for all.
    Require(
        results.size() == 1 || results.size() == 3, base::Cat(results.size(), " results for 3")
    );
}
void OutcomeKnown(Trial& trial) {
    for (const auto& one : ThreeResults(trial)) {
        Require(
            one.outcome >= 0 && one.outcome <= OSP_OUT_NOT_TRIED, base::Cat("outcome ", one.outcome)
        );
        Require(one.rclass <= OSP_CLASS_PROTOCOL, base::Cat("class ", one.rclass));
        Require(one.stage <= OSP_STAGE_API, base::Cat("stage ", one.stage));
    }
}
void CodeAgrees(Trial& trial) {
    for (const auto& one : ThreeResults(trial)) {
        const int digit = one.smtp_code / 100;
        const int expected = one.outcome == OSP_OUT_ACCEPTED   ? 2
                             : one.outcome == OSP_OUT_REJECTED ? 5
                                                               : 0;
        Require(
            one.smtp_code == 0 || expected == 0 || digit == expected,
            base::Cat("outcome ", one.outcome, " with code ", one.smtp_code)
        );
        Require(
            one.enhanced[0] == 0 || one.smtp_code == 0 || one.enhanced[0] == digit,
            base::Cat("code ", one.smtp_code, " with enhanced class ", one.enhanced[0])
        );
    }
}
void RequireAnswerTo(Trial& trial, const Mail& mail) {
    const auto life = Life::Started(trial);
    RequireAll(Send(trial, *life, {mail}));
}
void NoRecipients(Trial& trial) {
    Mail mail = PlainMail();
    mail.rcpts.clear();
    const auto life = Life::Started(trial);
    const Sent sent = Send(trial, *life, {mail});
    RequireAll(sent);
}
void NoSender(Trial& trial) {
    Mail mail = PlainMail();
    mail.from.clear();
    RequireAnswerTo(trial, mail);
}
void NoData(Trial& trial) {
    Mail mail = PlainMail();
    mail.data.clear();
    RequireAnswerTo(trial, mail);
}
void BigMessage(Trial& trial) {
    Mail mail = PlainMail();
    mail.deadline_ms = 10'000;
    for (int i = 0; i < 50'000; ++i) mail.data += std::string(76, 'x') + "\r\n";
    RequireAnswerTo(trial, mail);
}
void OddBytes(Trial& trial) {
    Mail mail = PlainMail();
    for (int i = 0; i < 4096; ++i) mail.data += static_cast<char>(trial.random() & 0xff);
    RequireAnswerTo(trial, mail);
}
void ManyRecipients(Trial& trial) {
    Mail mail = PlainMail();
    mail.rcpts.clear();
    for (int i = 0; i < 500; ++i) mail.rcpts.push_back(base::Cat("r", i, "@example.net"));
    RequireAnswerTo(trial, mail);
}
void PastDeadline(Trial& trial) {
    const auto life = Life::Started(trial);
    Mail mail = PlainMail();
    mail.deadline_ms = -1000;
    const Sent sent = Send(trial, *life, {mail});
    RequireAll(sent);
    Require(sent.took_ms < 2000, base::Cat("it took ", sent.took_ms, " ms"));
}
void CancelStranger(Trial& trial) {
    if (trial.kind().transport.cancel == nullptr) throw NotHere{"it has no cancel()"};
    const auto life = Life::Started(trial);
    trial.kind().transport.cancel(life->inst(), 0xdead);
    const Sent sent = Send(trial, *life, {PlainMail()});
    RequireAll(sent);
    const size_t before = trial.host.double_completions();
    trial.kind().transport.cancel(life->inst(), sent.tokens[0]);
    Require(trial.host.double_completions() == before, "cancel completed a token again");
    RequireAll(Send(trial, *life, {PlainMail("later")}));
}
void ProbeReturns(Trial& trial) {
    if (trial.kind().transport.probe == nullptr) throw NotHere{"it has no probe()"};
    const auto life = Life::Started(trial);
    GuardedError error;
    const osp_time before = CheckHost::Monotonic();
    trial.kind().transport.probe(life->inst(), trial.host.Time() + 1'000'000'000u, &error.error);
    const auto ms = (CheckHost::Monotonic() - before) / 1'000'000;
    Require(ms < 2500, base::Cat("it took ", ms, " ms with a deadline of 1000"));
}
void ProbeIsEmpty(Trial& trial) {
    if (trial.kind().transport.probe == nullptr) throw NotHere{"it has no probe()"};
    const auto life = Life::Started(trial);
    if (trial.peer() == nullptr) throw NotHere{"there is no scripted peer"};
    GuardedError error;
    trial.kind().transport.probe(life->inst(), trial.host.Time() + 2'000'000'000u, &error.error);
    for (const std::string& line : trial.peer()->commands())
        Require(line.rfind("DATA", 0) != 0, "it sent DATA");
}

constexpr Check kTransport[] = {
    {"transport.caps",          OSP_KIND_TRANSPORT, "get_caps answers",                                   "fill the caller's struct",
     CapsAnswer                                                                                                                                                       },
    {"transport.caps-flags",    OSP_KIND_TRANSPORT, "The caps name what the table has",
     "BLOCKING with send, ASYNC with submit",                                                                                                           CapsFlags     },
    {"transport.caps-same",     OSP_KIND_TRANSPORT, "The caps stay the same",                             "decide them in create()",
     CapsSame                                                                                                                                                         },
    {"transport.caps-short",    OSP_KIND_TRANSPORT, "A shorter caps struct is respected",
     "write nothing behind size",                                                                                                                       CapsShort     },
    {"transport.batch",         OSP_KIND_TRANSPORT, "A batch of max_batch is answered in full",
     "walk all n messages",                                                                                                                             BatchFull     },
    {"transport.batch-over",    OSP_KIND_TRANSPORT,
     "A batch of one more is answered in full or refused whole",                                          "refuse before you take anything",
     BatchOver                                                                                                                                                        },
    {"transport.busy",          OSP_KIND_TRANSPORT,
     "More than max_inflight is BUSY with nothing taken, or answered",                                    "return OSP_E_BUSY before you take anything", Busy          },
    {"transport.send-done",     OSP_KIND_TRANSPORT, "send() returns when all tokens are completed",
     "wait, or use submit()",                                                                                                                           SendCompletes },
    {"transport.rcpt-index",    OSP_KIND_TRANSPORT, "Results name each recipient at most once",
     "rcpt_index counts from 0",                                                                                                                        RcptIndex     },
    {"transport.rcpt-all",      OSP_KIND_TRANSPORT, "There is one result for all, or one for each",
     "n == 0, or n == n_rcpts",                                                                                                                         RcptComplete  },
    {"transport.outcome",       OSP_KIND_TRANSPORT, "Outcomes, classes and stages exist",
     "use the OSP_OUT_, OSP_CLASS_, OSP_STAGE_ names",                                                                                                  OutcomeKnown  },
    {"transport.codes",         OSP_KIND_TRANSPORT, "SMTP codes agree with the outcome",
     "2xx accepted, 5xx rejected; first digits equal",                                                                                                  CodeAgrees    },
    {"transport.no-rcpts",      OSP_KIND_TRANSPORT, "A message for nobody is answered",
     "answer OSP_E_INVALID",                                                                                                                            NoRecipients  },
    {"transport.null-sender",   OSP_KIND_TRANSPORT, "The null reverse path is answered",
     "mail_from may be empty with a null pointer",                                                                                                      NoSender      },
    {"transport.no-data",       OSP_KIND_TRANSPORT, "An empty message is answered",
     "data may be empty with a null pointer",                                                                                                           NoData        },
    {"transport.big",           OSP_KIND_TRANSPORT, "A message of 4 MB is answered",
     "do not copy onto the stack",                                                                                                                      BigMessage    },
    {"transport.bytes",         OSP_KIND_TRANSPORT, "Any bytes in the body are answered",
     "treat the message as bytes",                                                                                                                      OddBytes      },
    {"transport.rcpts-500",     OSP_KIND_TRANSPORT, "500 recipients are answered",
     "no fixed array of recipients",                                                                                                                    ManyRecipients},
    {"transport.past-deadline", OSP_KIND_TRANSPORT, "A deadline in the past is answered at once",
     "look at the deadline before each wait",                                                                                                           PastDeadline  },
    {"transport.cancel",        OSP_KIND_TRANSPORT, "cancel of unknown and finished tokens does nothing",
     "look the token up first",                                                                                                                         CancelStranger},
    {"transport.probe-time",    OSP_KIND_TRANSPORT, "probe returns by its deadline",
     "look at the deadline before each wait",                                                                                                           ProbeReturns  },
    {"transport.probe-no-mail", OSP_KIND_TRANSPORT, "probe sends no mail",                                "end after the greeting",
     ProbeIsEmpty                                                                                                                                                     },
};

}  // namespace
}  // namespace transport_family

std::span<const Check> TransportChecks() { return transport_family::kTransport; }

}  // namespace opensend::plugin_check
