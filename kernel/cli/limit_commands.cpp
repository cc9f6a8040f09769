#include <algorithm>
#include <iostream>

#include "kernel/access/own_limits.h"
#include "kernel/app/storage.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/operator.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/resources/api_keys/api_key_store.h"
#include "kernel/resources/organizations/organization_store.h"
#include "kernel/runtime/settings/values.h"

namespace opensend::cli {
namespace {

using access::OwnLimits;
using api_keys::ApiKeyStore;
using organizations::OrganizationStore;

constexpr int64_t kMaxBurst = 10'000'000;  // as in the settings
// What an organization may have of its own; the buckets of its keys hold for each key apart.
constexpr std::string_view kOrgBuckets[] = {"org.api",    "org.send", "org.events",
                                            "org.export", "key.api",  "key.admin"};
constexpr std::string_view kKeyBuckets[] = {"key.api", "key.admin"};

struct LimitFlags {
    std::string org = "default", which;
    std::vector<std::string> set, unset;
};

void CheckBucket(const std::string& name, bool of_key) {
    std::vector<std::string> known(std::begin(kOrgBuckets), std::end(kOrgBuckets));
    if (of_key) known.assign(std::begin(kKeyBuckets), std::end(kKeyBuckets));
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    throw base::Invalid(
        "bucket", base::Cat("\"", name, "\" is not one of ", base::Join(known, ", "), "."),
        "unknown_value"
    );
}

/// "org.send=200/s:20000".
std::pair<std::string, access::OwnLimit> ParseLimit(const std::string& text, bool of_key) {
    const size_t equals = text.find('=');
    const size_t colon = text.find(':', equals == std::string::npos ? 0 : equals);
    if (equals == std::string::npos || colon == std::string::npos) {
        throw base::Invalid("bucket", "has the form bucket=rate:burst, like org.send=200/s:20000.");
    }
    const std::string bucket = text.substr(0, equals);
    CheckBucket(bucket, of_key);
    const std::string written = text.substr(equals + 1, colon - equals - 1);
    const auto rate = runtime::ParseRate(written);
    if (!rate) throw base::Invalid("rate", "must be a rate like 50/s, 10/min, 5/h or 1/d.");
    const auto burst = base::ParseInt(text.substr(colon + 1));
    if (!burst || *burst < 1 || *burst > kMaxBurst) {
        throw base::Invalid("burst", base::Cat("must be a number from 1 to ", kMaxBurst, '.'));
    }
    const uint64_t emission = std::max<uint64_t>(1, rate->period_us / rate->count);
    return {
        bucket, {written, emission, static_cast<uint64_t>(*burst)}
    };
}

/// True when something is to be written.
bool Change(OwnLimits& limits, const LimitFlags& flags, bool of_key) {
    const OwnLimits before = limits;
    for (const std::string& name : flags.unset) {
        CheckBucket(name, of_key);
        limits.erase(name);
    }
    for (const std::string& text : flags.set) {
        auto [bucket, limit] = ParseLimit(text, of_key);
        limits[bucket] = std::move(limit);
    }
    return limits != before;
}

void PrintLimits(const Global& global, const OwnLimits& limits) {
    if (!global.json) {
        for (const auto& [bucket, limit] : limits) {
            std::cout << bucket << "  " << limit.rate << "  burst " << limit.burst << '\n';
        }
        return;
    }
    json::Writer out;
    out.BeginObject();
    for (const auto& [bucket, limit] : limits) {
        out.Key(bucket).BeginObject().Field("rate", limit.rate);
        out.Field("burst", static_cast<int64_t>(limit.burst)).EndObject();
    }
    out.EndObject();
    std::cout << out.Take() << '\n';
}

std::string FactsOf(const std::string& limits_json) {
    json::Writer facts;
    facts.BeginObject().RawField("rate_limits", limits_json).EndObject();
    return facts.Take();
}

int OrgLimits(const Global& global, const LimitFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = OrganizationStore::Resolve(tx, flags.which);
    OwnLimits limits = access::ReadOwnLimits(OrganizationStore::RateLimits(tx, org.id));
    if (Change(limits, flags, false)) {
        const std::string json = access::WriteOwnLimits(limits);
        OrganizationStore::SetRateLimits(tx, org.id, json);
        access::Audit(
            tx, storage.ids,
            OperatorEntry(
                storage, org.id, "organization.updated", "organization", org.id.ToString(),
                FactsOf(json)
            )
        );
        tx.Commit();
    }
    PrintLimits(global, limits);
    return kSuccess;
}

int KeyLimits(const Global& global, const LimitFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto id = model::ApiKeyId::Parse(flags.which);
    if (!id) throw base::NotFound("API key");
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = OrganizationStore::Resolve(tx, flags.org);
    const auto stored = ApiKeyStore::RateLimits(tx, org.id, *id);
    if (!stored) throw base::NotFound("API key");
    OwnLimits limits = access::ReadOwnLimits(*stored);
    if (Change(limits, flags, true)) {
        const std::string json = access::WriteOwnLimits(limits);
        ApiKeyStore::SetRateLimits(tx, org.id, *id, json);
        access::Audit(
            tx, storage.ids,
            OperatorEntry(
                storage, org.id, "api_key.updated", "api_key", id->ToString(), FactsOf(json)
            )
        );
        tx.Commit();
    }
    PrintLimits(global, limits);
    return kSuccess;
}

}  // namespace

void AddLimitCommands(CLI::App& app, Global& global, Run& run) {
    static LimitFlags flags;
    const auto add_changes = [](CLI::App* command) {
        command->add_option(
            "--bucket", flags.set, "Own numbers, like org.send=200/s:20000 (rate:burst); repeatable"
        );
        command->add_option(
            "--default", flags.unset, "A bucket that gets the settings' numbers back; repeatable"
        );
    };
    auto* of_org = app.get_subcommand("orgs")->add_subcommand(
        "limits", "Rate-limit numbers of an organization's own, in effect within a second"
    );
    of_org->add_option("organization", flags.which, "Id or name")->required();
    add_changes(of_org);
    of_org->callback([&] { run = [&] { return OrgLimits(global, flags); }; });
    auto* of_key = app.get_subcommand("keys")->add_subcommand(
        "limits", "Rate-limit numbers of a key's own, in effect within a second"
    );
    of_key->add_option("--org", flags.org, "Organization, by id or name");
    of_key->add_option("id", flags.which, "Key id")->required();
    add_changes(of_key);
    of_key->callback([&] { run = [&] { return KeyLimits(global, flags); }; });
}

}  // namespace opensend::cli
