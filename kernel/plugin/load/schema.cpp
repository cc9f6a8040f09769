#include "kernel/plugin/load/schema.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/base/utf8.h"
#include "kernel/json/writer.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kSecretRef = "opensend:secret";
constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                       "integer", "boolean", "null"};
constexpr std::string_view kSchemaWords[] = {
    "type",  "enum",    "const",   "anyOf",     "required",  "properties", "additionalProperties",
    "items", "minimum", "maximum", "minLength", "maxLength", "minItems",   "maxItems",
    "$ref"};
constexpr std::string_view kDescribingWords[] = {"$schema",     "$id",      "$comment",  "title",
                                                 "description", "default",  "examples",  "format",
                                                 "deprecated",  "readOnly", "writeOnly", "pattern"};
constexpr size_t kMaxSchemaDepth = 16;

template <size_t N>
bool IsOneOf(std::string_view word, const std::string_view (&words)[N]) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

std::string Member(const std::string& path, std::string_view name) {
    std::string plain(name.substr(0, 100));
    std::replace_if(
        plain.begin(), plain.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?'
    );
    return path.empty() ? plain : base::Cat(path, '.', plain);
}

std::optional<Problem> CheckSchemaAt(
    const json::Value& schema, const std::string& path, size_t depth
);

Problem BadSchema(const std::string& path, std::string expected, std::string found) {
    return {"manifest", base::Cat(expected, " at ", path), std::move(found)};
}

bool IsTypeName(const json::Value& value) {
    return value.IsString() && IsOneOf(value.AsString(), kTypes);
}

bool HasGoodForm(std::string_view word, const json::Value& value) {
    const auto all = [&](auto accepts) {
        for (size_t i = 0; i < value.size(); ++i) {
            if (!accepts(value.At(i))) return false;
        }
        return value.IsArray() && value.size() > 0;
    };
    if (word == "type") return IsTypeName(value) || all(IsTypeName);
    if (word == "enum") return all([](const json::Value&) { return true; });
    if (word == "anyOf") return all([](const json::Value& one) { return one.IsObject(); });
    if (word == "required")
        return value.IsArray() &&
               (value.size() == 0 || all([](const json::Value& one) { return one.IsString(); }));
    if (word == "properties" || word == "items") return value.IsObject();
    if (word == "additionalProperties") return value.IsBool() || value.IsObject();
    if (word == "minimum" || word == "maximum") return value.IsNumber();
    if (word == "$ref") return value.IsString() && value.AsString() == kSecretRef;
    const bool is_count = word.substr(0, 3) == "min" || word.substr(0, 3) == "max";
    return !is_count || (value.IsInt() && value.AsInt() >= 0);
}

/// The schemas inside of one.
std::optional<Problem> CheckParts(
    const json::Value& schema, const std::string& path, size_t depth
) {
    const json::Value properties = schema.Find("properties"), any = schema.Find("anyOf");
    for (size_t i = 0; properties.IsObject() && i < properties.size(); ++i) {
        const std::string place = Member(path, properties.NameAt(i));
        if (auto problem = CheckSchemaAt(properties.MemberAt(i), place, depth)) return problem;
    }
    for (size_t i = 0; any.IsArray() && i < any.size(); ++i) {
        if (auto problem = CheckSchemaAt(any.At(i), path, depth)) return problem;
    }
    for (const char* name : {"items", "additionalProperties"}) {
        const json::Value part = schema.Find(name);
        if (!part.IsObject()) continue;
        if (auto problem = CheckSchemaAt(part, Member(path, "*"), depth)) return problem;
    }
    return std::nullopt;
}

std::optional<Problem> CheckSchemaAt(
    const json::Value& schema, const std::string& path, size_t depth
) {
    if (!schema.IsObject()) return BadSchema(path, "a schema object", "something else");
    if (depth > kMaxSchemaDepth) return BadSchema(path, "at most 16 levels of a schema", "more");
    for (size_t i = 0; i < schema.size(); ++i) {
        const std::string_view word = schema.NameAt(i);
        if (IsOneOf(word, kDescribingWords)) continue;
        if (!IsOneOf(word, kSchemaWords))
            return BadSchema(path, "words of the schema subset", Member("", word));
        if (!HasGoodForm(word, schema.MemberAt(i)))
            return BadSchema(path, base::Cat("a usable \"", word, "\""), "another value");
    }
    return CheckParts(schema, path, depth + 1);
}

std::string_view TypeOf(const json::Value& value) {
    switch (value.kind()) {
        case json::Kind::kObject: return "object";
        case json::Kind::kArray: return "array";
        case json::Kind::kString: return "string";
        case json::Kind::kNumber: return value.IsInt() ? "integer" : "number";
        case json::Kind::kBool: return "boolean";
        default: return "null";
    }
}

bool AllowsType(const json::Value& schema, std::string_view type) {
    const json::Value types = schema.Find("type");
    const auto fits = [&](const json::Value& one) {
        return one.AsString() == type || (type == "integer" && one.AsString() == "number");
    };
    if (types.IsString()) return fits(types);
    for (size_t i = 0; i < types.size(); ++i) {
        if (fits(types.At(i))) return true;
    }
    return types.IsMissing();
}

std::string TypeNames(const json::Value& schema) {
    const json::Value types = schema.Find("type");
    if (types.IsString()) return std::string(types.AsString());
    std::vector<std::string> names;
    for (size_t i = 0; i < types.size(); ++i) names.emplace_back(types.At(i).AsString());
    return base::Join(names, " or ");
}

bool IsSecret(const json::Value& value) {
    return value.IsObject() && value.size() == 1 && value.Find("$secret").IsString();
}

/// The first thing a schema refuses about a value.
class Validator {
public:
    std::optional<Problem> Check(
        const json::Value& schema, const json::Value& value, const std::string& path
    ) const;

private:
    static Problem Bad(const std::string& path, std::string_view expected, std::string_view found) {
        return {
            "config", base::Cat(expected, " at ", path.empty() ? "the top" : path),
            std::string(found)};
    }
    static std::optional<Problem> CheckAlternatives(
        const json::Value& schema, const json::Value& value, const std::string& path
    );
    static std::optional<Problem> CheckBounds(
        const json::Value& schema, const json::Value& value, const std::string& path
    );
    std::optional<Problem> CheckMembers(
        const json::Value& schema, const json::Value& value, const std::string& path
    ) const;
};

std::optional<Problem> Validator::CheckAlternatives(
    const json::Value& schema, const json::Value& value, const std::string& path
) {
    const json::Value choices = schema.Find("enum"), constant = schema.Find("const");
    if (choices.IsMissing() && constant.IsMissing()) return std::nullopt;
    const std::string text = json::Canonical(value);
    std::vector<std::string> names;
    if (!constant.IsMissing()) names.push_back(json::Canonical(constant));
    bool fits = !constant.IsMissing() && text == names.front();
    for (size_t i = 0; i < choices.size(); ++i) {
        names.push_back(json::Canonical(choices.At(i)));
        fits = fits || text == names.back();
    }
    if (fits) return std::nullopt;
    std::string listed = base::Cat("one of ", base::Join(names, ", "));
    return Bad(path, listed.substr(0, 300), "another value");
}

std::optional<Problem> Validator::CheckBounds(
    const json::Value& schema, const json::Value& value, const std::string& path
) {
    const auto limit = [&](const char* word, int64_t size, bool is_min, const char* unit) {
        const json::Value bound = schema.Find(word);
        const bool good =
            bound.IsMissing() || (is_min ? size >= bound.AsInt() : size <= bound.AsInt());
        if (good) return std::optional<Problem>();
        return std::optional(
            Bad(path, base::Cat(is_min ? "at least " : "at most ", bound.AsInt(), " ", unit),
                base::Cat(size))
        );
    };
    if (value.IsString()) {
        const auto length = static_cast<int64_t>(base::CountCodePoints(value.AsString()));
        auto problem = limit("minLength", length, true, "characters");
        return problem ? problem : limit("maxLength", length, false, "characters");
    }
    if (value.IsArray()) {
        const auto size = static_cast<int64_t>(value.size());
        auto problem = limit("minItems", size, true, "elements");
        return problem ? problem : limit("maxItems", size, false, "elements");
    }
    if (!value.IsNumber()) return std::nullopt;
    const json::Value low = schema.Find("minimum"), high = schema.Find("maximum");
    if (low.IsNumber() && value.AsDouble() < low.AsDouble())
        return Bad(path, base::Cat("at least ", json::Canonical(low)), "a smaller number");
    if (high.IsNumber() && value.AsDouble() > high.AsDouble())
        return Bad(path, base::Cat("at most ", json::Canonical(high)), "a greater number");
    return std::nullopt;
}

std::optional<Problem> Validator::CheckMembers(
    const json::Value& schema, const json::Value& value, const std::string& path
) const {
    const json::Value items = schema.Find("items");
    for (size_t i = 0; value.IsArray() && items.IsObject() && i < value.size(); ++i) {
        if (auto problem = Check(items, value.At(i), Member(path, base::Cat(i)))) return problem;
    }
    if (!value.IsObject()) return std::nullopt;
    const json::Value required = schema.Find("required");
    for (size_t i = 0; i < required.size(); ++i) {
        const std::string_view name = required.At(i).AsString();
        if (value.Find(name).IsMissing()) return Bad(Member(path, name), "a value", "none");
    }
    const json::Value properties = schema.Find("properties");
    const json::Value others = schema.Find("additionalProperties");
    for (size_t i = 0; i < value.size(); ++i) {
        const std::string place = Member(path, value.NameAt(i));
        const json::Value known = properties.Find(value.NameAt(i));
        if (known.IsMissing() && others.IsBool() && !others.AsBool())
            return Bad(path, "only keys of the schema", Member("", value.NameAt(i)));
        const json::Value rule = known.IsMissing() ? others : known;
        if (!rule.IsObject()) continue;
        if (auto problem = Check(rule, value.MemberAt(i), place)) return problem;
    }
    return std::nullopt;
}

std::optional<Problem> Validator::Check(
    const json::Value& schema, const json::Value& value, const std::string& path
) const {
    if (schema.Find("$ref").IsString()) {
        if (IsSecret(value)) return std::nullopt;
        return Bad(path, "a secret (secret:<name> or file:<path>)", TypeOf(value));
    }
    if (!AllowsType(schema, TypeOf(value)))
        return Bad(path, TypeNames(schema), IsSecret(value) ? "a secret" : TypeOf(value));
    const json::Value any = schema.Find("anyOf");
    std::optional<Problem> first;
    bool fits = any.IsMissing();
    for (size_t i = 0; i < any.size() && !fits; ++i) {
        auto problem = Check(any.At(i), value, path);
        fits = !problem;
        if (!first) first = std::move(problem);
    }
    if (!fits) return first;
    if (auto problem = CheckAlternatives(schema, value, path)) return problem;
    if (auto problem = CheckBounds(schema, value, path)) return problem;
    return CheckMembers(schema, value, path);
}

/// JSON of another type for a text of the settings, where the schema takes no text.
std::optional<std::string> Converted(const json::Value& schema, const json::Value& value) {
    if (!schema.IsObject() || !value.IsString() || schema.Find("type").IsMissing()) return {};
    if (AllowsType(schema, "string")) return {};
    const std::string text(base::Trim(value.AsString()));
    if (AllowsType(schema, "array")) {
        json::Writer list;
        list.BeginArray();
        for (const std::string& part : base::SplitList(text)) list.String(part);
        return list.EndArray().Take();
    }
    const auto document = json::Document::Parse(text);
    if (!document.ok()) return {};
    const std::string_view type = TypeOf(document->root());
    return AllowsType(schema, type) ? std::optional(text) : std::nullopt;
}

std::string ConvertMembers(const json::Value& schema, const json::Value& config) {
    const json::Value properties = schema.Find("properties");
    json::Writer out;
    out.BeginObject();
    for (size_t i = 0; i < config.size(); ++i) {
        const json::Value value = config.MemberAt(i);
        const auto converted = Converted(properties.Find(config.NameAt(i)), value);
        out.RawField(config.NameAt(i), converted ? *converted : json::Canonical(value));
    }
    return out.EndObject().Take();
}

}  // namespace

std::optional<Problem> CheckSchema(const json::Value& schema, std::string_view name) {
    return CheckSchemaAt(schema, Member("config_schema", name), 0);
}

Checked<std::string> TakeSchema(std::string text, const std::string& kind) {
    if (text.size() > kMaxSchema)
        return Refuse("kinds", base::Cat("a schema of at most 64 KB of ", kind), "a longer one");
    if (text.empty()) return text;
    const auto schema = json::Document::Parse(text);
    if (!schema.ok())
        return Refuse("kinds", base::Cat("a schema of ", kind), schema.error().reason);
    if (auto problem = CheckSchema(schema->root(), kind)) return base::Failure{std::move(*problem)};
    return text;
}

Checked<std::string> ApplySchema(std::string_view schema, std::string_view config) {
    const auto given = json::Document::Parse(config);
    if (!given.ok() || !given->root().IsObject())
        return Refuse(
            "config", "a JSON object", given.ok() ? "another value" : given.error().reason
        );
    if (schema.empty()) return std::string(config);
    const auto rules = json::Document::Parse(schema);
    if (!rules.ok()) return Refuse("config", "a schema in JSON", rules.error().reason);
    if (auto problem = CheckSchema(rules->root(), "")) return base::Failure{std::move(*problem)};
    std::string text = ConvertMembers(rules->root(), given->root());
    const auto converted = json::Document::Parse(text);
    if (!converted.ok()) return Refuse("config", "a JSON object", converted.error().reason);
    if (auto problem = Validator().Check(rules->root(), converted->root(), ""))
        return base::Failure{std::move(*problem)};
    return text;
}

}  // namespace opensend::plugin
