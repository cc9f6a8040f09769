/* One transport kind "bad" that breaks one rule, chosen when it is compiled. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <opensend/plugin.h>

#ifndef BAD_MAGIC
#define BAD_MAGIC OSP_MAGIC
#endif
#ifndef BAD_MAJOR
#define BAD_MAJOR OSP_ABI_MAJOR
#endif
#ifndef BAD_ID
#define BAD_ID "test.bad"
#endif
#ifndef BAD_HOST_MINOR
#define BAD_HOST_MINOR 0
#endif
#ifndef BAD_VERSION
#define BAD_VERSION "1"
#endif
#ifndef BAD_KIND
#define BAD_KIND OSP_KIND_TRANSPORT ":bad"
#endif
#ifndef BAD_MORE
#define BAD_MORE ""
#endif
#ifdef BAD_JSON
#define BAD_MANIFEST "{\"id\":"
#else
#define BAD_MANIFEST \
    "{\"id\":\"test.bad\",\"version\":\"" BAD_VERSION "\",\"kinds\":[\"" BAD_KIND "\"]" BAD_MORE "}"
#endif
#ifndef BAD_ENTRY
#define BAD_ENTRY osp_plugin_v1
#endif

struct osp_inst {
    const osp_host* host;
    pthread_t thread;
    int has_thread;
    osp_token token;
};

#ifdef BAD_UNDEFINED
void nobody_defines_this(void);
#endif

#ifdef BAD_START
/* Runs while the file is being loaded. */
static void OnSignal(int number) { (void)number; }
static void* WaitForever(void* context) {
    pause();
    return context;
}
static int bad_sum;
__attribute__((constructor)) static void AtLoad(void) {
    pthread_t thread;
    (void)OnSignal;
    (void)WaitForever;
    (void)thread;
    (void)bad_sum;
    BAD_START;
}
#endif
#ifdef BAD_EXPORT
OSP_EXPORT int helper(void);
int helper(void) { return 1; }
#endif
#ifdef BAD_FOREIGN
int foreign(void);
OSP_EXPORT int osp_plugin_v99(void);
int osp_plugin_v99(void) { return foreign(); }
#endif
#ifdef BAD_TEXTREL
/* An address within the code. */
__asm__(".text\n.balign 8\n.quad environ\n");
#endif

static osp_status Create(const osp_create_args* args, osp_inst** out, osp_error* error) {
    osp_inst* inst = calloc(1, sizeof *inst);
    if (inst == NULL) return OSP_E_NOMEM;
#ifdef BAD_UNDEFINED
    nobody_defines_this();
#endif
#ifdef BAD_CREATE
    free(inst);
    memcpy(error->msg, "no\nway", 6);
    error->msg_len = 6;
    return OSP_E_CONFIG;
#endif
    (void)error;
    inst->host = args->host;
    *out = inst;
    return OSP_OK;
}

static void Stop(osp_inst* inst) {
    if (inst->has_thread) pthread_join(inst->thread, NULL);
}

static void Destroy(osp_inst* inst) { free(inst); }

#ifdef BAD_RECONFIGURE
static osp_status Reconfigure(osp_inst* inst, osp_str json, osp_error* error) {
    (void)inst;
    if (memmem(json.ptr, json.len, "refuse", 6) == NULL) return OSP_OK;
    memcpy(error->msg, "not this", 8);
    error->msg_len = 8;
    return OSP_E_CONFIG;
}
#endif

#ifdef BAD_UNLOAD
/* Leaves a file, so that the call can be seen. */
static void Unload(void) { close(open(BAD_UNLOAD, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); }
#endif

static osp_status GetCaps(osp_inst* inst, osp_transport_caps* caps) {
    (void)inst;
    caps->flags = OSP_TR_BLOCKING;
    caps->max_batch = 4;
    caps->max_concurrency = 2;
    return OSP_OK;
}

static osp_status Finish(const osp_host* host, osp_token token) {
    osp_msg_result result = {.size = sizeof result, .all = {.size = sizeof result.all}};
    osp_completion completion = {sizeof completion, OSP_OK, &result, NULL};
    result.all.outcome = OSP_OUT_ACCEPTED;
    return host->complete(host, token, &completion);
}

#if defined(BAD_LATE) || defined(BAD_BLOCK)
static void Pause(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}
#endif

#ifdef BAD_LATE
static void* Later(void* context) {
    osp_inst* inst = context;
    Pause(300);
    Finish(inst->host, inst->token);
    return NULL;
}
#endif

static osp_status Send(osp_inst* inst, const osp_batch* batch, osp_error* error) {
    const osp_host* host = inst->host;
    (void)error;
    (void)Finish;
    for (uint32_t i = 0; i < batch->n; ++i) {
        const void* place = (const char*)batch->msgs + (size_t)i * batch->stride;
        const osp_msg* message = place;
        (void)message;
        (void)host;
#if defined(BAD_TWICE)
        Finish(host, message->token);
        Finish(host, message->token);
#elif defined(BAD_SILENT)
#elif defined(BAD_LATE)
        inst->token = message->token;
        inst->has_thread = pthread_create(&inst->thread, NULL, Later, inst) == 0;
#elif defined(BAD_BLOCK)
        Pause(400);
        Finish(host, message->token);
#elif defined(BAD_CHANGE)
        memcpy((char*)(size_t)message->data.ptr, "X", 1);
        Finish(host, message->token);
#elif defined(BAD_RESULT)
        uint32_t nothing[2] = {4, 0};
        osp_completion completion = {sizeof completion, OSP_OK, nothing, NULL};
        host->complete(host, message->token, &completion);
#elif defined(BAD_STRANGER)
        Finish(host, message->token + 77);
        Finish(host, 0);
        Finish(host, ~(osp_token)0);
        Finish(host, message->token);
#else
        Finish(host, message->token);
#endif
    }
#ifdef BAD_STATUS
    return BAD_STATUS;
#endif
    return OSP_OK;
}

#ifdef BAD_LATE
/* Asynchronous, so that the call is over when the deadline comes. */
static const osp_transport_v1 kTransport = {
    .size = sizeof kTransport, .get_caps = GetCaps, .submit = Send};
#else
static const struct {
    osp_transport_v1 table;
    void* more[8];
} kLong = {
    .table = {
#if defined(BAD_LONG)
              .size = sizeof kLong,
#elif defined(BAD_SHORT)
        .size = offsetof(osp_transport_v1, cancel),
#elif defined(BAD_TINY)
        .size = 8,
#elif defined(BAD_HUGE)
        .size = 1u << 20,
#else
        .size = sizeof(osp_transport_v1),
#endif
              .get_caps = GetCaps,
              .send = Send}
};
#define kTransport kLong.table
#endif

static const osp_instance_vt kInstance = {
    .size = sizeof kInstance,
    .create = Create,
    .stop = Stop,
#ifdef BAD_RECONFIGURE
    .reconfigure = Reconfigure,
#endif
    .destroy = Destroy};
static const osp_kind kKind = {
    .size = sizeof kKind,
    .iface = OSP_KIND_TRANSPORT,
    .name = "bad",
    .instance = &kInstance,
    .table = &kTransport,
    .config_schema = "{}"};
static const osp_kind* const kKinds[] = {&kKind};
static const osp_plugin kPlugin = {
    .size = sizeof kPlugin,
    .magic = BAD_MAGIC,
    .abi_major = BAD_MAJOR,
    .abi_minor = OSP_ABI_MINOR,
    .id = BAD_ID,
    .version = BAD_VERSION,
    .name = "bad",
    .kinds = kKinds,
#ifdef BAD_UNLOAD
    .unload = Unload,
#endif
    .n_kinds = 1};

#ifndef BAD_NO_NOTE
OSP_MANIFEST(BAD_HOST_MINOR, BAD_MANIFEST);
#endif

OSP_EXPORT const osp_plugin* BAD_ENTRY(void);
const osp_plugin* BAD_ENTRY(void) { return &kPlugin; }
