#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/model/delivery_outcome.h"

namespace opensend::model {

/// One message for a transport: envelope and exact bytes. Immutable while it is out.
struct OutgoingMessage {
    std::string id;  // idempotency token: equal while an earlier try may have been taken (SEND-53)
    std::string tenant;
    std::string mail_from;  // empty: null reverse path
    std::vector<std::string> recipients;
    std::string data;  // RFC 5322 octets, CRLF
    std::vector<std::pair<std::string, std::string>> meta;
    uint32_t attempt = 1;
    base::MonoTime deadline;
};

/// One outcome per recipient, in the message's order.
using DeliveryResult = std::vector<DeliveryOutcome>;

struct TransportCaps {
    uint32_t max_batch = 1;
    uint32_t max_concurrency = 1;  // batches at once
    bool smtputf8 = true;
};

/// How the kernel sees a transport plugin instance. Thread-safe.
class Transport {
public:
    virtual ~Transport() = default;
    virtual const std::string& name() const = 0;
    virtual TransportCaps caps() const = 0;
    /// Hands over a batch. `done(index, result)` is called exactly once per message, on any thread,
    /// at the latest at the message's deadline.
    virtual void Deliver(
        std::vector<std::shared_ptr<const OutgoingMessage>> batch,
        std::function<void(size_t, DeliveryResult)> done
    ) = 0;
};

}  // namespace opensend::model
