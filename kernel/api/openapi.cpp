#include "kernel/api/openapi.h"

#include <algorithm>
#include <map>
#include <set>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::api {
namespace {

constexpr std::string_view kIntroduction =
    "Mail through an API. Every route also answers below /api. Errors have one form, Problem; "
    "answers may gain members, requests may have members that are ignored and then named in the "
    "header X-OpenSend-Ignored-Fields.";
/// What any request may be answered with, whatever the route.
constexpr std::string_view kAlways = "400 408 413 414 422 429 431 500 503";

/// Members of a schema that an empty body does not satisfy.
constexpr std::string_view kNeeds[] = {"required", "minItems", "minProperties", "allOf"};

std::vector<std::string> Words(std::string_view text) {
    std::vector<std::string> words;
    for (const std::string_view word : base::Split(text, ' ')) {
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

std::string_view ScopeName(model::RouteClass scope) {
    switch (scope) {
        case model::RouteClass::kRead: return "read";
        case model::RouteClass::kSend: return "send";
        case model::RouteClass::kWrite: return "write";
        case model::RouteClass::kAdmin: return "admin";
        case model::RouteClass::kPublic: return "public";
    }
    return "";
}

/// Members in their order; `Canonical` would sort them.
void WriteValue(json::Writer& out, const json::Value& value) {
    switch (value.kind()) {
        case json::Kind::kMissing:
        case json::Kind::kNull: out.Null(); break;
        case json::Kind::kBool: out.Bool(value.AsBool()); break;
        case json::Kind::kString: out.String(value.AsString()); break;
        case json::Kind::kNumber:
            value.IsInt() ? out.Int(value.AsInt()) : out.Double(value.AsDouble());
            break;
        case json::Kind::kArray:
            out.BeginArray();
            for (size_t i = 0; i < value.size(); ++i) WriteValue(out, value.At(i));
            out.EndArray();
            break;
        case json::Kind::kObject:
            out.BeginObject();
            for (size_t i = 0; i < value.size(); ++i) {
                out.Key(value.NameAt(i));
                WriteValue(out, value.MemberAt(i));
            }
            out.EndObject();
            break;
    }
}

/// What the files define, by name.
class Definitions {
public:
    explicit Definitions(std::span<const base::EmbeddedFile> files) {
        for (const base::EmbeddedFile& file : files) {
            auto document = json::Document::Parse(file.bytes);
            OPENSEND_CHECK(document.ok(), "a schema file is JSON");
            documents_.push_back(std::move(*document));
            Take(documents_.back().root().Find("schemas"), schemas_);
            Take(documents_.back().root().Find("parameters"), parameters_);
        }
    }
    const std::map<std::string, json::Value, std::less<>>& schemas() const { return schemas_; }
    const std::map<std::string, json::Value, std::less<>>& parameters() const {
        return parameters_;
    }
    /// The name of the definition that a route of `tag` means by `name`.
    std::string Parameter(std::string_view tag, std::string_view name) const {
        const std::string own = base::Cat(tag, '.', name);
        if (parameters_.contains(own)) return own;
        OPENSEND_CHECK(parameters_.contains(name), "a parameter of a route is defined");
        return std::string(name);
    }

private:
    static void Take(
        const json::Value& members, std::map<std::string, json::Value, std::less<>>& into
    ) {
        for (size_t i = 0; i < members.size(); ++i) {
            const bool fresh =
                into.emplace(std::string(members.NameAt(i)), members.MemberAt(i)).second;
            OPENSEND_CHECK(fresh, "a schema or parameter is defined once");
        }
    }

    std::vector<json::Document> documents_;
    std::map<std::string, json::Value, std::less<>> schemas_, parameters_;
};

class Builder {
public:
    Builder(const std::vector<MountedRoute>& routes, std::span<const base::EmbeddedFile> files)
        : routes_(routes), definitions_(files) {}

    std::string Build(std::string_view server_url) {
        out_.BeginObject().Field("openapi", "3.1.0").Key("info").BeginObject();
        out_.Field("title", "OpenSend").Field("version", "1");
        out_.Field("description", kIntroduction).Key("license").BeginObject();
        out_.Field("name", "Apache-2.0").Field("identifier", "Apache-2.0").EndObject().EndObject();
        out_.Key("servers").BeginArray().BeginObject().Field("url", server_url).EndObject();
        out_.EndArray().Key("tags").BeginArray();
        for (const std::string& tag : Tags()) out_.BeginObject().Field("name", tag).EndObject();
        out_.EndArray();
        WritePaths();
        WriteComponents();
        out_.EndObject();
        return out_.Take();
    }

private:
    static const RouteDoc& DocOf(const MountedRoute& route) {
        OPENSEND_CHECK(route.doc.has_value(), "every route is documented");
        return *route.doc;
    }
    static std::string TagOf(const MountedRoute& route) {
        const std::string_view id = DocOf(route).id;
        OPENSEND_CHECK(id.find('.') != id.npos, "the id of a route names its tag");
        return std::string(id.substr(0, id.find('.')));
    }
    std::vector<std::string> Tags() const {
        std::vector<std::string> tags;
        for (const MountedRoute& route : routes_) {
            const std::string tag = TagOf(route);
            if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
        }
        return tags;
    }
    /// Paths in the order of their first row, each with all its methods.
    void WritePaths() {
        out_.Key("paths").BeginObject();
        std::set<std::string_view> done;
        std::set<std::string_view> ids;
        for (const MountedRoute& first : routes_) {
            if (!done.insert(first.path).second) continue;
            std::vector<std::string> segments;
            for (const std::string_view part : base::Split(first.path, '/')) {
                const bool is_parameter = part.substr(0, 1) == ":";
                segments.push_back(
                    is_parameter ? base::Cat('{', part.substr(1), '}') : std::string(part)
                );
            }
            out_.Key(base::Join(segments, "/")).BeginObject();
            for (const MountedRoute& route : routes_) {
                if (route.path != first.path) continue;
                OPENSEND_CHECK(ids.insert(DocOf(route).id).second, "ids of routes differ");
                WriteOperation(route);
            }
            out_.EndObject();
        }
        out_.EndObject();
    }

    void WriteOperation(const MountedRoute& route) {
        const RouteDoc& doc = DocOf(route);
        const bool is_public = route.scope == model::RouteClass::kPublic;
        out_.Key(base::AsciiLower(ToText(route.method))).BeginObject();
        out_.Key("tags").BeginArray().String(TagOf(route)).EndArray();
        out_.Field("operationId", std::string_view(doc.id));
        out_.Field("summary", std::string_view(doc.summary));
        out_.Field("x-opensend-scope", ScopeName(route.scope));
        if (is_public) {
            out_.Key("security").BeginArray().EndArray();
        } else {
            WriteKeys(route);
        }
        WriteParameters(route);
        if (!doc.body.empty()) WriteBody(route);
        WriteResponses(route);
        out_.EndObject();
    }

    /// Which keys reach the route.
    void WriteKeys(const MountedRoute& route) {
        using Permission = model::KeyPermission;
        out_.Key("x-opensend-permissions").BeginArray();
        for (const Permission each :
             {Permission::kFullAccess, Permission::kSendingAccess, Permission::kReadAccess}) {
            if (model::Allows(each, route.scope)) out_.String(model::ToText(each));
        }
        out_.EndArray();
        out_.Field("x-opensend-domain-restricted-keys", route.traits.open_to_restricted);
    }

    void WriteParameters(const MountedRoute& route) {
        std::vector<std::string> names;
        for (const std::string_view part : base::Split(route.path, '/')) {
            if (part.substr(0, 1) == ":") names.emplace_back(part.substr(1));
        }
        for (const std::string& word : Words(DocOf(route).takes)) {
            if (word == "page") {
                names.insert(names.end(), {"limit", "after", "before"});
            } else {
                names.push_back(word);
            }
        }
        if (TakesKey(route)) names.emplace_back("Idempotency-Key");
        if (!DocOf(route).body.empty()) names.emplace_back("X-OpenSend-Strict");
        if (names.empty()) return;
        out_.Key("parameters").BeginArray();
        for (const std::string& name : names) {
            const std::string key = definitions_.Parameter(TagOf(route), name);
            used_parameters_.insert(key);
            out_.BeginObject().Field("$ref", base::Cat("#/components/parameters/", key));
            out_.EndObject();
        }
        out_.EndArray();
    }
    static bool TakesKey(const MountedRoute& route) {
        return route.method == Method::POST && route.scope != model::RouteClass::kPublic;
    }

    void WriteBody(const MountedRoute& route) {
        const json::Value schema = Schema(DocOf(route).body);
        out_.Key("requestBody").BeginObject();
        out_.Field("required", std::any_of(std::begin(kNeeds), std::end(kNeeds), [&](auto name) {
                       return !schema.Find(name).IsMissing();
                   }));
        out_.Key("content").BeginObject();
        out_.Key("application/json").BeginObject();
        WriteSchema(DocOf(route).body);
        out_.EndObject();
        if (route.traits.takes_csv) {
            out_.Key("text/csv").BeginObject().Key("schema").BeginObject();
            out_.Field("type", "string").EndObject().EndObject();
        }
        out_.EndObject().EndObject();
    }

    void WriteResponses(const MountedRoute& route) {
        std::set<std::string> refusals;
        for (const std::string& status : Words(kAlways)) refusals.insert(status);
        for (const std::string& status : Words(DocOf(route).refusals)) refusals.insert(status);
        if (route.scope != model::RouteClass::kPublic) refusals.insert({"401", "403"});
        if (route.path.find(':') != std::string::npos) refusals.insert("404");
        if (TakesKey(route)) refusals.insert("409");
        if (route.method != Method::GET && route.method != Method::DELETE) refusals.insert("415");
        if (route.traits.health) refusals.erase("429");
        out_.Key("responses").BeginObject();
        for (const std::string_view answer : base::Split(DocOf(route).answers, ',')) {
            const std::vector<std::string> words = Words(answer);
            OPENSEND_CHECK(words.size() == 2, "an answer is a status and what it holds");
            WriteAnswer(words[0], words[1]);
            refusals.erase(words[0]);
        }
        for (const std::string& status : refusals) {
            out_.Key(status).BeginObject().Field("$ref", "#/components/responses/Problem");
            out_.EndObject();
        }
        out_.EndObject();
    }

    void WriteAnswer(const std::string& status, const std::string& holds) {
        const bool failed = status.front() >= '4';
        out_.Key(status).BeginObject().Field("description", failed ? "Refused" : "Done");
        if (holds == "nothing") {
            out_.EndObject();
            return;
        }
        out_.Key("content").BeginObject();
        if (holds.find('/') != std::string::npos) {
            out_.Key(holds).BeginObject().EndObject();
        } else {
            out_.Key("application/json").BeginObject();
            if (failed) {
                out_.Key("schema").BeginObject().Key("anyOf").BeginArray();
                WriteReference(holds);
                WriteReference("Problem");
                out_.EndArray().EndObject();
            } else {
                WriteSchema(holds);
            }
            out_.EndObject();
        }
        out_.EndObject().EndObject();
    }

    json::Value Schema(std::string_view name) const {
        const auto found = definitions_.schemas().find(name);
        OPENSEND_CHECK(found != definitions_.schemas().end(), "a schema of a route is defined");
        return found->second;
    }
    void WriteSchema(std::string_view name) {
        out_.Key("schema");
        WriteReference(name);
    }
    /// "Email", or "Email[]" for a page of them, which is a schema of its own.
    void WriteReference(std::string_view name) {
        const bool is_list = name.size() > 2 && name.substr(name.size() - 2) == "[]";
        const std::string item(is_list ? name.substr(0, name.size() - 2) : name);
        Schema(item);
        if (is_list) lists_.insert(item);
        out_.BeginObject();
        out_.Field("$ref", base::Cat("#/components/schemas/", item, is_list ? "List" : ""));
        out_.EndObject();
    }

    void WriteComponents() {
        out_.Key("components").BeginObject().Key("securitySchemes").BeginObject();
        out_.Key("apiKey").BeginObject().Field("type", "http").Field("scheme", "bearer");
        out_.Field("description", "An API key, os_…").EndObject().EndObject();
        out_.Key("responses").BeginObject().Key("Problem").BeginObject();
        out_.Field("description", "Refused").Key("content").BeginObject();
        out_.Key("application/json").BeginObject();
        WriteSchema("Problem");
        out_.EndObject().EndObject().EndObject().EndObject();
        out_.Key("parameters").BeginObject();
        for (const auto& [key, value] : definitions_.parameters()) {
            OPENSEND_CHECK(used_parameters_.contains(key), "a defined parameter is used");
            const size_t dot = key.find('.');
            out_.Key(key).BeginObject();
            if (value.Find("name").IsMissing()) {
                out_.Field("name", dot == key.npos ? key : key.substr(dot + 1));
            }
            for (size_t i = 0; i < value.size(); ++i) {
                out_.Key(value.NameAt(i));
                WriteValue(out_, value.MemberAt(i));
            }
            out_.EndObject();
        }
        out_.EndObject().Key("schemas").BeginObject();
        for (const auto& [name, value] : definitions_.schemas()) {
            out_.Key(name);
            WriteValue(out_, value);
        }
        for (const std::string& item : lists_) WriteList(item);
        out_.EndObject().EndObject();
        out_.Key("security").BeginArray().BeginObject().Key("apiKey").BeginArray().EndArray();
        out_.EndObject().EndArray();
    }

    void WriteList(const std::string& item) {
        out_.Key(item + "List").BeginObject().Field("type", "object");
        out_.Key("properties").BeginObject();
        out_.Key("object").BeginObject().Field("const", "list").EndObject();
        out_.Key("has_more").BeginObject().Field("type", "boolean").EndObject();
        out_.Key("data").BeginObject().Field("type", "array").Key("items");
        WriteReference(item);
        out_.EndObject().EndObject();
        out_.Field("required", std::vector<std::string>{"object", "has_more", "data"});
        out_.Field("additionalProperties", false).EndObject();
    }

    const std::vector<MountedRoute>& routes_;
    const Definitions definitions_;
    std::set<std::string> lists_;            // schemas that some answer has a page of
    std::set<std::string> used_parameters_;  // keys
    json::Writer out_;
};

}  // namespace

std::string OpenApiText(
    const std::vector<MountedRoute>& routes,
    std::span<const base::EmbeddedFile> files,
    std::string_view server_url
) {
    return Builder(routes, files).Build(server_url);
}

}  // namespace opensend::api
