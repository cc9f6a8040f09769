#include "plugins/smtp/config.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <rapidjson/document.h>

namespace opensend::smtp_plugin {
namespace {

constexpr size_t kMaxConfig = 64 * 1024;
constexpr size_t kMaxMember = 4096;

class Reader {
public:
    Reader(const rapidjson::Value& object, std::string& problem)
        : object_(object), problem_(problem) {}

    [[nodiscard]] bool ok() const { return problem_.empty(); }

    void Refuse(const char* name, const char* rule) {
        if (ok()) problem_.assign(name).append(" ").append(rule);
    }

    void Text(const char* name, std::string& out) {
        const rapidjson::Value* value = Find(name);
        if (value == nullptr) return;
        if (!value->IsString()) return Refuse(name, "must be a string");
        Take(name, *value, out);
    }

    void Number(const char* name, size_t low, size_t high, size_t& out) {
        const rapidjson::Value* value = Find(name);
        if (value == nullptr) return;
        uint64_t number = 0;
        bool good = value->IsUint64();
        if (good) number = value->GetUint64();
        if (value->IsString()) {
            const char* end = value->GetString() + value->GetStringLength();
            const auto parsed = std::from_chars(value->GetString(), end, number);
            good = parsed.ec == std::errc() && parsed.ptr == end;
        }
        if (!good || number < low || number > high) {
            return Refuse(name, "must be a number within its range");
        }
        out = number;
    }

    void Bool(const char* name, bool& out) {
        const rapidjson::Value* value = Find(name);
        if (value == nullptr) return;
        if (value->IsBool()) {
            out = value->GetBool();
            return;
        }
        const std::string_view text = value->IsString() ? value->GetString() : "";
        if (text != "true" && text != "false") return Refuse(name, "must be true or false");
        out = text == "true";
    }

    void Secret(const char* name, Credential& out) {
        const rapidjson::Value* value = Find(name);
        if (value == nullptr) return;
        if (value->IsString()) return Take(name, *value, out.value);
        const bool is_ref = value->IsObject() && value->MemberCount() == 1 &&
                            value->HasMember("$secret") && (*value)["$secret"].IsString();
        if (!is_ref) return Refuse(name, "must be a string or a secret reference");
        Take(name, (*value)["$secret"], out.secret_ref);
        if (out.secret_ref.empty()) Refuse(name, "names no secret");
    }

private:
    const rapidjson::Value* Find(const char* name) const {
        const auto found = object_.FindMember(name);
        if (found == object_.MemberEnd() || found->value.IsNull()) return nullptr;
        return &found->value;
    }

    void Take(const char* name, const rapidjson::Value& value, std::string& out) {
        const std::string_view text(value.GetString(), value.GetStringLength());
        if (text.size() > kMaxMember) return Refuse(name, "is too long");
        if (text.find('\0') != std::string_view::npos) return Refuse(name, "holds a NUL");
        out = text;
    }

    const rapidjson::Value& object_;
    std::string& problem_;
};

/// Letters, digits and what an address literal or a host name needs besides.
bool IsHostText(std::string_view text, size_t limit) {
    return !text.empty() && text.size() <= limit &&
           std::all_of(text.begin(), text.end(), [](char c) {
               const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
               return letter || (c >= '0' && c <= '9') ||
                      std::string_view(".-_:[]%").find(c) != std::string_view::npos;
           });
}

void ReadTls(Reader& reader, bool implicit_tls, TlsMode& tls) {
    std::string text;
    reader.Text("tls", text);
    if (implicit_tls) {
        tls = TlsMode::kImplicit;
        if (!text.empty() && text != "required")
            reader.Refuse("tls", "is always required by smtps");
    } else if (text.empty() || text == "opportunistic") {
        tls = TlsMode::kOpportunistic;
    } else if (text == "required") {
        tls = TlsMode::kRequired;
    } else if (text == "none") {
        tls = TlsMode::kNone;
    } else {
        reader.Refuse("tls", "must be opportunistic, required or none");
    }
}

}  // namespace

std::string LocalHelo() {
    constexpr size_t kMaxName = 255;
    char name[kMaxName + 1] = {};
    if (gethostname(name, kMaxName) != 0) return "localhost";
    const std::string_view text(name);
    const bool usable = IsHostText(text, kMaxName) &&
                        text.find_first_of("_:[]%") == std::string_view::npos &&
                        text.front() != '-' && text.front() != '.';
    return usable ? std::string(text) : "localhost";
}

std::optional<Config> ParseConfig(std::string_view json, bool implicit_tls, std::string& problem) {
    problem.clear();
    if (json.size() > kMaxConfig) {
        problem = "the configuration is too long";
        return std::nullopt;
    }
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (document.HasParseError() || !document.IsObject()) {
        problem = "the configuration is not a JSON object";
        return std::nullopt;
    }
    Config config;
    Reader reader(document, problem);
    reader.Text("host", config.host);
    if (config.host.size() > 2 && config.host.front() == '[' && config.host.back() == ']') {
        config.host = config.host.substr(1, config.host.size() - 2);
    }
    if (!IsHostText(config.host, 253)) reader.Refuse("host", "must name the relay");
    size_t port = implicit_tls ? 465 : 25;
    reader.Number("port", 1, 65535, port);
    config.port = std::to_string(port);
    reader.Secret("username", config.username);
    reader.Secret("password", config.password);
    if (config.username.is_set() != config.password.is_set()) {
        reader.Refuse("username", "and password go together");
    }
    ReadTls(reader, implicit_tls, config.tls);
    config.helo = LocalHelo();
    reader.Text("helo", config.helo);
    if (!IsHostText(config.helo, 255))
        reader.Refuse("helo", "must be a host name or address literal");
    reader.Text("ca_file", config.ca_file);
    reader.Text("local_address", config.local_address);
    if (!config.local_address.empty() && !IsHostText(config.local_address, 64)) {
        reader.Refuse("local_address", "must be an IP address");
    }
    reader.Number("max_connections", 1, kMaxConnections, config.max_connections);
    reader.Bool("allow_insecure_auth", config.allow_insecure_auth);
    if (!reader.ok()) return std::nullopt;
    return config;
}

const char* ConfigSchema() {
    return R"json({"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
"required":["host"],"properties":{
"host":{"type":"string","minLength":1,"maxLength":255},
"port":{"type":["integer","string"]},
"tls":{"enum":["opportunistic","required","none"]},
"username":{"anyOf":[{"type":"string"},{"$ref":"opensend:secret"}]},
"password":{"anyOf":[{"type":"string"},{"$ref":"opensend:secret"}]},
"helo":{"type":"string","maxLength":255},
"ca_file":{"type":"string"},
"local_address":{"type":"string"},
"max_connections":{"type":["integer","string"]},
"allow_insecure_auth":{"type":["boolean","string"]}}})json";
}

}  // namespace opensend::smtp_plugin
