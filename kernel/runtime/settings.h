#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"

namespace opensend::runtime {

enum class SettingType { kText = 1, kInt, kBool, kSpan, kSize, kList, kChoice };

/// Flags of a setting.
inline constexpr unsigned kReread = 1;  // takes effect on SIGHUP
inline constexpr unsigned kSecret = 2;  // never printed; NAME_FILE and file: forms
inline constexpr unsigned kUrlSecret =
    4;  // a secret whose form without password may stand in the file
inline constexpr unsigned kServer = 8;  // one of the four server secrets (CFG-22)
inline constexpr unsigned kLater = 16;  // known, without effect in this release

/// One row of the table of settings. In a key `<n>` stands for one name and a last `*` for any
/// rest. `environment` lists further variables, which win over the generated one. `fallback` may
/// hold two values, "evaluation // strict".
struct Setting {
    std::string_view key;
    std::string_view environment;
    SettingType type;
    std::string_view fallback;
    std::string_view
        rule;  // range "1..50", choices "a|b", or the name of a check (settings/values.h)
    unsigned flags;
    std::string_view doc;

    bool Has(unsigned flag) const { return (flags & flag) != 0; }
    bool IsSecret() const { return Has(kSecret | kUrlSecret); }
    bool IsFamily() const { return key.find_first_of("<*") != std::string_view::npos; }
};

const std::vector<Setting>& AllSettings();
/// The row of a key, family members included; null when there is none.
const Setting* FindSetting(std::string_view key);
/// The row of an exact variable of the environment column, "DATABASE_URL"; null when none.
const Setting* FindVariable(std::string_view variable);
/// The known key that is fewest edits away; families give their pattern.
std::string NearestKey(std::string_view key);

/// "smtp.max_recipients" to "OPENSEND_SMTP__MAX_RECIPIENTS" and back; back is "" for a name that
/// was not made this way.
std::string VariableOfKey(std::string_view key);
std::string KeyOfVariable(std::string_view variable);

/// The default that holds in the mode.
std::string_view FallbackFor(const Setting& setting, bool strict);

/// The name of a setting in messages: its first variable, else its key.
std::string DisplayName(const Setting& setting);

/// Built-in numbers of a rate-limit bucket (REST contract 1.12, platform.md 12.3).
struct BucketRow {
    std::string_view name;
    std::string_view rate;
    uint64_t burst;
};
const std::vector<BucketRow>& AllRateBuckets();

/// Text of a new properties file: app.url set, every other key as a comment (CFG-41).
std::string PropertiesTemplate(const std::string& app_url);
/// The table of settings as markdown.
std::string SettingsReference();

}  // namespace opensend::runtime
