#include <algorithm>

#include "kernel/plugin/check/calls.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace config_family {
namespace {

/// Creates with a bad configuration: refused with a sentence, or taken; never half of both.
void Refuses(Trial& trial, const std::string& config, bool must) {
    Life life(trial, config);
    Require(life.error().IntactBehind(), "bytes behind the error were written");
    if (life.status() == OSP_OK) {
        Require(!must, "it was accepted");
        return;
    }
    Require(life.status() < 0, base::Cat("create returned ", life.status()));
    Require(life.error().error.msg_len > 0, "it was refused without a sentence");
    Require(life.error().error.msg_len <= sizeof life.error().error.msg, "msg_len is too large");
    if (must)
        Require(
            life.status() == OSP_E_CONFIG,
            base::Cat("status ", life.status(), " instead of E_CONFIG")
        );
}
bool Forbids(Trial& trial) {
    const auto schema = json::Document::Parse(trial.kind().schema);
    const json::Value more =
        schema.ok() ? schema->root().Find("additionalProperties") : json::Value();
    return more.IsBool() && !more.AsBool();
}

void ConfigEmpty(Trial& trial) { Refuses(trial, "", false); }
void ConfigNoJson(Trial& trial) { Refuses(trial, "{\"a\":", Forbids(trial)); }
void ConfigNoObject(Trial& trial) { Refuses(trial, "[\"a\",7]", Forbids(trial)); }
void ConfigUnknown(Trial& trial) {
    if (!Forbids(trial)) throw NotHere{"the schema allows other keys"};
    std::string config = trial.config();
    config.insert(1, config == "{}" ? R"("zz_unknown":"1")" : R"("zz_unknown":"1",)");
    Refuses(trial, config, true);
}
void ConfigMissing(Trial& trial) {
    const auto schema = json::Document::Parse(trial.kind().schema);
    const json::Value required = schema.ok() ? schema->root().Find("required") : json::Value();
    if (!required.IsArray() || required.size() == 0) throw NotHere{"nothing is required"};
    Refuses(trial, "{}", true);
}
void ConfigHuge(Trial& trial) {
    Refuses(
        trial, base::Cat("{\"zz_unknown\":\"", std::string(1 << 20, 'a'), "\"}"), Forbids(trial)
    );
}
void ConfigDeep(Trial& trial) {
    const std::string open(50'000, '['), close(50'000, ']');
    Refuses(trial, base::Cat("{\"zz_unknown\":", open, close, "}"), Forbids(trial));
}
void ConfigBinary(Trial& trial) {
    std::string noise(4096, '\0');
    for (char& c : noise) c = static_cast<char>(trial.random() & 0xff);
    Refuses(trial, noise, false);
}
void SecretMissing(Trial& trial) {
    const std::string config = trial.config();
    if (config.find("$secret") == std::string::npos) throw NotHere{"it takes no secret"};
    trial.host.secrets.clear();
    Life life(trial, config);
    const osp_status status = life.status() == OSP_OK ? life.Start() : life.status();
    if (status == OSP_OK) {
        const Asked asked = AskOnce(trial, life);
        Require(asked.answered || asked.status < 0, "a call without the secret is never answered");
        return;
    }
    Require(life.error().error.msg_len > 0, "it was refused without a sentence");
}
void SecretsDenied(Trial& trial) {
    const std::string config = trial.config();
    if (config.find("$secret") == std::string::npos) throw NotHere{"it takes no secret"};
    trial.host.grants_secrets = false;
    Life life(trial, config);
    if (life.status() == OSP_OK && life.Start() == OSP_OK) {
        const Asked asked = AskOnce(trial, life);
        Require(asked.answered || asked.status < 0, "a call without the service is never answered");
    }
}
void BareHost(Trial& trial) {
    const std::string config = trial.config();
    trial.host.services.clear();
    Life life(trial, config);
    if (life.status() != OSP_OK) {
        Require(life.error().error.msg_len > 0, "create failed without a sentence");
        return;
    }
    if (life.Start() != OSP_OK) return;
    const Asked asked = AskOnce(trial, life);
    Require(asked.answered || asked.status < 0, "a call is never answered");
}
void NewerHost(Trial& trial) {
    trial.host.PretendNewer();
    const auto life = Life::Started(trial);
    const Asked asked = AskOnce(trial, *life);
    Require(asked.answered || asked.status < 0, "a call is never answered");
}
void ReconfiguresBadly(Trial& trial) {
    if (trial.kind().life.reconfigure == nullptr) throw NotHere{"it has no reconfigure()"};
    const auto life = Life::Started(trial);
    GuardedError error;
    const osp_status status =
        trial.kind().life.reconfigure(life->inst(), osp::Str("{\"a\":"), &error.error);
    Require(status < 0, "a broken configuration was taken");
    const Asked asked = AskOnce(trial, *life);
    Require(asked.answered || asked.status < 0, "calls stop after a refused configuration");
}

constexpr Check kConfig[] = {
    {"config.empty",          "*", "An empty configuration does no harm",
     "refuse with OSP_E_CONFIG and a sentence",                                                                                   ConfigEmpty      },
    {"config.no-json",        "*", "Text that is no JSON is refused with a sentence",
     "parse the whole text",                                                                                                      ConfigNoJson     },
    {"config.no-object",      "*", "JSON that is no object is refused with a sentence",
     "test the kind of the root",                                                                                                 ConfigNoObject   },
    {"config.unknown-key",    "*", "An unknown key is refused with OSP_E_CONFIG",
     "name the key in the sentence",                                                                                              ConfigUnknown    },
    {"config.required",       "*", "A missing required key is refused with OSP_E_CONFIG",
     "name the key in the sentence",                                                                                              ConfigMissing    },
    {"config.huge",           "*", "A configuration of 1 MB does no harm",                "limit before you copy",
     ConfigHuge                                                                                                                                    },
    {"config.deep",           "*", "Deep nesting does no harm",                           "do not recurse on the depth of input",
     ConfigDeep                                                                                                                                    },
    {"config.binary",         "*", "Random bytes do no harm",                             "treat the text as foreign",            ConfigBinary     },
    {"config.secret-missing", "*", "A secret that is not there is told, not fatal",
     "handle OSP_E_NOTFOUND",                                                                                                     SecretMissing    },
    {"config.secret-denied",  "*", "A missing secret service does no harm",
     "get_interface may return null",                                                                                             SecretsDenied    },
    {"config.reconfigure",    "*", "A refused new configuration changes nothing",
     "parse first, then swap",                                                                                                    ReconfiguresBadly},
    {"host.bare",             "*", "A host that grants nothing is met with a sentence",
     "get_interface may return null",                                                                                             BareHost         },
    {"host.newer",            "*", "A newer host with longer tables works",
     "never compare abi_minor or size for equality",                                                                              NewerHost        },
};

}  // namespace
}  // namespace config_family

std::span<const Check> ConfigChecks() { return config_family::kConfig; }

}  // namespace opensend::plugin_check
