#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"

namespace opensend::json {

/// Streams JSON text. Members appear in call order. Misuse (value without key) is a broken
/// invariant.
class Writer {
public:
    Writer& BeginObject();
    Writer& EndObject();
    Writer& BeginArray();
    Writer& EndArray();
    Writer& Key(std::string_view name);
    Writer& String(std::string_view text);
    Writer& Int(int64_t number);
    /// A finite number, shortest form.
    Writer& Double(double number);
    Writer& Bool(bool value);
    Writer& Null();
    /// JSON text made elsewhere, unchecked.
    Writer& Raw(std::string_view json);

    /// Key and value in one call.
    Writer& Field(std::string_view name, std::string_view text) { return Key(name).String(text); }
    Writer& Field(std::string_view name, const char* text) { return Key(name).String(text); }
    Writer& Field(std::string_view name, const std::string& text) { return Key(name).String(text); }
    Writer& Field(std::string_view name, bool value) { return Key(name).Bool(value); }
    Writer& Field(std::string_view name, int64_t number) { return Key(name).Int(number); }
    Writer& Field(std::string_view name, int number) { return Key(name).Int(number); }
    Writer& Field(std::string_view name, double number) { return Key(name).Double(number); }
    /// An instant in the format of REST 1.9.
    Writer& Field(std::string_view name, base::Time time);
    /// null when empty.
    template <class T>
    Writer& Field(std::string_view name, const std::optional<T>& value) {
        return value ? Field(name, *value) : NullField(name);
    }
    Writer& Field(std::string_view name, const std::vector<std::string>& texts);
    Writer& NullField(std::string_view name) { return Key(name).Null(); }
    Writer& RawField(std::string_view name, std::string_view json) { return Key(name).Raw(json); }

    const std::string& text() const { return out_; }
    std::string Take() { return std::exchange(out_, {}); }

private:
    struct Container {
        bool is_object = false;
        bool is_empty = true;
    };
    void Separate();
    Writer& Begin(char bracket);
    Writer& End(char bracket);

    std::string out_;
    std::vector<Container> open_;
    bool after_key_ = false;
};

/// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, here and in Writer.
std::string Quote(std::string_view text);

}  // namespace opensend::json
