#include "kernel/runtime/worker.h"

#include <pthread.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/runtime/log.h"

namespace opensend::runtime {
namespace {

constexpr std::chrono::milliseconds kLongestSleep = std::chrono::hours(24);
constexpr std::chrono::milliseconds kPauseAfterFailure{1000};

void NameThisThread(const std::string& name) {
    // The kernel takes 15 characters at most.
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

/// Runs `task`; false when it threw. The exception is logged here and goes no further.
bool RunLogged(const std::string& name, const std::function<void()>& task) {
    try {
        task();
        return true;
    } catch (const std::exception& error) {
        OPENSEND_LOG(
            kError, "worker.failed", "a task ended with an exception", kv("worker", name),
            kv("error", error.what())
        );
    } catch (...) {
        OPENSEND_LOG(
            kError, "worker.failed", "a task ended with an exception of a foreign type",
            kv("worker", name)
        );
    }
    return false;
}

}  // namespace

bool StopToken::stopped() const {
    base::MutexLock lock(mutex_);
    return stopped_;
}

bool StopToken::SleepFor(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + std::min(time, kLongestSleep);
    base::MutexLock lock(mutex_);
    while (!stopped_ && wakes_ == 0) {
        const auto now = std::chrono::steady_clock::now();
        if (now >= until) return true;
        changed_.WaitFor(lock, until - now);
    }
    wakes_ = 0;
    return false;
}

void StopToken::Wake() {
    base::MutexLock lock(mutex_);
    ++wakes_;
    changed_.NotifyAll();
}

void StopToken::Stop() {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
}

struct Worker::State {
    State(std::string worker_name, std::function<void(StopToken&)> worker_body)
        : name(std::move(worker_name)), body(std::move(worker_body)), thread([this] { Run(); }) {}
    ~State() {
        token.Stop();
        thread.join();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void Run() {
        NameThisThread(name);
        // At least once: a body that drains what was handed to it must see a stop that came early.
        do {
            if (RunLogged(name, [this] { body(token); })) return;
            // A wake-up must not shorten the pause: a failing body would spin under load.
            const auto until = std::chrono::steady_clock::now() + kPauseAfterFailure;
            for (auto now = std::chrono::steady_clock::now(); now < until && !token.stopped();
                 now = std::chrono::steady_clock::now()) {
                token.SleepFor(std::chrono::ceil<std::chrono::milliseconds>(until - now));
            }
        } while (!token.stopped());
    }

    const std::string name;
    const std::function<void(StopToken&)> body;
    StopToken token;
    std::thread thread;  // last: it starts when everything else exists
};

Worker::Worker(std::string name, std::function<void(StopToken&)> body)
    : state_(std::make_unique<State>(std::move(name), std::move(body))) {}
Worker::~Worker() = default;
void Worker::Wake() { state_->token.Wake(); }

struct WorkerPool::State {
    State(std::string pool_name, size_t queue_limit)
        : name(std::move(pool_name)), max_queue(queue_limit) {}
    ~State() {
        {
            base::MutexLock lock(mutex);
            stopping = true;
            changed.NotifyAll();
        }
        for (auto& thread : threads) thread.join();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void Serve(size_t number) {
        NameThisThread(base::Cat(name, "-", number));
        base::MutexLock lock(mutex);
        for (;;) {
            while (tasks.empty() && !stopping && surplus == 0) changed.Wait(lock);
            if (surplus > 0 && !stopping) {
                --surplus;
                return;
            }
            if (tasks.empty()) return;
            auto task = std::move(tasks.front());
            tasks.pop_front();
            lock.Unlock();
            RunLogged(name, task);
            task = nullptr;  // what it captured goes outside the lock
            lock.Lock();
        }
    }

    const std::string name;
    const size_t max_queue;
    base::Mutex mutex;
    base::CondVar changed;
    std::deque<std::function<void()>> tasks OPENSEND_GUARDED_BY(mutex);
    bool stopping OPENSEND_GUARDED_BY(mutex) = false;
    size_t surplus OPENSEND_GUARDED_BY(mutex) = 0;  // threads that are to end
    std::vector<std::thread> threads;               // grows under the lock until it stops
};

WorkerPool::WorkerPool(std::string name, size_t threads, size_t max_queue)
    : state_(std::make_unique<State>(std::move(name), max_queue)) {
    OPENSEND_CHECK(threads > 0 && max_queue > 0, "a pool has threads and a queue");
    State* state = state_.get();
    state->threads.reserve(threads);
    for (size_t i = 0; i < threads; ++i) {
        state->threads.emplace_back([state, i] { state->Serve(i); });
    }
}
WorkerPool::~WorkerPool() = default;

bool WorkerPool::Run(std::function<void()> task) {
    base::MutexLock lock(state_->mutex);
    if (state_->stopping || state_->tasks.size() >= state_->max_queue) return false;
    state_->tasks.push_back(std::move(task));
    state_->changed.NotifyOne();
    return true;
}

void WorkerPool::AddThread() {
    State* state = state_.get();
    base::MutexLock lock(state->mutex);
    if (state->stopping) return;
    if (state->surplus > 0) {
        --state->surplus;
        return;
    }
    const size_t number = state->threads.size();
    state->threads.emplace_back([state, number] { state->Serve(number); });
}

void WorkerPool::DropThread() {
    base::MutexLock lock(state_->mutex);
    ++state_->surplus;
    state_->changed.NotifyOne();
}

size_t WorkerPool::queued() const {
    base::MutexLock lock(state_->mutex);
    return state_->tasks.size();
}

}  // namespace opensend::runtime
