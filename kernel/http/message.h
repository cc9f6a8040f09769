#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/http/body.h"

namespace opensend::http {

/// Field lines in arrival order; names compare without case.
class Headers {
public:
    /// Adds a line. Name and value must hold no CR, LF or NUL (broken invariant otherwise).
    void Add(std::string_view name, std::string_view value);
    /// Replaces every line of that name.
    void Set(std::string_view name, std::string_view value);
    /// The first value.
    std::optional<std::string_view> Find(std::string_view name) const;
    size_t Count(std::string_view name) const;
    /// All values of that name joined with ", ".
    std::string Joined(std::string_view name) const;
    const std::vector<std::pair<std::string, std::string>>& all() const { return lines_; }

private:
    std::vector<std::pair<std::string, std::string>> lines_;
};

/// A complete request; moves only. `path` and `query` are raw (still percent-encoded); query
/// without '?'.
struct Request {
    std::string method;
    std::string path;
    std::string query;
    int version_minor = 1;
    Headers headers;
    Body body;
    base::IpAddress peer;  // socket peer
    uint16_t peer_port = 0;
};

struct Response {
    int status = 200;
    Headers headers;
    std::string body;
    bool close = false;  // close the connection after this answer
};

}  // namespace opensend::http
