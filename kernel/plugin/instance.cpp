#include "kernel/plugin/instance.h"

#include <algorithm>
#include <utility>

#include "kernel/plugin/load/schema.h"

namespace opensend::plugin {
namespace {

constexpr size_t kConcurrentCalls = 8, kMaxQueuedCalls = 256;

osp_str StrOfText(const std::string& text) { return {text.data(), text.size()}; }

std::string ErrorText(osp_status status, const osp_error& error) {
    std::string text(error.msg, std::min<size_t>(error.msg_len, sizeof error.msg));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' '
    );
    return text.empty() ? base::Cat("status ", status) : base::Cat("status ", status, ": ", text);
}

/// Completed by the plugin when its drain is over.
class DrainWaiter final : public Waiter {
public:
    bool Accept(osp_token, const osp_completion&) override {
        base::MutexLock lock(mutex_);
        changed_.NotifyAll();
        return true;
    }
    void WaitTurn() {
        base::MutexLock lock(mutex_);
        changed_.WaitFor(lock, std::chrono::milliseconds(10));
    }

private:
    base::Mutex mutex_;
    base::CondVar changed_;
};

}  // namespace

Instance::Instance(
    InstanceSpec spec, const HostDeps& deps, std::shared_ptr<PluginCounters> counters
)
    : spec_(std::move(spec)),
      deps_(deps),
      counters_(std::move(counters)),
      vitals_(
          spec_.name,
          spec_.plugin.empty() ? spec_.name : spec_.plugin,
          counters_,
          spec_.breaker,
          {spec_.on_sick, deps.audit, spec_.kind.make != nullptr}
      ),
      tokens_(*counters_),
      strand_(*deps.clock, (spec_.kind.instance.flags & OSP_INST_CONCURRENT) != 0),
      services_(
          deps,
          spec_.name,
          spec_.grant_credentials,
          tokens_,
          strand_,
          vitals_,
          spec_.grants,
          {spec_.config_json, spec_.secret}
      ) {}

Instance::~Instance() { Stop(); }

Checked<std::unique_ptr<Instance>> Instance::Make(
    InstanceSpec spec,
    const HostDeps& deps,
    std::shared_ptr<PluginCounters> counters,
    std::chrono::milliseconds timeout
) {
    auto checked = ApplySchema(spec.kind.schema, spec.config_json);
    if (!checked.ok()) return base::Failure{checked.error()};
    spec.config_json = std::move(*checked);
    std::unique_ptr<Instance> instance(new Instance(std::move(spec), deps, std::move(counters)));
    const auto started = instance->CreateAndStart(timeout);
    if (!started.ok()) return base::Failure{started.error()};
    return instance;
}

osp_status Instance::Create(const osp_create_args& args, osp_inst** made, osp_error& error) {
    if (!is_apart()) return spec_.kind.instance.create(&args, made, &error);
    if (!spec_.worker) spec_.worker = std::make_shared<worker::Health>();
    const auto rest = [breaker = vitals_.shared_breaker()](base::MonoTime until) {
        breaker->RestUntil(until);
    };
    return spec_.kind.make(args, {spec_.worker, spec_.grants.threads > 0, rest}, made, &error);
}

Checked<bool> Instance::CreateAndStart(std::chrono::milliseconds timeout) {
    const osp_instance_vt& vt = spec_.kind.instance;
    osp_create_args args{};
    args.size = sizeof args;
    args.host = services_.table();
    args.instance = StrOfText(spec_.name);
    args.config = StrOfText(spec_.config_json);
    args.deadline = static_cast<osp_time>((clock().Mono() + timeout).ns);
    osp_error error{};
    error.size = sizeof error;
    osp_inst* made = nullptr;
    if (spec_.load != nullptr) {
        const osp_status loaded = spec_.load(services_.table(), &error);
        if (loaded != OSP_OK) return Refuse("load", "success", ErrorText(loaded, error));
    }
    osp_status status = Create(args, &made, error);
    if (status != OSP_OK) return Refuse("create", "success", ErrorText(status, error));
    if (made == nullptr) return Refuse("create", "an instance", "none");
    status = vt.start(made, &error);
    if (status != OSP_OK) {
        services_.Close();
        vt.destroy(made);
        return Refuse("start", "success", ErrorText(status, error));
    }
    inst_ = made;
    running_ = true;
    vitals_.SetState(InstanceState::kRunning);
    return true;
}

void Instance::TakeNoMore() {
    running_ = false;
    vitals_.SetState(InstanceState::kDraining);
}

osp_status Instance::Reconfigure(
    const std::string& config_json, SecretSource secret, std::string& error
) {
    osp_error why{};
    why.size = sizeof why;
    services_.SetSecrets({config_json, secret});
    const osp_status status = spec_.kind.instance.reconfigure(inst_, StrOfText(config_json), &why);
    if (status == OSP_OK) {
        spec_.config_json = config_json;
        spec_.secret = std::move(secret);
        return status;
    }
    services_.SetSecrets({spec_.config_json, spec_.secret});
    error = ErrorText(status, why);
    return status;
}

bool Instance::OnPool(std::function<void()> task) {
    const bool concurrent = (spec_.kind.instance.flags & OSP_INST_CONCURRENT) != 0;
    return pool_.With([&](auto& pool) {
        if (!pool)
            pool = std::make_unique<runtime::WorkerPool>(
                "plugin-call", concurrent ? kConcurrentCalls : 1, kMaxQueuedCalls
            );
        return pool->Run(std::move(task));
    });
}

bool Instance::Drain(base::MonoTime deadline) {
    if (inst_ == nullptr) return true;
    TakeNoMore();
    const auto waiter = std::make_shared<DrainWaiter>();
    const osp_token done = tokens_.Open(waiter);
    const osp_status status =
        spec_.kind.instance.drain(inst_, done, static_cast<osp_time>(deadline.ns));
    if (status != OSP_PENDING) tokens_.Revoke(done);
    while (tokens_.open_count() > 0 && clock().Mono() < deadline) waiter->WaitTurn();
    tokens_.Revoke(done);
    return tokens_.open_count() == 0;
}

void Instance::EndCalls() {
    if (inst_ == nullptr || !is_apart()) return;
    services_.CancelOutgoing();
    spec_.kind.instance.stop(inst_);
}

void Instance::Stop() {
    if (inst_ == nullptr) return;
    TakeNoMore();
    services_.CancelOutgoing();
    spec_.kind.instance.stop(inst_);
    services_.Close();
    pool_.With([](auto& pool) { pool.reset(); });
    spec_.kind.instance.destroy(std::exchange(inst_, nullptr));
    vitals_.SetState(InstanceState::kStopped);
}

}  // namespace opensend::plugin
