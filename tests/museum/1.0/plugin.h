// clang-format off
// The binary contract between OpenSend and a plugin, major version 1. C11 and C++20; needs nothing
// but <stddef.h> and <stdint.h>. The frozen layout is asserted at the end of the file.
//
// Five rules hold everywhere:
//  R1 Size first. The filler of a struct puts its own sizeof into the leading `size`. A reader takes
//     the smaller of that and what it knows, treats the rest as zero and touches nothing behind
//     `size`. An array of such structs is walked by the stride that comes with it.
//  R2 Memory stays with its owner. Data goes over as views; the receiver copies what it wants to
//     keep. Results are handed to a host function, or written into storage the caller provided.
//  R3 A token is a ticket and is completed once. It is a number the host can check, not an address:
//     completing it again, or too late, is refused with OSP_E_STATE and counted.
//  R4 Nothing is thrown over the border: no exception, panic or longjmp. The function pointers are
//     noexcept in C++, so that a function that may throw cannot be stored in one.
//  R5 What was released stays. Tables grow at their end with a minor version; another meaning is
//     another interface id with the next number.
//
// Where a function may be called is written behind it:
//  [ctl]    the host's control thread, one call at a time for each plugin; may block to its deadline
//  [strand] never two at a time for one instance; returns within a millisecond and does not block
//  [pool]   a thread for blocking work; at most caps.max_concurrency at a time
//  [any]    every thread at every time, the plugin's own threads included
#ifndef OPENSEND_PLUGIN_H
#define OPENSEND_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// clang-format off: a slot and its contract stay together

#define OSP_ABI_MAJOR 1
#define OSP_ABI_MINOR 0
#define OSP_MAGIC 0x3150534Fu  // the bytes "OSP1"

#if defined(__cplusplus)
#define OSP_NX noexcept
#define OSP_SA static_assert
extern "C" {
#else
#define OSP_NX
#define OSP_SA _Static_assert
#endif
#define OSP_EXPORT __attribute__((visibility("default")))

typedef struct osp_str   { const char    *ptr; size_t len; } osp_str;    // UTF-8 without a final NUL
typedef struct osp_bytes { const uint8_t *ptr; size_t len; } osp_bytes;
typedef struct osp_kv    { osp_str key, value; } osp_kv;
typedef uint64_t osp_token;   // 0: no token
typedef uint64_t osp_time;    // nanoseconds of the monotonic clock; 0: none
typedef int32_t  osp_status;  // one of the values below; a negative one nobody knows is OSP_E_INTERNAL

enum {
  OSP_PENDING        = 1,    // taken over; the answer comes through the token
  OSP_OK             = 0,
  OSP_E_INVALID      = -1,   // an argument that makes no sense
  OSP_E_CONFIG       = -2,   // the operator has to change the configuration
  OSP_E_UNSUPPORTED  = -3,   // no such function here
  OSP_E_NOMEM        = -4,
  OSP_E_BUSY         = -5,   // full for now; nothing was taken over
  OSP_E_TIMEOUT      = -6,
  OSP_E_CANCELLED    = -7,
  OSP_E_UNAVAILABLE  = -8,   // the other end is down
  OSP_E_DENIED       = -9,   // the operator has not granted it
  OSP_E_NOTFOUND     = -10,
  OSP_E_CONFLICT     = -11,
  OSP_E_TOOBIG       = -12,
  OSP_E_STATE        = -13,  // not in this state of life, or a token that is no longer open
  OSP_E_INTERNAL     = -14,
  OSP_E_PANIC        = -15   // an exception was stopped by the barrier of the SDK
};

// Provided by the caller, filled by the callee when it fails. `msg` is for operators, may be cut,
// and holds neither secrets nor mail. msg_len counts the bytes used.
typedef struct osp_error {
  uint32_t size; osp_status code; uint32_t retry_after_ms; uint32_t msg_len;
  char msg[240];
} osp_error;

// ---- life of a plugin ---------------------------------------------------------------------------

typedef struct osp_inst osp_inst;  // one instance; its type is the plugin's own affair
typedef struct osp_host osp_host;

// Views are valid during create(); `host` as long as the instance lives. `config` is a JSON object in
// which a secret is {"$secret":"<ref>"}. `tenant` is empty when all tenants share the instance.
typedef struct osp_create_args {
  uint32_t size, flags;
  const osp_host *host;
  osp_str instance;  // the operator's name for it
  osp_str tenant;
  osp_str config;
  osp_time deadline;
} osp_create_args;

enum { OSP_HEALTH_UNKNOWN = 0, OSP_HEALTH_UP = 1, OSP_HEALTH_DEGRADED = 2, OSP_HEALTH_DOWN = 3 };
typedef struct osp_health { uint32_t size; int32_t state; uint32_t inflight, _r; osp_error why; } osp_health;

enum { OSP_INST_CONCURRENT = 1u << 0,   // [strand] calls may run side by side
       OSP_INST_PER_TENANT = 1u << 1,   // an instance serves one tenant only
       OSP_INST_NO_FORK    = 1u << 2 }; // wants to be created after the server has become a daemon

// created, started, draining, stopped, gone: in this order. An absent slot (null, or behind `size`)
// counts as success with nothing to do; create and destroy must be there.
typedef struct osp_instance_vt {
  uint32_t size, flags;
  // [ctl] Makes an instance and stores it in *out; no network, no threads yet. On failure *out stays
  // untouched and the error says which part of the configuration is wrong.
  osp_status (*create)(const osp_create_args *, osp_inst **out, osp_error *) OSP_NX;
  // [ctl] Connects and starts threads. On failure the instance is destroyed without stop().
  osp_status (*start)(osp_inst *, osp_error *) OSP_NX;
  // [ctl] No new calls will come. OSP_OK: nothing is out. OSP_PENDING: `done` is completed when the
  // last open token has been, at the latest at `deadline`.
  osp_status (*drain)(osp_inst *, osp_token done, osp_time deadline) OSP_NX;
  // [ctl] Joins every thread; the host is not called any more once this returns.
  void       (*stop)(osp_inst *) OSP_NX;
  // [ctl] Frees the instance. Last call for it.
  void       (*destroy)(osp_inst *) OSP_NX;
  // [any] Writes the state into the caller's struct; looks at memory only.
  osp_status (*health)(osp_inst *, osp_health *) OSP_NX;
  // [ctl] Takes a new configuration, whole or not at all. Absent: a new instance takes over.
  osp_status (*reconfigure)(osp_inst *, osp_str json, osp_error *) OSP_NX;
  // [any] The table of an extension, or null. The table outlives the instance.
  const void*(*get_interface)(osp_inst *, const char *id) OSP_NX;
} osp_instance_vt;

// One thing the plugin can be. All pointers are to constants of the shared object.
typedef struct osp_kind {
  uint32_t size, flags;
  const char *iface;                // OSP_KIND_TRANSPORT, ...
  const char *name;                 // scheme of a transport URL, name of a backend, path below /events/
  const osp_instance_vt *instance;
  const void *table;                // the osp_*_v1 that `iface` names
  const char *config_schema;        // JSON Schema text
} osp_kind;

typedef struct osp_plugin {
  uint32_t size, magic;
  uint16_t abi_major, abi_minor;    // those of the header it was compiled with
  uint16_t min_host_minor, flags;   // the oldest host it works with
  const char *id, *version, *name, *vendor, *license, *homepage;
  const osp_kind *const *kinds; uint32_t n_kinds, _r;
  osp_status (*load)(const osp_host *, osp_error *) OSP_NX;  // [ctl] optional; may come more than once
  void       (*unload)(void) OSP_NX;                         // [ctl] optional
} osp_plugin;

// What a shared object exports, and nothing else. Returns the same constant each time and has no
// side effect. Never null. The next major has another name, so one file can carry both.
OSP_EXPORT const osp_plugin *osp_plugin_v1(void) OSP_NX;

// ---- transport ----------------------------------------------------------------------------------

#define OSP_KIND_TRANSPORT "opensend.transport/1"
typedef struct osp_blob osp_blob;  // a large body that stays with the host
typedef struct osp_rcpt { uint32_t size, flags; osp_str addr, orcpt; } osp_rcpt;

// A message that must not be changed. All views are valid until its token has been completed.
typedef struct osp_msg {
  uint32_t size, flags;
  osp_token token;
  osp_str  id;        // the same again while an earlier attempt may have reached the provider
  osp_str  tenant;
  osp_str  mail_from; // empty: the null reverse path
  const osp_rcpt *rcpts; uint32_t n_rcpts, rcpt_stride;
  osp_bytes data;     // the RFC 5322 octets with CRLF; with a blob the header section only
  const osp_blob *blob; uint64_t total_size;
  const osp_kv *meta; uint32_t n_meta, attempt;
  osp_str  traceparent;
  osp_time deadline;  // the host answers in the plugin's place when it has passed
} osp_msg;
typedef struct osp_batch { uint32_t size, flags; const osp_msg *msgs; uint32_t n, stride; } osp_batch;

enum { OSP_OUT_ACCEPTED = 0, OSP_OUT_DEFERRED = 1, OSP_OUT_REJECTED = 2, OSP_OUT_THROTTLED = 3,
       OSP_OUT_INDETERMINATE = 4,  // the other end may have taken the message, nobody knows
       OSP_OUT_NOT_TRIED = 5 };    // nothing happened; does not count as an attempt
enum { OSP_CLASS_AUTO = 0,         // the host finds the class from outcome, stage, codes and text
       OSP_CLASS_OK = 1, OSP_CLASS_OK_UNKNOWN = 2, OSP_CLASS_THROTTLE = 3, OSP_CLASS_TEMP = 4,
       OSP_CLASS_PERM_RECIPIENT = 5, OSP_CLASS_PERM_CONTENT = 6, OSP_CLASS_PERM_REPUTATION = 7,
       OSP_CLASS_AUTH_CONFIG = 8, OSP_CLASS_PROTOCOL = 9 };
enum { OSP_STAGE_NONE = 0, OSP_STAGE_CONNECT = 1, OSP_STAGE_TLS = 2, OSP_STAGE_EHLO = 3, OSP_STAGE_AUTH = 4,
       OSP_STAGE_MAIL = 5, OSP_STAGE_RCPT = 6, OSP_STAGE_DATA = 7, OSP_STAGE_END = 8, OSP_STAGE_API = 9 };

// What became of one recipient. Zero and empty mean "not known".
typedef struct osp_rcpt_result {
  uint32_t size; int32_t outcome; uint32_t rcpt_index, retry_after_ms;
  uint16_t smtp_code, enhanced[3];  // 550 and {5,1,1}
  uint16_t rclass, stage; uint32_t flags;
  osp_str remote_id;                // the provider's name for the message
  osp_str remote_host, remote_addr, tls;
  osp_str diag;                     // what the other end said
  osp_str transcript;               // the dialogue, without credentials and mail
} osp_rcpt_result;
// The result of a completed message. n == 0: `all` holds for every recipient.
typedef struct osp_msg_result {
  uint32_t size, flags; osp_rcpt_result all;
  const osp_rcpt_result *rcpts; uint32_t n, stride;
} osp_msg_result;

enum { OSP_TR_ASYNC = 1, OSP_TR_BLOCKING = 2, OSP_TR_PER_RCPT = 4, OSP_TR_IDEMPOTENT = 8,
       OSP_TR_SMTPUTF8 = 16, OSP_TR_REQUIRETLS = 32,
       OSP_TR_FINAL_HOST = 64 };    // accepted means: in the recipient's own mail system
typedef struct osp_transport_caps {  // 0 in a number: the host's own default
  uint32_t size, flags, max_batch, max_rcpts, max_inflight, max_concurrency; uint64_t max_bytes;
} osp_transport_caps;

// submit or send must be there, both may. Every message that was taken over is completed once with an
// osp_msg_result, or with a negative status.
typedef struct osp_transport_v1 {
  uint32_t size, flags;
  // [any] Fills the caller's struct. The same answer through the life of the instance.
  osp_status (*get_caps)(osp_inst *, osp_transport_caps *) OSP_NX;
  // [strand] Takes over all messages (OSP_PENDING) or none (negative). May complete inside the call.
  osp_status (*submit)(osp_inst *, const osp_batch *, osp_error *) OSP_NX;
  // [pool] Completes every token before it returns. A negative status is the answer for those it did
  // not complete.
  osp_status (*send)(osp_inst *, const osp_batch *, osp_error *) OSP_NX;
  // [any] Optional. Asks to hurry; the token is completed all the same, with what is true.
  void       (*cancel)(osp_inst *, osp_token) OSP_NX;
  // [pool] Optional. Can the other end be reached? Sends no mail.
  osp_status (*probe)(osp_inst *, osp_time deadline, osp_error *) OSP_NX;
} osp_transport_v1;

// ---- auth ---------------------------------------------------------------------------------------

#define OSP_KIND_AUTH "opensend.auth/1"
enum { OSP_AUTH_ABSTAIN = 0, OSP_AUTH_ALLOW = 1, OSP_AUTH_DENY = 2, OSP_AUTH_CHALLENGE = 3 };
// Views are valid until the token has been completed; then the host wipes the credential.
typedef struct osp_auth_req {
  uint32_t size, flags; osp_token token;
  osp_str scheme;        // "bearer", "basic", "sasl-plain", "sasl-login"
  osp_bytes credential;  // token or password
  osp_str peer, method, path, listener;
  const osp_kv *attrs; uint32_t n_attrs, _r;  // "username" for SASL
  osp_str traceparent; osp_time deadline;
} osp_auth_req;
// The result of a completed request. ALLOW names a subject, a tenant, one permission and at most one
// "domain:<id>" among the scopes; anything else is treated as DENY.
typedef struct osp_auth_result {
  uint32_t size; int32_t decision; osp_str subject, tenant;
  const osp_str *scopes; uint32_t n_scopes, cache_ttl_ms;
  osp_str challenge;
  osp_str reason;        // "invalid", "expired", "address_denied"
} osp_auth_result;
typedef struct osp_auth_v1 {
  uint32_t size, flags;
  // [strand] OSP_PENDING: the token gets an osp_auth_result, perhaps already inside the call.
  // Negative: nobody gets in; UNAVAILABLE, TIMEOUT and BUSY mean "later", the others "no".
  osp_status (*authenticate)(osp_inst *, const osp_auth_req *, osp_error *) OSP_NX;
  // [any] Optional. Forgets what it has cached about the subject.
  void       (*invalidate)(osp_inst *, osp_str subject) OSP_NX;
} osp_auth_v1;

// ---- rate limit ---------------------------------------------------------------------------------

#define OSP_KIND_RATELIMIT "opensend.ratelimit/1"
enum { OSP_RL_PEEK = 1u << 0 };      // in osp_rl_req.flags: look, charge nothing
enum { OSP_RL_DEGRADED = 1u << 0 };  // in osp_rl_res.flags: the store did not answer, this process's share did
// One bucket, GCRA in integer microseconds. Entries of one call with the same `group` are charged
// together or not at all.
typedef struct osp_rl_req {
  uint32_t size, flags, group, cost;   // more than the burst counts as the burst
  uint32_t processes, _r;              // how many live processes use the bucket, at least 1
  osp_str key;
  uint64_t emission_us, burst_us;      // one unit lasts emission_us; the bucket holds burst_us of them
} osp_rl_req;
// `allowed` is the answer for the group, the numbers are those of this bucket.
typedef struct osp_rl_res {
  uint32_t size, flags; int32_t allowed; uint32_t _r;
  uint64_t remaining, retry_after_us, reset_us;  // retry_after_us 0: this bucket has no objection
} osp_rl_res;
typedef struct osp_ratelimit_v1 {
  uint32_t size, flags;
  // [any] OSP_OK: the n answers are in the caller's array. OSP_PENDING: they will be when the token is
  // completed; both arrays live until then. Negative: the store could not be asked, nothing was charged.
  osp_status (*acquire)(osp_inst *, const osp_rl_req *, uint32_t req_stride, osp_rl_res *, uint32_t res_stride,
                        uint32_t n, osp_token, osp_time deadline) OSP_NX;
  // [any] Optional. Gives units back: TAT = max(TAT - min(cost*T, B), now).
  void (*refund)(osp_inst *, const osp_rl_req *, uint32_t stride, uint32_t n) OSP_NX;
} osp_ratelimit_v1;

// ---- inbound: what providers send over HTTP -----------------------------------------------------

#define OSP_KIND_INBOUND "opensend.inbound/1"
typedef struct osp_http_req {          // views are valid until the token has been completed
  uint32_t size, flags; osp_token token;
  osp_str method, path, query, peer; const osp_kv *headers; uint32_t n_headers, _r;
  osp_bytes body; osp_time deadline;
} osp_http_req;
typedef struct osp_http_res { uint32_t size; int32_t status; const osp_kv *headers; uint32_t n_headers, _r; osp_bytes body; } osp_http_res;
typedef struct osp_inbound_v1 {
  uint32_t size, flags;
  // [strand] OSP_PENDING: the token gets an osp_http_res once emit or commit have called back.
  osp_status (*handle)(osp_inst *, const osp_http_req *, osp_error *) OSP_NX;
} osp_inbound_v1;

// ---- listener: the host binds, the plugin talks -------------------------------------------------

#define OSP_KIND_LISTENER "opensend.listener/1"
typedef struct osp_listener_v1 {
  uint32_t size, flags;
  // [ctl] Duplicated listening sockets; the plugin closes them in stop().
  osp_status (*serve)(osp_inst *, const int32_t *fds, uint32_t n, osp_error *) OSP_NX;
  // [any] 1: accept nothing for now. 0: go on.
  void       (*pause)(osp_inst *, int32_t on) OSP_NX;
} osp_listener_v1;

// ---- what the host offers; every function is [any] ----------------------------------------------

enum { OSP_LOG_TRACE = 0, OSP_LOG_DEBUG, OSP_LOG_INFO, OSP_LOG_WARN, OSP_LOG_ERROR };
// status OSP_OK with the result struct of the token's kind, or a negative status with an optional
// error. Copied before complete() returns.
typedef struct osp_completion { uint32_t size; osp_status status; const void *result; osp_error *error; } osp_completion;

struct osp_host {
  uint32_t size, magic; uint16_t abi_major, abi_minor; uint32_t flags;
  const char *name, *version; void *self;
  // The table of a service, valid as long as the instance; null: unknown here, or not granted.
  const void *(*get_interface)(const osp_host *, const char *id) OSP_NX;
  // OSP_E_STATE: this token is not open any more. OSP_E_INVALID: the result was unreadable; the token is
  // closed with OSP_E_INTERNAL.
  osp_status  (*complete)(const osp_host *, osp_token, const osp_completion *) OSP_NX;
  // One line with fields. No secrets, addresses or mail.
  void        (*log)(const osp_host *, int32_t level, osp_str msg, const osp_kv *, uint32_t n) OSP_NX;
  osp_time    (*now)(const osp_host *) OSP_NX;
  // Milliseconds since 1970, for signatures and freshness.
  int64_t     (*unix_ms)(const osp_host *) OSP_NX;
};

#define OSP_HOST_METRIC "opensend.host.metric/1"
typedef struct osp_host_metric_v1 {
  uint32_t size, flags;
  // A handle, made in create(); the same name and labels give the same one. 0: refused. type 0 counter,
  // 1 gauge, 2 histogram.
  uint64_t (*define)(const osp_host *, int32_t type, osp_str name, osp_str help, const osp_kv *labels, uint32_t n) OSP_NX;
  void     (*add)(const osp_host *, uint64_t handle, int64_t v) OSP_NX;
  void     (*observe)(const osp_host *, uint64_t handle, double v) OSP_NX;
} osp_host_metric_v1;

#define OSP_HOST_SECRET "opensend.host.secret/1"
typedef struct osp_host_secret_v1 {
  uint32_t size, flags;
  // Calls `use` once, inside, with the value; it is wiped afterwards. NOTFOUND: no such reference.
  osp_status (*with)(const osp_host *, osp_str ref, void (*use)(void *, osp_bytes) OSP_NX, void *) OSP_NX;
  // Calls `changed` whenever the value was exchanged.
  osp_status (*watch)(const osp_host *, osp_str ref, void (*changed)(void *) OSP_NX, void *) OSP_NX;
} osp_host_secret_v1;

#define OSP_HOST_KV "opensend.host.kv/1"  // small durable values of this instance, within a quota
typedef struct osp_host_kv_v1 {
  uint32_t size, flags;
  osp_status (*get)(const osp_host *, osp_str key, void (*use)(void *, osp_bytes, uint64_t version) OSP_NX, void *) OSP_NX;
  // CONFLICT unless the stored version is the expected one; 0 expects none. ttl_ns 0: for ever.
  osp_status (*put)(const osp_host *, osp_str key, osp_bytes, uint64_t expect_version, uint64_t ttl_ns) OSP_NX;
  osp_status (*del)(const osp_host *, osp_str key, uint64_t expect_version) OSP_NX;
} osp_host_kv_v1;

#define OSP_HOST_TIMER "opensend.host.timer/1"
typedef struct osp_host_timer_v1 {
  uint32_t size, flags;
  // Calls `fire` on the strand at `at`, then every period_ns unless that is 0. Returns its id; 0: refused.
  uint64_t   (*arm)(const osp_host *, osp_time at, uint64_t period_ns, void (*fire)(void *, uint64_t) OSP_NX, void *) OSP_NX;
  // Once it has returned, `fire` is not running and will not run; inside `fire` itself it only ends the repetition.
  osp_status (*disarm)(const osp_host *, uint64_t) OSP_NX;
} osp_host_timer_v1;

#define OSP_HOST_HTTP "opensend.host.http/1"  // the server's client, for the destinations of the grant
typedef struct osp_http_call {                // copied by start()
  uint32_t size, flags; osp_str method, url; const osp_kv *headers; uint32_t n_headers, max_response;
  osp_bytes body; osp_time deadline; osp_str traceparent;
  void (*done)(void *, osp_status, const osp_http_res *) OSP_NX; void *ctx;  // once, on the strand
} osp_http_call;
typedef struct osp_host_http_v1 {
  uint32_t size, flags;
  uint64_t (*start)(const osp_host *, const osp_http_call *, osp_error *) OSP_NX;  // 0: refused, `done` is not called
  void     (*cancel)(const osp_host *, uint64_t) OSP_NX;                           // `done` still comes
} osp_host_http_v1;

#define OSP_HOST_NET "opensend.host.net/1"  // sockets that the host opens
typedef struct osp_host_net_v1 {
  uint32_t size, flags;
  osp_status (*connect)(const osp_host *, osp_str host, uint16_t port, osp_str bind_ip, osp_time deadline,
                        void (*done)(void *, osp_status, int32_t fd) OSP_NX, void *) OSP_NX;  // the plugin closes fd
  osp_status (*lookup_mx)(const osp_host *, osp_str domain, osp_time deadline,
                          void (*done)(void *, osp_status, const osp_kv *, uint32_t n, int32_t dnssec) OSP_NX, void *) OSP_NX;
} osp_host_net_v1;

#define OSP_HOST_BLOB "opensend.host.blob/1"
typedef struct osp_host_blob_v1 {
  uint32_t size, flags;
  osp_status (*read_at)(const osp_host *, const osp_blob *, uint64_t off, void *buf, size_t len, size_t *got) OSP_NX;
  osp_status (*retain)(const osp_host *, const osp_blob *) OSP_NX;  // keeps it beyond the token
  void       (*release)(const osp_host *, const osp_blob *) OSP_NX;
} osp_host_blob_v1;

#define OSP_HOST_EVENT "opensend.host.event/1"  // what a provider reported, after the plugin has verified it
enum { OSP_EV_SENT = 1, OSP_EV_DELIVERED = 2, OSP_EV_BOUNCED = 3, OSP_EV_DELAYED = 4, OSP_EV_COMPLAINED = 5,
       OSP_EV_OPENED = 6, OSP_EV_CLICKED = 7, OSP_EV_SUBSCRIPTION = 8,
       OSP_EV_NOTE = 9 };                       // goes into the history and changes nothing
enum { OSP_EC_NONE = 0, OSP_EC_RECIPIENT = 1, OSP_EC_CONTENT = 2, OSP_EC_REPUTATION = 3, OSP_EC_INFRASTRUCTURE = 4 };
typedef struct osp_event {
  uint32_t size; int32_t type, category; uint32_t flags;
  osp_str dedup_key, tenant;                    // tenant empty: that of the message
  osp_str provider_message_id;
  osp_str tag;                                  // "<email id>_<ordinal>"
  osp_str source;                               // account and region it came from
  osp_str rcpt; int64_t unix_ms;                // rcpt empty: the one the tag names
  osp_str json;                                 // the provider's details, up to 16 KiB
} osp_event;
enum { OSP_EMIT_APPLIED = 0, OSP_EMIT_DUPLICATE = 1, OSP_EMIT_IGNORED = 2, OSP_EMIT_LATER = 3 };
typedef struct osp_emit_res { uint32_t size; int32_t verdict; uint32_t applied, ignored; } osp_emit_res;
// One delivery of a provider; applied in one transaction. `done` comes once, on the strand, after it.
typedef struct osp_event_batch {
  uint32_t size, flags; osp_str provider, delivery_id;
  const osp_event *events; uint32_t n, stride; osp_time deadline;
  void (*done)(void *, osp_status, const osp_emit_res *) OSP_NX; void *ctx;
} osp_event_batch;
typedef struct osp_host_event_v1 {
  uint32_t size, flags;
  osp_status (*emit)(const osp_host *, const osp_event_batch *, osp_error *) OSP_NX;  // negative: no `done`
} osp_host_event_v1;

#define OSP_HOST_INGEST "opensend.host.ingest/1"  // mail that was received
typedef struct osp_ingest osp_ingest;
typedef struct osp_ingest_args {                  // provider and event_id together tell repetitions
  uint32_t size, flags; osp_str provider, event_id, message_id, tenant, mail_from, peer;
  const osp_kv *meta; uint32_t n_meta, _r;        // "auth.spf" and the like, "meta.<key>"
} osp_ingest_args;
typedef struct osp_ingest_res { uint32_t size, http_status; osp_str status, json; } osp_ingest_res;
// begin, rcpt and write as often as needed, then commit or abort, which end the handle.
typedef struct osp_host_ingest_v1 {
  uint32_t size, flags;
  osp_status (*begin)(const osp_host *, const osp_ingest_args *, osp_ingest **, osp_error *) OSP_NX;
  osp_status (*rcpt)(osp_ingest *, osp_str addr, osp_error *) OSP_NX;
  osp_status (*write)(osp_ingest *, osp_bytes, osp_error *) OSP_NX;  // BUSY: the same bytes again later
  // `done` comes once, on the strand, when the mail is durable; only then may the sender be told so.
  osp_status (*commit)(osp_ingest *, void (*done)(void *, osp_status, const osp_ingest_res *) OSP_NX, void *ctx,
                       osp_error *) OSP_NX;
  void       (*abort)(osp_ingest *) OSP_NX;
} osp_host_ingest_v1;

#define OSP_HOST_CREDENTIAL "opensend.host.credential/1"  // stored API keys; for auth plugins
typedef struct osp_credential {
  uint32_t size, flags; osp_str subject, tenant, scope;   // key id, organization id, permission
  uint8_t mac[32]; uint32_t pepper_kid, _r;
} osp_credential;
typedef struct osp_host_credential_v1 {
  uint32_t size, flags;
  // `done` comes once, perhaps inside the call. NOTFOUND comes with a credential too: one that fits
  // nothing, so that an unknown reference costs the same work.
  osp_status (*find)(const osp_host *, osp_str key_ref, osp_time deadline,
                     void (*done)(void *, osp_status, const osp_credential *) OSP_NX, void *) OSP_NX;
  // HMAC-SHA-256 of `data` with a pepper that does not leave the host. NOTFOUND: no such pepper.
  osp_status (*mac)(const osp_host *, uint32_t pepper_kid, osp_bytes data, uint8_t out[32]) OSP_NX;
} osp_host_credential_v1;

// ---- helpers ------------------------------------------------------------------------------------

// True when table `p` of type T is long enough to have slot `f`, and it is filled.
#define OSP_HAS(T, p, f) ((p) && (p)->size >= offsetof(T, f) + sizeof((p)->f) && (p)->f)
#define OSP_S(lit) { (lit), sizeof(lit) - 1 }

// ---- the note: the manifest, readable while the file is still only bytes ------------------------

#define OSP_NOTE_TYPE 1u
typedef struct osp_note_desc { uint32_t magic; uint16_t abi_major, abi_minor, min_host_minor, flags; uint32_t json_len; } osp_note_desc;
#define OSP_NOTE_ROOM_(json) ((sizeof(json) + 3) / 4 * 4)
// Puts a JSON string literal of at most 64 KB into section .note.opensend. Once in a shared object.
#define OSP_MANIFEST(min_minor, json_literal)                                                      \
  __attribute__((used, section(".note.opensend"), aligned(4)))                                     \
  static const struct { uint32_t nsz, dsz, type; char name[4]; osp_note_desc d; char json[OSP_NOTE_ROOM_(json_literal)]; } \
    osp_note_ = { 4, sizeof(osp_note_desc) + OSP_NOTE_ROOM_(json_literal), OSP_NOTE_TYPE, {'O', 'S', 'P', 0}, \
                  { OSP_MAGIC, OSP_ABI_MAJOR, OSP_ABI_MINOR, (min_minor), 0, sizeof(json_literal) - 1 }, json_literal }

// ---- frozen layout ------------------------------------------------------------------------------

OSP_SA(sizeof(void *) == 8 && sizeof(size_t) == 8, "64-bit pointers and sizes only");
OSP_SA(sizeof(osp_str) == 16 && sizeof(osp_error) == 256, "layout of v1");
OSP_SA(sizeof(osp_create_args) == 72 && sizeof(osp_instance_vt) == 72 && sizeof(osp_kind) == 48, "layout of v1");
OSP_SA(offsetof(osp_plugin, id) == 16 && offsetof(osp_plugin, load) == 80, "layout of v1");
OSP_SA(offsetof(osp_msg, rcpts) == 64 && offsetof(osp_msg, data) == 80 && sizeof(osp_msg) == 152, "layout of v1");
OSP_SA(offsetof(osp_rcpt_result, remote_id) == 32 && sizeof(osp_rcpt_result) == 128, "layout of v1");
OSP_SA(sizeof(osp_rl_req) == 56 && sizeof(osp_rl_res) == 40, "layout of v1");
OSP_SA(sizeof(osp_event) == 136 && sizeof(osp_event_batch) == 80 && sizeof(osp_ingest_args) == 120, "layout of v1");
OSP_SA(offsetof(struct osp_host, get_interface) == 40 && offsetof(struct osp_host, unix_ms) == 72, "layout of v1");
OSP_SA(sizeof(osp_note_desc) == 16, "layout of v1");

#if defined(__cplusplus)
}
#endif
#endif
