// Log lines above debug carry ids, never addresses, subjects or bodies.
#include <algorithm>

#include <gmock/gmock.h>

#include "tests/lint/tree.h"

namespace opensend::lint {
namespace {

constexpr std::string_view kPrivate[] = {
    "address",   "addresses",  "bcc",      "body",      "bodies",   "cc",        "email",
    "from",      "from_text",  "html",     "mail_from", "mailbox",  "match_key", "rcpt",
    "recipient", "recipients", "reply_to", "subject",   "subjects", "text_body", "to",
};
/// Fields that carry an id under a short name.
constexpr std::string_view kIdFields[] = {"row.email", "work->row.email"};

/// Text from the opening parenthesis at `open` to its partner; strings do not count.
std::string Arguments(const std::string& text, size_t open) {
    int depth = 0;
    bool quoted = false;
    for (size_t at = open; at < text.size(); ++at) {
        if (quoted) {
            if (text[at] == '\\')
                ++at;
            else
                quoted = text[at] != '"';
            continue;
        }
        if (text[at] == '"') quoted = true;
        if (text[at] == '(') ++depth;
        if (text[at] == ')' && --depth == 0) return text.substr(open + 1, at - open - 1);
    }
    return text.substr(open + 1);
}

/// The first private word among the names and values of the fields; empty: none.
std::string PrivateWord(std::string arguments) {
    for (const std::string_view id : kIdFields) {
        for (size_t at = arguments.find(id); at != std::string::npos; at = arguments.find(id)) {
            arguments.replace(at, id.size(), "id");
        }
    }
    // Field names are literals of their own; sentences are not looked at.
    const size_t fields = arguments.find("kv(");
    if (fields == std::string::npos) return "";
    size_t first = std::string::npos;
    std::string word;
    for (const std::string_view candidate : kPrivate) {
        const size_t at = FindWord(arguments, candidate, fields);
        if (at < first) {
            first = at;
            word = candidate;
        }
    }
    return word;
}

Findings CheckLogPrivacy(const std::filesystem::path& root) {
    constexpr std::string_view kMacro = "OPENSEND_LOG";
    Findings findings;
    for (const SourceFile& file : ReadTree(root, {"kernel"}, {".h", ".cpp"})) {
        std::string text;
        for (const std::string& line : WithoutComments(file.lines)) {
            text.append(line).push_back('\n');
        }
        for (size_t at = FindWord(text, kMacro); at != std::string::npos;
             at = FindWord(text, kMacro, at + 1)) {
            const size_t open = at + kMacro.size();
            if (open >= text.size() || text[open] != '(') continue;
            const std::string arguments = Arguments(text, open);
            if (FindWord(arguments, "kDebug") != std::string::npos) continue;
            const std::string word = PrivateWord(arguments);
            if (word.empty()) continue;
            const auto line = std::count(text.begin(), text.begin() + static_cast<long>(at), '\n');
            findings.push_back(file.path + ":" + std::to_string(line + 1) + " logs " + word);
        }
    }
    return findings;
}

TEST(LogPrivacy, LinesCarryNoPersonalFields) {
    EXPECT_THAT(CheckLogPrivacy(SourceRoot()), testing::IsEmpty());
}

TEST(LogPrivacy, APersonalFieldIsReportedWithItsLine) {
    PlantedTree tree;
    tree.Write(
        "kernel/queue/a.cpp",
        "void A() {\n"
        "    OPENSEND_LOG(kInfo, \"a.sent\", \"mail to (a host\", kv(\"email_id\", row.email));\n"
        "    OPENSEND_LOG(\n        kWarn, \"a.failed\", \"x\", kv(\"id\", row.id),\n"
        "        kv(\"subject\", mail.title)\n    );\n"
        "    OPENSEND_LOG(kInfo, \"a.done\", \"x\", kv(\"who\", work->address));\n"
        "    OPENSEND_LOG(kDebug, \"a.seen\", \"x\", kv(\"who\", work->address));\n"
        "    OPENSEND_LOG(kInfo, \"a.peer\", \"x\", kv(\"remote_address\", peer));\n"
        "}\n"
    );
    EXPECT_THAT(
        CheckLogPrivacy(tree.root()),
        testing::ElementsAre(
            "kernel/queue/a.cpp:3 logs subject", "kernel/queue/a.cpp:7 logs address"
        )
    );
}

}  // namespace
}  // namespace opensend::lint
