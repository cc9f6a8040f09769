#pragma once

#include <string>
#include <string_view>

#include "plugins/smtp/client_session.h"

namespace opensend::smtp_plugin {

inline constexpr const char* kBody = "Subject: x\r\n\r\nhello\r\n";
inline constexpr const char* kEhloAll =
    "250-mx.example hi\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
inline constexpr const char* kEhloPlain = "250 mx.example\r\n";

/// Letters for outcomes, one per recipient: A D R I N C, '-' = open.
inline std::string Letters(const Transaction& message) {
    std::string out;
    for (const Verdict& verdict : message.verdicts) {
        out += "?-ADRINC"[static_cast<int>(verdict.outcome)];
    }
    return out;
}

inline constexpr const char* kEnvelope =
    "MAIL FROM:<s@x.example> SIZE=21|RCPT TO:<r@y.example>|DATA|";
inline constexpr const char* kSent = "Subject: x||hello|.|";

/// The wire with CRLF shown as a bar.
inline std::string Bars(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "\r\n") {
            out += '|';
            ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace opensend::smtp_plugin
