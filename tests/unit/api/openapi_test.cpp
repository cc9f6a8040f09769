#include "kernel/api/openapi.h"

#include <type_traits>

#include <gmock/gmock.h>

#include "kernel/json/value.h"

namespace opensend::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

static_assert(!std::is_default_constructible_v<RouteDoc>, "a row without documentation");

constexpr base::EmbeddedFile kFiles[] = {
    {"a.schema.json", R"({
        "schemas": {
            "Problem": {"type": "object"},
            "Thing": {"type": "object", "properties": {"z": {"minimum": 1.5}, "a": {"const": true}}},
            "NewThing": {"type": "object", "required": ["z"]},
            "Change": {"type": "object"}},
        "parameters": {
            "id": {"in": "path", "required": true, "schema": {"type": "string"}},
            "limit": {"in": "query", "schema": {"type": "integer"}},
            "after": {"in": "query", "schema": {"type": "string"}},
            "before": {"in": "query", "schema": {"type": "string"}},
            "Idempotency-Key": {"in": "header", "schema": {"type": "string"}},
            "X-OpenSend-Strict": {"in": "header", "schema": {"type": "string"}}}})"               },
    {"b.schema.json", R"({"parameters": {
        "things.after": {"in": "query", "schema": {"type": "integer"}},
        "row_limit": {"name": "limit", "in": "query", "schema": {"type": "integer"}}}})"},
};

class OpenApiTest : public testing::Test {
protected:
    OpenApiTest() {
        Add(Method::GET, "/things", RouteClass::kRead,
            {.id = "things.list", .summary = "List", .answers = "200 Thing[]", .takes = "page"});
        Add(Method::POST, "/things", RouteClass::kAdmin,
            {.id = "things.create",
             .summary = "Make",
             .answers = "201 Thing, 200 Thing",
             .body = "NewThing"});
        Add(Method::PATCH, "/things/:id", RouteClass::kWrite,
            {.id = "things.change",
             .summary = "Change",
             .answers = "200 Thing",
             .body = "Change",
             .refusals = "410"});
        Add(Method::GET, "/others", RouteClass::kPublic,
            {.id = "others.read",
             .summary = "Read",
             .answers = "200 text/csv, 304 nothing, 503 Thing",
             .takes = "row_limit after"});
    }
    using RouteClass = model::RouteClass;

    void Add(Method method, std::string path, RouteClass scope, RouteDoc doc) {
        routes_.push_back({method, std::move(path), scope, {}, nullptr, doc});
    }
    json::Value Read() {
        auto parsed = json::Document::Parse(OpenApiText(routes_, kFiles, "https://mail.example"));
        EXPECT_TRUE(parsed.ok());
        document_.emplace(std::move(*parsed));
        return document_->root();
    }
    json::Value Operation(std::string_view path, std::string_view method) {
        return Read().Find("paths").Find(path).Find(method);
    }
    static std::vector<std::string> Names(const json::Value& object) {
        std::vector<std::string> names;
        for (size_t i = 0; i < object.size(); ++i) names.emplace_back(object.NameAt(i));
        return names;
    }
    std::vector<std::string> Parameters(std::string_view path, std::string_view method) {
        const json::Value list = Operation(path, method).Find("parameters");
        std::vector<std::string> names;
        for (size_t i = 0; i < list.size(); ++i) {
            const std::string reference(list.At(i).Find("$ref").AsString());
            names.push_back(reference.substr(std::string("#/components/parameters/").size()));
        }
        return names;
    }

    std::vector<MountedRoute> routes_;
    std::optional<json::Document> document_;
};

TEST_F(OpenApiTest, EveryRowIsAnOperationUnderItsPath) {
    const json::Value paths = Read().Find("paths");
    EXPECT_THAT(Names(paths), ElementsAre("/things", "/things/{id}", "/others"));
    EXPECT_THAT(Names(paths.Find("/things")), ElementsAre("get", "post"));
    EXPECT_EQ(
        paths.Find("/things/{id}").Find("patch").Find("operationId").AsString(), "things.change"
    );
    EXPECT_EQ(Read().Find("servers").At(0).Find("url").AsString(), "https://mail.example");
    EXPECT_EQ(Read().Find("tags").size(), 2u);
}

TEST_F(OpenApiTest, AParameterOfTheTagGoesBeforeTheSharedOne) {
    EXPECT_THAT(Parameters("/things", "get"), ElementsAre("limit", "things.after", "before"));
    EXPECT_THAT(Parameters("/others", "get"), ElementsAre("row_limit", "after"));
    const json::Value known = Read().Find("components").Find("parameters");
    EXPECT_EQ(known.Find("things.after").Find("name").AsString(), "after");
    EXPECT_EQ(known.Find("row_limit").Find("name").AsString(), "limit");
    EXPECT_THAT(Parameters("/things/{id}", "patch"), ElementsAre("id", "X-OpenSend-Strict"));
}

TEST_F(OpenApiTest, AListIsASchemaOfItsOwn) {
    const json::Value list = Read().Find("components").Find("schemas").Find("ThingList");
    EXPECT_EQ(
        list.Find("properties").Find("data").Find("items").Find("$ref").AsString(),
        "#/components/schemas/Thing"
    );
    EXPECT_FALSE(list.Find("additionalProperties").AsBool());
}

TEST_F(OpenApiTest, SchemasAreTakenAsTheyAreWritten) {
    const json::Value properties =
        Read().Find("components").Find("schemas").Find("Thing").Find("properties");
    EXPECT_THAT(Names(properties), ElementsAre("z", "a"));
    EXPECT_EQ(properties.Find("z").Find("minimum").AsDouble(), 1.5);
    EXPECT_TRUE(properties.Find("a").Find("const").AsBool());
}

TEST_F(OpenApiTest, RefusalsFollowFromTheRow) {
    const auto created = Names(Operation("/things", "post").Find("responses"));
    EXPECT_THAT(created, IsSupersetOf({"200", "201", "401", "403", "409", "415", "422", "503"}));
    EXPECT_THAT(created, Not(testing::Contains("404")));
    const auto changed = Names(Operation("/things/{id}", "patch").Find("responses"));
    EXPECT_THAT(changed, IsSupersetOf({"404", "410", "415"}));
    EXPECT_THAT(changed, Not(testing::Contains("409")));
    const auto read = Names(Operation("/others", "get").Find("responses"));
    EXPECT_THAT(read, Not(testing::Contains(testing::AnyOf("401", "403", "415"))));
}

TEST_F(OpenApiTest, AnAnswerMayBeBytesNothingOrARefusalOfItsOwn) {
    const json::Value responses = Operation("/others", "get").Find("responses");
    EXPECT_THAT(Names(responses.Find("200").Find("content")), ElementsAre("text/csv"));
    EXPECT_TRUE(responses.Find("304").Find("content").IsMissing());
    const json::Value refused =
        responses.Find("503").Find("content").Find("application/json").Find("schema");
    EXPECT_EQ(refused.Find("anyOf").size(), 2u);
}

TEST_F(OpenApiTest, WhoMayCallIsSaid) {
    const json::Value created = Operation("/things", "post");
    EXPECT_EQ(created.Find("x-opensend-scope").AsString(), "admin");
    EXPECT_EQ(created.Find("x-opensend-permissions").size(), 1u);
    EXPECT_TRUE(created.Find("security").IsMissing()) << "the document's own counts";
    const json::Value read = Operation("/others", "get");
    EXPECT_EQ(read.Find("security").size(), 0u);
    EXPECT_TRUE(read.Find("security").IsArray());
}

TEST_F(OpenApiTest, ABodyIsRequiredWhenAnEmptyOneIsNotEnough) {
    EXPECT_TRUE(Operation("/things", "post").Find("requestBody").Find("required").AsBool());
    EXPECT_FALSE(Operation("/things/{id}", "patch").Find("requestBody").Find("required").AsBool());
    EXPECT_TRUE(Operation("/things", "get").Find("requestBody").IsMissing());
}

using OpenApiDeathTest = OpenApiTest;

TEST_F(OpenApiDeathTest, ARowWithoutDocumentationIsABug) {
    routes_.push_back({Method::GET, "/silent", RouteClass::kRead, {}, nullptr});
    EXPECT_DEATH(Read(), "every route is documented");
}

TEST_F(OpenApiDeathTest, NamesThatNothingDefinesAreABug) {
    Add(Method::GET, "/x", RouteClass::kRead,
        {.id = "x.get", .summary = "Get", .answers = "200 Nothing"});
    EXPECT_DEATH(Read(), "a schema of a route is defined");
    routes_.pop_back();
    Add(Method::GET, "/x", RouteClass::kRead,
        {.id = "x.get", .summary = "Get", .answers = "200 Thing", .takes = "color"});
    EXPECT_DEATH(Read(), "a parameter of a route is defined");
}

TEST_F(OpenApiDeathTest, TwoRowsOfOneIdAreABug) {
    Add(Method::GET, "/x", RouteClass::kRead,
        {.id = "things.list", .summary = "Get", .answers = "200 Thing"});
    EXPECT_DEATH(Read(), "ids of routes differ");
}

}  // namespace
}  // namespace opensend::api
