#include <algorithm>
#include <numeric>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/json/literal.h"
#include "kernel/json/value.h"

namespace opensend::json {
namespace {

/// An open container and the order in which its children are written.
struct CanonicalLevel {
    Value container;
    std::vector<size_t> order;  // objects only
    size_t next = 0;
};

/// Rank of a byte such that comparing ranks compares UTF-16: four-byte sequences (surrogate pairs
/// there) come before U+E000 … U+FFFF.
int Utf16Rank(char c) {
    const int byte = static_cast<unsigned char>(c);
    if (byte >= 0xF0) return byte - 2;
    return byte >= 0xEE ? byte + 8 : byte;
}

bool Utf16Less(std::string_view a, std::string_view b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return Utf16Rank(x) < Utf16Rank(y);
    });
}

CanonicalLevel OpenLevel(Value container) {
    CanonicalLevel level{container, {}, 0};
    if (container.IsObject()) {
        level.order.resize(container.size());
        std::iota(level.order.begin(), level.order.end(), size_t{0});
        std::sort(level.order.begin(), level.order.end(), [&](size_t a, size_t b) {
            return Utf16Less(container.NameAt(a), container.NameAt(b));
        });
    }
    return level;
}

void AppendScalar(std::string& out, const Value& value) {
    switch (value.kind()) {
        case Kind::kNull: out += "null"; return;
        case Kind::kBool: out += value.AsBool() ? "true" : "false"; return;
        case Kind::kNumber:
            if (value.IsInt())
                base::AppendPiece(out, value.AsInt());
            else
                AppendNumber(out, value.AsDouble());
            return;
        case Kind::kString: AppendString(out, value.AsString(), LineSeparators::kPlain); return;
        default: OPENSEND_CHECK(false, "a missing value has no text");
    }
}

/// Writes what stands before the next child and returns the child.
Value NextChild(std::string& out, CanonicalLevel& level) {
    const size_t index = level.next++;
    if (index > 0) out += ',';
    if (level.container.IsArray()) return level.container.At(index);
    const size_t member = level.order[index];
    AppendString(out, level.container.NameAt(member), LineSeparators::kPlain);
    out += ':';
    return level.container.MemberAt(member);
}

}  // namespace

std::string Canonical(const Value& value) {
    std::string out;
    std::vector<CanonicalLevel> open;
    Value current = value;
    for (;;) {
        if (current.IsArray() || current.IsObject()) {
            out += current.IsArray() ? '[' : '{';
            open.push_back(OpenLevel(current));
        } else {
            AppendScalar(out, current);
        }
        while (!open.empty() && open.back().next == open.back().container.size()) {
            out += open.back().container.IsArray() ? ']' : '}';
            open.pop_back();
        }
        if (open.empty()) return out;
        current = NextChild(out, open.back());
    }
}

}  // namespace opensend::json
