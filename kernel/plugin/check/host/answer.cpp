#include "kernel/plugin/check/host/answer.h"

#include <cstring>

#include <opensend/plugin.hpp>

namespace opensend::plugin_check {
namespace {

constexpr uint32_t kMostRcpts = 100'000, kMostScopes = 100;

RcptAnswer CopyRcpt(const osp_rcpt_result& from) {
    RcptAnswer to;
    to.outcome = from.outcome;
    to.index = from.rcpt_index;
    to.retry_after_ms = from.retry_after_ms;
    to.smtp_code = from.smtp_code;
    std::memcpy(to.enhanced, from.enhanced, sizeof to.enhanced);
    to.rclass = from.rclass;
    to.stage = from.stage;
    to.remote_id = osp::View(from.remote_id);
    to.diag = osp::View(from.diag);
    to.transcript = osp::View(from.transcript);
    return to;
}

void CopyTransport(const osp_msg_result& from, Answer& to) {
    to.readable =
        from.size >= sizeof(osp_msg_result) && from.n <= kMostRcpts &&
        (from.n == 0 || (from.rcpts != nullptr && from.stride >= sizeof(osp_rcpt_result)));
    if (!to.readable) return;
    to.all = CopyRcpt(from.all);
    for (uint32_t i = 0; i < from.n; ++i)
        to.rcpts.push_back(CopyRcpt(osp::At(from.rcpts, from.stride, i)));
}

void CopyAuth(const osp_auth_result& from, Answer& to) {
    to.readable = from.size >= sizeof(osp_auth_result) && from.n_scopes <= kMostScopes &&
                  (from.n_scopes == 0 || from.scopes != nullptr);
    if (!to.readable) return;
    to.decision = from.decision;
    to.subject = osp::View(from.subject);
    to.tenant = osp::View(from.tenant);
    to.challenge = osp::View(from.challenge);
    to.reason = osp::View(from.reason);
    to.cache_ttl_ms = from.cache_ttl_ms;
    for (uint32_t i = 0; i < from.n_scopes; ++i) to.scopes.emplace_back(osp::View(from.scopes[i]));
}

void CopyHttp(const osp_http_res& from, Answer& to) {
    to.readable = from.size >= sizeof(osp_http_res);
    if (!to.readable) return;
    to.http_status = from.status;
    to.body = osp::View(from.body);
}

}  // namespace

Answer CopyAnswer(TokenKind kind, const osp_completion& completion) {
    Answer to;
    to.status = completion.status;
    const osp_error* error = completion.error;
    if (error != nullptr && error->size >= sizeof *error && error->msg_len <= sizeof error->msg)
        to.error.assign(error->msg, error->msg_len);
    if (completion.status != OSP_OK || completion.result == nullptr) return to;
    switch (kind) {
        case TokenKind::kTransport:
            CopyTransport(*static_cast<const osp_msg_result*>(completion.result), to);
            break;
        case TokenKind::kAuth:
            CopyAuth(*static_cast<const osp_auth_result*>(completion.result), to);
            break;
        case TokenKind::kInbound:
            CopyHttp(*static_cast<const osp_http_res*>(completion.result), to);
            break;
        case TokenKind::kOther: break;
    }
    return to;
}

}  // namespace opensend::plugin_check
