#include "kernel/cli/plugins/plugin_new.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <span>

#include "kernel/base/check.h"
#include "kernel/base/embedded.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/plugins/plugin_tools.h"

namespace opensend::cli {

// The files of sdk/templates and sdk/rust, written by the build.
std::span<const base::EmbeddedFile> EmbeddedCommonTemplates();
std::span<const base::EmbeddedFile> EmbeddedCppTemplates();
std::span<const base::EmbeddedFile> EmbeddedCTemplates();
std::span<const base::EmbeddedFile> EmbeddedRustTemplates();

namespace {

namespace fs = std::filesystem;
using Templates = std::span<const base::EmbeddedFile>;
using Words = std::map<std::string, std::string, std::less<>>;

struct NewFlags {
    std::string kind = "transport", lang = "cpp", name, folder = ".";
};

constexpr size_t kMinName = 2, kMaxName = 32;
constexpr std::string_view kKinds[] = {"transport", "auth", "ratelimit", "inbound"};
// Targets of CMake that a project cannot have.
constexpr std::string_view kTaken[] = {"all",     "clean",         "edit_cache",
                                       "help",    "install",       "list_install_components",
                                       "package", "rebuild_cache", "test"};
// Kinds and plugins that come with the server; two of one name cannot be told apart.
constexpr std::string_view kShipped[] = {"capture",     "smtp",         "smtps",        "ses",
                                         "api_key",     "memory",       "memory_limit", "redis",
                                         "redis_limit", "mime_inbound", "inbound"};

struct Language {
    std::string_view name, shown, source, packages, build, ci_build;
    Templates (*templates)();
    bool has_wire;  // shares the SMTP conversation in C
};
constexpr std::string_view kCmakeBuild =
    "cmake -B build -DCMAKE_PREFIX_PATH=<folder>\ncmake --build build\n"
    "ctest --test-dir build --output-on-failure";
constexpr std::string_view kCmakeCi =
    "cmake -B build && cmake --build build && ctest --test-dir build --output-on-failure";
constexpr Language kLanguages[] = {
    {"cpp",  "C++17",                "src/@NAME@.cpp", "g++ cmake make",            kCmakeBuild, kCmakeCi,
     EmbeddedCppTemplates,                                                                                                        true },
    {"c",    "C11",                  "src/@NAME@.c",   "g++ cmake make",            kCmakeBuild, kCmakeCi,    EmbeddedCTemplates, true },
    {"rust", "Rust, without crates", "src/lib.rs",     "g++ make pkg-config rustc",
     "export PKG_CONFIG_PATH=<folder>/lib/pkgconfig\nmake\nmake test",                           "make test",
     EmbeddedRustTemplates,                                                                                                       false},
};

[[noreturn]] void Refuse(std::string text) {
    throw base::Error(base::ErrorCode::kApplication, std::move(text));
}

template <class List>
bool Has(const List& list, std::string_view word) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

void CheckName(const NewFlags& flags) {
    const std::string& name = flags.name;
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    const bool letters = !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
                         std::all_of(name.begin(), name.end(), plain) && plain(name.back()) &&
                         name.back() != '-' && name.back() != '_';
    if (!letters || name.size() < kMinName || name.size() > kMaxName)
        Refuse(base::Cat(
            "a name has ", kMinName, " to ", kMaxName,
            " lower-case letters, digits, _ and -; it begins with a letter and ends with a letter "
            "or "
            "digit"
        ));
    if (flags.kind == "transport" && name.find('_') != std::string::npos)
        Refuse("the name of a transport is the scheme of its URL, which has no _");
    if (Has(kShipped, name)) Refuse(base::Cat(name, " is a name that comes with OpenSend"));
    if (Has(kTaken, name)) Refuse(base::Cat(name, " is a name that CMake keeps for itself"));
}

/// "acme-mail" → "AcmeMail".
std::string ClassOf(std::string_view name) {
    std::string out;
    bool upper = true;
    for (const char c : name) {
        if (c == '_' || c == '-') {
            upper = true;
            continue;
        }
        out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        upper = false;
    }
    return out;
}

/// Puts the words in where @WORD@ stands; another @ stays.
std::string Filled(std::string_view text, const Words& words) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t open = text.find('@', at);
        const size_t close = open == text.npos ? text.npos : text.find('@', open + 1);
        if (close == text.npos) return out.append(text.substr(at));
        const auto word = words.find(text.substr(open + 1, close - open - 1));
        const size_t end = word == words.end() ? open + 1 : close + 1;
        out.append(text.substr(at, (word == words.end() ? end : open) - at));
        if (word != words.end()) out.append(word->second);
        at = end;
    }
    return out;
}

std::string_view Template(Templates templates, std::string_view name) {
    const auto found = std::find_if(templates.begin(), templates.end(), [&](const auto& file) {
        return file.name == name;
    });
    OPENSEND_CHECK(found != templates.end(), "each template is built in");
    return found->bytes;
}

Words WordsFor(const NewFlags& flags, const Language& language) {
    const Templates common = EmbeddedCommonTemplates();
    Words words;
    words["NAME"] = flags.name;
    words["CLASS"] = ClassOf(flags.name);
    words["IFACE"] = base::Cat("opensend.", flags.kind, "/1");
    words["LANGUAGE"] = language.shown;
    words["BUILD"] = language.build;
    words["CI_PACKAGES"] = language.packages;
    words["CI_BUILD"] = language.ci_build;
    words["SOURCES"] = Filled(language.source, words);
    const bool is_transport = flags.kind == "transport";
    if (is_transport) words["SOURCES"] += " src/smtp_wire.c";
    // The transport opens a socket of its own, which a worker may not.
    words["ISOLATION"] = is_transport ? R"(["inproc"])" : R"(["worker", "inproc"])";
    words["ABOUT"] = Filled(Template(common, flags.kind + ".about.in"), words);
    words["ENABLE"] = Filled(Template(common, flags.kind + ".enable.in"), words);
    return words;
}

/// Path within the project and content.
std::map<std::string, std::string> FilesOf(const NewFlags& flags, const Language& language) {
    const Templates common = EmbeddedCommonTemplates(), own = language.templates();
    const Words words = WordsFor(flags, language);
    std::map<std::string, std::string> files;
    const auto add = [&](std::string_view path, Templates from, std::string_view name) {
        files[Filled(path, words)] = Filled(Template(from, name), words);
    };
    add("README.md", common, "README.md.in");
    add("manifest.json", common, "manifest.json.in");
    add("config.schema.json", common, flags.kind + ".schema.json.in");
    add("test/@NAME@_test.cpp", common, flags.kind + "_test.cpp.in");
    add(".github/workflows/ci.yml", common, "ci.yml.in");
    add(".gitignore", common, "gitignore.in");
    if (language.has_wire && flags.kind == "transport") {
        add("src/smtp_wire.h", common, "smtp_wire.h.in");
        add("src/smtp_wire.c", common, "smtp_wire.c.in");
    }
    const bool is_rust = language.name == "rust";
    const std::string extension = is_rust ? "rs" : std::string(language.name);
    add(language.source, own, base::Cat(flags.kind, ".", extension, ".in"));
    if (is_rust) {
        add("Makefile", own, "Makefile.in");
        files["src/opensend_plugin.rs"] = Template(own, "opensend_plugin.rs");
        files["src/opensend_layer.rs"] = Template(own, "opensend_layer.rs");
    } else {
        add("CMakeLists.txt", own, "CMakeLists.txt.in");
    }
    return files;
}

int NewPlugin(const NewFlags& flags) {
    const auto* const language =
        std::find_if(std::begin(kLanguages), std::end(kLanguages), [&](const Language& one) {
            return one.name == flags.lang;
        });
    if (language == std::end(kLanguages)) Refuse("--lang is cpp, c or rust");
    if (!Has(kKinds, flags.kind)) Refuse("--kind is transport, auth, ratelimit or inbound");
    CheckName(flags);
    const fs::path folder = fs::path(flags.folder) / flags.name;
    if (fs::exists(fs::symlink_status(folder)))
        Refuse(base::Cat(folder.string(), " exists already"));
    std::error_code failure;
    if (!fs::is_directory(folder.parent_path(), failure))
        Refuse(base::Cat(folder.parent_path().string(), " is no folder"));
    if (!fs::create_directory(folder, failure))
        Refuse(base::Cat(folder.string(), " cannot be made: ", failure.message()));
    for (const auto& [path, text] : FilesOf(flags, *language)) {
        fs::create_directories((folder / path).parent_path());
        WriteWholeFile(folder / path, text, 0644, false);
    }
    std::cout << folder.string() << ": kind " << flags.kind << " in " << language->shown
              << "; README.md says how to build, test and enable it\n";
    return kSuccess;
}

}  // namespace

void AddPluginNewCommand(CLI::App& plugins, Run& run) {
    static NewFlags flags;
    auto* make = plugins.add_subcommand("new", "Write the project of a new plugin");
    make->add_option("name", flags.name, "Name of the folder, the file and the kind")->required();
    make->add_option("--kind", flags.kind, "transport, auth, ratelimit or inbound")
        ->capture_default_str();
    make->add_option("--lang", flags.lang, "cpp, c or rust")->capture_default_str();
    make->add_option("--in", flags.folder, "The folder that the project's folder is made in");
    make->callback([&] { run = [&] { return NewPlugin(flags); }; });
}

}  // namespace opensend::cli
