#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include <gnu/libc-version.h>

#include "kernel/plugin/load/elf.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kLibraries[] = {
    "libc.so.6",    "libm.so.6",      "libpthread.so.0",      "libdl.so.2",
    "librt.so.1",   "libresolv.so.2", "libgcc_s.so.1",        "libstdc++.so.6",
    "libssl.so.3",  "libcrypto.so.3", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
#if defined(OPENSEND_SANITIZED)
    "libasan.so.8", "libubsan.so.1",  "libtsan.so.2",         "liblsan.so.0",
#endif
};
constexpr std::string_view kEntryPrefix = "osp_plugin_v";
constexpr size_t kShown = 5;

using GlibcVersion = std::pair<int, int>;

/// "2.34" or "2.2.5".
std::optional<GlibcVersion> ParseVersion(std::string_view text) {
    const auto parts = base::Split(text, '.');
    if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
    const auto major = base::ParseInt(parts[0]), minor = base::ParseInt(parts[1]);
    if (!major || !minor || *major < 0 || *major > 1000 || *minor < 0 || *minor > 100'000)
        return std::nullopt;
    return GlibcVersion{static_cast<int>(*major), static_cast<int>(*minor)};
}

/// What a version name of the C library asks for; nullopt: nothing a plugin may ask for.
std::optional<GlibcVersion> NeededGlibc(std::string_view name) {
    if (name == "GLIBC_ABI_DT_RELR") return GlibcVersion{2, 36};
    return ParseVersion(name.substr(std::string_view("GLIBC_").size()));
}

std::string Shorten(std::vector<std::string> names) {
    const size_t more = names.size() > kShown ? names.size() - kShown : 0;
    if (more > 0) names.resize(kShown);
    for (std::string& name : names) name = name.substr(0, 100);
    const std::string shown = base::Join(names, ", ");
    return more == 0 ? shown : base::Cat(shown, " and ", more, " more");
}

GateStep Rule(std::string id, bool ok, std::string expected, std::string found) {
    if (ok) expected.clear();
    return {std::move(id), ok, std::move(expected), std::move(found)};
}

GateStep CheckLibraries(const ElfFacts& facts, const ElfRules& rules) {
    std::vector<std::string> foreign;
    const auto& more = rules.allowed_libraries;
    for (const std::string& name : facts.needed) {
        const bool known =
            std::find(std::begin(kLibraries), std::end(kLibraries), name) != std::end(kLibraries) ||
            std::find(more.begin(), more.end(), name) != more.end();
        if (!known) foreign.push_back(name);
    }
    return Rule(
        "needed", foreign.empty(), "libraries of the system or of plugins.allowed_libraries",
        Shorten(foreign.empty() ? facts.needed : foreign)
    );
}

GateStep CheckGlibc(const ElfFacts& facts, const ElfRules& rules) {
    const GlibcVersion here{rules.glibc_major, rules.glibc_minor};
    const std::string expected =
        base::Cat("a C library up to ", rules.glibc_major, ".", rules.glibc_minor);
    GlibcVersion newest{0, 0};
    for (const std::string& name : facts.glibc_versions) {
        const auto needed = NeededGlibc(name);
        if (!needed || *needed > here) return Rule("glibc", false, expected, Shorten({name}));
        newest = std::max(newest, *needed);
    }
    return Rule("glibc", true, "", base::Cat(newest.first, ".", newest.second));
}

GateStep CheckExports(const ElfFacts& facts) {
    std::vector<std::string> others;
    for (const std::string& name : facts.exports) {
        const bool digits = name.size() > kEntryPrefix.size() &&
                            name.find_first_not_of("0123456789", kEntryPrefix.size()) == name.npos;
        if (name.compare(0, kEntryPrefix.size(), kEntryPrefix) != 0 || !digits)
            others.push_back(name);
    }
    const bool ok = others.empty() && !facts.exports.empty();
    std::string found = facts.exports.empty() ? "none" : Shorten(ok ? facts.exports : others);
    return Rule("exports", ok, "functions osp_plugin_v* and nothing else", std::move(found));
}

}  // namespace

ElfRules RulesHere(std::vector<std::string> libraries) {
    ElfRules rules;
    rules.allowed_libraries = std::move(libraries);
    const auto version = ParseVersion(gnu_get_libc_version());
    if (version) std::tie(rules.glibc_major, rules.glibc_minor) = *version;
    return rules;
}

std::vector<GateStep> CheckHygiene(const ElfFacts& facts, const ElfRules& rules) {
    const bool stack = facts.has_stack_header && !facts.executable_stack;
    const char* stack_found = !facts.has_stack_header ? "no header about it"
                              : stack                 ? "not executable"
                                                      : "an executable one";
    const bool no_path = facts.search_path.empty();
    return {
        Rule("stack", stack, "a stack that is not executable", stack_found),
        Rule(
            "code", !facts.writable_code, "no segment that is writable and executable",
            facts.writable_code ? "one" : "none"
        ),
        Rule(
            "textrel", !facts.textrel, "code that needs no relocation",
            facts.textrel ? "text relocations" : "none"
        ),
        Rule(
            "rpath", no_path, "no search path of its own",
            no_path ? "none" : facts.search_path.substr(0, 200)
        ),
        Rule(
            "relro", facts.relro, "tables that become read-only (-z relro)",
            facts.relro ? "they do" : "they stay writable"
        ),
        Rule(
            "now", facts.now, "symbols bound when it is loaded (-z now)",
            facts.now ? "they are" : "later ones"
        ),
        CheckLibraries(facts, rules),
        CheckGlibc(facts, rules),
        Rule(
            "unique", facts.unique.empty(), "no unique symbol (-fno-gnu-unique)",
            facts.unique.empty() ? "none" : Shorten(facts.unique)
        ),
        CheckExports(facts),
    };
}

}  // namespace opensend::plugin
