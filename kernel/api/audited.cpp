#include "kernel/api/audited.h"

#include "kernel/base/utf8.h"

namespace opensend::api {

access::AuditEntry AuditOf(
    const Call& call,
    std::string_view action,
    std::string_view target_type,
    std::string target_id,
    std::string metadata
) {
    access::AuditEntry entry;
    entry.tenant = call.principal.tenant;
    entry.action = action;
    entry.target_type = target_type;
    entry.target_id = std::move(target_id);
    entry.metadata = std::move(metadata);
    entry.time = call.now;
    entry.actor = {"api_key", call.principal.key.ToString(), call.principal.key_name};
    entry.origin.source = "api";
    entry.origin.ip = call.client.ToString();
    if (const auto agent = call.request.headers.Find("User-Agent")) {
        entry.origin.user_agent = std::string(base::TruncateUtf8(*agent, 400));
    }
    entry.origin.request_id = call.facts->request_id;
    return entry;
}

}  // namespace opensend::api
