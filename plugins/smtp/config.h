#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/smtp/client_session.h"

namespace opensend::smtp_plugin {

inline constexpr size_t kMaxConnections = 20;

/// A value given in clear or by the name of a secret of the host.
struct Credential {
    std::string value;
    std::string secret_ref;
    [[nodiscard]] bool is_set() const { return !value.empty() || !secret_ref.empty(); }
};

struct Config {
    std::string host;
    std::string port;
    TlsMode tls = TlsMode::kOpportunistic;
    Credential username;
    Credential password;
    std::string helo = "localhost";
    std::string ca_file;
    std::string local_address;
    size_t max_connections = kMaxConnections;
    bool allow_insecure_auth = false;
};

/// Reads the instance's JSON. nullopt: `problem` is one sentence for the operator that names the
/// member. `implicit_tls` is the kind smtps, whose default port is 465 and not 25.
[[nodiscard]] std::optional<Config> ParseConfig(
    std::string_view json, bool implicit_tls, std::string& problem
);

/// JSON Schema of what ParseConfig takes.
[[nodiscard]] const char* ConfigSchema();

/// This machine's name when it can stand in EHLO, otherwise "localhost".
[[nodiscard]] std::string LocalHelo();

}  // namespace opensend::smtp_plugin
