#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/events/payload.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// The e-mail object of REST 2.1.4 with bodies and recipients.
std::string DetailJson(
    const Email& email, const EmailContent& content, const std::vector<RecipientRow>& recipients
);
/// A list item: without object, bodies, headers and recipients.
void WriteListItem(json::Writer& out, const Email& email);

/// What event payloads say about the message.
events::EmailFacts FactsOf(const Email& email);

/// Large bodies as one blob, and back.
std::string PackContent(const EmailContent& content);
EmailContent UnpackContent(const std::string& blob);

}  // namespace opensend::emails
