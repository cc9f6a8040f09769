#include "kernel/plugin/grants.h"

#include <algorithm>
#include <optional>

#include "kernel/base/text.h"
#include "kernel/json/value.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxGrantItems = 64, kMaxGrantText = 512;
constexpr int kMaxGrantedThreads = 1024;
constexpr uint64_t kMaxKvQuota = uint64_t{1} << 30;

base::Failure<Problem> BadGrant(std::string_view name, std::string expected, std::string found) {
    return Refuse(base::Cat("grants.", name), std::move(expected), std::move(found));
}

/// "64KiB", "1MiB", "4096".
std::optional<uint64_t> ParseBytes(std::string_view text) {
    static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
        {"KiB", 1024              },
        {"MiB", 1024 * 1024       },
        {"GiB", 1024 * 1024 * 1024}
    };
    uint64_t unit = 1;
    for (const auto& [suffix, factor] : kUnits) {
        if (text.size() > suffix.size() && text.substr(text.size() - suffix.size()) == suffix) {
            unit = factor;
            text.remove_suffix(suffix.size());
            break;
        }
    }
    const auto number = base::ParseInt(base::Trim(text));
    if (!number || *number < 0 || static_cast<uint64_t>(*number) > kMaxKvQuota / unit)
        return std::nullopt;
    return static_cast<uint64_t>(*number) * unit;
}

/// One name with its values as texts: where a manifest and a settings file meet.
Checked<bool> Take(Grants& out, std::string_view name, const std::vector<std::string>& values) {
    const bool is_list = name == "http" || name == "secrets" || name == "changes";
    if (values.size() > kMaxGrantItems)
        return BadGrant(name, "at most 64 entries", base::Cat(values.size()));
    for (const std::string& value : values) {
        if (value.empty() || value.size() > kMaxGrantText)
            return BadGrant(name, "1 to 512 characters", base::Cat(value.size()));
    }
    if (is_list) {
        if (name == "changes") {
            for (const std::string& value : values) {
                if (value != "envelope" && value != "headers" && value != "body")
                    return BadGrant(name, "envelope, headers or body", value);
            }
        }
        (name == "http" ? out.http : name == "secrets" ? out.secrets : out.changes) = values;
        return true;
    }
    if (values.size() != 1) return BadGrant(name, "one value", base::Cat(values.size()));
    const std::string& value = values.front();
    if (name == "kv") {
        const auto bytes = ParseBytes(value);
        if (!bytes) return BadGrant(name, "a size such as 1MiB, at most 1GiB", value);
        out.kv_bytes = *bytes;
        return true;
    }
    if (name == "timers") {
        if (value != "true" && value != "false") return BadGrant(name, "true or false", value);
        out.timers = value == "true";
        return true;
    }
    if (name == "threads") {
        const auto count = base::ParseInt(value);
        if (!count || *count < 0 || *count > kMaxGrantedThreads)
            return BadGrant(name, "0 to 1024", value);
        out.threads = static_cast<int>(*count);
        return true;
    }
    return BadGrant(name, "http, secrets, kv, timers, threads or changes", "another name");
}

}  // namespace

std::vector<std::string> Grants::Lines() const {
    std::vector<std::string> out;
    for (const std::string& one : http) out.push_back(base::Cat("http=", one));
    for (const std::string& one : secrets) out.push_back(base::Cat("secrets=", one));
    if (kv_bytes > 0) out.push_back(base::Cat("kv=", kv_bytes));
    if (timers) out.emplace_back("timers");
    if (threads > 0) out.push_back(base::Cat("threads=", threads));
    for (const std::string& one : changes) out.push_back(base::Cat("changes=", one));
    return out;
}

bool Grants::CoversSecret(std::string_view name) const {
    return std::any_of(secrets.begin(), secrets.end(), [&](const std::string& pattern) {
        if (pattern.back() != '*') return pattern == name;
        const std::string_view stem(pattern.data(), pattern.size() - 1);
        return name.substr(0, stem.size()) == stem;
    });
}

bool Grants::Allows(std::string_view change) const {
    return std::find(changes.begin(), changes.end(), change) != changes.end();
}

Checked<Grants> ParseGrants(std::string_view manifest_json) {
    const auto document = json::Document::Parse(manifest_json);
    if (!document.ok()) return Refuse("manifest", "JSON", document.error().reason);
    const json::Value asked = document->root().Find("grants");
    Grants out;
    if (asked.IsMissing()) return out;
    if (!asked.IsObject()) return Refuse("grants", "an object", "another kind of value");
    for (size_t i = 0; i < asked.size(); ++i) {
        const json::Value value = asked.MemberAt(i);
        std::vector<std::string> texts;
        if (value.IsArray()) {
            for (size_t k = 0; k < value.size(); ++k) {
                if (!value.At(k).IsString())
                    return BadGrant(asked.NameAt(i), "texts", "another kind of value");
                texts.emplace_back(value.At(k).AsString());
            }
        } else if (value.IsString()) {
            texts.emplace_back(value.AsString());
        } else if (value.IsBool()) {
            texts.emplace_back(value.AsBool() ? "true" : "false");
        } else if (value.IsInt()) {
            texts.push_back(base::Cat(value.AsInt()));
        } else {
            return BadGrant(asked.NameAt(i), "a text, number or list", "another kind of value");
        }
        auto taken = Take(out, asked.NameAt(i), texts);
        if (!taken.ok()) return base::Failure{taken.error()};
    }
    return out;
}

Checked<Grants> ParseGrants(const std::map<std::string, std::string>& settings) {
    Grants out;
    for (const auto& [name, value] : settings) {
        auto taken = Take(out, name, base::SplitList(value));
        if (!taken.ok()) return base::Failure{taken.error()};
    }
    return out;
}

}  // namespace opensend::plugin
