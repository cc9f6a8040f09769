#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/check.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/builder.h"

namespace {

/// Fields cut out of the input at zero bytes.
class FieldSource {
public:
    explicit FieldSource(std::string_view input) : rest_(input) {}

    std::string Raw() {
        const size_t end = std::min(rest_.find('\0'), rest_.size());
        std::string out(rest_.substr(0, end));
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return out;
    }
    /// What the accepting side lets into a header.
    std::string OneLine() {
        std::string out = Raw();
        std::replace_if(
            out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n'; }, ' '
        );
        return out;
    }

private:
    std::string_view rest_;
};

void CheckWireRules(std::string_view built) {
    OPENSEND_CHECK(opensend::base::IsAscii(built), "a copy without SMTPUTF8 is ASCII");
    while (!built.empty()) {
        const size_t end = built.find("\r\n");
        OPENSEND_CHECK(end != std::string_view::npos, "the last line ends");
        OPENSEND_CHECK(end <= 998, "a line is too long");
        const auto line = built.substr(0, end);
        OPENSEND_CHECK(line.find_first_of("\r\n") == std::string_view::npos, "a bare CR or LF");
        built.remove_prefix(end + 2);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace opensend;
    if (size == 0) return 0;
    const unsigned flags = data[0];
    FieldSource in(std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
    mime::Message message;
    message.message_id = "<a@b.co>";
    message.from = {in.OneLine(), "a", "b.co", ""};
    message.to = {
        {in.OneLine(), "c", "d.co", ""}
    };
    message.subject = in.OneLine();
    message.headers = {
        {"X-Test",     in.OneLine()},
        {"References", in.OneLine()}
    };
    if ((flags & 1) != 0) message.text = in.Raw();
    if ((flags & 2) != 0) message.html = in.Raw();
    if ((flags & 4) != 0) {
        message.attachments.push_back({in.OneLine(), in.OneLine(), "", in.Raw()});
    }
    if ((flags & 8) != 0) message.attachments.push_back({"m", "message/rfc822", "", in.Raw()});
    if ((flags & 16) != 0)
        message.attachments.push_back({"i", "image/png", in.OneLine(), in.Raw()});
    const std::string built = mime::Build(message, {"id", "f", "seed", false});
    CheckWireRules(built);
    OPENSEND_CHECK(built.size() <= mime::EncodedSizeBound(message), "the bound is too low");
    return 0;
}
