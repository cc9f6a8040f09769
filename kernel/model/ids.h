#pragma once

#include "kernel/base/id.h"

namespace opensend::model {

using TenantId = base::Id<struct TenantTag>;
using EmailId = base::Id<struct EmailTag>;
using AttachmentId = base::Id<struct AttachmentTag>;
using AttemptId = base::Id<struct AttemptTag>;
using DomainId = base::Id<struct DomainTag>;
using ApiKeyId = base::Id<struct ApiKeyTag>;
using WebhookId = base::Id<struct WebhookTag>;
using DeliveryId = base::Id<struct DeliveryTag>;
using UserId = base::Id<struct UserTag>;
using MemberId = base::Id<struct MemberTag>;
using LogId = base::Id<struct LogTag>;
using EventId = base::Id<struct EventTag>;
using SuppressionId = base::Id<struct SuppressionTag>;

/// The wire form of an event: "msg_" and 22 base-62 digits (REST 1.9).
inline std::string MessageIdOf(const EventId& id) { return "msg_" + id.uuid().ToBase62(); }

}  // namespace opensend::model
