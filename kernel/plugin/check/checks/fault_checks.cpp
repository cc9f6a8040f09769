#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin_check {
namespace fault_family {
namespace {

/// Sends one mail to a peer that follows the script.
Sent SendTo(Trial& trial, const SmtpPeer::Script& script, Mail mail = PlainMail()) {
    const auto life = Life::Started(trial);
    if (trial.peer() == nullptr) throw NotHere{"its configuration mentions no {smtp.port}"};
    trial.peer()->Use(script);
    return Send(trial, *life, {mail});
}
SmtpPeer::Script With(Fault fault) {
    SmtpPeer::Script script;
    script.fault = fault;
    return script;
}

/// Nothing can have been taken: anything but accepted and unknown.
void RequireUntaken(const Sent& sent) {
    Require(sent.answered[0] || sent.status < 0, Told(sent));
    const int32_t outcome = OutcomeOf(sent);
    Require(outcome != OSP_OUT_ACCEPTED && outcome != OSP_OUT_INDETERMINATE, Told(sent));
    Require(
        outcome != OSP_OUT_REJECTED, base::Cat("a fault of the line bounces the mail: ", Told(sent))
    );
}
void RequireOutcome(const Sent& sent, int32_t expected) {
    Require(
        OutcomeOf(sent) == expected, base::Cat("expected outcome ", expected, ", got ", Told(sent))
    );
}

void Delivers(Trial& trial) {
    RequireOutcome(SendTo(trial, {}), OSP_OUT_ACCEPTED);
    Require(
        trial.peer()->messages().size() == 1,
        base::Cat(trial.peer()->messages().size(), " messages arrived")
    );
}
void DeliversWhole(Trial& trial) {
    Mail mail = PlainMail();
    mail.data += ".\r\n..two dots\r\n.leading\r\nlast line\r\n";
    SendTo(trial, {}, mail);
    const auto messages = trial.peer()->messages();
    if (messages.size() != 1) throw NotHere{"needs fault.none"};
    // A relay may put lines in front of the header.
    const std::string& got = messages[0].data;
    const bool whole = got.size() >= mail.data.size() &&
                       got.compare(got.size() - mail.data.size(), mail.data.size(), mail.data) == 0;
    Require(whole, "the peer got other bytes than the message");
}
void DeliversEnvelope(Trial& trial) {
    Mail mail = PlainMail();
    mail.rcpts = {"one@example.net", "two@example.net"};
    SendTo(trial, {}, mail);
    std::vector<std::string> got;
    for (const auto& message : trial.peer()->messages()) {
        Require(message.mail_from == mail.from, base::Cat("MAIL FROM was ", message.mail_from));
        got.insert(got.end(), message.rcpts.begin(), message.rcpts.end());
    }
    Require(got == mail.rcpts, base::Cat("RCPT TO was ", base::Join(got, " ")));
}
void NoInjection(Trial& trial) {
    for (const char* bad :
         {"x@example.net>\r\nRCPT TO:<smuggled@example.org", "x@example.net\nDATA"}) {
        Mail mail = PlainMail();
        mail.rcpts = {bad};
        SendTo(trial, {}, mail);
        mail.rcpts = {"rcpt@example.net"};
        mail.from = bad;
        SendTo(trial, {}, mail);
    }
    for (const auto& message : trial.peer()->messages()) {
        for (const std::string& rcpt : message.rcpts)
            Require(rcpt != "smuggled@example.org", "an address became a command of its own");
    }
    for (const std::string& line : trial.peer()->commands())
        Require(
            line.rfind("RCPT TO:<smuggled", 0) != 0 && line.find('\n') == std::string::npos,
            "an address became a command of its own"
        );
}
void ResetOnConnect(Trial& trial) { RequireUntaken(SendTo(trial, With(Fault::kResetOnConnect))); }
void HalfReply(Trial& trial) { RequireUntaken(SendTo(trial, With(Fault::kHalfReply))); }
void GarbageReply(Trial& trial) { RequireUntaken(SendTo(trial, With(Fault::kGarbageReply))); }
void ResetAfterDot(Trial& trial) {
    RequireOutcome(SendTo(trial, With(Fault::kResetAfterDot)), OSP_OUT_INDETERMINATE);
}
void ResetAfterData(Trial& trial) {
    const int32_t outcome = OutcomeOf(SendTo(trial, With(Fault::kResetAfterData)));
    Require(
        outcome != OSP_OUT_ACCEPTED && outcome != OSP_OUT_REJECTED, base::Cat("outcome ", outcome)
    );
}
void SilentAfterDot(Trial& trial) {
    Mail mail = PlainMail();
    mail.deadline_ms = 1500;
    const Sent sent = SendTo(trial, With(Fault::kSilentAfterDot), mail);
    RequireOutcome(sent, OSP_OUT_INDETERMINATE);
}
void SilentOnConnect(Trial& trial) {
    Mail mail = PlainMail();
    mail.deadline_ms = 1000;
    const Sent sent = SendTo(trial, With(Fault::kSilentOnConnect), mail);
    RequireUntaken(sent);
    Require(
        sent.took_ms < 3000, base::Cat("it took ", sent.took_ms, " ms with a deadline of 1000")
    );
}
void EndlessReply(Trial& trial) {
    Mail mail = PlainMail();
    mail.deadline_ms = 2000;
    const Sent sent = SendTo(trial, With(Fault::kLongReply), mail);
    RequireUntaken(sent);
    Require(
        sent.took_ms < 4000, base::Cat("it took ", sent.took_ms, " ms with a deadline of 2000")
    );
}
void CancelUnderWay(Trial& trial) {
    if (trial.kind().transport.cancel == nullptr) throw NotHere{"it has no cancel()"};
    const auto life = Life::Started(trial);
    if (trial.peer() == nullptr) throw NotHere{"its configuration mentions no {smtp.port}"};
    trial.peer()->Use(With(Fault::kSilentOnConnect));
    Mail mail = PlainMail();
    mail.deadline_ms = 4000;
    // The only token that will be handed out while the call lasts.
    const osp_token token = trial.host.Open(TokenKind::kOther) + 1;
    const runtime::Worker canceller("check-cancel", [&](runtime::StopToken& stop) {
        stop.SleepFor(std::chrono::milliseconds(300));
        trial.kind().transport.cancel(life->inst(), token);
    });
    const Sent sent = Send(trial, *life, {mail});
    Require(sent.tokens[0] == token, "the check lost its token");
    RequireUntaken(sent);
    Require(
        sent.took_ms < 3000, base::Cat("cancelled after 300 ms, it took ", sent.took_ms, " ms")
    );
    Require(trial.host.double_completions() == 0, "a token was completed twice");
}
void SlowPeer(Trial& trial) { RequireOutcome(SendTo(trial, With(Fault::kSlow)), OSP_OUT_ACCEPTED); }
void SingleBytes(Trial& trial) {
    RequireOutcome(SendTo(trial, With(Fault::kOneByteAtATime)), OSP_OUT_ACCEPTED);
}

void RejectsRcpt(Trial& trial) {
    SmtpPeer::Script script;
    script.rcpt = "550 5.1.1 no such user";
    RequireOutcome(SendTo(trial, script), OSP_OUT_REJECTED);
}
void DefersRcpt(Trial& trial) {
    SmtpPeer::Script script;
    script.rcpt = "451 4.3.0 later";
    RequireOutcome(SendTo(trial, script), OSP_OUT_DEFERRED);
}
void RejectsDot(Trial& trial) {
    SmtpPeer::Script script;
    script.dot = "554 5.6.0 not this one";
    RequireOutcome(SendTo(trial, script), OSP_OUT_REJECTED);
}
void DefersDot(Trial& trial) {
    SmtpPeer::Script script;
    script.dot = "452 4.3.1 disk full";
    RequireOutcome(SendTo(trial, script), OSP_OUT_DEFERRED);
}
void DefersMail(Trial& trial) {
    SmtpPeer::Script script;
    script.mail = "421 4.3.2 closing";
    const int32_t outcome = OutcomeOf(SendTo(trial, script));
    Require(
        outcome == OSP_OUT_DEFERRED || outcome == OSP_OUT_THROTTLED || outcome == OSP_OUT_NOT_TRIED,
        base::Cat("outcome ", outcome)
    );
}
void NoWelcome(Trial& trial) {
    SmtpPeer::Script script;
    script.greeting = "554 no service";
    const int32_t outcome = OutcomeOf(SendTo(trial, script));
    Require(
        outcome != OSP_OUT_ACCEPTED && outcome != OSP_OUT_INDETERMINATE,
        base::Cat("outcome ", outcome)
    );
}
void Recovers(Trial& trial) {
    const auto life = Life::Started(trial);
    if (trial.peer() == nullptr) throw NotHere{"its configuration mentions no {smtp.port}"};
    for (const Fault fault : {Fault::kResetOnConnect, Fault::kHalfReply, Fault::kResetAfterDot}) {
        trial.peer()->Use(With(fault));
        Send(trial, *life, {PlainMail("broken")});
        trial.peer()->Use({});
        // A kept connection may show its end on the next use only.
        Send(trial, *life, {PlainMail("between")});
        RequireOutcome(Send(trial, *life, {PlainMail("after")}), OSP_OUT_ACCEPTED);
    }
}

constexpr const char* kHere = OSP_KIND_TRANSPORT;
constexpr Check kFaults[] = {
    {"fault.none",             kHere, "A mail reaches a peer that behaves",                   "speak the protocol to its end",
     Delivers                                                                                                                                    },
    {"fault.whole",            kHere, "The peer gets exactly the bytes of the message",
     "double leading dots; keep CRLF",                                                                                            DeliversWhole  },
    {"fault.envelope",         kHere, "The peer gets sender and recipients",                  "one RCPT for each, in order",
     DeliversEnvelope                                                                                                                            },
    {"fault.injection",        kHere, "An address with line ends is no command",
     "refuse CR, LF, NUL and angle brackets in addresses",                                                                        NoInjection    },
    {"fault.reset-connect",    kHere, "A connection that ends at once defers",
     "nothing was sent: DEFERRED or UNAVAILABLE",                                                                                 ResetOnConnect },
    {"fault.half-reply",       kHere, "Half a reply defers",                                  "a reply ends with CRLF",           HalfReply      },
    {"fault.garbage-reply",    kHere, "A reply that is none defers",                          "three digits first",
     GarbageReply                                                                                                                                },
    {"fault.reset-after-dot",  kHere, "A lost reply to the final dot is INDETERMINATE",
     "after the dot nobody knows",                                                                                                ResetAfterDot  },
    {"fault.reset-after-data", kHere, "A connection lost within the message is not accepted",
     "DEFERRED, or INDETERMINATE once the dot left",                                                                              ResetAfterData },
    {"fault.silent-after-dot", kHere,
     "A missing reply to the final dot is INDETERMINATE at the deadline",                     "after the dot nobody knows",       SilentAfterDot },
    {"fault.silent-connect",   kHere, "A peer that never greets defers by the deadline",
     "every wait ends at the deadline",                                                                                           SilentOnConnect},
    {"fault.cancel",           kHere, "cancel() ends a wait for the peer",                    "look for it while you wait",
     CancelUnderWay                                                                                                                              },
    {"fault.endless-reply",    kHere, "An endless reply ends",                                "limit lines and bytes of a reply",
     EndlessReply                                                                                                                                },
    {"fault.slow",             kHere, "A slow peer is waited for",                            "wait until the deadline",          SlowPeer       },
    {"fault.bytes",            kHere, "Replies in single bytes are put together",             "read until CRLF",
     SingleBytes                                                                                                                                 },
    {"fault.rcpt-5xx",         kHere, "550 to RCPT rejects",                                  "5xx is REJECTED",                  RejectsRcpt    },
    {"fault.rcpt-4xx",         kHere, "451 to RCPT defers",                                   "4xx is DEFERRED",                  DefersRcpt     },
    {"fault.dot-5xx",          kHere, "554 to the message rejects",                           "5xx is REJECTED",                  RejectsDot     },
    {"fault.dot-4xx",          kHere, "452 to the message defers",                            "4xx is DEFERRED",                  DefersDot      },
    {"fault.mail-421",         kHere, "421 to MAIL defers",                                   "4xx is DEFERRED",                  DefersMail     },
    {"fault.greeting-5xx",     kHere, "A refused connection is not accepted",                 "nothing was sent",
     NoWelcome                                                                                                                                   },
    {"fault.recovers",         kHere, "After a fault the next mail goes through",
     "drop a broken connection",                                                                                                  Recovers       },
};

}  // namespace
}  // namespace fault_family

std::span<const Check> FaultChecks() { return fault_family::kFaults; }

}  // namespace opensend::plugin_check
