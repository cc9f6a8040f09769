#pragma once

#include <string>

#include "kernel/base/secret.h"
#include "kernel/json/reader.h"
#include "kernel/json/writer.h"
#include "kernel/resources/webhooks/delivery_log.h"
#include "kernel/resources/webhooks/webhook_store.h"

namespace opensend::webhooks {

/// JSON array of the wanted types, aliases resolved, duplicates dropped, order kept.
std::string ReadEventTypes(
    const json::Value& value, std::string_view path, json::Problems& problems
);
/// The text of `endpoint` or its alias; "" with a problem.
std::string ReadEndpoint(const json::Value& value, json::Problems& problems);
/// ",a,b," of a JSON array of names, for statements; "" for those that mean all.
std::string NamesList(const std::string& event_types);

/// The members of lists.
void WriteHead(json::Writer& out, const Webhook& hook);
/// The whole object; `secret` null: not for this caller.
std::string WebhookJson(
    const Webhook& hook, const base::Secret* secret, const std::vector<DeliveryView>& recent
);
void WriteDelivery(json::Writer& out, const DeliveryView& delivery);

}  // namespace opensend::webhooks
