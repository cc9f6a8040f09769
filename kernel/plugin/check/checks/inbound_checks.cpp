#include <set>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace inbound_family {
namespace {

size_t Effects(Trial& trial) { return trial.services.emits.size() + trial.services.ingests.size(); }

void RequireIgnored(Trial& trial, const HttpAsk& request) {
    const auto life = Life::Started(trial);
    const Asked asked = Handle(trial, *life, request);
    Require(asked.answered || asked.status < 0, "no answer");
    Require(Effects(trial) == 0, "something unverified was passed on");
    if (asked.answer.readable)
        Require(asked.answer.http_status >= 300, base::Cat("answered ", asked.answer.http_status));
}
void Empty(Trial& trial) { RequireIgnored(trial, {}); }
void Garbage(Trial& trial) {
    for (int i = 0; i < 20; ++i) {
        HttpAsk request;
        request.body.resize(trial.random() % 2000);
        for (char& c : request.body) c = static_cast<char>(trial.random() & 0xff);
        RequireIgnored(trial, request);
    }
}
void Huge(Trial& trial) {
    HttpAsk request;
    request.body.assign(8u << 20, '[');
    RequireIgnored(trial, request);
}
void ManyHeaders(Trial& trial) {
    HttpAsk request;
    for (int i = 0; i < 500; ++i)
        request.headers.emplace_back(base::Cat("x-", i), std::string(200, 'v'));
    const auto life = Life::Started(trial);
    const Asked asked = Handle(trial, *life, request);
    Require(asked.answered || asked.status < 0, "no answer");
}
void Methods(Trial& trial) {
    for (const char* method : {"GET", "PUT", "DELETE", "OPTIONS", "X"}) {
        HttpAsk request;
        request.method = method;
        const auto life = Life::Started(trial);
        const Asked asked = Handle(trial, *life, request);
        Require(asked.answered || asked.status < 0, base::Cat("no answer to ", method));
    }
}
void StatusRange(Trial& trial) {
    const auto life = Life::Started(trial);
    const Asked asked = Handle(trial, *life, {});
    if (!asked.answer.readable) return;
    const int32_t status = asked.answer.http_status;
    Require(status >= 200 && status <= 599, base::Cat("HTTP status ", status));
}

Asked AskGenuine(Trial& trial, Life& life) { return Handle(trial, life, GenuineRequest(trial)); }

void Genuine(Trial& trial) {
    const auto life = Life::Started(trial);
    const Asked asked = AskGenuine(trial, *life);
    Require(
        asked.answer.http_status >= 200 && asked.answer.http_status < 300,
        base::Cat("answered ", asked.answer.http_status, " ", asked.answer.body)
    );
    Require(Effects(trial) > 0, "nothing was passed on");
}
void Tampered(Trial& trial) {
    // Whatever proves the sender stands in a header or in the query.
    HttpAsk request = GenuineRequest(trial);
    if (request.headers.empty() && request.query.empty()) throw NotHere{"nothing to change"};
    for (auto& [name, value] : request.headers) value += "0";
    if (!request.query.empty()) request.query += "0";
    const auto life = Life::Started(trial);
    Handle(trial, *life, request);
    Require(Effects(trial) == 0, "a request with changed headers was passed on");
}
void AfterDone(Trial& trial) {
    GenuineRequest(trial);
    const auto life = Life::Started(trial);
    trial.services.defers = true;
    size_t callbacks_at_answer = 0;
    trial.host.before_complete = [&](osp_token) { callbacks_at_answer = trial.services.callbacks; };
    const Asked asked = AskGenuine(trial, *life);
    trial.host.before_complete = nullptr;
    if (!asked.answered || Effects(trial) == 0) throw NotHere{"needs in.genuine"};
    Require(callbacks_at_answer > 0, "the answer came before emit or commit had called back");
}
void Replay(Trial& trial) {
    const auto life = Life::Started(trial);
    AskGenuine(trial, *life);
    AskGenuine(trial, *life);
    const auto& emits = trial.services.emits;
    const auto& ingests = trial.services.ingests;
    if (emits.size() == 2) {
        Require(emits[0].delivery_id == emits[1].delivery_id, "the delivery id changed");
        Require(emits[0].events.size() == emits[1].events.size(), "the events changed");
        for (size_t i = 0; i < emits[0].events.size(); ++i)
            Require(
                emits[0].events[i].dedup_key == emits[1].events[i].dedup_key, "a dedup key changed"
            );
    } else if (ingests.size() == 2) {
        Require(ingests[0].event_id == ingests[1].event_id, "the event id changed");
    } else if (emits.size() + ingests.size() == 0) {
        throw NotHere{"needs in.genuine"};
    }
}
void EventShape(Trial& trial) {
    const auto life = Life::Started(trial);
    AskGenuine(trial, *life);
    if (trial.services.emits.empty()) throw NotHere{"it emits no events"};
    for (const auto& emit : trial.services.emits) {
        Require(
            !emit.provider.empty() && !emit.delivery_id.empty(), "provider or delivery id is empty"
        );
        for (const auto& event : emit.events) {
            Require(
                event.type >= OSP_EV_SENT && event.type <= OSP_EV_NOTE,
                base::Cat("type ", event.type)
            );
            Require(!event.dedup_key.empty(), "an event without dedup key");
            Require(event.json.size() <= 16'384, "details of more than 16 KiB");
        }
    }
}
void Later(Trial& trial) {
    const auto life = Life::Started(trial);
    trial.services.emit_verdict = OSP_EMIT_LATER;
    const Asked asked = AskGenuine(trial, *life);
    if (trial.services.emits.empty()) throw NotHere{"it emits no events"};
    Require(
        asked.answer.http_status == 503 || asked.answer.status < 0,
        base::Cat("LATER was answered with ", asked.answer.http_status)
    );
}
void EmitRefused(Trial& trial) {
    const auto life = Life::Started(trial);
    trial.services.emit_status = OSP_E_UNAVAILABLE;
    trial.services.ingest_status = OSP_E_UNAVAILABLE;
    const Asked asked = AskGenuine(trial, *life);
    Require(asked.answered || asked.status < 0, "no answer when the host refused");
    Require(
        asked.status < 0 || asked.answer.status < 0 || asked.answer.http_status >= 500,
        base::Cat("a refusal of the host was answered with ", asked.answer.http_status)
    );
}
void IngestsClosed(Trial& trial) {
    const auto life = Life::Started(trial);
    AskGenuine(trial, *life);
    if (trial.services.ingests.empty()) throw NotHere{"it takes in no mail"};
    for (const auto& one : trial.services.ingests)
        Require(one.committed || one.aborted, "a mail was begun and never ended");
}

constexpr const char* kHere = OSP_KIND_INBOUND;
constexpr Check kInbound[] = {
    {"in.empty",       kHere, "An empty request has no effect",                        "verify first: 401 or 403",       Empty        },
    {"in.garbage",     kHere, "Random bytes have no effect",                           "verify first: 401 or 403",       Garbage      },
    {"in.huge",        kHere, "A body of 8 MB of brackets has no effect",
     "verify before you parse; do not recurse on depth",                                                                 Huge         },
    {"in.headers",     kHere, "500 headers are answered",                              "walk n_headers, no fixed array",
     ManyHeaders                                                                                                                      },
    {"in.methods",     kHere, "Other methods are answered",                            "405 for what you do not serve",  Methods      },
    {"in.status",      kHere, "HTTP statuses exist",                                   "200 to 599",                     StatusRange  },
    {"in.genuine",     kHere, "The sample request is passed on and answered with 2xx",
     "put check.<kind>.request into the manifest",                                                                       Genuine      },
    {"in.tampered",    kHere, "A request with changed proof has no effect",
     "compare the whole signature",                                                                                      Tampered     },
    {"in.after-done",  kHere, "The answer waits for emit or commit",
     "complete the token in the callback",                                                                               AfterDone    },
    {"in.replay",      kHere, "A repeated request has the same ids",
     "take ids from the request, not from a counter",                                                                    Replay       },
    {"in.events",      kHere, "Events have type, dedup key and bounded details",
     "one of OSP_EV_; json up to 16 KiB",                                                                                EventShape   },
    {"in.later",       kHere, "LATER is answered with 503",                            "map the verdict of emit",        Later        },
    {"in.refused",     kHere, "A refusal of the host is not a success",
     "answer 503 when emit or begin fails",                                                                              EmitRefused  },
    {"in.ingest-ends", kHere, "Every mail that was begun is committed or aborted",
     "abort on every early return",                                                                                      IngestsClosed},
};

}  // namespace
}  // namespace inbound_family

std::span<const Check> InboundChecks() { return inbound_family::kInbound; }

}  // namespace opensend::plugin_check
