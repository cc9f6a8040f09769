#include <unistd.h>

#include <vector>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

constexpr uint32_t kBatch = 4, kInflight = 8;

class Mailer final : public osp::Transport {
public:
    explicit Mailer(const osp_create_args& args) : Transport(args), common(args) {}
    void Start() override { common.OnStart(); }
    void Stop() override { common.OnStop(); }
    osp_transport_caps Caps() const override { return {}; }
    void Deliver(const osp_msg&, osp::Completion&&) override {}

    osp_status Answer(const osp_msg& message) {
        if (Is("call.longer") && message.size != sizeof message) return OSP_E_INVALID;
        if (Is("call.status")) return -77;
        if (Is("transport.no-rcpts") && message.n_rcpts == 0) return OSP_PENDING;
        if (Is("transport.null-sender") && message.mail_from.len == 0) return OSP_PENDING;
        if (Is("transport.no-data") && message.data.len == 0) return OSP_PENDING;
        if (Is("transport.big") && message.data.len > 2'000'000) Crash();
        if (Is("transport.bytes") && osp::View(message.data).find('\xff') != std::string_view::npos)
            Crash();
        if (Is("transport.rcpts-500") && message.n_rcpts > 100) Crash();
        if (Is("transport.past-deadline") && message.deadline < host.Now()) usleep(2'300'000);
        if (Is("call.no-memory")) Copy(message);
        if (Is("hyg.mail-log"))
            host.Log(
                OSP_LOG_INFO, std::string("to ").append(
                                  message.n_rcpts == 0 ? "" : osp::View(message.rcpts[0].addr)
                              )
            );
        Complete(message);
        if (Is("call.double-complete")) Complete(message);
        if (Is("call.stranger")) {
            osp_msg other = message;
            other.token += 77;
            Complete(other);
        }
        if (Is("call.views-late") && message.data.len > 0 && message.data.ptr[0] == 0) Crash();
        return OSP_OK;
    }
    osp_status Take(const osp_batch& batch, osp_error* error) noexcept {
        return osp::Guard(error, [&]() -> osp_status {
            common.OnCall();
            if (Is("call.error-room")) (&error->msg[0])[sizeof error->msg + 3] = 'x';
            uint32_t n = batch.n;
            if (Is("transport.batch") && n > 1) n = 1;
            if (Is("transport.batch-over") && n > kBatch) n = kBatch;
            const size_t stride = Is("call.stride") ? sizeof(osp_msg) : batch.stride;
            for (uint32_t i = 0; i < n; ++i) {
                const osp_status status = Answer(osp::At(batch.msgs, stride, i));
                if (status < 0) return status;
            }
            return OSP_OK;
        });
    }

    Common common;
    uint32_t submitted = 0;
    bool asked_caps = false;

private:
    static void Copy(const osp_msg& message) noexcept {
        const std::string copy(osp::View(message.data));
        if (copy.size() == 1) Crash();
    }
    void Complete(const osp_msg& message) {
        std::vector<osp_rcpt_result> results(message.n_rcpts);
        for (uint32_t i = 0; i < message.n_rcpts; ++i) {
            results[i].size = sizeof results[i];
            results[i].rcpt_index = Is("transport.rcpt-index") ? i + 7 : i;
            if (Is("transport.outcome")) results[i].outcome = 17;
            if (Is("transport.codes")) results[i].smtp_code = 550;
            if (Is("hyg.secret-answer")) results[i].diag = osp::Str(common.secret);
        }
        osp_msg_result result{};
        result.size = Is("call.result-size") ? 4 : sizeof result;
        result.all.size = sizeof result.all;
        if (Is("hyg.secret-answer")) result.all.diag = osp::Str(common.secret);
        result.rcpts = results.data();
        result.n = message.n_rcpts;
        if (Is("transport.rcpt-all") && result.n == 3) result.n = 2;
        result.stride = sizeof(osp_rcpt_result);
        const osp_completion completion{sizeof completion, OSP_OK, &result, nullptr};
        host.raw()->complete(host.raw(), message.token, &completion);
    }
};

Mailer& Of(osp_inst* inst) { return osp::Entry<Mailer>::Self(inst); }

osp_status GetCaps(osp_inst* inst, osp_transport_caps* out) noexcept {
    osp_transport_caps caps{};
    caps.flags = OSP_TR_BLOCKING | OSP_TR_ASYNC | OSP_TR_PER_RCPT;
    if (Is("transport.caps-flags")) caps.flags &= ~static_cast<uint32_t>(OSP_TR_ASYNC);
    caps.max_batch = kBatch;
    caps.max_concurrency = 1;
    caps.max_inflight = kInflight;
    if (Is("transport.caps-same") && std::exchange(Of(inst).asked_caps, true)) caps.max_batch = 2;
    const size_t room = Is("transport.caps-short") ? sizeof caps : out->size;
    caps.size = out->size;
    std::memcpy(static_cast<void*>(out), &caps, std::min(room, sizeof caps));
    return OSP_OK;
}
osp_status Send(osp_inst* inst, const osp_batch* batch, osp_error* error) noexcept {
    return Of(inst).Take(*batch, error);
}
osp_status Submit(osp_inst* inst, const osp_batch* batch, osp_error* error) noexcept {
    if (Is("transport.busy") && ++Of(inst).submitted > kInflight) return OSP_PENDING;
    if (Is("call.returns")) usleep(40'000);
    const osp_status status = Of(inst).Take(*batch, error);
    return status < 0 ? status : OSP_PENDING;
}
void Cancel(osp_inst* inst, osp_token token) noexcept {
    if (!Is("transport.cancel")) return;
    const osp_completion completion{sizeof completion, OSP_E_CANCELLED, nullptr, nullptr};
    Of(inst).host.raw()->complete(Of(inst).host.raw(), token, &completion);
}
osp_status Probe(osp_inst*, osp_time, osp_error*) noexcept {
    if (Is("transport.probe-time")) usleep(2'600'000);
    return OSP_OK;
}

osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
    return Of(inst).common.OnDrain(done, osp::Entry<Mailer>::Drain(inst, done, deadline));
}

}  // namespace

osp_kind TransportKind() {
    static osp_instance_vt instance;
    instance = Changed(osp::Entry<Mailer>::kInstance);
    instance.drain = Drain;
    static const osp_transport_v1 kTable{
        sizeof(osp_transport_v1), 0, GetCaps, Submit, Send, Cancel, Probe};
    static const osp_transport_v1 kEmpty{
        sizeof(osp_transport_v1), 0, GetCaps, nullptr, nullptr, Cancel, Probe};
    return {sizeof(osp_kind), 0,         OSP_KIND_TRANSPORT,
            "defect",         &instance, Is("kind.slots") ? &kEmpty : &kTable,
            kSchema};
}

}  // namespace defect
