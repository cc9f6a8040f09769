#include <algorithm>
#include <set>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace auth_family {
namespace {

/// Nobody gets in with this, and there is an answer.
void RequireOutside(Trial& trial, const Credential& credential) {
    const auto life = Life::Started(trial);
    const Asked asked = Authenticate(trial, *life, credential);
    Require(asked.answered || asked.status < 0, "no answer");
    Require(
        asked.answer.decision != OSP_AUTH_ALLOW || asked.answer.status != OSP_OK,
        "it let the caller in"
    );
}

void Empty(Trial& trial) { RequireOutside(trial, {"bearer", "", ""}); }
void Garbage(Trial& trial) {
    for (int i = 0; i < 20; ++i) {
        std::string text(1 + trial.random() % 100, '\0');
        for (char& c : text) c = static_cast<char>(trial.random() & 0xff);
        RequireOutside(trial, {"bearer", text, ""});
    }
}
void Huge(Trial& trial) { RequireOutside(trial, {"bearer", std::string(1 << 20, 'a'), ""}); }
void Unsigned(Trial& trial) {
    // {"alg":"none"} . {"sub":"admin"} . nothing
    RequireOutside(trial, {"bearer", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", ""});
}
void Schemes(Trial& trial) {
    for (const char* scheme : {"", "basic", "sasl-plain", "sasl-login", "no-such-scheme"})
        RequireOutside(trial, {scheme, "not-a-credential", "somebody"});
}

std::string Genuine(Trial& trial) {
    auto credential = trial.Sample("credential");
    if (!credential) throw NotHere{"the manifest has no check.<kind>.credential"};
    return *credential;
}
void NearMisses(Trial& trial) {
    trial.config();
    const std::string good = Genuine(trial);
    std::string other = good;
    other.back() = other.back() == 'x' ? 'y' : 'x';
    for (const std::string& bad :
         {good.substr(0, good.size() - 1), good + "a", good + std::string(1, '\0'), other,
          " " + good, good.substr(0, 1)})
        RequireOutside(trial, {"bearer", bad, ""});
}
void RefusedSamples(Trial& trial) {
    trial.config();
    const json::Value list = trial.SampleValue("refused");
    if (!list.IsArray() || list.size() == 0)
        throw NotHere{"the manifest has no check.<kind>.refused"};
    for (size_t i = 0; i < list.size(); ++i)
        RequireOutside(trial, {"bearer", trial.Fill(std::string(list.At(i).AsString())), ""});
}
Asked AskGenuine(Trial& trial) {
    trial.config();
    const std::string good = Genuine(trial);
    const auto life = Life::Started(trial);
    return Authenticate(trial, *life, {"bearer", good, ""});
}
void LetsIn(Trial& trial) {
    const Asked asked = AskGenuine(trial);
    Require(
        asked.answered && asked.answer.decision == OSP_AUTH_ALLOW,
        base::Cat("decision ", asked.answer.decision, " status ", asked.answer.status)
    );
}
void AllowShape(Trial& trial) {
    const Asked asked = AskGenuine(trial);
    if (asked.answer.decision != OSP_AUTH_ALLOW) throw NotHere{"needs auth.genuine"};
    Require(!asked.answer.subject.empty(), "it names no subject");
    Require(!asked.answer.tenant.empty(), "it names no tenant");
    int permissions = 0, domains = 0;
    for (const std::string& scope : asked.answer.scopes) {
        const bool permission =
            scope == "full_access" || scope == "sending_access" || scope == "read_access";
        const bool domain = scope.rfind("domain:", 0) == 0;
        Require(permission || domain, base::Cat("unknown scope ", scope));
        permissions += permission ? 1 : 0;
        domains += domain ? 1 : 0;
    }
    Require(permissions == 1 && domains <= 1, "one permission and at most one domain");
}
void DecisionKnown(Trial& trial) {
    static const std::set<std::string> kReasons = {"", "invalid", "expired", "address_denied"};
    const auto life = Life::Started(trial);
    const Asked asked = Authenticate(trial, *life, {"bearer", "not-a-credential", ""});
    if (!asked.answered || asked.answer.status != OSP_OK) return;
    Require(
        asked.answer.decision >= 0 && asked.answer.decision <= OSP_AUTH_CHALLENGE,
        base::Cat("decision ", asked.answer.decision)
    );
    if (asked.answer.decision == OSP_AUTH_DENY)
        Require(
            kReasons.count(asked.answer.reason) != 0, base::Cat("reason ", asked.answer.reason)
        );
}
void StoreDown(Trial& trial) {
    trial.config();
    const std::string good = trial.Sample("credential").value_or("not-a-credential");
    trial.services.credential_status = OSP_E_UNAVAILABLE;
    const auto life = Life::Started(trial);
    trial.host.secrets.clear();
    const Asked asked = Authenticate(trial, *life, {"bearer", good + "x", ""});
    Require(asked.answered || asked.status < 0, "no answer while the store is down");
    Require(asked.answer.decision != OSP_AUTH_ALLOW, "it lets anybody in while the store is down");
}
void Forgets(Trial& trial) {
    if (trial.kind().auth.invalidate == nullptr) throw NotHere{"it has no invalidate()"};
    const auto life = Life::Started(trial);
    for (const std::string& subject :
         {std::string(), std::string("nobody"), std::string(100'000, 's')})
        trial.kind().auth.invalidate(life->inst(), osp::Str(subject));
    AskOnce(trial, *life);
}

constexpr const char* kHere = OSP_KIND_AUTH;
constexpr Check kAuth[] = {
    {"auth.empty",       kHere, "An empty credential lets nobody in",             "deny or abstain",                         Empty         },
    {"auth.garbage",     kHere, "Random bytes let nobody in",                     "parse with limits; compare whole values",
     Garbage                                                                                                                               },
    {"auth.huge",        kHere, "A credential of 1 MB lets nobody in",            "look at the length first",                Huge          },
    {"auth.unsigned",    kHere, "A token with algorithm none lets nobody in",
     "keep a list of algorithms",                                                                                            Unsigned      },
    {"auth.schemes",     kHere, "Other schemes let nobody in by themselves",
     "abstain from schemes you do not know",                                                                                 Schemes       },
    {"auth.near-miss",   kHere, "Almost the credential lets nobody in",
     "compare length and every byte",                                                                                        NearMisses    },
    {"auth.refused",     kHere, "The samples that must be refused let nobody in",
     "compare the secret, not its shape",                                                                                    RefusedSamples},
    {"auth.genuine",     kHere, "The sample credential is allowed",
     "put check.<kind>.credential into the manifest",                                                                        LetsIn        },
    {"auth.allow-shape", kHere, "ALLOW names subject, tenant and one permission",
     "one of full_access, sending_access, read_access",                                                                      AllowShape    },
    {"auth.decision",    kHere, "Decisions and reasons exist",                    "invalid, expired or address_denied",
     DecisionKnown                                                                                                                         },
    {"auth.store-down",  kHere, "Nobody gets in while the store is down",
     "fail with OSP_E_UNAVAILABLE",                                                                                          StoreDown     },
    {"auth.invalidate",  kHere, "invalidate takes any subject",                   "look it up, ignore the unknown",
     Forgets                                                                                                                               },
};

}  // namespace
}  // namespace auth_family

std::span<const Check> AuthChecks() { return auth_family::kAuth; }

}  // namespace opensend::plugin_check
