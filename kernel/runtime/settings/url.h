#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/result.h"

namespace opensend::runtime {

/// A configured address, taken apart; user, password, path and query are decoded.
struct ConfigUrl {
    std::string scheme;  // lower case
    std::string user;
    std::optional<std::string> password;
    bool has_userinfo = false;
    std::string host;  // lower case, IPv6 without brackets
    std::optional<int> port;
    std::string authority;  // hosts and ports as written
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
    bool has_query = false;
    bool has_fragment = false;

    /// The first value of a parameter.
    std::optional<std::string> Parameter(std::string_view name) const;
};

/// `scheme://…`. The failure says what is wrong without repeating the text. With `many_hosts` the
/// authority may be a comma list and is not looked into.
base::Result<ConfigUrl, std::string> ParseConfigUrl(std::string_view text, bool many_hosts = false);

/// CFG-11: localhost, *.localhost, 127.0.0.0/8, ::1.
bool IsLocalHost(std::string_view host);
/// Local, a private address, or a name without a dot.
bool IsPrivateHost(std::string_view host);
/// Letters, digits, hyphens and dots in labels of at most 63; no address.
bool IsHostName(std::string_view host);

}  // namespace opensend::runtime
