#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel/base/clock.h"
#include "kernel/plugin/worker/proxy.h"

// One message of 4 KB through a plugin's table and its completion back: in this process, and in a
// worker. In the worker each completion starts the next call, so nobody is woken between them but
// by the rings themselves.
namespace opensend::plugin {
namespace {

constexpr size_t kChain = 500;
using Nanos = std::chrono::duration<double, std::nano>;

class Caller {
public:
    Caller(const LoadedKind& kind, bool chained) : chained_(chained) {
        host_ = {sizeof host_, OSP_MAGIC, OSP_ABI_MAJOR, OSP_ABI_MINOR, 0,   "bench", "1",
                 this,         NoService, Complete,      NoLog,         Now, UnixMs};
        osp_create_args args{};
        args.size = sizeof args;
        args.host = &host_;
        args.instance = OSP_S("bench");
        args.config = OSP_S("{}");
        osp_error error{};
        error.size = sizeof error;
        const osp_status status =
            kind.make ? kind.make(args, {std::make_shared<worker::Health>()}, &inst_, &error)
                      : kind.instance.create(&args, &inst_, &error);
        if (status != OSP_OK || kind.instance.start(inst_, &error) != OSP_OK)
            throw std::runtime_error("the plugin does not start");
        instance_ = kind.instance;
        table_ = static_cast<const osp_transport_v1*>(kind.table);
        message_.size = sizeof message_;
        message_.data = {reinterpret_cast<const uint8_t*>(data_.data()), data_.size()};
    }
    ~Caller() {
        instance_.stop(inst_);
        instance_.destroy(inst_);
    }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

    void Call() {
        message_.token = ++token_;
        message_.deadline = 0;
        const osp_batch batch{sizeof batch, 0, &message_, 1, sizeof message_};
        osp_error error{};
        error.size = sizeof error;
        started_ = std::chrono::steady_clock::now();
        const auto call = table_->submit != nullptr ? table_->submit : table_->send;
        if (call(inst_, &batch, &error) < 0) throw std::runtime_error("the call is refused");
    }
    /// kChain round trips, one after the other.
    std::vector<double> Chain() {
        std::unique_lock lock(mutex_);
        times_.clear();
        lock.unlock();
        if (table_->submit == nullptr) {
            for (size_t i = 0; i < kChain; ++i) Call();
        } else {
            Call();
        }
        lock.lock();
        done_.wait(lock, [this] { return times_.size() == kChain; });
        return times_;
    }

private:
    static const void* NoService(const osp_host*, const char*) noexcept { return nullptr; }
    static void NoLog(const osp_host*, int32_t, osp_str, const osp_kv*, uint32_t) noexcept {}
    static osp_time Now(const osp_host*) noexcept { return 0; }
    static int64_t UnixMs(const osp_host*) noexcept { return 0; }
    static osp_status Complete(const osp_host* host, osp_token, const osp_completion*) noexcept {
        Caller& self = *static_cast<Caller*>(host->self);
        if (!self.chained_) return OSP_OK;
        const Nanos time = std::chrono::steady_clock::now() - self.started_;
        size_t count = 0;
        {
            const std::lock_guard lock(self.mutex_);
            self.times_.push_back(time.count());
            count = self.times_.size();
        }
        if (count == kChain) self.done_.notify_all();
        if (count < kChain && self.table_->submit != nullptr) self.Call();
        return OSP_OK;
    }

    const bool chained_;
    osp_host host_{};
    osp_inst* inst_ = nullptr;
    osp_instance_vt instance_{};
    const osp_transport_v1* table_ = nullptr;
    const std::string data_ = std::string(4096, 'x');
    osp_msg message_{};
    osp_token token_ = 0;
    std::chrono::steady_clock::time_point started_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::vector<double> times_;
};

std::shared_ptr<PluginFile> CalleeFile() {
    auto file = PassGate(OPENSEND_BENCH_CALLEE, {});
    if (!file.ok()) throw std::runtime_error(Describe("bench", file.error()));
    return std::move(*file);
}

void InProcess(benchmark::State& state) {
    const auto file = CalleeFile();
    const auto loaded = Load(*file);
    if (!loaded.ok()) throw std::runtime_error(Describe("bench", loaded.error()));
    Caller caller(loaded->kinds[0], false);
    for (auto _ : state) caller.Call();
}
BENCHMARK(InProcess);

void InWorker(benchmark::State& state, size_t kind) {
    static const base::SystemClock clock;
    worker::Plan plan;
    plan.program = OPENSEND_BENCH_WORKER;
    plan.clock = &clock;
    const auto loaded = worker::Load(CalleeFile(), plan);
    if (!loaded.ok()) throw std::runtime_error(Describe("bench", loaded.error()));
    Caller caller(loaded->kinds[kind], true);
    caller.Chain();
    std::vector<double> all;
    for (auto _ : state) {
        const auto times = caller.Chain();
        double sum = 0;
        for (const double time : times) sum += time;
        state.SetIterationTime(sum / static_cast<double>(kChain) * 1e-9);
        all.insert(all.end(), times.begin(), times.end());
    }
    std::sort(all.begin(), all.end());
    state.counters["median_ns"] = all[all.size() / 2];
    state.counters["p99_ns"] = all[all.size() * 99 / 100];
}
BENCHMARK_CAPTURE(InWorker, submit, 0)->UseManualTime()->Iterations(20);
BENCHMARK_CAPTURE(InWorker, send, 1)->UseManualTime()->Iterations(20);

}  // namespace
}  // namespace opensend::plugin

BENCHMARK_MAIN();
