//! The binary contract of opensend/plugin.h in Rust: the same names, the same layout. Rules and meaning
//! of every member stand in that header. opensend_layer.rs has safe code in front of it.
#![allow(dead_code, non_camel_case_types)]

use std::os::raw::{c_char, c_void};

pub const OSP_ABI_MAJOR: u16 = 1;
pub const OSP_ABI_MINOR: u16 = 0;
pub const OSP_MAGIC: u32 = 0x3150_534f;

pub type osp_token = u64;
pub type osp_time = u64;
pub type osp_status = i32;

/// Known to one side only.
#[repr(C)]
pub struct osp_inst {
    _private: [u8; 0],
}
#[repr(C)]
pub struct osp_blob {
    _private: [u8; 0],
}
#[repr(C)]
pub struct osp_ingest {
    _private: [u8; 0],
}

pub const OSP_PENDING: i32 = 1;
pub const OSP_OK: i32 = 0;
pub const OSP_E_INVALID: i32 = -1;
pub const OSP_E_CONFIG: i32 = -2;
pub const OSP_E_UNSUPPORTED: i32 = -3;
pub const OSP_E_NOMEM: i32 = -4;
pub const OSP_E_BUSY: i32 = -5;
pub const OSP_E_TIMEOUT: i32 = -6;
pub const OSP_E_CANCELLED: i32 = -7;
pub const OSP_E_UNAVAILABLE: i32 = -8;
pub const OSP_E_DENIED: i32 = -9;
pub const OSP_E_NOTFOUND: i32 = -10;
pub const OSP_E_CONFLICT: i32 = -11;
pub const OSP_E_TOOBIG: i32 = -12;
pub const OSP_E_STATE: i32 = -13;
pub const OSP_E_INTERNAL: i32 = -14;
pub const OSP_E_PANIC: i32 = -15;
pub const OSP_HEALTH_UNKNOWN: i32 = 0;
pub const OSP_HEALTH_UP: i32 = 1;
pub const OSP_HEALTH_DEGRADED: i32 = 2;
pub const OSP_HEALTH_DOWN: i32 = 3;
pub const OSP_INST_CONCURRENT: i32 = 1;
pub const OSP_INST_PER_TENANT: i32 = 2;
pub const OSP_INST_NO_FORK: i32 = 4;
pub const OSP_OUT_ACCEPTED: i32 = 0;
pub const OSP_OUT_DEFERRED: i32 = 1;
pub const OSP_OUT_REJECTED: i32 = 2;
pub const OSP_OUT_THROTTLED: i32 = 3;
pub const OSP_OUT_INDETERMINATE: i32 = 4;
pub const OSP_OUT_NOT_TRIED: i32 = 5;
pub const OSP_CLASS_AUTO: i32 = 0;
pub const OSP_CLASS_OK: i32 = 1;
pub const OSP_CLASS_OK_UNKNOWN: i32 = 2;
pub const OSP_CLASS_THROTTLE: i32 = 3;
pub const OSP_CLASS_TEMP: i32 = 4;
pub const OSP_CLASS_PERM_RECIPIENT: i32 = 5;
pub const OSP_CLASS_PERM_CONTENT: i32 = 6;
pub const OSP_CLASS_PERM_REPUTATION: i32 = 7;
pub const OSP_CLASS_AUTH_CONFIG: i32 = 8;
pub const OSP_CLASS_PROTOCOL: i32 = 9;
pub const OSP_STAGE_NONE: i32 = 0;
pub const OSP_STAGE_CONNECT: i32 = 1;
pub const OSP_STAGE_TLS: i32 = 2;
pub const OSP_STAGE_EHLO: i32 = 3;
pub const OSP_STAGE_AUTH: i32 = 4;
pub const OSP_STAGE_MAIL: i32 = 5;
pub const OSP_STAGE_RCPT: i32 = 6;
pub const OSP_STAGE_DATA: i32 = 7;
pub const OSP_STAGE_END: i32 = 8;
pub const OSP_STAGE_API: i32 = 9;
pub const OSP_TR_ASYNC: i32 = 1;
pub const OSP_TR_BLOCKING: i32 = 2;
pub const OSP_TR_PER_RCPT: i32 = 4;
pub const OSP_TR_IDEMPOTENT: i32 = 8;
pub const OSP_TR_SMTPUTF8: i32 = 16;
pub const OSP_TR_REQUIRETLS: i32 = 32;
pub const OSP_TR_FINAL_HOST: i32 = 64;
pub const OSP_AUTH_ABSTAIN: i32 = 0;
pub const OSP_AUTH_ALLOW: i32 = 1;
pub const OSP_AUTH_DENY: i32 = 2;
pub const OSP_AUTH_CHALLENGE: i32 = 3;
pub const OSP_RL_PEEK: i32 = 1;
pub const OSP_RL_DEGRADED: i32 = 1;
pub const OSP_LOG_TRACE: i32 = 0;
pub const OSP_LOG_DEBUG: i32 = 1;
pub const OSP_LOG_INFO: i32 = 2;
pub const OSP_LOG_WARN: i32 = 3;
pub const OSP_LOG_ERROR: i32 = 4;
pub const OSP_EV_SENT: i32 = 1;
pub const OSP_EV_DELIVERED: i32 = 2;
pub const OSP_EV_BOUNCED: i32 = 3;
pub const OSP_EV_DELAYED: i32 = 4;
pub const OSP_EV_COMPLAINED: i32 = 5;
pub const OSP_EV_OPENED: i32 = 6;
pub const OSP_EV_CLICKED: i32 = 7;
pub const OSP_EV_SUBSCRIPTION: i32 = 8;
pub const OSP_EV_NOTE: i32 = 9;
pub const OSP_EC_NONE: i32 = 0;
pub const OSP_EC_RECIPIENT: i32 = 1;
pub const OSP_EC_CONTENT: i32 = 2;
pub const OSP_EC_REPUTATION: i32 = 3;
pub const OSP_EC_INFRASTRUCTURE: i32 = 4;
pub const OSP_EMIT_APPLIED: i32 = 0;
pub const OSP_EMIT_DUPLICATE: i32 = 1;
pub const OSP_EMIT_IGNORED: i32 = 2;
pub const OSP_EMIT_LATER: i32 = 3;
pub const OSP_KIND_TRANSPORT: &str = "opensend.transport/1";
pub const OSP_KIND_AUTH: &str = "opensend.auth/1";
pub const OSP_KIND_RATELIMIT: &str = "opensend.ratelimit/1";
pub const OSP_KIND_INBOUND: &str = "opensend.inbound/1";
pub const OSP_KIND_LISTENER: &str = "opensend.listener/1";
pub const OSP_HOST_METRIC: &str = "opensend.host.metric/1";
pub const OSP_HOST_SECRET: &str = "opensend.host.secret/1";
pub const OSP_HOST_KV: &str = "opensend.host.kv/1";
pub const OSP_HOST_TIMER: &str = "opensend.host.timer/1";
pub const OSP_HOST_HTTP: &str = "opensend.host.http/1";
pub const OSP_HOST_NET: &str = "opensend.host.net/1";
pub const OSP_HOST_BLOB: &str = "opensend.host.blob/1";
pub const OSP_HOST_EVENT: &str = "opensend.host.event/1";
pub const OSP_HOST_INGEST: &str = "opensend.host.ingest/1";
pub const OSP_HOST_CREDENTIAL: &str = "opensend.host.credential/1";

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_str {
    pub ptr: *const c_char,
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_bytes {
    pub ptr: *const u8,
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_kv {
    pub key: osp_str,
    pub value: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_error {
    pub size: u32,
    pub code: osp_status,
    pub retry_after_ms: u32,
    pub msg_len: u32,
    pub msg: [c_char; 240],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_create_args {
    pub size: u32,
    pub flags: u32,
    pub host: *const osp_host,
    pub instance: osp_str,
    pub tenant: osp_str,
    pub config: osp_str,
    pub deadline: osp_time,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_health {
    pub size: u32,
    pub state: i32,
    pub inflight: u32,
    pub _r: u32,
    pub why: osp_error,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_instance_vt {
    pub size: u32,
    pub flags: u32,
    pub create: Option<unsafe extern "C" fn(_: *const osp_create_args, out: *mut *mut osp_inst, _: *mut osp_error) -> osp_status>,
    pub start: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *mut osp_error) -> osp_status>,
    pub drain: Option<unsafe extern "C" fn(_: *mut osp_inst, done: osp_token, deadline: osp_time) -> osp_status>,
    pub stop: Option<unsafe extern "C" fn(_: *mut osp_inst)>,
    pub destroy: Option<unsafe extern "C" fn(_: *mut osp_inst)>,
    pub health: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *mut osp_health) -> osp_status>,
    pub reconfigure: Option<unsafe extern "C" fn(_: *mut osp_inst, json: osp_str, _: *mut osp_error) -> osp_status>,
    pub get_interface: Option<unsafe extern "C" fn(_: *mut osp_inst, id: *const c_char) -> *const c_void>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_kind {
    pub size: u32,
    pub flags: u32,
    pub iface: *const c_char,
    pub name: *const c_char,
    pub instance: *const osp_instance_vt,
    pub table: *const c_void,
    pub config_schema: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_plugin {
    pub size: u32,
    pub magic: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub min_host_minor: u16,
    pub flags: u16,
    pub id: *const c_char,
    pub version: *const c_char,
    pub name: *const c_char,
    pub vendor: *const c_char,
    pub license: *const c_char,
    pub homepage: *const c_char,
    pub kinds: *const *const osp_kind,
    pub n_kinds: u32,
    pub _r: u32,
    pub load: Option<unsafe extern "C" fn(_: *const osp_host, _: *mut osp_error) -> osp_status>,
    pub unload: Option<unsafe extern "C" fn()>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_rcpt {
    pub size: u32,
    pub flags: u32,
    pub addr: osp_str,
    pub orcpt: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_msg {
    pub size: u32,
    pub flags: u32,
    pub token: osp_token,
    pub id: osp_str,
    pub tenant: osp_str,
    pub mail_from: osp_str,
    pub rcpts: *const osp_rcpt,
    pub n_rcpts: u32,
    pub rcpt_stride: u32,
    pub data: osp_bytes,
    pub blob: *const osp_blob,
    pub total_size: u64,
    pub meta: *const osp_kv,
    pub n_meta: u32,
    pub attempt: u32,
    pub traceparent: osp_str,
    pub deadline: osp_time,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_batch {
    pub size: u32,
    pub flags: u32,
    pub msgs: *const osp_msg,
    pub n: u32,
    pub stride: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_rcpt_result {
    pub size: u32,
    pub outcome: i32,
    pub rcpt_index: u32,
    pub retry_after_ms: u32,
    pub smtp_code: u16,
    pub enhanced: [u16; 3],
    pub rclass: u16,
    pub stage: u16,
    pub flags: u32,
    pub remote_id: osp_str,
    pub remote_host: osp_str,
    pub remote_addr: osp_str,
    pub tls: osp_str,
    pub diag: osp_str,
    pub transcript: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_msg_result {
    pub size: u32,
    pub flags: u32,
    pub all: osp_rcpt_result,
    pub rcpts: *const osp_rcpt_result,
    pub n: u32,
    pub stride: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_transport_caps {
    pub size: u32,
    pub flags: u32,
    pub max_batch: u32,
    pub max_rcpts: u32,
    pub max_inflight: u32,
    pub max_concurrency: u32,
    pub max_bytes: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_transport_v1 {
    pub size: u32,
    pub flags: u32,
    pub get_caps: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *mut osp_transport_caps) -> osp_status>,
    pub submit: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_batch, _: *mut osp_error) -> osp_status>,
    pub send: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_batch, _: *mut osp_error) -> osp_status>,
    pub cancel: Option<unsafe extern "C" fn(_: *mut osp_inst, _: osp_token)>,
    pub probe: Option<unsafe extern "C" fn(_: *mut osp_inst, deadline: osp_time, _: *mut osp_error) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_auth_req {
    pub size: u32,
    pub flags: u32,
    pub token: osp_token,
    pub scheme: osp_str,
    pub credential: osp_bytes,
    pub peer: osp_str,
    pub method: osp_str,
    pub path: osp_str,
    pub listener: osp_str,
    pub attrs: *const osp_kv,
    pub n_attrs: u32,
    pub _r: u32,
    pub traceparent: osp_str,
    pub deadline: osp_time,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_auth_result {
    pub size: u32,
    pub decision: i32,
    pub subject: osp_str,
    pub tenant: osp_str,
    pub scopes: *const osp_str,
    pub n_scopes: u32,
    pub cache_ttl_ms: u32,
    pub challenge: osp_str,
    pub reason: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_auth_v1 {
    pub size: u32,
    pub flags: u32,
    pub authenticate: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_auth_req, _: *mut osp_error) -> osp_status>,
    pub invalidate: Option<unsafe extern "C" fn(_: *mut osp_inst, subject: osp_str)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_rl_req {
    pub size: u32,
    pub flags: u32,
    pub group: u32,
    pub cost: u32,
    pub processes: u32,
    pub _r: u32,
    pub key: osp_str,
    pub emission_us: u64,
    pub burst_us: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_rl_res {
    pub size: u32,
    pub flags: u32,
    pub allowed: i32,
    pub _r: u32,
    pub remaining: u64,
    pub retry_after_us: u64,
    pub reset_us: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_ratelimit_v1 {
    pub size: u32,
    pub flags: u32,
    pub acquire: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_rl_req, req_stride: u32, _: *mut osp_rl_res, res_stride: u32, n: u32, _: osp_token, deadline: osp_time) -> osp_status>,
    pub refund: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_rl_req, stride: u32, n: u32)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_http_req {
    pub size: u32,
    pub flags: u32,
    pub token: osp_token,
    pub method: osp_str,
    pub path: osp_str,
    pub query: osp_str,
    pub peer: osp_str,
    pub headers: *const osp_kv,
    pub n_headers: u32,
    pub _r: u32,
    pub body: osp_bytes,
    pub deadline: osp_time,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_http_res {
    pub size: u32,
    pub status: i32,
    pub headers: *const osp_kv,
    pub n_headers: u32,
    pub _r: u32,
    pub body: osp_bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_inbound_v1 {
    pub size: u32,
    pub flags: u32,
    pub handle: Option<unsafe extern "C" fn(_: *mut osp_inst, _: *const osp_http_req, _: *mut osp_error) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_listener_v1 {
    pub size: u32,
    pub flags: u32,
    pub serve: Option<unsafe extern "C" fn(_: *mut osp_inst, fds: *const i32, n: u32, _: *mut osp_error) -> osp_status>,
    pub pause: Option<unsafe extern "C" fn(_: *mut osp_inst, on: i32)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_completion {
    pub size: u32,
    pub status: osp_status,
    pub result: *const c_void,
    pub error: *mut osp_error,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host {
    pub size: u32,
    pub magic: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub flags: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub self_: *mut c_void,
    pub get_interface: Option<unsafe extern "C" fn(_: *const osp_host, id: *const c_char) -> *const c_void>,
    pub complete: Option<unsafe extern "C" fn(_: *const osp_host, _: osp_token, _: *const osp_completion) -> osp_status>,
    pub log: Option<unsafe extern "C" fn(_: *const osp_host, level: i32, msg: osp_str, _: *const osp_kv, n: u32)>,
    pub now: Option<unsafe extern "C" fn(_: *const osp_host) -> osp_time>,
    pub unix_ms: Option<unsafe extern "C" fn(_: *const osp_host) -> i64>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_metric_v1 {
    pub size: u32,
    pub flags: u32,
    pub define: Option<unsafe extern "C" fn(_: *const osp_host, kind: i32, name: osp_str, help: osp_str, labels: *const osp_kv, n: u32) -> u64>,
    pub add: Option<unsafe extern "C" fn(_: *const osp_host, handle: u64, v: i64)>,
    pub observe: Option<unsafe extern "C" fn(_: *const osp_host, handle: u64, v: f64)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_secret_v1 {
    pub size: u32,
    pub flags: u32,
    pub with: Option<unsafe extern "C" fn(_: *const osp_host, reference: osp_str, with_value: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_bytes)>, _: *mut c_void) -> osp_status>,
    pub watch: Option<unsafe extern "C" fn(_: *const osp_host, reference: osp_str, changed: Option<unsafe extern "C" fn(_: *mut c_void)>, _: *mut c_void) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_kv_v1 {
    pub size: u32,
    pub flags: u32,
    pub get: Option<unsafe extern "C" fn(_: *const osp_host, key: osp_str, with_value: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_bytes, version: u64)>, _: *mut c_void) -> osp_status>,
    pub put: Option<unsafe extern "C" fn(_: *const osp_host, key: osp_str, _: osp_bytes, expect_version: u64, ttl_ns: u64) -> osp_status>,
    pub del: Option<unsafe extern "C" fn(_: *const osp_host, key: osp_str, expect_version: u64) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_timer_v1 {
    pub size: u32,
    pub flags: u32,
    pub arm: Option<unsafe extern "C" fn(_: *const osp_host, at: osp_time, period_ns: u64, fire: Option<unsafe extern "C" fn(_: *mut c_void, _: u64)>, _: *mut c_void) -> u64>,
    pub disarm: Option<unsafe extern "C" fn(_: *const osp_host, _: u64) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_http_call {
    pub size: u32,
    pub flags: u32,
    pub method: osp_str,
    pub url: osp_str,
    pub headers: *const osp_kv,
    pub n_headers: u32,
    pub max_response: u32,
    pub body: osp_bytes,
    pub deadline: osp_time,
    pub traceparent: osp_str,
    pub done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, _: *const osp_http_res)>,
    pub ctx: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_http_v1 {
    pub size: u32,
    pub flags: u32,
    pub start: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_http_call, _: *mut osp_error) -> u64>,
    pub cancel: Option<unsafe extern "C" fn(_: *const osp_host, _: u64)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_net_v1 {
    pub size: u32,
    pub flags: u32,
    pub connect: Option<unsafe extern "C" fn(_: *const osp_host, host: osp_str, port: u16, bind_ip: osp_str, deadline: osp_time, done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, fd: i32)>, _: *mut c_void) -> osp_status>,
    pub lookup_mx: Option<unsafe extern "C" fn(_: *const osp_host, domain: osp_str, deadline: osp_time, done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, _: *const osp_kv, n: u32, dnssec: i32)>, _: *mut c_void) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_blob_v1 {
    pub size: u32,
    pub flags: u32,
    pub read_at: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_blob, off: u64, buf: *mut c_void, len: usize, got: *mut usize) -> osp_status>,
    pub retain: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_blob) -> osp_status>,
    pub release: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_blob)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_event {
    pub size: u32,
    pub r#type: i32,
    pub category: i32,
    pub flags: u32,
    pub dedup_key: osp_str,
    pub tenant: osp_str,
    pub provider_message_id: osp_str,
    pub tag: osp_str,
    pub source: osp_str,
    pub rcpt: osp_str,
    pub unix_ms: i64,
    pub json: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_emit_res {
    pub size: u32,
    pub verdict: i32,
    pub applied: u32,
    pub ignored: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_event_batch {
    pub size: u32,
    pub flags: u32,
    pub provider: osp_str,
    pub delivery_id: osp_str,
    pub events: *const osp_event,
    pub n: u32,
    pub stride: u32,
    pub deadline: osp_time,
    pub done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, _: *const osp_emit_res)>,
    pub ctx: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_event_v1 {
    pub size: u32,
    pub flags: u32,
    pub emit: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_event_batch, _: *mut osp_error) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_ingest_args {
    pub size: u32,
    pub flags: u32,
    pub provider: osp_str,
    pub event_id: osp_str,
    pub message_id: osp_str,
    pub tenant: osp_str,
    pub mail_from: osp_str,
    pub peer: osp_str,
    pub meta: *const osp_kv,
    pub n_meta: u32,
    pub _r: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_ingest_res {
    pub size: u32,
    pub http_status: u32,
    pub status: osp_str,
    pub json: osp_str,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_ingest_v1 {
    pub size: u32,
    pub flags: u32,
    pub begin: Option<unsafe extern "C" fn(_: *const osp_host, _: *const osp_ingest_args, _: *mut *mut osp_ingest, _: *mut osp_error) -> osp_status>,
    pub rcpt: Option<unsafe extern "C" fn(_: *mut osp_ingest, addr: osp_str, _: *mut osp_error) -> osp_status>,
    pub write: Option<unsafe extern "C" fn(_: *mut osp_ingest, _: osp_bytes, _: *mut osp_error) -> osp_status>,
    pub commit: Option<unsafe extern "C" fn(_: *mut osp_ingest, done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, _: *const osp_ingest_res)>, ctx: *mut c_void, _: *mut osp_error) -> osp_status>,
    pub abort: Option<unsafe extern "C" fn(_: *mut osp_ingest)>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_credential {
    pub size: u32,
    pub flags: u32,
    pub subject: osp_str,
    pub tenant: osp_str,
    pub scope: osp_str,
    pub mac: [u8; 32],
    pub pepper_kid: u32,
    pub _r: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_host_credential_v1 {
    pub size: u32,
    pub flags: u32,
    pub find: Option<unsafe extern "C" fn(_: *const osp_host, key_ref: osp_str, deadline: osp_time, done: Option<unsafe extern "C" fn(_: *mut c_void, _: osp_status, _: *const osp_credential)>, _: *mut c_void) -> osp_status>,
    pub mac: Option<unsafe extern "C" fn(_: *const osp_host, pepper_kid: u32, data: osp_bytes, out: *mut u8) -> osp_status>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct osp_note_desc {
    pub magic: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub min_host_minor: u16,
    pub flags: u16,
    pub json_len: u32,
}

// Constants of the shared object: nothing behind these pointers changes.
unsafe impl Sync for osp_kind {}
unsafe impl Sync for osp_plugin {}
