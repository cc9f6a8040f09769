#include "kernel/plugin/check/trial.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/json/writer.h"
#include "kernel/plugin/load/import.h"

namespace opensend::plugin_check {
namespace {

void ReplaceEach(std::string& text, std::string_view what, std::string_view with) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
}

/// A value of the schema's own, or the plainest of its type.
std::string SampleOf(const json::Value& schema, const std::string& scratch) {
    for (const char* name : {"default", "const"}) {
        if (!schema.Find(name).IsMissing()) return json::Canonical(schema.Find(name));
    }
    for (const char* name : {"examples", "enum"}) {
        const json::Value list = schema.Find(name);
        if (list.IsArray() && list.size() > 0) return json::Canonical(list.At(0));
    }
    if (schema.Find("$ref").IsString()) return R"({"$secret":"check"})";
    const json::Value type = schema.Find("type");
    const std::string_view name = type.IsString() ? type.AsString() : "string";
    if (name == "integer" || name == "number")
        return schema.Find("minimum").IsInt() ? base::Cat(schema.Find("minimum").AsInt()) : "1";
    if (name == "boolean") return "false";
    if (name == "array") return "[]";
    if (name == "object") return "{}";
    return json::Quote(scratch + "/value");
}

std::string ConfigOfSchema(const std::string& schema_text, const std::string& scratch) {
    const auto schema = json::Document::Parse(schema_text);
    if (!schema.ok()) return "{}";
    const json::Value required = schema->root().Find("required");
    std::string out;
    for (size_t i = 0; required.IsArray() && i < required.size(); ++i) {
        if (!required.At(i).IsString()) continue;
        const std::string_view name = required.At(i).AsString();
        const json::Value property = schema->root().Find("properties").Find(name);
        out +=
            base::Cat(out.empty() ? "" : ",", json::Quote(name), ":", SampleOf(property, scratch));
    }
    return base::Cat("{", out, "}");
}

template <class Table>
void ImportTable(const osp_kind& from, size_t least, Table& to) {
    if (!plugin::Import(from.table, least, to))
        throw Failed{"the kind's table is missing or short"};
}

}  // namespace

GuardedError::GuardedError() {
    error.size = sizeof error;
    std::memset(guard, 0xa5, sizeof guard);
}

bool GuardedError::IntactBehind() const {
    return std::all_of(std::begin(guard), std::end(guard), [](unsigned char c) {
        return c == 0xa5;
    });
}

Trial::Trial(const Target& file, std::string kind_label, uint64_t random_seed)
    : target(file), label(std::move(kind_label)), random(random_seed) {
    host.secrets["check"] = kCanary;
    auto parsed = json::Document::Parse(target.manifest);
    if (parsed.ok()) manifest_.emplace(std::move(*parsed));
}

Trial::~Trial() = default;

void* Trial::handle() {
    if (handle_ != nullptr) return handle_;
    handle_ = dlopen(target.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
        const char* why = dlerror();
        throw Failed{why == nullptr ? "dlopen gave no reason" : why};
    }
    return handle_;
}

void Trial::Close() {
    kind_.reset();
    plugin_ = nullptr;
    if (handle_ != nullptr) dlclose(std::exchange(handle_, nullptr));
}

const osp_plugin* Trial::plugin() {
    if (plugin_ != nullptr) return plugin_;
    void* symbol = dlsym(handle(), "osp_plugin_v1");
    Require(symbol != nullptr, "there is no function osp_plugin_v1");
    plugin_ = reinterpret_cast<const osp_plugin* (*)() noexcept>(symbol)();
    Require(plugin_ != nullptr, "osp_plugin_v1 returned null");
    return plugin_;
}

void Trial::ReadKind(const osp_kind* source) {
    osp_kind from{};
    if (!plugin::Import(source, OPENSEND_SIZE_THROUGH(osp_kind, table), from)) return;
    if (from.iface == nullptr || from.name == nullptr) return;
    if (base::Cat(from.iface, ":", from.name) != label) return;
    Kind& to = kind_.emplace();
    to.iface = from.iface;
    to.name = from.name;
    to.schema = from.config_schema == nullptr ? "{}" : from.config_schema;
    Require(
        plugin::Import(from.instance, OPENSEND_SIZE_THROUGH(osp_instance_vt, create), to.life),
        "the instance table is missing or short"
    );
    plugin::FillSuccess(to.life.start);
    plugin::FillSuccess(to.life.drain);
    plugin::FillNothing(to.life.stop);
    if (to.iface == OSP_KIND_TRANSPORT) {
        ImportTable(from, OPENSEND_SIZE_THROUGH(osp_transport_v1, get_caps), to.transport);
    } else if (to.iface == OSP_KIND_AUTH) {
        ImportTable(from, OPENSEND_SIZE_THROUGH(osp_auth_v1, authenticate), to.auth);
    } else if (to.iface == OSP_KIND_RATELIMIT) {
        ImportTable(from, OPENSEND_SIZE_THROUGH(osp_ratelimit_v1, acquire), to.ratelimit);
    } else if (to.iface == OSP_KIND_INBOUND) {
        ImportTable(from, OPENSEND_SIZE_THROUGH(osp_inbound_v1, handle), to.inbound);
    }
}

const Kind& Trial::kind() {
    if (kind_) return *kind_;
    const osp_plugin* all = plugin();
    for (uint32_t i = 0; i < all->n_kinds && i < 32 && !kind_; ++i) ReadKind(all->kinds[i]);
    Require(kind_.has_value(), base::Cat("the descriptor has no kind ", label));
    return *kind_;
}

json::Value Trial::SampleValue(std::string_view member) const {
    if (!manifest_) return {};
    const std::string name = label.substr(label.find(':') + 1);
    return manifest_->root().Find("check").Find(name).Find(member);
}

std::string Trial::Fill(std::string text) {
    const bool wants_peer = text.find("{smtp.") != std::string::npos;
    if (wants_peer && !peer_) peer_ = std::make_unique<SmtpPeer>();
    if (peer_) {
        ReplaceEach(text, "\"{smtp.port}\"", base::Cat(peer_->port()));
        ReplaceEach(text, "{smtp.port}", base::Cat(peer_->port()));
        ReplaceEach(text, "{smtp.host}", "127.0.0.1");
    }
    ReplaceEach(text, "{secret}", kCanary);
    ReplaceEach(text, "{dir}", target.scratch);
    return text;
}

std::optional<std::string> Trial::Sample(std::string_view member) {
    const json::Value value = SampleValue(member);
    if (value.IsMissing()) return std::nullopt;
    return Fill(value.IsString() ? std::string(value.AsString()) : json::Canonical(value));
}

std::string Trial::config() {
    auto text = target.config.empty() ? Sample("config") : Fill(target.config);
    if (!text) text = ConfigOfSchema(kind().schema, target.scratch);
    constexpr std::string_view kRef = R"("$secret":")";
    for (size_t at = 0; (at = text->find(kRef, at)) != std::string::npos;) {
        at += kRef.size();
        host.secrets[text->substr(at, text->find('"', at) - at)] = kCanary;
    }
    const json::Value keys = SampleValue("keys");
    for (size_t i = 0; keys.IsObject() && i < keys.size(); ++i) {
        const auto member = [&](const char* name) {
            const json::Value value = keys.MemberAt(i).Find(name);
            return value.IsString() ? std::string(value.AsString()) : std::string();
        };
        services.keys[std::string(keys.NameAt(i))] = {
            member("subject"), member("tenant"), member("scope"), member("data")};
    }
    return *text;
}

Life::Life(Trial& trial, const std::string& config) : kind_(trial.kind()) {
    Require(
        kind_.life.create != nullptr && kind_.life.destroy != nullptr,
        "create or destroy is missing"
    );
    // Memory of its own, so that a look behind its end is noticed by sanitizers at least.
    const std::vector<char> text(config.begin(), config.end());
    osp_create_args args{};
    args.size = sizeof args;
    args.host = trial.host.table();
    args.instance = osp::Str("check");
    args.config = {text.data(), text.size()};
    args.deadline = trial.host.Time() + 10'000'000'000u;
    status_ = kind_.life.create(&args, &inst_, &error_.error);
    if (status_ == OSP_OK) Require(inst_ != nullptr, "create said OK and made no instance");
}

osp_status Life::Start() {
    status_ = kind_.life.start(inst_, &error_.error);
    started_ = status_ == OSP_OK;
    return status_;
}

void Life::Stop() {
    if (started_) kind_.life.stop(inst_);
    started_ = false;
}

void Life::End() {
    Stop();
    if (status_ == OSP_OK && inst_ != nullptr) kind_.life.destroy(inst_);
    inst_ = nullptr;
}

std::unique_ptr<Life> Life::Started(Trial& trial) {
    auto life = std::make_unique<Life>(trial, trial.config());
    Require(life->status_ == OSP_OK, base::Cat("create: ", life->error_.text()));
    Require(life->Start() == OSP_OK, base::Cat("start: ", life->error_.text()));
    return life;
}

}  // namespace opensend::plugin_check
