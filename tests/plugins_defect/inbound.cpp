#include <memory>
#include <vector>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

void Reply(osp::Completion& done, int32_t status) {
    osp_http_res result{};
    result.size = sizeof result;
    result.status = status;
    done.Done(&result);
}

void Emitted(void* context, osp_status status, const osp_emit_res* result) noexcept {
    const std::unique_ptr<osp::Completion> done(static_cast<osp::Completion*>(context));
    const bool later = status != OSP_OK || result == nullptr || result->verdict == OSP_EMIT_LATER;
    if (done->open()) Reply(*done, later && !Is("in.later") ? 503 : 200);
}

class Postbox final : public osp::Inbound {
public:
    explicit Postbox(const osp_create_args& args) : Inbound(args), common(args) {}
    void Start() override { common.OnStart(); }
    void Stop() override { common.OnStop(); }
    void Handle(const osp_http_req& request, osp::Completion&& done) override {
        common.OnCall();
        if (Is("in.huge") && request.body.len > 1'000'000) Crash();
        if (Is("in.headers") && request.n_headers > 100) Crash();
        if (Is("in.methods") && osp::View(request.method) == "PUT") return Lose(std::move(done));
        if (osp::View(request.method) != "POST") return Reply(done, 405);
        if (!IsGenuine(request)) return Reply(done, Is("in.status") ? 42 : 401);
        if (Is("in.genuine")) return Reply(done, 200);
        if (Is("in.ingest-ends")) Begin();
        Emit(osp::View(request.body), std::move(done));
    }
    Common common;

private:
    static void Lose(osp::Completion&& done) { new osp::Completion(std::move(done)); }
    bool IsGenuine(const osp_http_req& request) const {
        if (Is("in.empty") && request.body.len == 0) return true;
        if (Is("in.garbage") && request.body.len > 0 && request.body.ptr[0] > 127) return true;
        for (uint32_t i = 0; i < request.n_headers; ++i) {
            if (osp::View(request.headers[i].key) != "x-proof") continue;
            const std::string_view value = osp::View(request.headers[i].value);
            if (Is("in.tampered")) return value.substr(0, common.secret.size()) == common.secret;
            return value == common.secret;
        }
        return false;
    }
    void Begin() {
        const auto* ingest = host.Service<osp_host_ingest_v1>(OSP_HOST_INGEST);
        if (ingest == nullptr) return;
        osp_ingest_args args{};
        args.size = sizeof args;
        args.provider = osp::Str("defect");
        args.event_id = osp::Str("mail-1");
        osp_ingest* handle = nullptr;
        ingest->begin(host.raw(), &args, &handle, nullptr);
    }
    void Emit(std::string_view body, osp::Completion&& done) {
        const auto* events = host.Service<osp_host_event_v1>(OSP_HOST_EVENT);
        if (events == nullptr) return Reply(done, 503);
        std::string id(body);
        if (Is("in.replay")) id += std::to_string(common.calls);
        osp_event event{};
        event.size = sizeof event;
        event.type = OSP_EV_DELIVERED;
        event.dedup_key = Is("in.events") ? osp_str{} : osp::Str(id);
        osp_event_batch batch{};
        batch.size = sizeof batch;
        batch.provider = osp::Str("defect");
        batch.delivery_id = osp::Str(id);
        batch.events = &event;
        batch.n = 1;
        batch.stride = sizeof event;
        batch.done = Emitted;
        if (Is("in.after-done")) Reply(done, 200);
        auto kept = std::make_unique<osp::Completion>(std::move(done));
        batch.ctx = kept.get();
        const osp_status status = events->emit(host.raw(), &batch, nullptr);
        if (status < 0) return Reply(*kept, Is("in.refused") ? 200 : 503);
        static_cast<void>(kept.release());
    }
};

osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
    return osp::Entry<Postbox>::Self(inst).common.OnDrain(
        done, osp::Entry<Postbox>::Drain(inst, done, deadline)
    );
}

}  // namespace

osp_kind InboundKind() {
    static osp_instance_vt instance;
    instance = Changed(osp::Entry<Postbox>::kInstance);
    instance.drain = Drain;
    return {sizeof(osp_kind), 0,         OSP_KIND_INBOUND,
            "defect_in",      &instance, &osp::InboundEntry<Postbox>::kTable,
            kSchema};
}

}  // namespace defect
