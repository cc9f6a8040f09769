#include "kernel/plugin/kinds/transports.h"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include "kernel/base/scope_exit.h"
#include "kernel/plugin/kinds/classify.h"
#include "kernel/plugin/kinds/fingerprint.h"
#include "kernel/plugin/load/import.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;

constexpr uint32_t kMaxThreads = 64, kMaxBatch = 1000, kMaxResults = 100'000;
constexpr size_t kMaxQueuedBatches = 1024;
constexpr std::chrono::seconds kEndPatience{2};
constexpr std::string_view kChanged = "the plugin changed the message";

osp_str StrOfView(std::string_view text) { return {text.data(), text.size()}; }

model::DeliveryResult SameForAll(
    const model::OutgoingMessage& message, ResultClass result, std::string diagnostic
) {
    model::DeliveryOutcome outcome;
    outcome.result = result;
    outcome.diagnostic = std::move(diagnostic);
    return model::DeliveryResult(message.recipients.size(), outcome);
}

}  // namespace

/// What became of one blocking call.
struct CallFate {
    enum State { kRunning = 1, kLost, kReturned };
    std::atomic<int> state{kRunning};
};

struct PluginTransport::Core {
    Core(Timers& timers, std::chrono::milliseconds timeout)
        : deadlines(timers), call_timeout(timeout) {}
    void RunBatch(const Batch& batch);
    void Submit(const Batch& batch, const osp_batch& views);
    void AnswerRest(const Batch& batch, osp_status status, const osp_error& error);
    /// A blocking call that lasts beyond a deadline: another thread takes the place of its own.
    void LoseThread() {
        pool->AddThread();
        instance->vitals().LoseThread();
    }
    void ThreadIsBack() {
        pool->DropThread();
        instance->vitals().ThreadIsBack();
    }

    Timers& deadlines;
    const std::chrono::milliseconds call_timeout;
    std::unique_ptr<Instance> instance;
    std::string transport;                 // name, for the rules on answers
    const AnswerBoard* answers = nullptr;  // may be null
    osp_transport_v1 table{};
    osp_transport_caps caps{};
    bool blocking = true;
    std::atomic<int> calls_inside{0};
    std::atomic<int> batches{0};                // queued, or in a call
    std::unique_ptr<runtime::WorkerPool> pool;  // last: its threads use the rest
};

/// One message on its way: its token, its views and who waits for it.
class PluginTransport::Delivery final : public Waiter,
                                        public std::enable_shared_from_this<Delivery> {
public:
    using Done = std::shared_ptr<std::function<void(size_t, model::DeliveryResult)>>;

    Delivery(
        std::shared_ptr<Core> core,
        std::shared_ptr<const model::OutgoingMessage> message,
        size_t index,
        Done done
    )
        : owner_(std::move(core)),
          core_(*owner_),
          message_(std::move(message)),
          fingerprint_(FingerprintOf(*message_)),
          index_(index),
          done_(std::move(done)) {}

    /// False: no token is free; it has been answered.
    bool Open() {
        token_ = core_.instance->tokens().Open(shared_from_this());
        if (token_ == 0) {
            Finish(SameForAll(*message_, ResultClass::kNotTried, "too many open messages"));
            return false;
        }
        deadline_ = message_->deadline.ns != 0
                        ? message_->deadline
                        : core_.instance->clock().Mono() + core_.call_timeout;
        timer_ = core_.deadlines.Arm(
            deadline_, std::chrono::nanoseconds(0),
            [self = shared_from_this()](uint64_t) { self->Expire(); }
        );
        return true;
    }
    /// The views of the message; false: it has been answered, or will be at its deadline.
    bool Begin(osp_msg& view, std::shared_ptr<CallFate> call) {
        if (!core_.instance->running() || IsChanged()) {
            AnswerUnlessDone(ResultClass::kNotTried, "the transport is out of service");
            return false;
        }
        if (core_.instance->clock().Mono() >= deadline_) return false;
        call_ = std::move(call);
        begun_ = true;
        if (!core_.instance->tokens().IsOpen(token_)) return false;
        for (const std::string& recipient : message_->recipients)
            recipients_.push_back({
                sizeof(osp_rcpt), 0, StrOfView(recipient), {nullptr, 0}
            });
        for (const auto& [key, value] : message_->meta)
            meta_.push_back({StrOfView(key), StrOfView(value)});
        view = {};
        view.size = sizeof view;
        view.token = token_;
        view.id = StrOfView(message_->id);
        view.tenant = StrOfView(message_->tenant);
        view.mail_from = StrOfView(message_->mail_from);
        view.rcpts = recipients_.data();
        view.n_rcpts = static_cast<uint32_t>(recipients_.size());
        view.rcpt_stride = sizeof(osp_rcpt);
        view.data = {
            reinterpret_cast<const uint8_t*>(message_->data.data()), message_->data.size()};
        view.total_size = message_->data.size();
        view.meta = meta_.data();
        view.n_meta = static_cast<uint32_t>(meta_.size());
        view.attempt = message_->attempt;
        view.deadline = static_cast<osp_time>(deadline_.ns);
        return true;
    }
    /// The host's own answer, if the plugin has not given one.
    void AnswerUnlessDone(ResultClass result, std::string_view diagnostic) {
        if (!core_.instance->tokens().Revoke(token_)) return;
        if (begun_ && IsChanged()) return FinishChanged();
        if (result != ResultClass::kNotTried) ++core_.instance->counters().errors;
        Finish(SameForAll(*message_, result, Printable(diagnostic, 1000)));
    }

    bool Accept(osp_token, const osp_completion& completion) override {
        model::DeliveryResult results;
        bool readable = true;
        if (completion.status == OSP_OK) {
            readable = ReadResult(completion.result, results);
        } else {
            osp_error error{};
            Import(completion.error, 16, error);
            const size_t length = std::min<size_t>(error.msg_len, sizeof error.msg);
            results = SameForAll(
                *message_, ClassOfStatus(completion.status), Printable({error.msg, length}, 1000)
            );
            for (auto& outcome : results) outcome.retry_after_ms = error.retry_after_ms;
            ++core_.instance->counters().errors;
        }
        if (!readable) results = SameForAll(*message_, ResultClass::kProtocol, "unreadable result");
        if (IsChanged()) {
            FinishChanged();
        } else {
            Finish(std::move(results));
        }
        return readable;
    }

    void Abandon() override { FinishUnanswered("the transport has stopped"); }

private:
    void Expire() {
        ++core_.calls_inside;
        const base::ScopeExit leave([this] { --core_.calls_inside; });
        if (!core_.instance->tokens().Revoke(token_)) return;
        int running = CallFate::kRunning;
        if (begun_ && call_ && call_->state.compare_exchange_strong(running, CallFate::kLost))
            core_.LoseThread();
        if (core_.table.cancel != nullptr && begun_)
            core_.table.cancel(core_.instance->raw(), token_);
        ++core_.instance->counters().errors;
        if (begun_ && IsChanged()) return FinishChanged();
        FinishUnanswered("no answer before the deadline");
    }
    /// Compares with what it was at first; a change that is not granted ends the instance.
    bool IsChanged() {
        const std::string part =
            ForbiddenChange(fingerprint_, FingerprintOf(*message_), core_.instance->grants());
        if (part.empty()) return false;
        core_.instance->vitals().Violate(part);
        return true;
    }
    void FinishChanged() {
        ++core_.instance->counters().errors;
        Finish(SameForAll(*message_, ResultClass::kProtocol, std::string(kChanged)));
    }
    void FinishUnanswered(std::string why) {
        const auto result = begun_ ? ResultClass::kOkUnknown : ResultClass::kNotTried;
        Finish(SameForAll(*message_, result, std::move(why)));
    }
    void Finish(model::DeliveryResult results) {
        if (timer_ != 0) core_.deadlines.Disarm(timer_);
        (*done_)(index_, std::move(results));
    }
    bool ReadResult(const void* source, model::DeliveryResult& out) {
        osp_msg_result result{};
        if (!Import(source, offsetof(osp_msg_result, all) + 8, result)) return false;
        const bool final_host = (core_.caps.flags & OSP_TR_FINAL_HOST) != 0;
        if (result.n == 0) {
            osp_rcpt_result all{};
            if (!Import(&result.all, 8, all)) return false;
            out.assign(
                message_->recipients.size(),
                ToOutcome(all, final_host, core_.answers, core_.transport)
            );
            return true;
        }
        if (result.rcpts == nullptr || result.n > kMaxResults || result.stride < 16) return false;
        out = SameForAll(*message_, ResultClass::kOkUnknown, "no result for this recipient");
        std::vector<bool> seen(out.size(), false);
        for (uint32_t i = 0; i < result.n; ++i) {
            osp_rcpt_result one{};
            const char* place =
                reinterpret_cast<const char*>(result.rcpts) + size_t{i} * result.stride;
            if (!Import(place, 12, one)) return false;
            if (one.rcpt_index >= out.size() || seen[one.rcpt_index]) {
                ++core_.instance->counters().errors;
                continue;
            }
            seen[one.rcpt_index] = true;
            out[one.rcpt_index] = ToOutcome(one, final_host, core_.answers, core_.transport);
        }
        return true;
    }

    const std::shared_ptr<Core> owner_;
    Core& core_;
    const std::shared_ptr<const model::OutgoingMessage> message_;
    const Fingerprint fingerprint_;
    const size_t index_;
    const Done done_;
    osp_token token_ = 0;
    std::atomic<uint64_t> timer_{0};
    base::MonoTime deadline_;
    std::shared_ptr<CallFate> call_;  // set before begun_; null: not a blocking call
    std::atomic<bool> begun_{false};
    std::vector<osp_rcpt> recipients_;
    std::vector<osp_kv> meta_;
};

void PluginTransport::Core::RunBatch(const Batch& batch) {
    const base::ScopeExit over([this] { --batches; });
    const auto call = blocking ? std::make_shared<CallFate>() : nullptr;
    std::vector<osp_msg> messages;
    Batch begun;
    for (const auto& delivery : batch) {
        osp_msg view{};
        if (!delivery->Begin(view, call)) continue;
        messages.push_back(view);
        begun.push_back(delivery);
    }
    if (messages.empty()) return;
    osp_batch views{};
    views.size = sizeof views;
    views.msgs = messages.data();
    views.n = static_cast<uint32_t>(messages.size());
    views.stride = sizeof(osp_msg);
    ++instance->counters().calls;
    ++calls_inside;
    const base::ScopeExit leave([this] { --calls_inside; });
    if (!blocking) return Submit(begun, views);
    osp_error error{};
    error.size = sizeof error;
    const auto began = std::chrono::steady_clock::now();
    const osp_status status = table.send(instance->raw(), &views, &error);
    instance->vitals().Took("send", std::chrono::steady_clock::now() - began, false);
    if (call->state.exchange(CallFate::kReturned) == CallFate::kLost) ThreadIsBack();
    AnswerRest(begun, status, error);
}

void PluginTransport::Core::Submit(const Batch& batch, const osp_batch& views) {
    osp_error error{};
    error.size = sizeof error;
    osp_status status = OSP_E_BUSY;
    instance->OnStrand(instance->clock().Mono() + call_timeout, "submit", [&] {
        status = table.submit(instance->raw(), &views, &error);
    });
    if (status < 0) AnswerRest(batch, status, error);
}

void PluginTransport::Core::AnswerRest(
    const Batch& batch, osp_status status, const osp_error& error
) {
    // Success without an answer: whether it went out, nobody can say.
    const ResultClass result = status < 0 ? ClassOfStatus(status) : ResultClass::kOkUnknown;
    const std::string_view text(error.msg, std::min<size_t>(error.msg_len, sizeof error.msg));
    for (const auto& delivery : batch)
        delivery->AnswerUnlessDone(result, status < 0 ? text : "the plugin gave no answer");
}

PluginTransport::PluginTransport(std::string name, std::shared_ptr<Core> core)
    : name_(std::move(name)), core_(std::move(core)) {}

PluginTransport::~PluginTransport() {
    if (core_) Shutdown(core_->instance->clock().Mono() + core_->call_timeout);
}

Checked<std::unique_ptr<PluginTransport>> PluginTransport::Make(
    std::string name,
    std::unique_ptr<Instance> instance,
    Timers& deadlines,
    std::chrono::milliseconds call_timeout,
    const AnswerBoard* answers
) {
    auto core = std::make_shared<Core>(deadlines, call_timeout);
    core->transport = name;
    core->answers = answers;
    if (!Import(
            instance->kind().table, OPENSEND_SIZE_THROUGH(osp_transport_v1, get_caps), core->table
        ))
        return Refuse("table", "a transport table", "a shorter one");
    if (core->table.send == nullptr && core->table.submit == nullptr)
        return Refuse("table", "send or submit", "neither");
    core->blocking = core->table.send != nullptr;
    FillUnsupported(core->table.get_caps);
    core->caps.size = sizeof core->caps;
    const osp_status status = core->table.get_caps(instance->raw(), &core->caps);
    if (status != OSP_OK) return Refuse("caps", "success", base::Cat("status ", status));
    core->caps.max_batch = std::clamp<uint32_t>(core->caps.max_batch, 1, kMaxBatch);
    core->caps.max_concurrency = std::clamp<uint32_t>(core->caps.max_concurrency, 1, kMaxThreads);
    core->instance = std::move(instance);
    core->pool = std::make_unique<runtime::WorkerPool>(
        "plugin-send", core->caps.max_concurrency, kMaxQueuedBatches
    );
    return std::unique_ptr<PluginTransport>(new PluginTransport(std::move(name), std::move(core)));
}

Instance& PluginTransport::instance() { return *core_->instance; }

model::TransportCaps PluginTransport::caps() const {
    return {
        core_->caps.max_batch, core_->caps.max_concurrency,
        (core_->caps.flags & OSP_TR_SMTPUTF8) != 0};
}

void PluginTransport::Deliver(
    std::vector<std::shared_ptr<const model::OutgoingMessage>> batch,
    std::function<void(size_t, model::DeliveryResult)> done
) {
    const auto shared =
        std::make_shared<std::function<void(size_t, model::DeliveryResult)>>(std::move(done));
    if (!core_->instance->running()) {
        for (size_t i = 0; i < batch.size(); ++i)
            (*shared
            )(i, SameForAll(*batch[i], ResultClass::kNotTried, "the transport is stopping"));
        return;
    }
    Batch part;
    const auto hand_over = [&] {
        if (part.empty()) return;
        Core* core = core_.get();
        ++core->batches;
        if (!core->pool->Run([core, part] { core->RunBatch(part); })) {
            --core->batches;
            for (const auto& delivery : part)
                delivery->AnswerUnlessDone(ResultClass::kNotTried, "the transport is busy");
        }
        part.clear();
    };
    for (size_t i = 0; i < batch.size(); ++i) {
        auto delivery = std::make_shared<Delivery>(core_, batch[i], i, shared);
        if (delivery->Open()) part.push_back(std::move(delivery));
        if (part.size() == core_->caps.max_batch) hand_over();
    }
    hand_over();
}

Checked<bool> PluginTransport::Probe(base::MonoTime deadline) {
    if (core_->table.probe == nullptr) return true;
    osp_error error{};
    error.size = sizeof error;
    const osp_status status =
        core_->table.probe(core_->instance->raw(), static_cast<osp_time>(deadline.ns), &error);
    if (status == OSP_OK || status == OSP_E_UNSUPPORTED) return true;
    const std::string_view text(error.msg, std::min<size_t>(error.msg_len, sizeof error.msg));
    return Refuse("probe", "success", base::Cat("status ", status, ": ", Printable(text, 300)));
}

bool PluginTransport::Shutdown(base::MonoTime deadline) {
    const std::shared_ptr<Core> core = std::exchange(core_, nullptr);
    if (!core) return true;
    const base::Clock& clock = core->instance->clock();
    const auto wait_for = [&](const std::atomic<int>& count) {
        while (count > 0 && clock.Mono() < deadline)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    // What has been taken goes out before the plugin is told that nothing more comes.
    wait_for(core->batches);
    core->instance->Drain(deadline);
    core->instance->tokens().RevokeAll();
    wait_for(core->calls_inside);
    if (core->calls_inside > 0 && core->instance->is_apart()) {
        core->instance->EndCalls();
        deadline = clock.Mono() + kEndPatience;
        wait_for(core->calls_inside);
    }
    if (core->calls_inside > 0) {
        core->instance->vitals().SetState(InstanceState::kStopped);
        KeepForGood(core);
        return false;
    }
    core->pool.reset();
    core->instance->Stop();
    return true;
}

model::TransportCaps TransportSeat::caps() const {
    const auto use = current_.Take();
    return use ? use->caps() : model::TransportCaps{};
}

void TransportSeat::Deliver(
    std::vector<std::shared_ptr<const model::OutgoingMessage>> batch,
    std::function<void(size_t, model::DeliveryResult)> done
) {
    if (const auto use = current_.Take()) return use->Deliver(std::move(batch), std::move(done));
    for (size_t i = 0; i < batch.size(); ++i)
        done(i, SameForAll(*batch[i], ResultClass::kNotTried, "the transport is out of service"));
}

}  // namespace opensend::plugin
