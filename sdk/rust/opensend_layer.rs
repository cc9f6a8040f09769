//! Safe code in front of the contract: implement Transport, Auth, RateLimit or Inbound and end the
//! file with the macro opensend_plugin!. No panic leaves the shared object.
#![allow(dead_code)]

use crate::opensend_plugin::*;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// A status and one sentence for the operator: no secrets, no addresses, no mail.
pub struct Failure {
    pub status: osp_status,
    pub text: String,
    pub retry_after_ms: u32,
}

pub fn fail<T>(status: osp_status, text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { status, text: text.into(), retry_after_ms: 0 })
}

/// The bytes of a view, which live as long as the call or token they came with.
pub fn bytes<'a>(view: osp_bytes) -> &'a [u8] {
    if view.ptr.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(view.ptr, view.len) } }
}

/// The same for text; what is not UTF-8 is empty.
pub fn text<'a>(view: osp_str) -> &'a str {
    std::str::from_utf8(bytes(osp_bytes { ptr: view.ptr as *const u8, len: view.len })).unwrap_or("")
}

pub fn view(text: &str) -> osp_str {
    osp_str { ptr: text.as_ptr() as *const c_char, len: text.len() }
}

pub fn byte_view(bytes: &[u8]) -> osp_bytes {
    osp_bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

/// Takes as long for a hit as for a miss of the same length.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut difference = (a.len() != b.len()) as u8;
    for (x, y) in a.iter().zip(b) {
        difference |= unsafe { std::ptr::read_volatile(x) ^ std::ptr::read_volatile(y) };
    }
    difference == 0
}

/// A struct of the contract with its size and zeros; only for types of opensend_plugin.rs.
pub fn sized<T>() -> T {
    unsafe {
        let mut value: T = std::mem::zeroed();
        *(&mut value as *mut T as *mut u32) = std::mem::size_of::<T>() as u32;
        value
    }
}

/// The i-th entry of an array that is walked by its stride.
pub fn at<'a, T>(first: *const T, stride: u32, i: u32) -> &'a T {
    unsafe { &*((first as *const u8).add(stride as usize * i as usize) as *const T) }
}

fn fill(out: *mut osp_error, failure: &Failure) {
    unsafe {
        if out.is_null() || ((*out).size as usize) < std::mem::size_of::<osp_error>() {
            return;
        }
        let mut n = failure.text.len().min(240);
        while !failure.text.is_char_boundary(n) {
            n -= 1;
        }
        (*out).code = failure.status;
        (*out).retry_after_ms = failure.retry_after_ms;
        (*out).msg_len = n as u32;
        let from = failure.text.as_ptr() as *const c_char;
        std::ptr::copy_nonoverlapping(from, std::ptr::addr_of_mut!((*out).msg) as *mut c_char, n);
    }
}

/// The barrier: runs `call`; a failure or a panic becomes a status and a text.
fn guard(error: *mut osp_error, call: impl FnOnce() -> Result<osp_status, Failure>) -> osp_status {
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| fail(OSP_E_PANIC, "a panic was stopped"));
    result.unwrap_or_else(|failure| {
        fill(error, &failure);
        failure.status
    })
}

/// The host of one instance.
#[derive(Clone, Copy)]
pub struct Host(*const osp_host);
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    pub fn raw(&self) -> *const osp_host {
        self.0
    }
    /// Nanoseconds of the monotonic clock.
    pub fn now(&self) -> u64 {
        unsafe { (*self.0).now.map_or(0, |now| now(self.0)) }
    }
    /// Milliseconds since 1970.
    pub fn unix_ms(&self) -> i64 {
        unsafe { (*self.0).unix_ms.map_or(0, |unix_ms| unix_ms(self.0)) }
    }
    pub fn log(&self, level: i32, line: &str) {
        unsafe {
            if let Some(log) = (*self.0).log {
                log(self.0, level, view(line), std::ptr::null(), 0)
            }
        }
    }
    /// The table of a service; None: unknown or not granted. `id` ends with \0.
    pub fn service<T>(&self, id: &str) -> Option<&'static T> {
        assert!(id.ends_with('\0'));
        unsafe {
            let find = (*self.0).get_interface?;
            (find(self.0, id.as_ptr() as *const c_char) as *const T).as_ref()
        }
    }
    /// A copy of a secret.
    pub fn secret(&self, reference: &str) -> Result<String, Failure> {
        unsafe extern "C" fn keep(to: *mut c_void, value: osp_bytes) {
            let copy = String::from_utf8_lossy(bytes(value)).into_owned();
            *(to as *mut String) = copy;
        }
        let service = self.service::<osp_host_secret_v1>("opensend.host.secret/1\0");
        let with = match service.and_then(|table| table.with) {
            Some(with) => with,
            None => return fail(OSP_E_DENIED, "secrets are not granted"),
        };
        let mut value = String::new();
        match unsafe { with(self.0, view(reference), Some(keep), &mut value as *mut String as *mut c_void) } {
            OSP_OK => Ok(value),
            status => fail(status, format!("secret {} is missing", reference)),
        }
    }
}

/// The duty to complete one token. Dropped without an answer it completes as INTERNAL.
pub struct Completion {
    host: Host,
    token: osp_token,
}

impl Completion {
    pub fn new(host: Host, token: osp_token) -> Completion {
        Completion { host, token }
    }
    /// Gives the result struct of the token's kind. False: the host had given up on it.
    pub fn done<T>(mut self, result: &T) -> bool {
        self.finish(OSP_OK, result as *const T as *const c_void, std::ptr::null_mut())
    }
    /// One outcome for every recipient.
    pub fn all(self, all: osp_rcpt_result) -> bool {
        let mut result: osp_msg_result = sized();
        result.all = all;
        self.done(&result)
    }
    pub fn fail(mut self, failure: &Failure) -> bool {
        let mut error: osp_error = sized();
        fill(&mut error, failure);
        self.finish(failure.status, std::ptr::null(), &mut error)
    }
    fn finish(&mut self, status: osp_status, result: *const c_void, error: *mut osp_error) -> bool {
        let token = std::mem::replace(&mut self.token, 0);
        let mut completion: osp_completion = sized();
        completion.status = status;
        completion.result = result;
        completion.error = error;
        let host = self.host.0;
        unsafe { (*host).complete.map_or(false, |complete| complete(host, token, &completion) == OSP_OK) }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.token != 0 {
            self.finish(OSP_E_INTERNAL, std::ptr::null(), std::ptr::null_mut());
        }
    }
}

/// What every kind shares.
pub trait Instance: Sized + Send + Sync {
    /// OSP_INST_*
    const FLAGS: u32 = 0;
    fn create(host: Host, config: &Json) -> Result<Self, Failure>;
    fn host(&self) -> Host;
    fn start(&self) -> Result<(), Failure> {
        Ok(())
    }
    /// Joins every thread.
    fn stop(&self) {}
}
pub trait Transport: Instance {
    fn caps(&self) -> osp_transport_caps;
    /// May block up to the deadline; a failure is the answer for all recipients.
    fn deliver(&self, message: &osp_msg) -> Result<Vec<Outcome>, Failure>;
}
pub trait Auth: Instance {
    /// Does not block.
    fn authenticate(&self, request: &osp_auth_req) -> Result<Verdict, Failure>;
}
pub trait RateLimit: Instance {
    fn acquire(&self, requests: &[&osp_rl_req], results: &mut [osp_rl_res]) -> Result<osp_status, Failure>;
    fn refund(&self, requests: &[&osp_rl_req]);
}
pub trait Inbound: Instance {
    /// Takes `done` and answers once emit or commit have called back; a failure answers what was not
    /// taken.
    fn handle(&self, request: &osp_http_req, done: &mut Option<Completion>) -> Result<(), Failure>;
}

/// What became of one recipient.
#[derive(Clone, Default)]
pub struct Outcome {
    pub outcome: i32,
    pub smtp_code: u16,
    pub enhanced: [u16; 3],
    pub stage: i32,
    pub remote_id: String,
    pub diag: String,
}
/// What an auth backend found.
pub enum Verdict {
    Abstain,
    Deny(&'static str),
    Allow { subject: String, tenant: String, scope: String },
}

unsafe fn this<'a, T>(inst: *mut osp_inst) -> &'a T {
    &*(inst as *const T)
}

unsafe extern "C" fn create<T: Instance>(
    args: *const osp_create_args,
    out: *mut *mut osp_inst,
    error: *mut osp_error,
) -> osp_status {
    guard(error, || {
        let config = Json::parse(text((*args).config));
        let config = match config {
            Some(config @ Json::Object(_)) => config,
            _ => return fail(OSP_E_CONFIG, "the configuration is no JSON object"),
        };
        let made = Box::new(T::create(Host((*args).host), &config)?);
        *out = Box::into_raw(made) as *mut osp_inst;
        Ok(OSP_OK)
    })
}
unsafe extern "C" fn start<T: Instance>(inst: *mut osp_inst, error: *mut osp_error) -> osp_status {
    guard(error, || this::<T>(inst).start().map(|_| OSP_OK))
}
unsafe extern "C" fn stop<T: Instance>(inst: *mut osp_inst) {
    guard(std::ptr::null_mut(), || {
        this::<T>(inst).stop();
        Ok(OSP_OK)
    });
}
unsafe extern "C" fn destroy<T: Instance>(inst: *mut osp_inst) {
    guard(std::ptr::null_mut(), || {
        drop(Box::from_raw(inst as *mut T));
        Ok(OSP_OK)
    });
}
unsafe extern "C" fn health<T: Instance>(_: *mut osp_inst, out: *mut osp_health) -> osp_status {
    (*out).state = OSP_HEALTH_UP;
    OSP_OK
}
pub const fn instance_table<T: Instance>() -> osp_instance_vt {
    osp_instance_vt {
        size: std::mem::size_of::<osp_instance_vt>() as u32,
        flags: T::FLAGS,
        create: Some(create::<T>),
        start: Some(start::<T>),
        drain: None,
        stop: Some(stop::<T>),
        destroy: Some(destroy::<T>),
        health: Some(health::<T>),
        reconfigure: None,
        get_interface: None,
    }
}

/// Runs `call`; what it returns or panics with answers the token.
unsafe fn answer(host: Host, token: osp_token, call: impl FnOnce() -> Result<(), Failure>) {
    let mut error: osp_error = sized();
    let status = guard(&mut error, || call().map(|_| OSP_OK));
    if status < 0 {
        // Refused as stale when the call had completed it before it failed.
        let completion = osp_completion { status, error: &mut error, ..sized() };
        if let Some(complete) = (*host.raw()).complete {
            complete(host.raw(), token, &completion);
        }
    }
}

unsafe extern "C" fn get_caps<T: Transport>(inst: *mut osp_inst, out: *mut osp_transport_caps) -> osp_status {
    guard(std::ptr::null_mut(), || {
        if ((*out).size as usize) < std::mem::size_of::<osp_transport_caps>() {
            return fail(OSP_E_INVALID, "caps are too short");
        }
        *out = this::<T>(inst).caps();
        Ok(OSP_OK)
    })
}
unsafe extern "C" fn send<T: Transport>(inst: *mut osp_inst, batch: *const osp_batch, _: *mut osp_error) -> osp_status {
    for i in 0..(*batch).n {
        let message = at((*batch).msgs, (*batch).stride, i);
        let host = this::<T>(inst).host();
        answer(host, message.token, || {
            let outcomes = this::<T>(inst).deliver(message)?;
            let results: Vec<osp_rcpt_result> = outcomes.iter().enumerate().map(|(n, from)| result_of(n, from)).collect();
            let mut result: osp_msg_result = sized();
            result.all = sized();
            result.rcpts = results.as_ptr();
            result.n = results.len() as u32;
            result.stride = std::mem::size_of::<osp_rcpt_result>() as u32;
            Completion::new(host, message.token).done(&result);
            Ok(())
        });
    }
    OSP_OK
}
fn result_of(index: usize, from: &Outcome) -> osp_rcpt_result {
    osp_rcpt_result {
        outcome: from.outcome,
        rcpt_index: index as u32,
        smtp_code: from.smtp_code,
        enhanced: from.enhanced,
        stage: from.stage as u16,
        remote_id: view(&from.remote_id),
        diag: view(&from.diag),
        ..sized()
    }
}
pub const fn transport_table<T: Transport>() -> osp_transport_v1 {
    osp_transport_v1 {
        size: std::mem::size_of::<osp_transport_v1>() as u32,
        flags: 0,
        get_caps: Some(get_caps::<T>),
        submit: None,
        send: Some(send::<T>),
        cancel: None,
        probe: None,
    }
}

unsafe extern "C" fn authenticate<T: Auth>(
    inst: *mut osp_inst,
    request: *const osp_auth_req,
    _: *mut osp_error,
) -> osp_status {
    let host = this::<T>(inst).host();
    answer(host, (*request).token, || {
        let verdict = this::<T>(inst).authenticate(&*request)?;
        let mut result: osp_auth_result = sized();
        let mut scopes = [view("")];
        match &verdict {
            Verdict::Abstain => result.decision = OSP_AUTH_ABSTAIN,
            Verdict::Deny(reason) => {
                result.decision = OSP_AUTH_DENY;
                result.reason = view(reason);
            }
            Verdict::Allow { subject, tenant, scope } => {
                scopes[0] = view(scope);
                result.decision = OSP_AUTH_ALLOW;
                result.subject = view(subject);
                result.tenant = view(tenant);
                result.scopes = scopes.as_ptr();
                result.n_scopes = 1;
            }
        }
        Completion::new(host, (*request).token).done(&result);
        Ok(())
    });
    OSP_PENDING
}
pub const fn auth_table<T: Auth>() -> osp_auth_v1 {
    osp_auth_v1 {
        size: std::mem::size_of::<osp_auth_v1>() as u32,
        flags: 0,
        authenticate: Some(authenticate::<T>),
        invalidate: None,
    }
}

const MAX_BUCKETS: u32 = 1024;
unsafe fn buckets<'a>(first: *const osp_rl_req, stride: u32, n: u32) -> Vec<&'a osp_rl_req> {
    (0..n).map(|i| at(first, stride, i)).collect()
}
unsafe extern "C" fn acquire<T: RateLimit>(
    inst: *mut osp_inst,
    requests: *const osp_rl_req,
    request_stride: u32,
    out: *mut osp_rl_res,
    out_stride: u32,
    n: u32,
    _: osp_token,
    _: osp_time,
) -> osp_status {
    guard(std::ptr::null_mut(), || {
        if n > MAX_BUCKETS {
            return fail(OSP_E_TOOBIG, "too many buckets at once");
        }
        let mut results: Vec<osp_rl_res> = (0..n).map(|_| sized()).collect();
        let status = this::<T>(inst).acquire(&buckets(requests, request_stride, n), &mut results)?;
        for (i, result) in results.iter().enumerate() {
            *((out as *mut u8).add(out_stride as usize * i) as *mut osp_rl_res) = *result;
        }
        Ok(status)
    })
}
unsafe extern "C" fn refund<T: RateLimit>(inst: *mut osp_inst, requests: *const osp_rl_req, stride: u32, n: u32) {
    guard(std::ptr::null_mut(), || {
        this::<T>(inst).refund(&buckets(requests, stride, n));
        Ok(OSP_OK)
    });
}
pub const fn ratelimit_table<T: RateLimit>() -> osp_ratelimit_v1 {
    osp_ratelimit_v1 {
        size: std::mem::size_of::<osp_ratelimit_v1>() as u32,
        flags: 0,
        acquire: Some(acquire::<T>),
        refund: Some(refund::<T>),
    }
}

unsafe extern "C" fn handle<T: Inbound>(inst: *mut osp_inst, request: *const osp_http_req, _: *mut osp_error) -> osp_status {
    let mut done = Some(Completion::new(this::<T>(inst).host(), (*request).token));
    let mut error: osp_error = sized();
    let status = guard(&mut error, || this::<T>(inst).handle(&*request, &mut done).map(|_| OSP_OK));
    if status < 0 {
        if let Some(done) = done.take() {
            let said: Vec<u8> = error.msg[..(error.msg_len as usize).min(240)].iter().map(|c| *c as u8).collect();
            done.fail(&Failure { status, text: String::from_utf8_lossy(&said).into_owned(), retry_after_ms: 0 });
        }
    }
    OSP_PENDING
}
pub const fn inbound_table<T: Inbound>() -> osp_inbound_v1 {
    osp_inbound_v1 { size: std::mem::size_of::<osp_inbound_v1>() as u32, flags: 0, handle: Some(handle::<T>) }
}

/// A value of a JSON text.
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// None: no JSON, or deeper than 32.
    pub fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
        let value = reader.value(0)?;
        reader.blanks();
        if reader.at == reader.bytes.len() { Some(value) } else { None }
    }
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
    pub fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }
    pub fn int(&self) -> Option<i64> {
        if let Json::Number(digits) = self { digits.parse().ok() } else { None }
    }
    pub fn items(&self) -> &[Json] {
        if let Json::List(items) = self { items } else { &[] }
    }
    /// The reference in {"$secret":"<ref>"}.
    pub fn secret_ref(&self) -> Option<&str> {
        self.get("$secret")?.text()
    }
    /// Refuses keys that are not among the known ones.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        if let Json::Object(members) = self {
            if let Some((key, _)) = members.iter().find(|(key, _)| !known.contains(&key.as_str())) {
                return fail(OSP_E_CONFIG, format!("unknown key {}", key.chars().take(80).collect::<String>()));
            }
        }
        Ok(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
    fn take(&mut self, word: &str) -> Option<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(())
    }
    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > 32 {
            return None;
        }
        self.blanks();
        match *self.bytes.get(self.at)? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.take("true").map(|_| Json::Bool(true)),
            b'f' => self.take("false").map(|_| Json::Bool(false)),
            b'n' => self.take("null").map(|_| Json::Null),
            _ => self.number(),
        }
    }
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > begin { Some(()) } else { None }
    }
    fn number(&mut self) -> Option<Json> {
        let begin = self.at;
        let _ = self.take("-");
        if self.take("0").is_none() {
            self.digits()?;
        }
        if self.take(".").is_some() {
            self.digits()?;
        }
        if self.take("e").or_else(|| self.take("E")).is_some() {
            let _ = self.take("+").or_else(|| self.take("-"));
            self.digits()?;
        }
        Some(Json::Number(String::from_utf8_lossy(&self.bytes[begin..self.at]).into_owned()))
    }
    fn list(&mut self, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.take("[")?;
        self.blanks();
        if self.take("]").is_some() {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.take("]").is_some() {
                return Some(Json::List(items));
            }
            self.take(",")?;
        }
    }
    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut members = Vec::new();
        self.take("{")?;
        self.blanks();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.blanks();
            self.take(":")?;
            members.push((key, self.value(depth + 1)?));
            self.blanks();
            if self.take("}").is_some() {
                return Some(Json::Object(members));
            }
            self.take(",")?;
        }
    }
    fn unit(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.bytes.get(self.at..self.at + 4)?).ok()?;
        self.at += 4;
        if digits.bytes().all(|c| c.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
    }
    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut out: Vec<u8> = Vec::new();
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(out).ok(),
                0..=31 => return None,
                b'\\' => out.extend_from_slice(self.escape()?.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => out.push(byte),
            }
        }
    }
    fn escape(&mut self) -> Option<char> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => kind as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut point = self.unit()?;
                if (0xd800..0xdc00).contains(&point) {
                    self.take("\\u")?;
                    let low = self.unit()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return None;
                    }
                    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(point)?
            }
            _ => return None,
        })
    }
}

/// The note: the manifest, readable while the file is still only bytes.
#[repr(C)]
pub struct Note<const N: usize> {
    name_size: u32,
    desc_size: u32,
    kind: u32,
    name: [u8; 4],
    desc: osp_note_desc,
    json: [u8; N],
}

const SCHEMAS: &[u8] = b",\"config_schema\":{\"";

/// Bytes of the manifest without its last brace and what follows it.
const fn open_length(manifest: &[u8]) -> usize {
    let mut n = manifest.len();
    while n > 0 && manifest[n - 1] != b'}' {
        n -= 1;
    }
    if n == 0 { 0 } else { n - 1 }
}
pub const fn note_length(manifest: &[u8], kind: &[u8], schema: &[u8]) -> usize {
    open_length(manifest) + SCHEMAS.len() + kind.len() + 2 + schema.len() + 2
}
pub const fn note_room(manifest: &[u8], kind: &[u8], schema: &[u8]) -> usize {
    (note_length(manifest, kind, schema) + 1 + 3) / 4 * 4
}
const fn put<const N: usize>(mut to: [u8; N], at: usize, from: &[u8], n: usize) -> [u8; N] {
    let mut i = 0;
    while i < n {
        to[at + i] = from[i];
        i += 1;
    }
    to
}
/// The manifest with the schema of its kind in it.
pub const fn note<const N: usize>(manifest: &[u8], kind: &[u8], schema: &[u8]) -> Note<N> {
    let open = open_length(manifest);
    let mut json = put([0; N], 0, manifest, open);
    let mut end = open;
    json = put(json, end, SCHEMAS, SCHEMAS.len());
    end += SCHEMAS.len();
    json = put(json, end, kind, kind.len());
    end += kind.len();
    json = put(json, end, b"\":", 2);
    end += 2;
    json = put(json, end, schema, schema.len());
    end += schema.len();
    json = put(json, end, b"}}", 2);
    Note {
        name_size: 4,
        desc_size: (std::mem::size_of::<osp_note_desc>() + N) as u32,
        kind: 1,
        name: *b"OSP\0",
        desc: osp_note_desc {
            magic: OSP_MAGIC,
            abi_major: OSP_ABI_MAJOR,
            abi_minor: OSP_ABI_MINOR,
            min_host_minor: 0,
            flags: 0,
            json_len: (end + 2) as u32,
        },
        json,
    }
}

/// Exports a plugin of one kind: its class, the function that makes its table, interface, name of the
/// kind, id and version as in the manifest.
#[macro_export]
macro_rules! opensend_plugin {
    ($class:ty, $table:ident, $iface:literal, $kind:literal, $id:literal, $version:literal) => {
        const MANIFEST: &[u8] = include_bytes!("../manifest.json");
        const SCHEMA: &[u8] = include_bytes!("../config.schema.json");
        const ROOM: usize = $crate::opensend_layer::note_room(MANIFEST, $kind.as_bytes(), SCHEMA);
        #[link_section = ".note.opensend"]
        #[used]
        static NOTE: $crate::opensend_layer::Note<ROOM> =
            $crate::opensend_layer::note::<ROOM>(MANIFEST, $kind.as_bytes(), SCHEMA);

        static INSTANCE: osp_instance_vt = $crate::opensend_layer::instance_table::<$class>();
        static TABLE: $crate::Table = $crate::opensend_layer::$table::<$class>();
        static KIND: osp_kind = osp_kind {
            size: std::mem::size_of::<osp_kind>() as u32,
            flags: 0,
            iface: concat!($iface, "\0").as_ptr() as *const std::os::raw::c_char,
            name: concat!($kind, "\0").as_ptr() as *const std::os::raw::c_char,
            instance: &INSTANCE,
            table: &TABLE as *const $crate::Table as *const std::os::raw::c_void,
            config_schema: concat!(include_str!("../config.schema.json"), "\0").as_ptr()
                as *const std::os::raw::c_char,
        };
        struct Kinds([*const osp_kind; 1]);
        unsafe impl Sync for Kinds {}
        static KINDS: Kinds = Kinds([&KIND]);
        static PLUGIN: osp_plugin = osp_plugin {
            size: std::mem::size_of::<osp_plugin>() as u32,
            magic: OSP_MAGIC,
            abi_major: OSP_ABI_MAJOR,
            abi_minor: OSP_ABI_MINOR,
            min_host_minor: 0,
            flags: 0,
            id: concat!($id, "\0").as_ptr() as *const std::os::raw::c_char,
            version: concat!($version, "\0").as_ptr() as *const std::os::raw::c_char,
            name: concat!($kind, "\0").as_ptr() as *const std::os::raw::c_char,
            vendor: "\0".as_ptr() as *const std::os::raw::c_char,
            license: "\0".as_ptr() as *const std::os::raw::c_char,
            homepage: "\0".as_ptr() as *const std::os::raw::c_char,
            kinds: &KINDS.0 as *const *const osp_kind,
            n_kinds: 1,
            _r: 0,
            load: None,
            unload: None,
        };
        #[no_mangle]
        pub extern "C" fn osp_plugin_v1() -> *const osp_plugin {
            &PLUGIN
        }
    };
}
