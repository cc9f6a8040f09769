#include "kernel/json/writer.h"

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/json/literal.h"

namespace opensend::json {

void Writer::Separate() {
    if (after_key_) {
        after_key_ = false;
        return;
    }
    if (open_.empty()) {
        OPENSEND_CHECK(out_.empty(), "a JSON text is one value");
        return;
    }
    Container& container = open_.back();
    OPENSEND_CHECK(!container.is_object, "a member needs a key");
    if (!container.is_empty) out_ += ',';
    container.is_empty = false;
}

Writer& Writer::Begin(char bracket) {
    Separate();
    out_ += bracket;
    open_.push_back({bracket == '{', true});
    return *this;
}

Writer& Writer::End(char bracket) {
    const bool is_object = bracket == '}';
    OPENSEND_CHECK(
        !open_.empty() && open_.back().is_object == is_object && !after_key_,
        "the end matches no beginning"
    );
    open_.pop_back();
    out_ += bracket;
    return *this;
}

Writer& Writer::BeginObject() { return Begin('{'); }
Writer& Writer::EndObject() { return End('}'); }
Writer& Writer::BeginArray() { return Begin('['); }
Writer& Writer::EndArray() { return End(']'); }

Writer& Writer::Key(std::string_view name) {
    OPENSEND_CHECK(
        !open_.empty() && open_.back().is_object && !after_key_, "a key stands in an object"
    );
    if (!open_.back().is_empty) out_ += ',';
    open_.back().is_empty = false;
    AppendString(out_, name, LineSeparators::kEscaped);
    out_ += ':';
    after_key_ = true;
    return *this;
}

Writer& Writer::String(std::string_view text) {
    Separate();
    AppendString(out_, text, LineSeparators::kEscaped);
    return *this;
}

Writer& Writer::Int(int64_t number) {
    Separate();
    base::AppendPiece(out_, number);
    return *this;
}

Writer& Writer::Double(double number) {
    Separate();
    AppendNumber(out_, number);
    return *this;
}

Writer& Writer::Bool(bool value) { return Raw(value ? "true" : "false"); }

Writer& Writer::Null() { return Raw("null"); }

Writer& Writer::Raw(std::string_view json) {
    Separate();
    out_ += json;
    return *this;
}

Writer& Writer::Field(std::string_view name, base::Time time) {
    return Key(name).String(base::FormatIso(time));
}

Writer& Writer::Field(std::string_view name, const std::vector<std::string>& texts) {
    Key(name).BeginArray();
    for (const auto& text : texts) String(text);
    return EndArray();
}

std::string Quote(std::string_view text) {
    std::string out;
    AppendString(out, text, LineSeparators::kEscaped);
    return out;
}

}  // namespace opensend::json
