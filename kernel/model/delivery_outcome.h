#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace opensend::model {

/// Result classes of platform.md 9.5. kNotTried: nothing was attempted, nothing is counted.
enum class ResultClass {
    kOk = 1,
    kOkUnknown,
    kThrottle,
    kTemp,
    kPermRecipient,
    kPermContent,
    kPermReputation,
    kAuthConfig,
    kProtocol,
    kNotTried,
};

/// What became of one recipient in one attempt.
struct DeliveryOutcome {
    ResultClass result = ResultClass::kNotTried;
    bool final_host = false;            // ok means: the recipient's own mail host has it
    bool smtputf8_unsupported = false;  // ends as failed, smtputf8_unsupported
    int smtp_code = 0;                  // 0: none
    std::string enhanced_code;          // "5.1.1" or empty
    std::string diagnostic;             // ≤ 1,000 octets, control characters escaped
    std::string remote_id;              // the provider's message id
    std::string remote_host, remote_address, tls;
    std::string bounce_sub_type;  // the reporter's own word; empty: the codes say it
    std::string transcript;       // ≤ 16 KiB, credentials masked
    uint32_t retry_after_ms = 0;
};

/// Wire names of the REST contract: "ok", "ok_unknown", …
const char* ToText(ResultClass result);

}  // namespace opensend::model
