#include "kernel/runtime/transports.h"

#include <filesystem>
#include <map>
#include <set>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/runtime/config.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/settings.h"
#include "kernel/runtime/settings/url.h"
#include "kernel/runtime/settings/values.h"

namespace opensend::runtime {
namespace {

bool IsReference(std::string_view value) {
    return value.starts_with("file:") || value.starts_with("secret:");
}

/// The parts of a transport URL: plain members, and references for what is secret.
struct UrlMembers {
    std::map<std::string, std::string> plain, references;
};
UrlMembers MembersOf(
    const ConfigUrl& url, const std::string& variable, const std::string& data_dir
) {
    UrlMembers members;
    for (const auto& [name, value] : url.query) members.plain[name] = value;
    const auto add = [&members](const char* name, const std::string& value) {
        if (!value.empty()) members.plain[name] = value;
    };
    add("host", url.host);
    add("path", url.path);
    // capture:/// keeps mail below the data folder.
    const bool no_folder = url.path.empty() || url.path == "/";
    if (url.scheme == "capture" && no_folder) {
        members.plain["path"] =
            (std::filesystem::absolute(data_dir) / "capture").lexically_normal();
    }
    add("username", url.user);
    if (url.port) members.plain["port"] = base::Cat(*url.port);
    if (url.password) members.references["password"] = base::Cat("env:", variable, "#password");
    return members;
}

}  // namespace

std::string Config::ConfigJson(
    std::map<std::string, std::string> plain,
    std::map<std::string, std::string> references,
    const std::string& prefix
) const {
    // A key of the configuration replaces the same part of the URL.
    for (auto& [name, value] : Below(prefix)) {
        plain.erase(name);
        references.erase(name);
        // A secret from the environment was replaced by its reference when it was read.
        const bool hidden = secrets_->find(base::Cat(prefix, name)) != secrets_->end();
        (hidden || IsReference(value) ? references : plain)[name] = value;
    }
    std::map<std::string, std::string> json;
    for (const auto& [name, value] : plain) {
        const auto port = name == "port" ? base::ParseInt(value) : std::nullopt;
        json[name] = port ? base::Cat(*port) : QuoteJson(value);
    }
    for (const auto& [name, reference] : references) {
        json[name] = base::Cat(R"({"$secret":)", QuoteJson(reference), "}");
    }
    std::string out = "{";
    for (const auto& [name, text] : json) {
        out += base::Cat(out.size() == 1 ? "" : ",", QuoteJson(name), ":", text);
    }
    return out + "}";
}

std::vector<TransportSpec> Config::Transports() const {
    std::vector<TransportSpec> specs;
    const auto add = [&](const std::string& name, const std::string& url_key,
                         const std::string& variable) {
        TransportSpec spec;
        spec.name = name;
        const std::string prefix = base::Cat("transport.", name, ".config.");
        UrlMembers members;
        if (const auto url_text = secrets_->find(url_key); url_text != secrets_->end()) {
            const auto url = ParseConfigUrl(url_text->second.Reveal());
            OPENSEND_CHECK(
                url.ok(), "transport URLs were checked when the configuration was loaded"
            );
            spec.kind = url->scheme;
            members = MembersOf(*url, variable, Text("app.data_dir"));
        } else {
            spec.plugin = Text(base::Cat("transport.", name, ".plugin"));
        }
        if (const auto rate = ParseRate(Text(base::Cat("transport.", name, ".rate")))) {
            spec.rate_count = rate->count;
            spec.rate_period_us = rate->period_us;
        }
        const auto at_once = base::ParseInt(Text(base::Cat("transport.", name, ".concurrency")));
        spec.concurrency = at_once.value_or(0);
        const std::string& kind = spec.kind.empty() ? spec.plugin : spec.kind;
        for (const auto& family :
             {base::Cat("transport.", name, ".answers."), std::string("send.answers.")}) {
            for (const auto& [rule_name, text] : Below(family)) {
                const auto rule = ParseAnswerRule(text);
                OPENSEND_CHECK(rule.ok(), "rules were checked when the configuration was loaded");
                if (rule->kind.empty() || rule->kind == kind) spec.answers.push_back(*rule);
            }
        }
        spec.config_json = ConfigJson(members.plain, members.references, prefix);
        specs.push_back(std::move(spec));
    };
    if (secrets_->find("transport.default_url") != secrets_->end()) {
        add("default", "transport.default_url", "OPENSEND_TRANSPORT_URL");
    }
    for (const auto& name : List("transport.names")) {
        const std::string key = base::Cat("transport.", name, ".url");
        add(name, key, VariableOfKey(key));
    }
    return specs;
}

std::vector<GroupSpec> Config::Groups() const {
    std::set<std::string> names;
    for (const auto& [key, value] : Below("group.")) names.insert(key.substr(0, key.find('.')));
    names.erase("default");
    std::vector<std::string> ordered = {"default"};
    ordered.insert(ordered.end(), names.begin(), names.end());
    std::vector<GroupSpec> groups;
    for (const auto& name : ordered) {
        GroupSpec group;
        group.name = name;
        const auto list = [&](const char* part) {
            return List(base::Cat("group.", name, ".", part));
        };
        for (const auto& text : list("members")) {
            if (const auto member = ParseMember(text)) {
                group.members.push_back({member->transport, member->weight, member->priority});
            }
        }
        if (name == "default" && group.members.empty()) {
            for (const auto& spec : Transports()) group.members.push_back({spec.name, 100, 1});
        }
        group.domains = list("domains");
        group.streams = list("streams");
        group.orgs = list("orgs");
        groups.push_back(std::move(group));
    }
    return groups;
}

std::string Config::PluginConfigJson(std::string_view name) const {
    return ConfigJson({}, {}, base::Cat("plugins.", name, ".config."));
}

BucketNumbers Config::RateBucket(std::string_view name) const {
    for (const auto& row : AllRateBuckets()) {
        if (row.name != name) continue;
        const auto given = Text(base::Cat("ratelimit.", name, ".rate"));
        const auto rate = ParseRate(given.empty() ? row.rate : std::string_view(given));
        const auto burst = Int(base::Cat("ratelimit.", name, ".burst"));
        OPENSEND_CHECK(rate.has_value(), "rates were checked when the configuration was loaded");
        return {rate->count, rate->period_us, burst > 0 ? static_cast<uint64_t>(burst) : row.burst};
    }
    OPENSEND_CHECK(false, "a bucket of the table");
    return {};
}

}  // namespace opensend::runtime
