#include <charconv>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/json/node.h"
#include "kernel/json/value.h"

#if defined(__SSE2__) && !defined(RAPIDJSON_SSE2)
#define RAPIDJSON_SSE2
#endif
// The reader's stack compares an offset from null before its first allocation, which works
// everywhere but trips the sanitizer of clang.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace opensend::json {
namespace {

constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;
constexpr double kMaxIntegerReal = 9007199254740991.0;
// Vector loads of the scanner may touch this many bytes behind the text.
constexpr size_t kPadding = 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool HasSurrogate(std::string_view text) {
    for (size_t at = text.find('\xED'); at != std::string_view::npos;
         at = text.find('\xED', at + 1)) {
        if (at + 1 < text.size() && static_cast<uint8_t>(text[at + 1]) >= 0xA0) return true;
    }
    return false;
}

/// Receives the reader's events, refuses what exceeds the limits and builds the tree bottom-up: the
/// children of open containers lie on one stack and move to the arena when their container ends.
class TreeBuilder {
public:
    using Ch = char;

    TreeBuilder(Arena& arena, const Limits& limits, bool has_escapes)
        : arena_(arena), limits_(limits), has_escapes_(has_escapes) {
        stack_.reserve(64);
        frames_.reserve(limits.max_depth < 32 ? limits.max_depth : 32);
    }

    bool Null() { return Add({}); }
    bool Bool(bool value) {
        Node node;
        node.kind = value ? NodeKind::kTrue : NodeKind::kFalse;
        return Add(node);
    }
    bool RawNumber(const char* text, unsigned size, bool);
    // The reader hands every number over as text; it only wants these to exist.
    bool Int(int value) { return Int64(value); }
    bool Uint(unsigned value) { return Int64(value); }
    bool Int64(int64_t value) { return Double(static_cast<double>(value)); }
    bool Uint64(uint64_t value) { return Double(static_cast<double>(value)); }
    bool Double(double value);
    bool String(const char* text, unsigned size, bool) {
        const auto node = TextNode(text, size);
        return node.kind == NodeKind::kString && Add(node);
    }
    bool StartObject() { return Begin(true); }
    bool Key(const char* text, unsigned size, bool) {
        if (++frames_.back().count > limits_.max_keys) {
            return TooComplex(base::Cat("an object has more than ", limits_.max_keys, " keys"));
        }
        const auto node = TextNode(text, size);
        return node.kind == NodeKind::kString && Push(node);
    }
    bool EndObject(unsigned);
    bool StartArray() { return Begin(false); }
    bool EndArray(unsigned);

    const Node& root() const { return stack_.front(); }
    /// Why an event was refused.
    ParseFailure& failure() { return failure_; }

private:
    struct Frame {
        size_t base = 0;   // its first child on the stack
        size_t count = 0;  // keys or elements
        bool is_object = false;
        bool is_bytes = false;  // an array of nothing but bytes so far, which lie in bytes_
    };

    bool Refuse(std::string reason) {
        failure_.reason = std::move(reason);
        return false;
    }
    bool TooComplex(std::string reason) {
        failure_.too_complex = true;
        return Refuse(std::move(reason));
    }
    Node TextNode(const char* text, unsigned size) {
        Node node;
        if (has_escapes_ && HasSurrogate({text, size})) {
            Refuse("half of a surrogate pair stands alone");
            return node;
        }
        node.kind = NodeKind::kString;
        node.size = size;
        node.text = text;
        return node;
    }
    bool Push(const Node& node) {
        if (++values_ > limits_.max_values) {
            return TooComplex(base::Cat("it holds more than ", limits_.max_values, " values"));
        }
        stack_.push_back(node);
        return true;
    }
    bool Add(const Node& node);
    bool CountElement(Frame& frame);
    bool Spill(Frame& frame);
    bool Begin(bool is_object);
    bool End(NodeKind kind, size_t size);
    bool HasTwins(const Node* nodes, size_t size);

    Arena& arena_;
    const Limits& limits_;
    const bool has_escapes_;
    std::vector<Node> stack_;
    std::vector<Frame> frames_;
    std::string bytes_;  // of the innermost array; only that one can still be all bytes
    std::vector<std::string_view> names_;
    size_t values_ = 0;
    ParseFailure failure_;
};

// std::from_chars rounds correctly for every text, which the reader's own conversion does not.
bool TreeBuilder::RawNumber(const char* text, unsigned size, bool) {
    const char* const end = text + size;
    int64_t integer = 0;
    const auto whole = std::from_chars(text, end, integer);
    if (whole.ec == std::errc() && whole.ptr == end && integer <= kMaxInteger &&
        integer >= -kMaxInteger) {
        Node node;
        node.kind = NodeKind::kInt;
        node.integer = integer;
        return Add(node);
    }
    double real = 0;
    if (std::from_chars(text, end, real).ec == std::errc()) return Double(real);
    // The reader has refused what is too large, but for some texts with a huge first part.
    const std::string_view number(text, size);
    const bool is_tiny = number.find("e-") != std::string_view::npos ||
                         number.find("E-") != std::string_view::npos || number.starts_with("0") ||
                         number.starts_with("-0");
    return is_tiny ? Double(0) : Refuse("a number is too large");
}

bool TreeBuilder::Double(double value) {
    Node node;
    if (std::abs(value) <= kMaxIntegerReal && std::trunc(value) == value) {
        node.kind = NodeKind::kInt;
        node.integer = static_cast<int64_t>(value);
    } else {
        node.kind = NodeKind::kReal;
        node.real = value;
    }
    return Add(node);
}

bool TreeBuilder::Add(const Node& node) {
    if (frames_.empty() || frames_.back().is_object) return Push(node);
    Frame& frame = frames_.back();
    if (frame.is_bytes) {
        if (node.kind == NodeKind::kInt && node.integer >= 0 && node.integer <= 255) {
            ++frame.count;
            bytes_ += static_cast<char>(node.integer);
            return true;
        }
        if (!Spill(frame)) return false;
    }
    return CountElement(frame) && Push(node);
}

bool TreeBuilder::CountElement(Frame& frame) {
    if (++frame.count <= limits_.max_elements) return true;
    return TooComplex(base::Cat("an array has more than ", limits_.max_elements, " elements"));
}

bool TreeBuilder::Spill(Frame& frame) {
    frame.is_bytes = false;
    const size_t count = std::exchange(frame.count, 0);
    for (size_t i = 0; i < count; ++i) {
        Node node;
        node.kind = NodeKind::kInt;
        node.integer = static_cast<uint8_t>(bytes_[i]);
        if (!CountElement(frame) || !Push(node)) return false;
    }
    return true;
}

bool TreeBuilder::Begin(bool is_object) {
    if (frames_.size() >= limits_.max_depth) {
        return TooComplex(base::Cat("it is nested more than ", limits_.max_depth, " levels deep"));
    }
    if (!frames_.empty() && !frames_.back().is_object) {
        Frame& parent = frames_.back();
        if (parent.is_bytes && !Spill(parent)) return false;
        if (!CountElement(parent)) return false;
    }
    frames_.push_back({stack_.size(), 0, is_object, !is_object});
    bytes_.clear();
    return true;
}

bool TreeBuilder::End(NodeKind kind, size_t size) {
    const size_t base = frames_.back().base;
    const size_t children = stack_.size() - base;
    Node node;
    node.kind = kind;
    node.size = static_cast<uint32_t>(size);
    if (kind == NodeKind::kBytes) {
        auto* bytes = static_cast<uint8_t*>(arena_.Allocate(bytes_.size()));
        if (!bytes_.empty()) std::memcpy(bytes, bytes_.data(), bytes_.size());
        node.bytes = bytes;
    } else if (children > 0) {
        auto* nodes = static_cast<Node*>(arena_.Allocate(children * sizeof(Node)));
        std::uninitialized_copy_n(stack_.data() + base, children, nodes);
        node.nodes = nodes;
    } else {
        node.nodes = nullptr;
    }
    stack_.resize(base);
    frames_.pop_back();
    // The parent counted this container when it began.
    return Push(node);
}

bool TreeBuilder::EndObject(unsigned) {
    const Frame& frame = frames_.back();
    if (HasTwins(stack_.data() + frame.base, frame.count)) {
        return Refuse("a key appears twice in one object");
    }
    return End(NodeKind::kObject, frame.count);
}

bool TreeBuilder::EndArray(unsigned) {
    const Frame& frame = frames_.back();
    return End(frame.is_bytes ? NodeKind::kBytes : NodeKind::kArray, frame.count);
}

bool TreeBuilder::HasTwins(const Node* nodes, size_t size) {
    const auto name = [&](size_t i) {
        return std::string_view(nodes[2 * i].text, nodes[2 * i].size);
    };
    if (size <= 16) {
        for (size_t i = 1; i < size; ++i) {
            for (size_t k = 0; k < i; ++k) {
                if (name(i) == name(k)) return true;
            }
        }
        return false;
    }
    // Sorting, unlike hashing, has no bad case that a sender could choose.
    names_.clear();
    for (size_t i = 0; i < size; ++i) names_.push_back(name(i));
    std::sort(names_.begin(), names_.end());
    return std::adjacent_find(names_.begin(), names_.end()) != names_.end();
}

std::string Explain(rapidjson::ParseErrorCode code) {
    switch (code) {
        case rapidjson::kParseErrorDocumentEmpty: return "the text is empty";
        case rapidjson::kParseErrorDocumentRootNotSingular: return "more text follows the value";
        case rapidjson::kParseErrorValueInvalid: return "a value was expected";
        case rapidjson::kParseErrorObjectMissName: return "a key in double quotes was expected";
        case rapidjson::kParseErrorObjectMissColon: return "a colon was expected after a key";
        case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket:
            return "a comma or closing brace was expected";
        case rapidjson::kParseErrorArrayMissCommaOrSquareBracket:
            return "a comma or closing bracket was expected";
        case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
            return "an escape lacks its four hexadecimal digits";
        case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
            return "half of a surrogate pair stands alone";
        case rapidjson::kParseErrorStringEscapeInvalid:
            return "a string holds a raw control character or an unknown escape";
        case rapidjson::kParseErrorStringMissQuotationMark: return "a string is not closed";
        case rapidjson::kParseErrorNumberTooBig: return "a number is too large";
        case rapidjson::kParseErrorNumberMissFraction:
        case rapidjson::kParseErrorNumberMissExponent: return "a number is incomplete";
        default: return "the syntax is wrong";
    }
}

}  // namespace

base::Result<Document, ParseFailure> Document::Parse(std::string_view text, const Limits& limits) {
    const auto refuse = [](std::string reason) {
        return base::Failure{
            ParseFailure{false, std::move(reason)}
        };
    };
    size_t skipped = 0;
    if (text.starts_with(kByteOrderMark)) {
        skipped = kByteOrderMark.size();
        text.remove_prefix(skipped);
    }
    if (text.size() > kMaxText) return refuse("the text is too long");
    if (!base::IsUtf8(text)) return refuse("the text is not valid UTF-8");
    // The reader takes NUL for the end of the text.
    if (text.find('\0') != std::string_view::npos) return refuse("the text holds a NUL byte");

    auto state = std::make_unique<State>();
    state->text.reserve(text.size() + kPadding);
    state->text.append(text).append(kPadding, '\0');
    TreeBuilder builder(state->arena, limits, text.find("\\u") != std::string_view::npos);
    rapidjson::InsituStringStream stream(state->text.data());
    rapidjson::Reader reader;
    constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                rapidjson::kParseNumbersAsStringsFlag;
    const auto result = reader.Parse<kFlags>(stream, builder);
    if (!result.IsError()) {
        state->root = builder.root();
        return Document(std::move(state));
    }
    ParseFailure failure = std::move(builder.failure());
    auto code = result.Code();
    // The reader also calls a text empty that begins with no value.
    const bool is_empty = result.Offset() >= text.size();
    if (code == rapidjson::kParseErrorDocumentEmpty && !is_empty) {
        code = rapidjson::kParseErrorValueInvalid;
    }
    if (code != rapidjson::kParseErrorTermination) failure.reason = Explain(code);
    if (!failure.too_complex) {
        failure.reason += base::Cat(" at byte ", result.Offset() + skipped);
    }
    return base::Failure{std::move(failure)};
}

}  // namespace opensend::json
