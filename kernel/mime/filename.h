#pragma once

#include <string>
#include <string_view>

namespace opensend::mime {

/// The last path part without control characters, cut to 255 code points with its extension kept.
/// Empty: nothing usable is left and the caller makes up a name.
std::string CleanFilename(std::string_view name);

/// True when the last extension is on the list of REST 3.4; case, trailing dots and blanks do not
/// matter.
bool IsBlockedFilename(std::string_view name);

/// Content type by extension; "application/octet-stream" for unknown ones.
std::string_view TypeForFilename(std::string_view name);

/// Extension without dot for "type/subtype", parameters ignored; "bin" for unknown types.
std::string_view ExtensionForType(std::string_view content_type);

}  // namespace opensend::mime
