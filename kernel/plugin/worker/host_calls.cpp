#include "kernel/plugin/worker/host_calls.h"

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/base/guarded.h"

namespace opensend::plugin::worker {
namespace {

constexpr size_t kMaxMails = 256;

template <class T>
const T* FindService(const osp_host* host, const char* id, uint64_t bit, uint64_t& granted) {
    if (host == nullptr) return nullptr;
    const void* table = host->get_interface(host, id);
    if (table != nullptr) granted |= bit;
    return static_cast<const T*>(table);
}

/// What a service owes a worker: from the call until its callback, or until the worker is gone.
struct Debt {
    const HostCalls* owner = nullptr;
    uint64_t id = 0;  // of the callback in the worker
    HostCalls::Send send;
    uint64_t http = 0;  // the call to cancel
};

/// The debts of all workers. A service keeps a number, so that a late callback finds nothing
/// instead of freed memory. Thread-safe.
class Ledger {
public:
    /// What a service is given as its context.
    static void* Add(Debt debt) {
        return All().With([&](State& state) {
            state.debts[++state.last] = std::move(debt);
            return reinterpret_cast<void*>(state.last);
        });
    }
    static std::optional<Debt> Take(void* context) {
        return All().With([&](State& state) -> std::optional<Debt> {
            const auto found = state.debts.find(reinterpret_cast<uint64_t>(context));
            if (found == state.debts.end()) return std::nullopt;
            Debt debt = std::move(found->second);
            state.debts.erase(found);
            return debt;
        });
    }
    static void SetHttp(void* context, uint64_t call) {
        All().With([&](State& state) {
            const auto found = state.debts.find(reinterpret_cast<uint64_t>(context));
            if (found != state.debts.end()) found->second.http = call;
        });
    }
    static std::vector<Debt> TakeAll(const HostCalls* owner) {
        return All().With([&](State& state) {
            std::vector<Debt> out;
            for (auto it = state.debts.begin(); it != state.debts.end();) {
                const bool is_of_owner = it->second.owner == owner;
                if (is_of_owner) out.push_back(std::move(it->second));
                it = is_of_owner ? state.debts.erase(it) : std::next(it);
            }
            return out;
        });
    }

private:
    struct State {
        std::map<uint64_t, Debt> debts;
        uint64_t last = 0;
    };
    static base::Guarded<State>& All() {
        static base::Guarded<State> all;
        return all;
    }
};

/// A frame for the callback that `context` stands for; nothing when nobody waits any more.
template <class T, class F>
void PayBack(void* context, osp_status status, const T* result, F&& put) {
    const auto debt = Ledger::Take(context);
    if (!debt) return;
    Frame frame = NewFrame(FrameKind::kCallback);
    frame.id = debt->id;
    frame.status = status;
    put(frame, result, result == nullptr ? 0u : 1u);
    debt->send(frame);
}

void HttpDone(void* context, osp_status status, const osp_http_res* result) noexcept {
    PayBack(context, status, result, [](Frame& frame, const auto* what, uint32_t n) {
        frame.http_res = what;
        frame.n_http_res = n;
    });
}

void EmitDone(void* context, osp_status status, const osp_emit_res* result) noexcept {
    PayBack(context, status, result, [](Frame& frame, const auto* what, uint32_t n) {
        frame.emit_res = what;
        frame.n_emit_res = n;
    });
}

void IngestDone(void* context, osp_status status, const osp_ingest_res* result) noexcept {
    PayBack(context, status, result, [](Frame& frame, const auto* what, uint32_t n) {
        frame.ingest_res = what;
        frame.n_ingest_res = n;
    });
}

void CredentialDone(void* context, osp_status status, const osp_credential* result) noexcept {
    PayBack(context, status, result, [](Frame& frame, const auto* what, uint32_t n) {
        frame.credential = what;
        frame.n_credential = n;
    });
}

/// The answer of a service that shows its value inside the call: it is sent from there.
struct Inside {
    Frame& reply;
    const HostCalls::Send& send;
    bool sent = false;
};

void UseSecret(void* context, osp_bytes value) noexcept {
    Inside& inside = *static_cast<Inside*>(context);
    inside.reply.data = value;
    inside.send(inside.reply);
    inside.sent = true;
}

void UseValue(void* context, osp_bytes value, uint64_t version) noexcept {
    Inside& inside = *static_cast<Inside*>(context);
    inside.reply.a = version;
    UseSecret(context, value);
}

}  // namespace

HostCalls::HostCalls(const osp_host* host) : host_(host) {
    metric_ = FindService<osp_host_metric_v1>(host, OSP_HOST_METRIC, kMetricService, granted_);
    secret_ = FindService<osp_host_secret_v1>(host, OSP_HOST_SECRET, kSecretService, granted_);
    kv_ = FindService<osp_host_kv_v1>(host, OSP_HOST_KV, kKvService, granted_);
    FindService<osp_host_timer_v1>(host, OSP_HOST_TIMER, kTimerService, granted_);
    http_ = FindService<osp_host_http_v1>(host, OSP_HOST_HTTP, kHttpService, granted_);
    event_ = FindService<osp_host_event_v1>(host, OSP_HOST_EVENT, kEventService, granted_);
    ingest_ = FindService<osp_host_ingest_v1>(host, OSP_HOST_INGEST, kIngestService, granted_);
    credential_ = FindService<osp_host_credential_v1>(
        host, OSP_HOST_CREDENTIAL, kCredentialService, granted_
    );
}

HostCalls::~HostCalls() { Close(); }

void HostCalls::Close() {
    for (const Debt& debt : Ledger::TakeAll(this)) {
        if (debt.http != 0) http_->cancel(host_, debt.http);
    }
    for (const auto& [id, mail] : mails_) ingest_->abort(mail);
    mails_.clear();
}

void HostCalls::MetricAdd(uint64_t handle, int64_t value) const {
    if (metric_ != nullptr) metric_->add(host_, handle, value);
}

void HostCalls::MetricObserve(uint64_t handle, double value) const {
    if (metric_ != nullptr) metric_->observe(host_, handle, value);
}

void HostCalls::Serve(const Received& call, const Send& reply_with, const Send& callback) {
    Frame reply = NewFrame(FrameKind::kReturn);
    reply.id = call.frame.id;
    reply.status = OSP_E_DENIED;
    osp_error error{};
    error.size = sizeof error;
    bool open = true;
    const auto op = static_cast<HostOp>(call.frame.op);
    if (op <= HostOp::kKvDelete) {
        open = ServeStored(call.frame, reply, reply_with);
    } else if (op >= HostOp::kIngestBegin && op <= HostOp::kIngestAbort) {
        ServeIngest(call.frame, reply, error, callback);
    } else {
        open = ServeRemote(call.frame, reply, error, reply_with, callback);
    }
    if (open && reply.status < 0) {
        error.code = reply.status;
        reply.error = &error;
        reply.n_error = 1;
    }
    if (open) reply_with(reply);
}

// False in these: the reply has been sent from inside the service.

bool HostCalls::ServeStored(const Frame& call, Frame& reply, const Send& send) const {
    Inside inside{reply, send};
    switch (static_cast<HostOp>(call.op)) {
        case HostOp::kMetricDefine:
            if (metric_ == nullptr) break;
            reply.status = OSP_OK;
            reply.a = metric_->define(
                host_, static_cast<int32_t>(call.a), call.s1, call.s2, call.kv, call.n_kv
            );
            break;
        case HostOp::kSecretWith:
            if (secret_ == nullptr) break;
            reply.status = OSP_OK;
            reply.status = secret_->with(host_, call.s1, UseSecret, &inside);
            break;
        case HostOp::kKvGet:
            if (kv_ == nullptr) break;
            reply.status = OSP_OK;
            reply.status = kv_->get(host_, call.s1, UseValue, &inside);
            break;
        case HostOp::kKvPut:
            if (kv_ != nullptr) reply.status = kv_->put(host_, call.s1, call.data, call.a, call.b);
            break;
        case HostOp::kKvDelete:
            if (kv_ != nullptr) reply.status = kv_->del(host_, call.s1, call.a);
            break;
        default: break;
    }
    return !inside.sent;
}

void HostCalls::StartHttp(const Frame& call, Frame& reply, osp_error& error, void* context) {
    osp_http_call request = *call.http_call;
    request.done = HttpDone;
    request.ctx = context;
    reply.b = http_->start(host_, &request, &error);
    reply.status = reply.b != 0 ? OSP_OK : error.code < 0 ? error.code : OSP_E_DENIED;
    Ledger::SetHttp(context, reply.b);
}

bool HostCalls::ServeRemote(
    const Frame& call, Frame& reply, osp_error& error, const Send& send, const Send& callback
) {
    const auto op = static_cast<HostOp>(call.op);
    if (op == HostOp::kHttpCancel) {
        if (http_ != nullptr) http_->cancel(host_, call.b);
        reply.status = OSP_OK;
        return true;
    }
    if (op == HostOp::kCredentialMac && credential_ != nullptr) {
        uint8_t mac[32] = {};
        reply.status = credential_->mac(host_, static_cast<uint32_t>(call.b), call.data, mac);
        reply.data = {mac, sizeof mac};
        send(reply);
        return false;
    }
    void* const context = Ledger::Add({this, call.a, callback});
    if (op == HostOp::kHttpStart && http_ != nullptr && call.n_http_call == 1) {
        StartHttp(call, reply, error, context);
    } else if (op == HostOp::kEmit && event_ != nullptr && call.n_events == 1) {
        osp_event_batch batch = *call.events;
        batch.done = EmitDone;
        batch.ctx = context;
        reply.status = event_->emit(host_, &batch, &error);
    } else if (op == HostOp::kCredentialFind && credential_ != nullptr) {
        reply.status = credential_->find(host_, call.s1, call.b, CredentialDone, context);
    }
    if (reply.status < 0) Ledger::Take(context);
    return true;
}

void HostCalls::ServeIngest(
    const Frame& call, Frame& reply, osp_error& error, const Send& callback
) {
    if (ingest_ == nullptr) return;
    const auto op = static_cast<HostOp>(call.op);
    if (op == HostOp::kIngestBegin) {
        if (call.n_ingest_args != 1) return;
        osp_ingest* mail = nullptr;
        reply.status = mails_.size() >= kMaxMails
                           ? OSP_E_BUSY
                           : ingest_->begin(host_, call.ingest_args, &mail, &error);
        if (reply.status != OSP_OK) return;
        reply.b = ++last_mail_;
        mails_[last_mail_] = mail;
        return;
    }
    const auto found = mails_.find(call.b);
    reply.status = OSP_E_STATE;
    if (found == mails_.end()) return;
    osp_ingest* mail = found->second;
    if (op == HostOp::kIngestRcpt) reply.status = ingest_->rcpt(mail, call.s1, &error);
    if (op == HostOp::kIngestWrite) reply.status = ingest_->write(mail, call.data, &error);
    if (op != HostOp::kIngestCommit && op != HostOp::kIngestAbort) return;
    mails_.erase(found);
    if (op == HostOp::kIngestAbort) {
        ingest_->abort(mail);
        reply.status = OSP_OK;
        return;
    }
    void* const context = Ledger::Add({this, call.a, callback});
    reply.status = ingest_->commit(mail, IngestDone, context, &error);
    if (reply.status < 0) Ledger::Take(context);
}

}  // namespace opensend::plugin::worker
