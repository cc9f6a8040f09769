#include "kernel/model/delivery_outcome.h"

#include "kernel/base/check.h"

namespace opensend::model {

const char* ToText(ResultClass result) {
    switch (result) {
        case ResultClass::kOk: return "ok";
        case ResultClass::kOkUnknown: return "ok_unknown";
        case ResultClass::kThrottle: return "throttle";
        case ResultClass::kTemp: return "temp";
        case ResultClass::kPermRecipient: return "perm_recipient";
        case ResultClass::kPermContent: return "perm_content";
        case ResultClass::kPermReputation: return "perm_reputation";
        case ResultClass::kAuthConfig: return "auth_config";
        case ResultClass::kProtocol: return "protocol";
        case ResultClass::kNotTried: return "not_tried";
    }
    OPENSEND_CHECK(false, "a result class outside the list");
    return "";
}

}  // namespace opensend::model
