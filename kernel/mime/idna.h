#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace opensend::mime {

/// UTS 46 non-transitional to A-labels, lower case; checks label and length rules of REST 3.1 (two
/// labels at least, LDH, last label not all digits). nullopt: not a domain. No trailing dot
/// accepted.
std::optional<std::string> ToALabel(std::string_view domain);
/// For display; the input back when it cannot be mapped.
std::string ToULabel(std::string_view domain);
/// Unicode NFC of valid UTF-8.
std::string ToNfc(std::string_view text);
/// Unicode NFKC, where look-alikes of one letter are one.
std::string ToNfkc(std::string_view text);
/// True for an effective top-level domain of the built-in list (com, co.uk, …).
bool IsPublicSuffix(std::string_view a_label);
/// "acme.dev" for "mail.acme.dev": public suffix plus one label.
std::string RegistrableDomain(std::string_view a_label);

}  // namespace opensend::mime
