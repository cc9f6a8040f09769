#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace opensend::model {

/// States of recipients, and of messages as derived from them (REST 4.1).
enum class EmailStatus {
    kScheduled = 1,
    kQueued,
    kHeld,
    kSending,
    kUnknown,
    kDeferred,
    kSent,
    kDelivered,
    kBounced,
    kComplained,
    kFailed,
    kSuppressed,
    kCanceled,
    kExpired,
};

std::string_view ToText(EmailStatus status);
std::optional<EmailStatus> ParseEmailStatus(std::string_view text);

/// No transition of our own leads on from here.
bool IsTerminal(EmailStatus status);

/// True for a move of the state table of platform.md 9.3. The table is the law: the recorder stores
/// another move as ignored and changes nothing.
bool MayMove(EmailStatus from, EmailStatus to);

/// Message state once dispatch began (SEND-12). `recipients` is not empty.
EmailStatus DeriveStatus(std::span<const EmailStatus> recipients);

/// `last_event` of a state without engagement (REST 4.2).
std::string_view LastEventOf(EmailStatus status);

}  // namespace opensend::model
