#include "kernel/model/email_status.h"

#include <algorithm>

#include "kernel/base/check.h"

namespace opensend::model {
namespace {

using enum EmailStatus;

struct StatusRow {
    EmailStatus status;
    std::string_view name;
    std::string_view last_event;
    bool terminal;
};
constexpr StatusRow kStatuses[] = {
    {kScheduled,  "scheduled",  "scheduled",        false},
    {kQueued,     "queued",     "queued",           false},
    {kHeld,       "held",       "queued",           false},
    {kSending,    "sending",    "queued",           false},
    {kUnknown,    "unknown",    "delivery_delayed", false},
    {kDeferred,   "deferred",   "delivery_delayed", false},
    {kSent,       "sent",       "sent",             false},
    {kDelivered,  "delivered",  "delivered",        true },
    {kBounced,    "bounced",    "bounced",          true },
    {kComplained, "complained", "complained",       true },
    {kFailed,     "failed",     "failed",           true },
    {kSuppressed, "suppressed", "suppressed",       true },
    {kCanceled,   "canceled",   "canceled",         true },
    {kExpired,    "expired",    "failed",           true },
};

struct Move {
    EmailStatus from, to;
};
constexpr Move kMoves[] = {
    {kScheduled, kQueued    },
    {kScheduled, kScheduled },
    {kScheduled, kCanceled  },
    {kQueued,    kHeld      },
    {kDeferred,  kHeld      },
    {kHeld,      kQueued    },
    {kQueued,    kSending   },
    {kDeferred,  kSending   },
    {kQueued,    kCanceled  },
    {kHeld,      kCanceled  },
    {kDeferred,  kCanceled  },
    {kSending,   kSuppressed},
    {kSending,   kFailed    },
    {kSending,   kSent      },
    {kSending,   kDelivered },
    {kSending,   kDeferred  },
    {kSending,   kBounced   },
    {kSending,   kUnknown   },
    {kSending,   kQueued    },
    {kSending,   kHeld      },
    {kUnknown,   kSending   },
    {kUnknown,   kDeferred  },
    {kUnknown,   kHeld      },
    {kUnknown,   kSent      },
    {kUnknown,   kDelivered },
    {kUnknown,   kBounced   },
    {kUnknown,   kComplained},
    {kQueued,    kExpired   },
    {kDeferred,  kExpired   },
    {kHeld,      kExpired   },
    {kSent,      kSent      },
    {kSent,      kDelivered },
    {kSent,      kBounced   },
    {kSent,      kComplained},
    {kDeferred,  kDelivered },
    {kDeferred,  kBounced   },
    {kDelivered, kBounced   },
    {kDelivered, kComplained},
    {kBounced,   kComplained},
};

const StatusRow& Row(EmailStatus status) { return kStatuses[static_cast<size_t>(status) - 1]; }

}  // namespace

std::string_view ToText(EmailStatus status) { return Row(status).name; }

std::optional<EmailStatus> ParseEmailStatus(std::string_view text) {
    for (const auto& row : kStatuses) {
        if (row.name == text) return row.status;
    }
    return std::nullopt;
}

bool IsTerminal(EmailStatus status) { return Row(status).terminal; }

bool MayMove(EmailStatus from, EmailStatus to) {
    return std::any_of(std::begin(kMoves), std::end(kMoves), [&](const Move& move) {
        return move.from == from && move.to == to;
    });
}

EmailStatus DeriveStatus(std::span<const EmailStatus> recipients) {
    OPENSEND_CHECK(!recipients.empty(), "a message has recipients");
    constexpr EmailStatus kOrder[] = {kSending,    kUnknown,    kDeferred, kQueued,  kHeld,
                                      kComplained, kBounced,    kFailed,   kExpired, kDelivered,
                                      kSent,       kSuppressed, kCanceled};
    for (const EmailStatus candidate : kOrder) {
        if (std::find(recipients.begin(), recipients.end(), candidate) != recipients.end()) {
            return candidate;
        }
    }
    return recipients.front();
}

std::string_view LastEventOf(EmailStatus status) { return Row(status).last_event; }

}  // namespace opensend::model
