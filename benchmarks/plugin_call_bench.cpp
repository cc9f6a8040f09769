#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <opensend/testing.hpp>

// What a call through a plugin's table costs over a virtual call, with a view of a 4 KB message,
// and what one check of the memory limiter costs. Median of nine rounds. Arguments:
// bench_callee.so, memory_limit.so.

// Outside of an anonymous namespace: the compiler must not know that nobody here derives from it.
struct BenchSink {
    virtual ~BenchSink() = default;
    virtual osp_status Take(const osp_batch* batch) = 0;
};

namespace {

template <class F>
double MedianNs(size_t calls, F&& call) {
    std::vector<double> rounds;
    for (int round = 0; round < 9; ++round) {
        const auto start = std::chrono::steady_clock::now();
        for (size_t i = 0; i < calls; ++i) call();
        const std::chrono::duration<double, std::nano> time =
            std::chrono::steady_clock::now() - start;
        rounds.push_back(time.count() / static_cast<double>(calls));
    }
    std::sort(rounds.begin(), rounds.end());
    return rounds[rounds.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    void* handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return 2;
    const auto make = reinterpret_cast<BenchSink* (*)()>(dlsym(handle, "BenchMakeSink"));
    const auto* table = static_cast<const osp_transport_v1*>(dlsym(handle, "BenchTable"));
    if (make == nullptr || table == nullptr) return 2;
    BenchSink* sink = make();
    const std::string data(4096, 'x');
    osp_msg message{};
    message.size = sizeof message;
    message.data = osp::Bytes(data);
    const osp_batch batch{sizeof batch, 0, &message, 1, sizeof message};
    osp_error error{};
    volatile osp_status out = 0;
    const double direct = MedianNs(20'000'000, [&] { out = sink->Take(&batch); });
    const osp_transport_v1* volatile hidden = table;
    const double through =
        MedianNs(20'000'000, [&] { out = hidden->send(nullptr, &batch, &error); });
    std::printf(
        "virtual call %.2f ns, table call %.2f ns, difference %.2f ns\n", direct, through,
        through - direct
    );

    osp::testing::FakeHost host;
    const osp::testing::Plugin plugin(argv[2], "memory");
    const osp::testing::Running running(plugin, host);
    const auto& limiter = plugin.table<osp_ratelimit_v1>();
    std::vector<std::string> keys;
    for (int i = 0; i < 1000; ++i) keys.push_back("os:rl:{" + std::to_string(i) + "}:org.api");
    osp_rl_req request{sizeof request, 0, 0, 1, 1, 0, {}, 10, 1'000'000'000};
    osp_rl_res result{sizeof result, 0, 0, 0, 0, 0, 0};
    size_t next = 0;
    const double check = MedianNs(1'000'000, [&] {
        request.key = osp::Str(keys[next++ % keys.size()]);
        limiter.acquire(running.raw(), &request, sizeof request, &result, sizeof result, 1, 1, 0);
    });
    std::printf("memory limiter %.1f ns per check\n", check);
    return 0;
}
