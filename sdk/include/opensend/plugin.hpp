// The C++ way to write a plugin: derive from Transport, Auth, RateLimit or Inbound and end the file
// with one macro. Header only, C++17; nothing in here is part of the binary contract.
#pragma once

#include <atomic>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <opensend/plugin.h>

namespace osp {

inline std::string_view View(osp_str text) { return {text.ptr ? text.ptr : "", text.len}; }
inline std::string_view View(osp_bytes bytes) {
    return {bytes.ptr ? reinterpret_cast<const char*>(bytes.ptr) : "", bytes.len};
}
inline osp_str Str(std::string_view text) { return {text.data(), text.size()}; }
inline osp_bytes Bytes(std::string_view bytes) {
    return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

/// The i-th entry of an array that is walked by its stride.
template <class T>
const T& At(const T* first, size_t stride, size_t i) {
    const auto* place = reinterpret_cast<const char*>(first) + i * stride;
    return *static_cast<const T*>(static_cast<const void*>(place));
}

/// Throw it from any function below: status and text reach the host.
class Error : public std::exception {
public:
    Error(osp_status code, std::string text, uint32_t retry_after_ms = 0)
        : code_(code), retry_after_ms_(retry_after_ms), text_(std::move(text)) {}
    osp_status code() const { return code_; }
    uint32_t retry_after_ms() const { return retry_after_ms_; }
    const char* what() const noexcept override { return text_.c_str(); }

private:
    osp_status code_;
    uint32_t retry_after_ms_;
    std::string text_;
};

/// Fills a caller's error, cut to its room; returns `code`.
inline osp_status Fill(osp_error* out, osp_status code, std::string_view text, uint32_t retry = 0) {
    if (out == nullptr || out->size < sizeof(osp_error)) return code;
    out->code = code;
    out->retry_after_ms = retry;
    out->msg_len = static_cast<uint32_t>(text.copy(out->msg, sizeof out->msg));
    return code;
}

/// The barrier of rule R4: runs `call`; what it throws becomes a status and a text.
template <class F>
osp_status Guard(osp_error* out, F&& call) noexcept {
    try {
        return std::forward<F>(call)();
    } catch (const Error& error) {
        return Fill(out, error.code(), error.what(), error.retry_after_ms());
    } catch (const std::bad_alloc&) {
        return Fill(out, OSP_E_NOMEM, "out of memory");
    } catch (const std::exception& error) {
        return Fill(out, OSP_E_PANIC, error.what());
    } catch (...) {
        return Fill(out, OSP_E_PANIC, "an exception of unknown type");
    }
}

/// The host of one instance, in C++ words. Cheap to copy; thread-safe.
class Host {
public:
    explicit Host(const osp_host* host) : host_(host) {}

    void Log(int32_t level, std::string_view text, std::initializer_list<osp_kv> fields = {})
        const noexcept {
        host_->log(host_, level, Str(text), fields.begin(), static_cast<uint32_t>(fields.size()));
    }
    osp_time Now() const noexcept { return host_->now(host_); }
    int64_t UnixMs() const noexcept { return host_->unix_ms(host_); }
    /// The table of a service; null: unknown or not granted.
    template <class Table>
    const Table* Service(const char* id) const noexcept {
        return static_cast<const Table*>(host_->get_interface(host_, id));
    }
    /// A copy of a secret, for those who cannot use it in place. Throws Error when there is none.
    std::string Secret(std::string_view ref) const {
        const auto* service = Service<osp_host_secret_v1>(OSP_HOST_SECRET);
        if (!OSP_HAS(osp_host_secret_v1, service, with))
            throw Error(OSP_E_DENIED, "secrets are not granted");
        std::string value;
        const osp_status status = service->with(
            host_, Str(ref),
            [](void* to, osp_bytes bytes) noexcept {
                *static_cast<std::string*>(to) = View(bytes);
            },
            &value
        );
        if (status != OSP_OK) throw Error(status, "secret " + std::string(ref) + " is missing");
        return value;
    }
    const osp_host* raw() const { return host_; }

private:
    const osp_host* host_;
};

/// How many tokens of an instance are out, and who waits for the last of them. Thread-safe.
class OpenTokens {
public:
    explicit OpenTokens(const osp_host* host) : host_(host) {}
    void Add() noexcept { ++count_; }
    void Remove() noexcept {
        if (--count_ == 0) Tell();
    }
    /// The answer of drain(): OSP_PENDING as long as something is out; `done` is completed then.
    osp_status Drain(osp_token done) noexcept {
        waiting_ = done;
        if (count_ != 0) return OSP_PENDING;
        return waiting_.exchange(0) == done ? OSP_OK : OSP_PENDING;
    }

private:
    void Tell() noexcept {
        const osp_token done = waiting_.exchange(0);
        const osp_completion nothing{sizeof nothing, OSP_OK, nullptr, nullptr};
        if (done != 0) host_->complete(host_, done, &nothing);
    }
    const osp_host* host_;
    std::atomic<uint64_t> count_{0};
    std::atomic<osp_token> waiting_{0};
};

/// The duty to complete one token. Move-only; dropped without an answer it completes as INTERNAL,
/// so that nothing waits for ever. Any thread may hold it.
class Completion {
public:
    Completion(const osp_host* host, osp_token token, OpenTokens* open = nullptr) noexcept
        : host_(host), token_(token), open_(open) {
        if (open_ != nullptr) open_->Add();
    }
    Completion(Completion&& other) noexcept
        : host_(other.host_), token_(std::exchange(other.token_, 0)), open_(other.open_) {}
    Completion& operator=(Completion&& other) noexcept {
        if (this != &other) {
            Drop();
            host_ = other.host_;
            token_ = std::exchange(other.token_, 0);
            open_ = other.open_;
        }
        return *this;
    }
    ~Completion() { Drop(); }

    /// Gives the result struct of the token's kind. False: the host had given up on it.
    bool Done(const void* result) noexcept { return Finish(OSP_OK, result, nullptr); }
    /// One outcome for every recipient.
    bool Done(const osp_rcpt_result& all) noexcept {
        osp_msg_result result{};
        result.size = sizeof result;
        result.all = all;
        result.all.size = sizeof result.all;
        return Done(&result);
    }
    bool Fail(osp_status status, std::string_view text, uint32_t retry_after_ms = 0) noexcept {
        osp_error error{};
        error.size = sizeof error;
        Fill(&error, status, text, retry_after_ms);
        return Finish(status, nullptr, &error);
    }
    osp_token token() const { return token_; }
    /// Neither answered nor moved away.
    bool open() const { return token_ != 0; }

private:
    void Drop() noexcept {
        if (token_ != 0) Fail(OSP_E_INTERNAL, "dropped without an answer");
    }
    bool Finish(osp_status status, const void* result, osp_error* error) noexcept {
        const osp_completion completion{sizeof completion, status, result, error};
        const bool taken = host_->complete(host_, std::exchange(token_, 0), &completion) == OSP_OK;
        if (open_ != nullptr) open_->Remove();
        return taken;
    }
    const osp_host* host_;
    osp_token token_;
    OpenTokens* open_;
};

/// What every kind shares. The constructor of a plugin's class takes the osp_create_args.
class Instance {
public:
    /// OSP_INST_*; a class hides it with its own.
    static constexpr uint32_t kInstanceFlags = 0;

    explicit Instance(const osp_create_args& args) : host(args.host), open_tokens(args.host) {}
    virtual ~Instance() = default;
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    virtual void Start() {}
    /// Hurries what is out; may wait for it up to the deadline. What is still out afterwards keeps
    /// the instance alive until then, without a word from here.
    virtual void Drain(osp_time /*deadline*/) {}
    /// Joins every thread.
    virtual void Stop() {}
    virtual int32_t Health() const { return OSP_HEALTH_UP; }

    const Host host;
    OpenTokens open_tokens;
};

class Transport : public Instance {
public:
    using Instance::Instance;
    /// `size` is filled in by the layer.
    virtual osp_transport_caps Caps() const = 0;
    /// May block up to the deadline. Answers through `done` before it returns; what it throws is
    /// the answer otherwise.
    virtual void Deliver(const osp_msg& message, Completion&& done) = 0;
    virtual void Cancel(osp_token /*token*/) {}
    virtual void Probe(osp_time /*deadline*/) {}
};

class Auth : public Instance {
public:
    using Instance::Instance;
    /// Answers with an osp_auth_result, at once or after moving `done` away; by the rule for
    /// [strand] it does not block.
    virtual void Authenticate(const osp_auth_req& request, Completion&& done) = 0;
    virtual void Invalidate(std::string_view /*subject*/) {}
};

class RateLimit : public Instance {
public:
    using Instance::Instance;
    /// As osp_ratelimit_v1.acquire.
    virtual osp_status Acquire(
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t n,
        osp_token token,
        osp_time deadline
    ) = 0;
    virtual void Refund(const osp_rl_req* requests, uint32_t stride, uint32_t n) = 0;
};

class Inbound : public Instance {
public:
    using Instance::Instance;
    /// Answers with an osp_http_res, usually after moving `done` into the callback of a service.
    virtual void Handle(const osp_http_req& request, Completion&& done) = 0;
};

/// The C functions that stand in front of class `C`; each is behind Guard.
template <class C>
struct Entry {
    static C& Self(osp_inst* inst) { return *static_cast<C*>(static_cast<void*>(inst)); }
    template <class F>
    static osp_status Run(osp_error* error, F&& call) noexcept {
        return Guard(error, [&]() -> osp_status {
            call();
            return OSP_OK;
        });
    }
    /// Runs `call(completion)`; what it throws answers the token if that is still open here.
    template <class F>
    static osp_status Answer(C& self, osp_token token, F&& call) noexcept {
        Completion done(self.host.raw(), token, &self.open_tokens);
        osp_error error{};
        error.size = sizeof error;
        const osp_status status = Run(&error, [&] { call(std::move(done)); });
        if (status < 0 && done.open())
            done.Fail(status, {error.msg, error.msg_len}, error.retry_after_ms);
        return status;
    }

    static osp_status Create(
        const osp_create_args* args, osp_inst** out, osp_error* error
    ) noexcept {
        return Run(error, [&] {
            *out = static_cast<osp_inst*>(static_cast<void*>(std::make_unique<C>(*args).release()));
        });
    }
    static osp_status Start(osp_inst* inst, osp_error* error) noexcept {
        return Run(error, [&] { Self(inst).Start(); });
    }
    static osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
        const osp_status status = Run(nullptr, [&] { Self(inst).Drain(deadline); });
        return status < 0 ? status : Self(inst).open_tokens.Drain(done);
    }
    static void Stop(osp_inst* inst) noexcept {
        Run(nullptr, [&] { Self(inst).Stop(); });
    }
    static void Destroy(osp_inst* inst) noexcept { delete &Self(inst); }
    static osp_status Health(osp_inst* inst, osp_health* out) noexcept {
        return Run(nullptr, [&] { out->state = Self(inst).Health(); });
    }
    static constexpr osp_instance_vt kInstance{
        sizeof(osp_instance_vt),
        C::kInstanceFlags,
        Create,
        Start,
        Drain,
        Stop,
        Destroy,
        Health,
        nullptr,
        nullptr};
};

template <class C>
struct TransportEntry : Entry<C> {
    static osp_status GetCaps(osp_inst* inst, osp_transport_caps* out) noexcept {
        return Entry<C>::Run(nullptr, [&] {
            if (out->size < offsetof(osp_transport_caps, max_batch))
                throw Error(OSP_E_INVALID, "caps are too short");
            // An older host has less room, a newer one more.
            osp_transport_caps caps = Entry<C>::Self(inst).Caps();
            caps.size = out->size < sizeof caps ? out->size : uint32_t{sizeof caps};
            std::memcpy(out, &caps, caps.size);
        });
    }
    static osp_status Send(osp_inst* inst, const osp_batch* batch, osp_error*) noexcept {
        C& self = Entry<C>::Self(inst);
        for (uint32_t i = 0; i < batch->n; ++i) {
            const osp_msg& message = At(batch->msgs, batch->stride, i);
            Entry<C>::Answer(self, message.token, [&](Completion&& done) {
                self.Deliver(message, std::move(done));
            });
        }
        return OSP_OK;
    }
    static void Cancel(osp_inst* inst, osp_token token) noexcept {
        Entry<C>::Run(nullptr, [&] { Entry<C>::Self(inst).Cancel(token); });
    }
    static osp_status Probe(osp_inst* inst, osp_time deadline, osp_error* error) noexcept {
        return Entry<C>::Run(error, [&] { Entry<C>::Self(inst).Probe(deadline); });
    }
    static constexpr osp_transport_v1 kTable{
        sizeof(osp_transport_v1), 0, GetCaps, nullptr, Send, Cancel, Probe};
};

template <class C>
struct AuthEntry : Entry<C> {
    static osp_status
    Authenticate(osp_inst* inst, const osp_auth_req* request, osp_error*) noexcept {
        C& self = Entry<C>::Self(inst);
        Entry<C>::Answer(self, request->token, [&](Completion&& done) {
            self.Authenticate(*request, std::move(done));
        });
        return OSP_PENDING;
    }
    static void Invalidate(osp_inst* inst, osp_str subject) noexcept {
        Entry<C>::Run(nullptr, [&] { Entry<C>::Self(inst).Invalidate(View(subject)); });
    }
    static constexpr osp_auth_v1 kTable{sizeof(osp_auth_v1), 0, Authenticate, Invalidate};
};

template <class C>
struct RateLimitEntry : Entry<C> {
    static osp_status Acquire(
        osp_inst* inst,
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t n,
        osp_token token,
        osp_time deadline
    ) noexcept {
        return Guard(nullptr, [&] {
            return Entry<C>::Self(inst).Acquire(
                requests, request_stride, results, result_stride, n, token, deadline
            );
        });
    }
    static void Refund(
        osp_inst* inst, const osp_rl_req* requests, uint32_t stride, uint32_t n
    ) noexcept {
        Entry<C>::Run(nullptr, [&] { Entry<C>::Self(inst).Refund(requests, stride, n); });
    }
    static constexpr osp_ratelimit_v1 kTable{sizeof(osp_ratelimit_v1), 0, Acquire, Refund};
};

template <class C>
struct InboundEntry : Entry<C> {
    static osp_status Handle(osp_inst* inst, const osp_http_req* request, osp_error*) noexcept {
        C& self = Entry<C>::Self(inst);
        Entry<C>::Answer(self, request->token, [&](Completion&& done) {
            self.Handle(*request, std::move(done));
        });
        return OSP_PENDING;
    }
    static constexpr osp_inbound_v1 kTable{sizeof(osp_inbound_v1), 0, Handle};
};

template <class E>
constexpr osp_kind MakeKind(const char* iface, const char* name, const char* schema) {
    return {sizeof(osp_kind), 0, iface, name, &E::kInstance, &E::kTable, schema};
}
/// One entry each for OSP_PLUGIN; `schema` is JSON Schema text for the configuration.
template <class C>
constexpr osp_kind TransportKind(const char* name, const char* schema) {
    return MakeKind<TransportEntry<C>>(OSP_KIND_TRANSPORT, name, schema);
}
template <class C>
constexpr osp_kind AuthKind(const char* name, const char* schema) {
    return MakeKind<AuthEntry<C>>(OSP_KIND_AUTH, name, schema);
}
template <class C>
constexpr osp_kind RateLimitKind(const char* name, const char* schema) {
    return MakeKind<RateLimitEntry<C>>(OSP_KIND_RATELIMIT, name, schema);
}
template <class C>
constexpr osp_kind InboundKind(const char* name, const char* schema) {
    return MakeKind<InboundEntry<C>>(OSP_KIND_INBOUND, name, schema);
}

/// The kinds and the pointers to them that the descriptor wants.
template <size_t N>
struct KindList {
    template <class... K>
    explicit constexpr KindList(K... list) : kinds{list...} {
        for (size_t i = 0; i < N; ++i) pointers[i] = &kinds[i];
    }
    osp_kind kinds[N];
    const osp_kind* pointers[N]{};
};
template <class... K>
explicit KindList(K...) -> KindList<sizeof...(K)>;

}  // namespace osp

/// Exports a plugin of several kinds. All but the last arguments are string literals: `kinds_json`
/// is the array of "<interface>:<name>", `more_json` is "" or further manifest members with a
/// leading comma. Then one osp::…Kind<Class>(name, schema) per kind. Once per shared object, at
/// file scope.
#define OSP_PLUGIN(id_, version_, kinds_json, more_json, ...)       \
    OSP_PLUGIN_WITH_MANIFEST(                                       \
        id_, version_,                                              \
        "{\"id\":\"" id_ "\",\"version\":\"" version_               \
        "\",\"sdk\":\"1.0.0\","                                     \
        "\"min_host\":\"1.0\",\"kinds\":" kinds_json more_json "}", \
        __VA_ARGS__                                                 \
    )

/// The same with the whole manifest as one literal, which repeats id and version.
#define OSP_PLUGIN_WITH_MANIFEST(id_, version_, manifest_, ...) \
    OSP_MANIFEST(0, manifest_);                                 \
    static constexpr osp::KindList osp_kinds_{__VA_ARGS__};     \
    static constexpr osp_plugin osp_plugin_{                    \
        sizeof(osp_plugin),                                     \
        OSP_MAGIC,                                              \
        OSP_ABI_MAJOR,                                          \
        OSP_ABI_MINOR,                                          \
        0,                                                      \
        0,                                                      \
        id_,                                                    \
        version_,                                               \
        id_,                                                    \
        "",                                                     \
        "",                                                     \
        "",                                                     \
        osp_kinds_.pointers,                                    \
        sizeof osp_kinds_.kinds / sizeof(osp_kind),             \
        0,                                                      \
        nullptr,                                                \
        nullptr};                                               \
    extern "C" OSP_EXPORT const osp_plugin* osp_plugin_v1() noexcept { return &osp_plugin_; }

/// The same for one kind; all but `Class` are string literals.
#define OSP_TRANSPORT_PLUGIN(Class, id_, version_, name_, schema_)                            \
    OSP_PLUGIN(                                                                               \
        id_, version_, "[\"" OSP_KIND_TRANSPORT ":" name_ "\"]", OSP_SCHEMA_(name_, schema_), \
        osp::TransportKind<Class>(name_, schema_)                                             \
    )
#define OSP_AUTH_PLUGIN(Class, id_, version_, name_, schema_)                            \
    OSP_PLUGIN(                                                                          \
        id_, version_, "[\"" OSP_KIND_AUTH ":" name_ "\"]", OSP_SCHEMA_(name_, schema_), \
        osp::AuthKind<Class>(name_, schema_)                                             \
    )
#define OSP_RATELIMIT_PLUGIN(Class, id_, version_, name_, schema_)                            \
    OSP_PLUGIN(                                                                               \
        id_, version_, "[\"" OSP_KIND_RATELIMIT ":" name_ "\"]", OSP_SCHEMA_(name_, schema_), \
        osp::RateLimitKind<Class>(name_, schema_)                                             \
    )
#define OSP_INBOUND_PLUGIN(Class, id_, version_, name_, schema_)                            \
    OSP_PLUGIN(                                                                             \
        id_, version_, "[\"" OSP_KIND_INBOUND ":" name_ "\"]", OSP_SCHEMA_(name_, schema_), \
        osp::InboundKind<Class>(name_, schema_)                                             \
    )
#define OSP_SCHEMA_(name_, schema_) ",\"config_schema\":{\"" name_ "\":" schema_ "}"
