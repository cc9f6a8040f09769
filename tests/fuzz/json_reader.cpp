#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/base/utf8.h"
#include "kernel/json/reader.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::json {
namespace {

/// Asks every node everything that its kind answers.
void WalkAll(Value root) {
    std::vector<Value> waiting = {root};
    while (!waiting.empty()) {
        const Value value = waiting.back();
        waiting.pop_back();
        switch (value.kind()) {
            case Kind::kMissing: OPENSEND_CHECK(false, "a document has no missing nodes");
            case Kind::kNull: break;
            case Kind::kBool: (void)value.AsBool(); break;
            case Kind::kNumber:
                if (value.IsInt())
                    OPENSEND_CHECK(
                        value.AsDouble() == static_cast<double>(value.AsInt()), "one number"
                    );
                break;
            case Kind::kString:
                OPENSEND_CHECK(base::IsUtf8(value.AsString()), "strings are UTF-8");
                break;
            case Kind::kArray:
                for (size_t i = 0; i < value.size(); ++i) waiting.push_back(value.At(i));
                break;
            case Kind::kObject:
                for (size_t i = 0; i < value.size(); ++i) {
                    OPENSEND_CHECK(value.IndexOf(value.NameAt(i)) == i, "names are unique");
                    waiting.push_back(value.MemberAt(i));
                }
                break;
        }
    }
}

void ReadLikeAHandler(Value root) {
    Problems problems;
    ObjectReader reader(root, "", problems);
    reader.RequireText("a", {.min = 1, .max = 5, .single_line = true, .trim = true});
    reader.OptionalText("b");
    reader.OptionalInt("c", 0, 10);
    reader.OptionalBool("d");
    ObjectReader nested(reader.TakeEither("e", "f"), "e", problems);
    nested.Finish(true);
    reader.Finish(true);
    try {
        problems.ThrowIfAny();
    } catch (const base::Error& error) {
        OPENSEND_CHECK(!error.public_message().empty() && error.fields().size() <= 50, "a verdict");
    }
}

}  // namespace
}  // namespace opensend::json

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    namespace json = opensend::json;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const json::Limits limits{
        .max_depth = 8, .max_keys = 20, .max_elements = 20, .max_values = 200};
    OPENSEND_CHECK(json::Document::Parse(json::Quote(text)).ok(), "any bytes can be quoted");
    const auto document = json::Document::Parse(text, limits);
    if (!document.ok()) {
        OPENSEND_CHECK(!document.error().reason.empty(), "a refusal has a reason");
        return 0;
    }
    json::WalkAll(document.value().root());
    json::ReadLikeAHandler(document.value().root());
    const std::string canonical = json::Canonical(document.value().root());
    const auto again = json::Document::Parse(canonical, limits);
    OPENSEND_CHECK(again.ok(), "canonical text parses");
    OPENSEND_CHECK(json::Canonical(again.value().root()) == canonical, "canonical text is stable");
    return 0;
}
