#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel/base/encoding.h"
#include "kernel/json/value.h"

namespace opensend::crypto {

/// A file of tests/vectors.
inline json::Document ReadVectors(const std::string& name) {
    std::ifstream file(std::string(OPENSEND_SOURCE_DIR "/tests/vectors/") + name);
    std::ostringstream text;
    text << file.rdbuf();
    auto document = json::Document::Parse(text.str());
    EXPECT_TRUE(document.ok()) << name << ": " << (document.ok() ? "" : document.error().reason);
    return std::move(document).value();
}

inline std::string_view TextOf(json::Value object, std::string_view name) {
    return object.Find(name).AsString();
}

inline std::string BytesOf(json::Value object, std::string_view name) {
    return base::HexDecode(TextOf(object, name)).value();
}

}  // namespace opensend::crypto
