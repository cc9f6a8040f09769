#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kernel/access/file_links.h"
#include "kernel/json/writer.h"
#include "kernel/resources/received/received.h"

namespace opensend::received {

/// The received e-mail of REST 2.3. `raw`: where its bytes are; null without.
std::string DetailJson(
    const ReceivedEmail& email,
    const ReceivedContent& content,
    const std::optional<access::FileLinks::Link>& raw
);
/// A list item: without object, bodies, headers and raw.
void WriteListItem(json::Writer& out, const ReceivedEmail& email);
/// An attachment as REST 2.1.7 shows it.
void WriteAttachment(
    json::Writer& out,
    const ReceivedAttachment& attachment,
    const access::FileLinks::Link& link,
    bool with_object
);

/// `html` with its cid: references replaced by data: URLs of the attachments they name, as long as
/// one is at most 1 MiB and all together at most 5 MiB; others stay. `read` gives an attachment's
/// bytes.
std::string EmbedInline(
    const std::string& html,
    const std::vector<ReceivedAttachment>& attachments,
    const std::function<std::optional<std::string>(const ReceivedAttachment&)>& read
);

}  // namespace opensend::received
