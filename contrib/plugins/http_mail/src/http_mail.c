/* Hands each message to an HTTP API: the raw message as the body of one POST, the envelope in
 * headers. The server's own client does the transfer, so nothing blocks and nothing is opened here.
 */
#define _DEFAULT_SOURCE
#include <pthread.h>

#include <stdio.h>
#include <stdlib.h>

#include <opensend/c_layer.h>
#include <opensend/json.h>

#include "opensend_manifest.h"

enum { kMaxRcpts = 50, kMaxAddress = 320, kMaxAnswer = 65536, kHeaders = 5 };

struct osp_inst {
    const osp_host* host;
    const osp_host_http_v1* http;
    char url[512], authorization[600];
    size_t url_len, authorization_len;
    /* What is out, so that drain knows when the last answer has come. */
    pthread_mutex_t mutex;
    uint32_t out;
    osp_token drained;
};

/* A message whose answer has not come. */
typedef struct call {
    osp_inst* inst;
    osp_token token;
    uint64_t id;
} call;

static void Leave(osp_inst* inst) {
    pthread_mutex_lock(&inst->mutex);
    const osp_token drained = --inst->out == 0 ? inst->drained : 0;
    if (drained != 0) inst->drained = 0;
    pthread_mutex_unlock(&inst->mutex);
    if (drained != 0) osp_done(inst->host, drained, NULL);
}

/* What an HTTP status says of the message. */
static void Classify(int32_t status, osp_rcpt_result* all) {
    all->stage = OSP_STAGE_API;
    if (status >= 200 && status < 300) {
        all->outcome = OSP_OUT_ACCEPTED;
    } else if (status == 429) {
        all->outcome = OSP_OUT_THROTTLED;
        all->retry_after_ms = 1000;
    } else if (status == 401 || status == 403) {
        all->outcome = OSP_OUT_DEFERRED;
        all->rclass = OSP_CLASS_AUTH_CONFIG;
    } else if (status >= 400 && status < 500) {
        all->outcome = OSP_OUT_REJECTED;
        all->rclass = OSP_CLASS_PERM_CONTENT;
    } else {
        all->outcome = OSP_OUT_DEFERRED;
    }
}

static void Answered(void* context, osp_status status, const osp_http_res* response) {
    call* one = context;
    osp_inst* inst = one->inst;
    char id[200], said[64] = "no answer";
    osp_msg_result result = {.size = sizeof result, .all = {.size = sizeof result.all}};
    if (status == OSP_OK && response != NULL) {
        Classify(response->status, &result.all);
        snprintf(said, sizeof said, "HTTP %d", response->status);
        const osp_str body = {(const char*)response->body.ptr, response->body.len};
        const int64_t length =
            osp_json_text(osp_json_find(osp_json_parse(body), "id"), id, sizeof id);
        if (result.all.outcome == OSP_OUT_ACCEPTED && length > 0) {
            result.all.remote_id.ptr = id;
            result.all.remote_id.len = (size_t)length;
        }
    } else {
        /* The request may have arrived although the answer did not. */
        result.all.outcome = OSP_OUT_INDETERMINATE;
        result.all.stage = OSP_STAGE_API;
    }
    result.all.diag = osp_view(said);
    osp_done(inst->host, one->token, &result);
    free(one);
    Leave(inst);
}

/* "a@x, b@y" of all recipients. 0: too many, or an address that a header cannot carry. */
static size_t Recipients(const osp_msg* message, char* out) {
    size_t used = 0;
    if (message->n_rcpts == 0 || message->n_rcpts > kMaxRcpts) return 0;
    for (uint32_t i = 0; i < message->n_rcpts; ++i) {
        const osp_rcpt* rcpt = osp_at(message->rcpts, message->rcpt_stride, i);
        if (rcpt->addr.len == 0 || rcpt->addr.len > kMaxAddress) return 0;
        for (size_t k = 0; k < rcpt->addr.len; ++k) {
            const unsigned char c = (unsigned char)rcpt->addr.ptr[k];
            if (c <= ' ' || c == 127 || c == ',') return 0;
        }
        if (used > 0) {
            memcpy(out + used, ", ", 2);
            used += 2;
        }
        memcpy(out + used, rcpt->addr.ptr, rcpt->addr.len);
        used += rcpt->addr.len;
    }
    return used;
}

static osp_kv Field(const char* name, osp_str value) {
    const osp_kv field = {osp_view(name), value};
    return field;
}

static void Submit(osp_inst* inst, const osp_msg* message) {
    char rcpts[kMaxRcpts * (kMaxAddress + 2)];
    const osp_str to = {rcpts, Recipients(message, rcpts)};
    if (to.len == 0 || message->blob != NULL) {
        osp_refuse(
            inst->host, message->token, OSP_E_INVALID, "recipients or body that the API cannot take"
        );
        return;
    }
    call* one = calloc(1, sizeof *one);
    if (one == NULL) {
        osp_refuse(inst->host, message->token, OSP_E_NOMEM, "out of memory");
        return;
    }
    one->inst = inst;
    one->token = message->token;
    const osp_str key = {inst->authorization, inst->authorization_len},
                  url = {inst->url, inst->url_len};
    const osp_kv headers[kHeaders] = {
        Field("Authorization", key), Field("Content-Type", osp_view("message/rfc822")),
        Field("Idempotency-Key", message->id), Field("X-Mail-From", message->mail_from),
        Field("X-Rcpt-To", to)};
    const osp_http_call request = {
        .size = sizeof request,
        .method = osp_view("POST"),
        .url = url,
        .headers = headers,
        .n_headers = kHeaders,
        .max_response = kMaxAnswer,
        .body = message->data,
        .deadline = message->deadline,
        .traceparent = message->traceparent,
        .done = Answered,
        .ctx = one};
    osp_error error = {.size = sizeof error};
    pthread_mutex_lock(&inst->mutex);
    ++inst->out;
    pthread_mutex_unlock(&inst->mutex);
    /* Answered may run, and free the call, before this returns. */
    if (inst->http->start(inst->host, &request, &error) != 0) return;
    const osp_token token = one->token;
    free(one);
    osp_refuse(
        inst->host, token, error.code < 0 ? error.code : OSP_E_UNAVAILABLE,
        "the request was refused"
    );
    Leave(inst);
}

static osp_status SubmitAll(osp_inst* inst, const osp_batch* batch, osp_error* error) {
    (void)error;
    for (uint32_t i = 0; i < batch->n; ++i) Submit(inst, osp_at(batch->msgs, batch->stride, i));
    return OSP_PENDING;
}

static osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) {
    (void)deadline;
    pthread_mutex_lock(&inst->mutex);
    const uint32_t out = inst->out;
    if (out > 0) inst->drained = done;
    pthread_mutex_unlock(&inst->mutex);
    return out > 0 ? OSP_PENDING : OSP_OK;
}

static osp_status GetCaps(osp_inst* inst, osp_transport_caps* caps) {
    (void)inst;
    if (caps->size < sizeof *caps) return OSP_E_INVALID;
    caps->flags = OSP_TR_ASYNC | OSP_TR_IDEMPOTENT;
    caps->max_batch = 8;
    caps->max_rcpts = kMaxRcpts;
    caps->max_inflight = 64;
    return OSP_OK;
}

static void UseKey(void* context, osp_bytes value) {
    osp_inst* inst = context;
    static const char kScheme[] = "Bearer ";
    const size_t scheme = sizeof kScheme - 1;
    if (value.len == 0 || value.len > sizeof inst->authorization - scheme) return;
    memcpy(inst->authorization, kScheme, scheme);
    memcpy(inst->authorization + scheme, value.ptr, value.len);
    inst->authorization_len = scheme + value.len;
}

static osp_status ReadConfig(osp_inst* inst, osp_str text, osp_error* error) {
    static const char* const kKeys[] = {"url", "api_key"};
    char reference[256];
    const osp_str config = osp_json_parse(text);
    if (osp_json_first(config) != '{')
        return osp_fail(error, OSP_E_CONFIG, "the configuration is no JSON object");
    if (osp_json_stranger(config, kKeys, 2).len > 0)
        return osp_fail(error, OSP_E_CONFIG, "there is a key besides url and api_key");
    const int64_t url = osp_json_text(osp_json_find(config, "url"), inst->url, sizeof inst->url);
    if (url < 8 || memcmp(inst->url, "https://", 8) != 0)
        return osp_fail(error, OSP_E_CONFIG, "url begins with https://");
    inst->url_len = (size_t)url;
    const int64_t length =
        osp_json_secret(osp_json_find(config, "api_key"), reference, sizeof reference);
    if (length < 0) return osp_fail(error, OSP_E_CONFIG, "api_key names a secret");
    const osp_host_secret_v1* secrets = inst->host->get_interface(inst->host, OSP_HOST_SECRET);
    if (!OSP_HAS(osp_host_secret_v1, secrets, with))
        return osp_fail(error, OSP_E_DENIED, "secrets are not granted");
    const osp_str ref = {reference, (size_t)length};
    const osp_status status = secrets->with(inst->host, ref, UseKey, inst);
    if (status != OSP_OK) return osp_fail(error, status, "the secret of api_key is missing");
    if (inst->authorization_len == 0)
        return osp_fail(error, OSP_E_CONFIG, "api_key is empty or too long");
    inst->http = inst->host->get_interface(inst->host, OSP_HOST_HTTP);
    if (!OSP_HAS(osp_host_http_v1, inst->http, start))
        return osp_fail(error, OSP_E_DENIED, "HTTP is not granted");
    return OSP_OK;
}

static void Destroy(osp_inst* inst) {
    pthread_mutex_destroy(&inst->mutex);
    explicit_bzero(inst, sizeof *inst);
    free(inst);
}

static osp_status Create(const osp_create_args* args, osp_inst** out, osp_error* error) {
    osp_inst* inst = calloc(1, sizeof *inst);
    if (inst == NULL) return osp_fail(error, OSP_E_NOMEM, "out of memory");
    pthread_mutex_init(&inst->mutex, NULL);
    inst->host = args->host;
    const osp_status status = ReadConfig(inst, args->config, error);
    if (status != OSP_OK) {
        Destroy(inst);
        return status;
    }
    *out = inst;
    return OSP_OK;
}

static const osp_instance_vt kInstance = {
    .size = sizeof kInstance, .create = Create, .drain = Drain, .destroy = Destroy};
static const osp_transport_v1 kTable = {
    .size = sizeof kTable, .get_caps = GetCaps, .submit = SubmitAll};

OSP_C_PLUGIN(OSP_KIND_TRANSPORT, "http-mail")
