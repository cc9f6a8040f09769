#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel/json/value.h"

namespace opensend::json {

/// kBytes is an array of integers 0–255, one byte each: such arrays may be as long as a body.
enum class NodeKind : uint8_t {
    kNull = 1,
    kFalse,
    kTrue,
    kInt,
    kReal,
    kString,
    kArray,
    kBytes,
    kObject
};

/// What a Value points to. An object has 2 * size children: name, value, name, value …
struct Node {
    NodeKind kind = NodeKind::kNull;
    uint32_t size = 0;
    union {
        int64_t integer = 0;
        double real;
        const char* text;
        const Node* nodes;
        const uint8_t* bytes;
    };
};
static_assert(sizeof(Node) == 16);

/// Memory that lives as long as the document.
class Arena {
public:
    /// Aligned for a Node.
    void* Allocate(size_t bytes) {
        bytes = (bytes + alignof(Node) - 1) / alignof(Node) * alignof(Node);
        if (bytes > left_) {
            left_ = std::max(bytes, next_block_);
            next_block_ = std::min<size_t>(next_block_ * 2, 1u << 20);
            blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(left_));
            cursor_ = blocks_.back().get();
        }
        void* result = cursor_;
        cursor_ += bytes;
        left_ -= bytes;
        return result;
    }

private:
    std::vector<std::unique_ptr<std::byte[]>> blocks_;
    std::byte* cursor_ = nullptr;
    size_t left_ = 0;
    size_t next_block_ = 1024;
};

struct Document::State {
    std::string text;  // strings are unescaped in place
    Arena arena;
    Node root;
};

}  // namespace opensend::json
