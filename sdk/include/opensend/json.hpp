// JSON in C++ words; see json.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <opensend/json.h>
#include <opensend/plugin.hpp>

namespace osp {

/// A value within a text that must outlive it; one that is not there is absent and has nothing.
class Json {
public:
    Json() = default;
    /// Throws Error with `status` when the text is not JSON.
    static Json Parse(std::string_view text, osp_status status = OSP_E_INVALID) {
        const Json value(osp_json_parse(Str(text)));
        if (!value.is_there()) throw Error(status, "no JSON, or too deep");
        return value;
    }
    /// The configuration of an instance. Throws OSP_E_CONFIG for what is no object, and for keys
    /// that are not among the known ones.
    static Json Config(const osp_create_args& args, std::initializer_list<const char*> known) {
        const Json config = Parse(View(args.config), OSP_E_CONFIG);
        if (!config.is_object()) throw Error(OSP_E_CONFIG, "the configuration is no object");
        const osp_str key = osp_json_stranger(config.raw_, known.begin(), known.size());
        if (key.len > 0)
            throw Error(OSP_E_CONFIG, "unknown key " + std::string(View(key).substr(0, 80)));
        return config;
    }

    bool is_there() const { return raw_.len > 0; }
    bool is_object() const { return osp_json_first(raw_) == '{'; }
    bool is_array() const { return osp_json_first(raw_) == '['; }

    Json operator[](const char* name) const {
        return is_object() ? Json(osp_json_find(raw_, name)) : Json();
    }
    std::vector<Json> Items() const {
        std::vector<Json> items;
        osp_json_walk walk = osp_json_begin(raw_);
        osp_str key{}, value{};
        while (!walk.is_object && osp_json_next(&walk, &key, &value)) items.push_back(Json(value));
        return items;
    }
    std::optional<std::string> Text() const {
        std::string text(raw_.len, '\0');
        const int64_t length = osp_json_text(raw_, text.data(), text.size());
        if (length < 0) return std::nullopt;
        text.resize(static_cast<size_t>(length));
        return text;
    }
    std::optional<int64_t> Int() const {
        int64_t number = 0;
        return osp_json_int(raw_, &number) != 0 ? std::optional(number) : std::nullopt;
    }
    bool IsTrue() const { return View(raw_) == "true"; }
    /// The reference in {"$secret":"<ref>"}.
    std::optional<std::string> SecretRef() const { return (*this)["$secret"].Text(); }
    /// The value as it stands in the text.
    std::string_view raw() const { return View(raw_); }

private:
    explicit Json(osp_str raw) : raw_(raw) {}
    osp_str raw_{nullptr, 0};
};

}  // namespace osp
