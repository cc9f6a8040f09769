#pragma once

#include <optional>
#include <span>
#include <string>

#include "kernel/api/request_record.h"
#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::logs {

/// A row of the request log. Bodies are redacted JSON text.
struct LogEntry {
    model::LogId id;
    base::Time created_at;
    std::string endpoint, method;
    int64_t status = 0;
    std::string user_agent, key_id, request_id, correlation_id;
    int64_t duration_ms = 0;
    bool replayed = false;
    std::string email_ids = "[]";  // JSON array
    std::optional<std::string> request_body, response_body;
};

/// Filters of GET /logs; absent ones do not restrict.
struct LogFilter {
    std::optional<int64_t> status_from, status_to;
    std::optional<std::string> method, endpoint_prefix, key_id, user_agent, search, email_id,
        request_id, tag;
    std::optional<base::Time> created_after, created_before;
};

class RequestLogStore {
public:
    /// Adds the records; their response bodies are redacted here.
    static void Insert(db::Session& tx, std::span<const api::RequestRecord> records);
    static std::optional<LogEntry> Find(
        db::Session& session, const model::TenantId& tenant, const model::LogId& id
    );
    /// Without bodies.
    static db::Page<LogEntry> List(
        db::Session& session,
        const model::TenantId& tenant,
        const LogFilter& filter,
        const db::PageRequest& page
    );
    /// Removes at most `limit` rows of all tenants that are older; returns their number.
    static int64_t Forget(db::Session& tx, base::Time older_than, int64_t limit);
};

}  // namespace opensend::logs
