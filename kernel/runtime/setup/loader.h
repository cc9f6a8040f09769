#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/runtime/config.h"
#include "kernel/runtime/settings.h"
#include "kernel/runtime/settings/url.h"

namespace opensend::runtime {

/// Builds one Config: gathers values by precedence, checks all of them, reports all problems.
/// gather.cpp has the sources, loader.cpp the order and the values, secret_checks.cpp and
/// checks.cpp the rules over several values.
class ConfigLoader {
public:
    explicit ConfigLoader(const ConfigSources& sources);
    base::Result<Config, std::vector<ConfigProblem>> Run();

private:
    enum class Source { kFile = 1, kEnvironment, kCommandLine };
    struct Given {
        std::string value;
        std::string name;  // as the operator knows it: variable or key
        Source source = Source::kFile;
        bool from_file = false;  // the value is the path of a file that holds the secret
    };
    struct Candidate {
        size_t rank = 0;
        Given given;
    };

    // gather.cpp
    void GatherFile();
    void GatherFileEntry(const std::string& key, const std::string& value);
    void GatherEnvironment();
    void GatherVariable(const std::string& name, const std::string& value);
    void ChooseVariables();
    void GatherCommandLine();
    bool AcceptsPlain(const Setting& setting, const std::string& key, const Given& given);
    void ReportUnknown(const std::string& key);

    // loader.cpp
    void DecideMode();
    void TakeValue(const Setting& setting, const std::string& key, Given given);
    void TakeSecret(const Setting& setting, const std::string& key, Given given);
    void Derive();
    void DeriveEgress(std::string_view app_host);
    void CheckDataDir();
    void MakeDataDir();
    void FillDevSecrets();
    void DropUnread();

    // secret_checks.cpp
    void CheckServerSecrets();
    void CheckServerSecret(const std::string& key);
    bool CheckLength(const std::string& key, std::string_view part);
    void CheckPreviousKeys();
    void CheckDuplicates();
    void CheckRequired();
    std::vector<std::string> DevSecretKeys() const;

    // checks.cpp
    void CheckDatabase();
    void CheckPostgres(const ConfigUrl& url);
    void CheckPostgresHosts(const ConfigUrl& url);
    void CheckSqlite(std::string_view path);
    void CheckRedis();
    void CheckPairs();
    void CheckCertificates(const std::string& listener, bool needed);
    void CheckRateLimiter();
    void CheckTransports();
    void CheckTransport(const std::string& name);
    void CheckGroups();
    void CheckReferences();
    void CheckListeners();

    void Problem(std::string name, std::string code, std::string text);
    bool HasProblem(std::string_view name) const;
    /// The name of a key in messages.
    std::string NameOf(std::string_view key) const;
    bool Has(std::string_view key) const;
    std::string_view SecretText(std::string_view key) const;
    bool HasRole(std::string_view role) const { return roles_.contains(std::string(role)); }
    std::vector<std::string> RolesWith(std::string_view key, std::string_view marks) const;

    const ConfigSources& sources_;
    std::set<std::string> roles_;
    std::map<std::string, Given> given_;
    std::map<std::string, std::vector<Candidate>> variables_;
    std::vector<std::pair<size_t, Given>> app_urls_;  // every one that is set, by rank
    std::vector<ConfigProblem> problems_;
    Config::Secrets secrets_;
    Config config_;
    bool needs_secrets_ = false;  // strict, or production with a local address (CFG-12)
};

}  // namespace opensend::runtime
