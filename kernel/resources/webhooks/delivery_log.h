#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::webhooks {

/// A delivery with its latest attempt.
struct DeliveryView {
    model::DeliveryId id;
    model::EventId event;
    std::string event_type;
    std::string status;  // success, pending, failed, attempting
    int64_t attempt = 0;
    int64_t status_code = 0;
    std::string response_body;
    std::optional<base::Time> attempted_at, next_retry_at;
};

/// An event as one endpoint has it: the state is that of its newest delivery there.
struct EventView {
    model::EventId id;
    std::string type;
    base::Time created_at;
    std::string status;
    std::optional<base::Time> next_attempt_at;
    int64_t sequence = 0;
    std::string data;
};

struct AttemptView {
    model::AttemptId id;
    int64_t number = 0;
    int64_t http_status = 0;
    std::string response;
    base::Time sent_at;
    int64_t duration_ms = 0;
    std::optional<std::string> error;
    std::string url_host;
};

/// What went to one endpoint, newest first.
class DeliveryLog {
public:
    struct Of {
        model::TenantId tenant;
        model::WebhookId webhook;
    };
    static db::Page<DeliveryView> Deliveries(
        db::Session& session, const Of& of, const db::PageRequest& page
    );
    static std::optional<DeliveryView> FindDelivery(
        db::Session& session, const Of& of, const model::DeliveryId& id
    );
    static db::Page<EventView> Events(
        db::Session& session, const Of& of, const db::PageRequest& page
    );
    static std::optional<EventView> FindEvent(
        db::Session& session, const Of& of, const model::EventId& id
    );
    static db::Page<AttemptView> Attempts(
        db::Session& session, const Of& of, const model::EventId& event, const db::PageRequest& page
    );
};

}  // namespace opensend::webhooks
