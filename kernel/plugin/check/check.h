#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace opensend::plugin_check {

enum class Verdict { kPass = 1, kFail, kNotApplicable };

struct Options {
    std::vector<std::string> only, skip;  // beginnings of ids
    std::string kind;                     // only the kind of that name; empty: all
    uint64_t seed = 1;
    std::string config;       // JSON; empty: what the manifest or the schema says
    bool in_process = false;  // no child processes: for debuggers
    int limit_ms = 20'000;    // of one check
};

/// One check on the plugin, or on one of its kinds.
struct Line {
    std::string id, kind, sentence, hint, detail;
    Verdict verdict = Verdict::kPass;
    int64_t ms = 0;
};

struct Report {
    std::string path;
    std::string problem;  // not empty: nothing could be checked
    std::vector<Line> lines;
    bool ok() const;
    size_t Count(Verdict verdict) const;
};

/// What `opensend plugins check` knows, for its documentation. `applies` is the interface, "" for
/// the plugin as a whole, "*" for every kind.
struct CatalogueEntry {
    std::string id, applies, sentence, hint;
};
std::vector<CatalogueEntry> Catalogue();
std::string CatalogueText();  // a table in Markdown
std::string CatalogueJson();

/// Static checks first; then every dynamic one in a process of its own, so that a crash or a hang
/// is one failed line. Runs the plugin's code with the rights of the caller.
Report RunChecks(const std::string& path, const Options& options);

/// `all`: also what passed and what does not apply.
std::string ReportText(const Report& report, bool all);
std::string ReportJson(const Report& report);
std::string ReportJunit(const Report& report);

}  // namespace opensend::plugin_check
