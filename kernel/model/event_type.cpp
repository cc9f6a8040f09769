#include "kernel/model/event_type.h"

namespace opensend::model {
namespace {

struct EventRow {
    EventType type;
    std::string_view name;
};
constexpr EventRow kEvents[] = {
    {EventType::kEmailScheduled,       "email.scheduled"       },
    {EventType::kEmailSent,            "email.sent"            },
    {EventType::kEmailDelivered,       "email.delivered"       },
    {EventType::kEmailDeliveryDelayed, "email.delivery_delayed"},
    {EventType::kEmailBounced,         "email.bounced"         },
    {EventType::kEmailComplained,      "email.complained"      },
    {EventType::kEmailFailed,          "email.failed"          },
    {EventType::kEmailSuppressed,      "email.suppressed"      },
    {EventType::kEmailCanceled,        "email.canceled"        },
    {EventType::kEmailReceived,        "email.received"        },
    {EventType::kEmailOpened,          "email.opened"          },
    {EventType::kEmailClicked,         "email.clicked"         },
    {EventType::kDomainCreated,        "domain.created"        },
    {EventType::kDomainUpdated,        "domain.updated"        },
    {EventType::kDomainDeleted,        "domain.deleted"        },
    {EventType::kSuppressionAdded,     "suppression.added"     },
    {EventType::kSuppressionRemoved,   "suppression.removed"   },
    {EventType::kWebhookDisabled,      "webhook.disabled"      },
    {EventType::kWebhookTest,          "webhook.test"          },
    {EventType::kContactCreated,       "contact.created"       },
    {EventType::kContactUpdated,       "contact.updated"       },
    {EventType::kContactDeleted,       "contact.deleted"       },
    {EventType::kContactTopicsUpdated, "contact.topics.updated"},
    {EventType::kTopicCreated,         "topic.created"         },
    {EventType::kTopicUpdated,         "topic.updated"         },
    {EventType::kTopicDeleted,         "topic.deleted"         },
};

}  // namespace

std::string_view ToText(EventType type) { return kEvents[static_cast<size_t>(type) - 1].name; }

std::optional<EventType> ParseEventType(std::string_view text) {
    if (text == "email.delayed") return EventType::kEmailDeliveryDelayed;
    for (const auto& row : kEvents) {
        if (row.name == text) return row.type;
    }
    return std::nullopt;
}

}  // namespace opensend::model
