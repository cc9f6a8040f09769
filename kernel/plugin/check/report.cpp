#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/plugin/check/check.h"
#include "kernel/plugin/check/trial.h"

namespace opensend::plugin_check {
namespace {

const char* WordOf(Verdict verdict) {
    if (verdict == Verdict::kPass) return "pass";
    return verdict == Verdict::kFail ? "FAIL" : "n/a";
}

std::string XmlText(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
        }
    }
    return out;
}

/// What a check is for, in words.
std::string AppliesText(std::string_view iface) {
    if (iface.empty()) return "the file";
    return iface == "*" ? "every kind" : std::string(iface);
}

}  // namespace

bool Report::ok() const { return problem.empty() && Count(Verdict::kFail) == 0; }

size_t Report::Count(Verdict verdict) const {
    return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [&](const Line& line) {
        return line.verdict == verdict;
    }));
}

std::vector<std::span<const Check>> StaticFamilies() { return {NoteChecks(), ElfChecks()}; }

std::vector<std::span<const Check>> DynamicFamilies() {
    return {LoadingChecks(),   LifecycleChecks(), ConfigChecks(), CallChecks(),
            TransportChecks(), FaultChecks(),     AuthChecks(),   RateLimitChecks(),
            InboundChecks(),   HygieneChecks()};
}

std::vector<CatalogueEntry> Catalogue() {
    std::vector<CatalogueEntry> all;
    for (const auto& families : {StaticFamilies(), DynamicFamilies()}) {
        for (const auto family : families) {
            for (const Check& check : family)
                all.push_back({check.id, check.iface, check.sentence, check.hint});
        }
    }
    return all;
}

std::string CatalogueText() {
    std::string out = "| id | of | must hold | otherwise |\n|---|---|---|---|\n";
    for (const CatalogueEntry& entry : Catalogue())
        out += base::Cat(
            "| `", entry.id, "` | ", AppliesText(entry.applies), " | ", entry.sentence, " | ",
            entry.hint, " |\n"
        );
    return out;
}

std::string CatalogueJson() {
    json::Writer writer;
    writer.BeginArray();
    for (const CatalogueEntry& entry : Catalogue())
        writer.BeginObject()
            .Field("id", entry.id)
            .Field("of", AppliesText(entry.applies))
            .Field("sentence", entry.sentence)
            .Field("hint", entry.hint)
            .EndObject();
    return writer.EndArray().Take();
}

std::string ReportText(const Report& report, bool all) {
    if (!report.problem.empty()) return base::Cat(report.path, ": ", report.problem, "\n");
    std::string out;
    for (const Line& line : report.lines) {
        if (line.verdict != Verdict::kFail && !all) continue;
        out += base::Cat(WordOf(line.verdict), "  ", line.id);
        if (!line.kind.empty()) out += base::Cat("  [", line.kind, "]");
        out += base::Cat("  ", line.sentence, "\n");
        if (!line.detail.empty()) out += base::Cat("      ", line.detail, "\n");
        if (line.verdict == Verdict::kFail) out += base::Cat("      hint: ", line.hint, "\n");
    }
    return base::Cat(
        out, report.ok() ? "good: " : "refused: ", report.Count(Verdict::kPass), " passed, ",
        report.Count(Verdict::kFail), " failed, ", report.Count(Verdict::kNotApplicable),
        " do not apply\n"
    );
}

std::string ReportJson(const Report& report) {
    json::Writer writer;
    writer.BeginObject().Field("file", report.path).Field("ok", report.ok());
    if (!report.problem.empty()) writer.Field("problem", report.problem);
    writer.Field("passed", static_cast<int64_t>(report.Count(Verdict::kPass)));
    writer.Field("failed", static_cast<int64_t>(report.Count(Verdict::kFail)));
    writer.Field("not_applicable", static_cast<int64_t>(report.Count(Verdict::kNotApplicable)));
    writer.Key("checks").BeginArray();
    for (const Line& line : report.lines) {
        writer.BeginObject().Field("id", line.id);
        const std::string word = base::AsciiLower(WordOf(line.verdict));
        writer.Field("result", word == "n/a" ? "not_applicable" : word);
        if (!line.kind.empty()) writer.Field("kind", line.kind);
        writer.Field("sentence", line.sentence).Field("ms", line.ms);
        if (!line.detail.empty()) writer.Field("detail", line.detail);
        if (line.verdict == Verdict::kFail) writer.Field("hint", line.hint);
        writer.EndObject();
    }
    return writer.EndArray().EndObject().Take();
}

std::string ReportJunit(const Report& report) {
    std::string out = base::Cat(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"opensend plugins check\" "
        "tests=\"",
        report.lines.size(), "\" failures=\"", report.Count(Verdict::kFail), "\" errors=\"",
        report.problem.empty() ? 0 : 1, "\" skipped=\"", report.Count(Verdict::kNotApplicable),
        "\">\n"
    );
    if (!report.problem.empty())
        out += base::Cat(
            "  <testcase name=\"file\"><error message=\"", XmlText(report.problem),
            "\"/></testcase>\n"
        );
    for (const Line& line : report.lines) {
        const std::string kind = line.kind.empty() ? "plugin" : line.kind;
        const std::string millis = base::Cat(1000 + line.ms % 1000).substr(1);
        out += base::Cat(
            "  <testcase classname=\"", XmlText(kind), "\" name=\"", XmlText(line.id), "\" time=\"",
            line.ms / 1000, ".", millis, "\""
        );
        if (line.verdict == Verdict::kPass) {
            out += "/>\n";
        } else if (line.verdict == Verdict::kFail) {
            out += base::Cat(
                "><failure message=\"", XmlText(line.sentence), "\">", XmlText(line.detail),
                "; hint: ", XmlText(line.hint), "</failure></testcase>\n"
            );
        } else {
            out += base::Cat("><skipped message=\"", XmlText(line.detail), "\"/></testcase>\n");
        }
    }
    return out + "</testsuite>\n";
}

}  // namespace opensend::plugin_check
