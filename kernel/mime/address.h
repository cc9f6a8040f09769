#pragma once

#include <string>
#include <string_view>

#include "kernel/base/result.h"

namespace opensend::mime {

/// One mailbox by the grammar of REST 3.1.
struct Mailbox {
    std::string display_name;  // decoded, without quotes; may be empty
    std::string local;         // as written, NFC, quotes kept when needed
    std::string domain;        // A-label, lower case
    std::string text;          // as the client sent it, trimmed, NFC

    /// local@domain with the A-label domain.
    std::string Address() const { return local + "@" + domain; }
    /// The comparison key of REST 3.1: suppression, de-duplication, simulator.
    std::string Key() const;
    /// The local part has non-ASCII characters: SMTPUTF8 is needed.
    bool NeedsSmtpUtf8() const;
};

struct AddressError {
    std::string message;  // "Not an email address."
};

/// "a@b.co" or "Name <a@b.co>".
base::Result<Mailbox, AddressError> ParseMailbox(std::string_view text);
/// addr-spec only.
base::Result<Mailbox, AddressError> ParseAddress(std::string_view text);

}  // namespace opensend::mime
