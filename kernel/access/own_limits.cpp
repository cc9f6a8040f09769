#include "kernel/access/own_limits.h"

#include "kernel/base/check.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::access {
namespace {

constexpr std::string_view kNoLimits = "{}";

uint64_t PositiveOf(const json::Value& entry, std::string_view name) {
    const json::Value number = entry.Find(name);
    OPENSEND_CHECK(number.IsInt() && number.AsInt() > 0, "stored limits have positive numbers");
    return static_cast<uint64_t>(number.AsInt());
}

}  // namespace

OwnLimits ReadOwnLimits(std::string_view json) {
    OwnLimits limits;
    if (json == kNoLimits) return limits;
    const auto document = json::Document::Parse(json);
    OPENSEND_CHECK(document.ok() && document->root().IsObject(), "stored limits are JSON");
    const json::Value root = document->root();
    for (size_t i = 0; i < root.size(); ++i) {
        const json::Value entry = root.MemberAt(i);
        OPENSEND_CHECK(entry.Find("rate").IsString(), "stored limits say their rate");
        limits[std::string(root.NameAt(i))] = {
            std::string(entry.Find("rate").AsString()), PositiveOf(entry, "emission_us"),
            PositiveOf(entry, "burst")};
    }
    return limits;
}

std::string WriteOwnLimits(const OwnLimits& limits) {
    json::Writer out;
    out.BeginObject();
    for (const auto& [bucket, limit] : limits) {
        out.Key(bucket).BeginObject().Field("rate", limit.rate);
        out.Field("emission_us", static_cast<int64_t>(limit.emission_us));
        out.Field("burst", static_cast<int64_t>(limit.burst)).EndObject();
    }
    out.EndObject();
    return out.Take();
}

std::shared_ptr<const model::OwnRates> RatesOf(
    std::string_view org_json, std::string_view key_json
) {
    if (org_json == kNoLimits && key_json == kNoLimits) return nullptr;
    OwnLimits limits = ReadOwnLimits(key_json);
    limits.merge(ReadOwnLimits(org_json));
    auto rates = std::make_shared<model::OwnRates>();
    for (const auto& [bucket, limit] : limits) {
        rates->push_back({bucket, limit.emission_us, limit.burst});
    }
    return rates;
}

}  // namespace opensend::access
