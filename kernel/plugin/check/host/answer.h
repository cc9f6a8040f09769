#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <opensend/plugin.h>

namespace opensend::plugin_check {

/// A copy of what a plugin said of one recipient.
struct RcptAnswer {
    int32_t outcome = -1;
    uint32_t index = 0, retry_after_ms = 0;
    uint16_t smtp_code = 0, enhanced[3] = {}, rclass = 0, stage = 0;
    std::string remote_id, diag, transcript;
};

/// A copy of a completion. Which part is filled follows from what the token was opened for.
struct Answer {
    osp_status status = OSP_E_STATE;
    std::string error;
    bool readable = false;  // there was a result struct of plausible size
    RcptAnswer all;
    std::vector<RcptAnswer> rcpts;
    int32_t decision = -1;
    std::string subject, tenant, challenge, reason;
    std::vector<std::string> scopes;
    uint32_t cache_ttl_ms = 0;
    int32_t http_status = 0;
    std::string body;
};

enum class TokenKind { kOther = 1, kTransport, kAuth, kInbound };

/// Copies what is behind a completion; nothing of the plugin's is kept.
Answer CopyAnswer(TokenKind kind, const osp_completion& completion);

}  // namespace opensend::plugin_check
