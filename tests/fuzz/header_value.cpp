#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/mime/builder.h"
#include "kernel/resources/emails/send_request.h"

namespace opensend {
namespace {

/// {"headers": {…}} of names and values that are cut out of the input at zero bytes.
std::string BodyOf(std::string_view input) {
    json::Writer out;
    out.BeginObject().Key("headers").BeginObject();
    std::set<std::string> seen;
    while (!input.empty()) {
        std::string_view parts[2];
        for (std::string_view& part : parts) {
            part = input.substr(0, input.find('\0'));
            input.remove_prefix(std::min(part.size() + 1, input.size()));
        }
        if (seen.insert(std::string(parts[0])).second) out.Field(parts[0], parts[1]);
    }
    out.EndObject().EndObject();
    return out.Take();
}

/// The field names of a built message, in lower case; checks that every line is one.
std::set<std::string> FieldNames(std::string_view built) {
    std::set<std::string> names;
    for (;;) {
        const size_t end = built.find("\r\n");
        OPENSEND_CHECK(end != std::string_view::npos, "an empty line ends the fields");
        const std::string_view line = built.substr(0, end);
        built.remove_prefix(end + 2);
        if (line.empty()) return names;
        OPENSEND_CHECK(line.size() <= 998, "a line is too long");
        OPENSEND_CHECK(line.find_first_of("\r\n") == std::string_view::npos, "a bare CR or LF");
        if (line[0] == ' ' || line[0] == '\t') continue;
        const size_t colon = line.find(':');
        OPENSEND_CHECK(colon != std::string_view::npos && colon > 0, "a line is a field");
        names.insert(base::AsciiLower(std::string(line.substr(0, colon))));
    }
}

std::string Built(const std::vector<std::pair<std::string, std::string>>& headers) {
    mime::Message message;
    message.message_id = "<a@b.co>";
    message.from = {"", "a", "b.co", ""};
    message.to = {
        {"", "c", "d.co", ""}
    };
    message.subject = "s";
    message.text = "t";
    message.headers = headers;
    return mime::Build(message, {"id", "f", "seed", false});
}

}  // namespace
}  // namespace opensend

/// Custom headers from the body of a send to the wire: nothing that was let in begins a field of
/// its own.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace opensend;
    const std::string body = BodyOf({reinterpret_cast<const char*>(data), size});
    const auto document = json::Document::Parse(body);
    if (!document.ok()) return 0;
    json::Problems problems;
    json::ObjectReader in(document->root(), "", problems);
    emails::SendRequest request;
    emails::ReadHeaders(in, request);
    if (!problems.empty()) return 0;
    std::set<std::string> allowed = FieldNames(Built({}));
    for (const auto& [name, value] : request.headers) allowed.insert(base::AsciiLower(name));
    for (const std::string& name : FieldNames(Built(request.headers))) {
        OPENSEND_CHECK(allowed.contains(name), "a field that nobody set");
    }
    return 0;
}
