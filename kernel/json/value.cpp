#include "kernel/json/value.h"

#include <array>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/json/node.h"

namespace opensend::json {
namespace {

const Node* AsNode(const void* node) { return static_cast<const Node*>(node); }

const Node* ByteNode(uint8_t byte) {
    static const auto kNodes = [] {
        std::array<Node, 256> nodes;
        for (size_t i = 0; i < nodes.size(); ++i) {
            nodes[i].kind = NodeKind::kInt;
            nodes[i].integer = static_cast<int64_t>(i);
        }
        return nodes;
    }();
    return &kNodes[byte];
}

std::string_view TextOf(const Node& node) { return {node.text, node.size}; }

}  // namespace

Kind Value::kind() const {
    if (node_ == nullptr) return Kind::kMissing;
    switch (AsNode(node_)->kind) {
        case NodeKind::kNull: return Kind::kNull;
        case NodeKind::kFalse:
        case NodeKind::kTrue: return Kind::kBool;
        case NodeKind::kInt:
        case NodeKind::kReal: return Kind::kNumber;
        case NodeKind::kString: return Kind::kString;
        case NodeKind::kArray:
        case NodeKind::kBytes: return Kind::kArray;
        case NodeKind::kObject: return Kind::kObject;
    }
    return Kind::kMissing;
}

bool Value::IsInt() const { return node_ != nullptr && AsNode(node_)->kind == NodeKind::kInt; }

std::string_view Value::AsString() const {
    OPENSEND_CHECK(IsString(), "AsString() of another kind");
    return TextOf(*AsNode(node_));
}

bool Value::AsBool() const {
    OPENSEND_CHECK(IsBool(), "AsBool() of another kind");
    return AsNode(node_)->kind == NodeKind::kTrue;
}

int64_t Value::AsInt() const {
    OPENSEND_CHECK(IsInt(), "AsInt() of something else than an integer");
    return AsNode(node_)->integer;
}

double Value::AsDouble() const {
    OPENSEND_CHECK(IsNumber(), "AsDouble() of another kind");
    const Node& node = *AsNode(node_);
    return node.kind == NodeKind::kInt ? static_cast<double>(node.integer) : node.real;
}

size_t Value::size() const { return IsArray() || IsObject() ? AsNode(node_)->size : 0; }

Value Value::At(size_t index) const {
    OPENSEND_CHECK(IsArray() && index < size(), "At() outside an array");
    const Node& node = *AsNode(node_);
    return node.kind == NodeKind::kBytes ? Value(ByteNode(node.bytes[index]))
                                         : Value(node.nodes + index);
}

std::optional<size_t> Value::IndexOf(std::string_view name) const {
    if (!IsObject()) return std::nullopt;
    const Node& node = *AsNode(node_);
    for (size_t i = 0; i < node.size; ++i) {
        if (TextOf(node.nodes[2 * i]) == name) return i;
    }
    return std::nullopt;
}

Value Value::Find(std::string_view name) const {
    const auto index = IndexOf(name);
    return index ? MemberAt(*index) : Value();
}

std::string_view Value::NameAt(size_t index) const {
    OPENSEND_CHECK(IsObject() && index < size(), "NameAt() outside an object");
    return TextOf(AsNode(node_)->nodes[2 * index]);
}

Value Value::MemberAt(size_t index) const {
    OPENSEND_CHECK(IsObject() && index < size(), "MemberAt() outside an object");
    return Value(AsNode(node_)->nodes + 2 * index + 1);
}

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Value Document::root() const {
    OPENSEND_CHECK(state_ != nullptr, "root() of a document that was moved away");
    return Value(&state_->root);
}

}  // namespace opensend::json
