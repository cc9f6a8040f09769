#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/json/value.h"
#include "kernel/resources/emails/send_request.h"

namespace opensend::emails {
namespace {

/// What the reader promises about a body without problems.
void CheckGood(const SendRequest& request) {
    const size_t recipients = request.to.size() + request.cc.size() + request.bcc.size();
    OPENSEND_CHECK(recipients >= 1 && recipients <= 50, "1 to 50 recipients");
    OPENSEND_CHECK(!base::HasControl(request.subject, true), "a subject is one line");
    for (const auto& [name, value] : request.headers) {
        OPENSEND_CHECK(!name.empty() && name.size() <= 76, "a header has a name");
        OPENSEND_CHECK(!base::HasControl(value, true), "a header value is one line");
        OPENSEND_CHECK(
            !base::StartsWithIgnoreCase(name, "x-opensend-"), "reserved names are refused"
        );
        OPENSEND_CHECK(!base::EqualsIgnoreCase(name, "bcc"), "reserved names are refused");
    }
    if (!request.template_ref) {
        OPENSEND_CHECK(!request.from.domain.empty(), "there is a sender");
        OPENSEND_CHECK(request.html || request.text, "there is content");
    }
    for (const auto& attachment : request.attachments) {
        if (!request.attachment_problems.empty()) break;
        OPENSEND_CHECK(!attachment.filename.empty(), "an attachment has a name");
        OPENSEND_CHECK(attachment.content.empty() != attachment.url.empty(), "bytes or a URL");
    }
}

}  // namespace
}  // namespace opensend::emails

/// The body of POST /emails, headers, attachments, tags and time included; the first byte chooses
/// whether unknown fields are refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto document = opensend::json::Document::Parse(text);
    if (!document.ok()) return 0;
    opensend::json::Problems problems;
    std::vector<std::string> ignored;
    opensend::emails::ReadContext context;
    context.now = opensend::base::Time{1'772'442'930'000'000};
    const opensend::emails::SendRequest request = opensend::emails::ReadSendRequest(
        document->root(), "", context, data[0] % 2 == 1, problems, ignored
    );
    if (problems.empty()) opensend::emails::CheckGood(request);
    return 0;
}
