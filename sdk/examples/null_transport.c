/* A transport in C that accepts every message and drops it. */
#include <stdlib.h>

#include <opensend/plugin.h>

struct osp_inst {
    const osp_host* host;
};

static osp_status Create(const osp_create_args* args, osp_inst** out, osp_error* error) {
    osp_inst* inst = malloc(sizeof *inst);
    (void)error;
    if (inst == NULL) return OSP_E_NOMEM;
    inst->host = args->host;
    *out = inst;
    return OSP_OK;
}

static void Destroy(osp_inst* inst) { free(inst); }

static osp_status GetCaps(osp_inst* inst, osp_transport_caps* caps) {
    (void)inst;
    /* Room for what is written here; an older host's struct may end behind it. */
    if (caps->size < offsetof(osp_transport_caps, max_concurrency) + sizeof caps->max_concurrency)
        return OSP_E_INVALID;
    caps->flags = OSP_TR_BLOCKING | OSP_TR_SMTPUTF8;
    caps->max_batch = 32;
    caps->max_concurrency = 1;
    return OSP_OK;
}

static osp_status Send(osp_inst* inst, const osp_batch* batch, osp_error* error) {
    const osp_host* host = inst->host;
    (void)error;
    for (uint32_t i = 0; i < batch->n; ++i) {
        const void* place = (const char*)batch->msgs + (size_t)i * batch->stride;
        const osp_msg* message = place;
        osp_msg_result result = {.size = sizeof result, .all = {.size = sizeof result.all}};
        osp_completion completion = {sizeof completion, OSP_OK, &result, NULL};
        result.all.outcome = OSP_OUT_ACCEPTED;
        host->complete(host, message->token, &completion);
    }
    return OSP_OK;
}

static const osp_instance_vt kInstance = {
    .size = sizeof kInstance, .create = Create, .destroy = Destroy};
static const osp_transport_v1 kTransport = {
    .size = sizeof kTransport, .get_caps = GetCaps, .send = Send};
static const osp_kind kKind = {
    .size = sizeof kKind,
    .iface = OSP_KIND_TRANSPORT,
    .name = "null",
    .instance = &kInstance,
    .table = &kTransport,
    .config_schema = "{\"type\":\"object\"}"};
static const osp_kind* const kKinds[] = {&kKind};
static const osp_plugin kPlugin = {
    .size = sizeof kPlugin,
    .magic = OSP_MAGIC,
    .abi_major = OSP_ABI_MAJOR,
    .abi_minor = OSP_ABI_MINOR,
    .id = "example.null",
    .version = "1.0.0",
    .name = "null",
    .vendor = "",
    .license = "",
    .homepage = "",
    .kinds = kKinds,
    .n_kinds = 1};

OSP_MANIFEST(
    0,
    "{\"id\":\"example.null\",\"version\":\"1.0.0\",\"sdk\":\"1.0.0\",\"min_host\":\"1.0\","
    "\"kinds\":[\"" OSP_KIND_TRANSPORT ":null\"]}"
);

const osp_plugin* osp_plugin_v1(void) { return &kPlugin; }
