#include <opensend/plugin.h>

// A plugin for calls into another process: each message is accepted at once.
struct osp_inst {
    const osp_host* host;
};

namespace {

osp_status CreateBench(const osp_create_args* args, osp_inst** out, osp_error*) noexcept {
    static osp_inst inst;
    inst.host = args->host;
    *out = &inst;
    return OSP_OK;
}
void DestroyBench(osp_inst*) noexcept {}
osp_status TakeBench(osp_inst* inst, const osp_batch* batch, osp_error*) noexcept {
    for (uint32_t i = 0; i < batch->n; ++i) {
        osp_msg_result result{};
        result.size = sizeof result;
        result.all.size = sizeof result.all;
        const osp_completion completion{sizeof completion, OSP_OK, &result, nullptr};
        inst->host->complete(inst->host, batch->msgs[i].token, &completion);
    }
    return OSP_OK;
}

constexpr osp_instance_vt kBenchInstance{
    sizeof kBenchInstance, 0,       CreateBench, nullptr, nullptr, nullptr,
    DestroyBench,          nullptr, nullptr,     nullptr};
constexpr osp_transport_v1 kBenchSubmit{
    sizeof kBenchSubmit, 0, nullptr, TakeBench, nullptr, nullptr, nullptr};
constexpr osp_transport_v1 kBenchSend{sizeof kBenchSend, 0,       nullptr, nullptr,
                                      TakeBench,         nullptr, nullptr};
constexpr osp_kind kBenchKinds[] = {
    {sizeof(osp_kind), 0, OSP_KIND_TRANSPORT, "bench",      &kBenchInstance, &kBenchSubmit, "{}"},
    {sizeof(osp_kind), 0, OSP_KIND_TRANSPORT, "bench_send", &kBenchInstance, &kBenchSend,   "{}"},
};
constexpr const osp_kind* kBenchList[] = {&kBenchKinds[0], &kBenchKinds[1]};
constexpr osp_plugin kBenchPlugin{
    sizeof kBenchPlugin,
    OSP_MAGIC,
    OSP_ABI_MAJOR,
    OSP_ABI_MINOR,
    0,
    0,
    "bench.callee",
    "1",
    "bench",
    "",
    "",
    "",
    kBenchList,
    2,
    0,
    nullptr,
    nullptr};

OSP_MANIFEST(
    0,
    "{\"id\":\"bench.callee\",\"version\":\"1\",\"kinds\":[\"" OSP_KIND_TRANSPORT
    ":bench\",\"" OSP_KIND_TRANSPORT ":bench_send\"]}"
);

}  // namespace

const osp_plugin* osp_plugin_v1(void) noexcept { return &kBenchPlugin; }
