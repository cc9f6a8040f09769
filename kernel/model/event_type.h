#pragma once

#include <optional>
#include <string_view>

namespace opensend::model {

/// The closed list of public events (REST 4.4).
enum class EventType {
    kEmailScheduled = 1,
    kEmailSent,
    kEmailDelivered,
    kEmailDeliveryDelayed,
    kEmailBounced,
    kEmailComplained,
    kEmailFailed,
    kEmailSuppressed,
    kEmailCanceled,
    kEmailReceived,
    kEmailOpened,
    kEmailClicked,
    kDomainCreated,
    kDomainUpdated,
    kDomainDeleted,
    kSuppressionAdded,
    kSuppressionRemoved,
    kWebhookDisabled,
    kWebhookTest,
    kContactCreated,
    kContactUpdated,
    kContactDeleted,
    kContactTopicsUpdated,
    kTopicCreated,
    kTopicUpdated,
    kTopicDeleted,
};

/// "email.sent".
std::string_view ToText(EventType type);
/// Also takes the alias email.delayed.
std::optional<EventType> ParseEventType(std::string_view text);

}  // namespace opensend::model
