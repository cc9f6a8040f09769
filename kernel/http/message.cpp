#include "kernel/http/message.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/text.h"

namespace opensend::http {
namespace {

bool BreaksLine(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        return c == '\r' || c == '\n' || c == '\0';
    });
}

}  // namespace

void Headers::Add(std::string_view name, std::string_view value) {
    OPENSEND_CHECK(!name.empty() && !BreaksLine(name), "a field name stays on its line");
    OPENSEND_CHECK(!BreaksLine(value), "a field value stays on its line");
    if (lines_.capacity() == 0) lines_.reserve(8);
    lines_.emplace_back(name, value);
}

void Headers::Set(std::string_view name, std::string_view value) {
    std::erase_if(lines_, [&](const auto& line) {
        return base::EqualsIgnoreCase(line.first, name);
    });
    Add(name, value);
}

std::optional<std::string_view> Headers::Find(std::string_view name) const {
    for (const auto& [key, value] : lines_) {
        if (key.size() == name.size() && base::EqualsIgnoreCase(key, name)) return value;
    }
    return std::nullopt;
}

size_t Headers::Count(std::string_view name) const {
    size_t count = 0;
    for (const auto& line : lines_) {
        if (base::EqualsIgnoreCase(line.first, name)) ++count;
    }
    return count;
}

std::string Headers::Joined(std::string_view name) const {
    std::string out;
    bool first = true;
    for (const auto& [key, value] : lines_) {
        if (!base::EqualsIgnoreCase(key, name)) continue;
        if (!first) out += ", ";
        first = false;
        out += value;
    }
    return out;
}

}  // namespace opensend::http
