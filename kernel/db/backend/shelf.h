#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/error.h"
#include "kernel/base/mutex.h"

namespace opensend::db {

/// At most `limit` connections, opened when they are first wanted and handed out again, the most
/// recently used first. Thread-safe.
template <class S>
class Shelf {
public:
    Shelf(int limit, std::function<std::unique_ptr<S>()> open)
        : limit_(limit < 1 ? 1 : limit), open_(std::move(open)) {}

    /// Waits at most `wait` for one, then throws kUnavailable. What opening throws goes through.
    std::unique_ptr<S> Take(base::Duration wait) {
        const auto deadline = std::chrono::steady_clock::now() + wait;
        {
            base::MutexLock lock(mutex_);
            while (idle_.empty() && out_ >= limit_) {
                const auto left = deadline - std::chrono::steady_clock::now();
                if (left <= left.zero())
                    throw base::Unavailable(
                        "database_unavailable", "every connection of the pool is in use"
                    );
                changed_.WaitFor(lock, left);
            }
            ++out_;
            if (!idle_.empty()) {
                std::unique_ptr<S> session = std::move(idle_.back());
                idle_.pop_back();
                return session;
            }
        }
        try {
            return open_();
        } catch (const std::exception&) {
            Give(nullptr);
            throw;
        }
    }

    /// Takes a connection back; nullptr stands for one that is gone.
    void Give(std::unique_ptr<S> session) {
        base::MutexLock lock(mutex_);
        --out_;
        if (session) idle_.push_back(std::move(session));
        changed_.NotifyOne();
    }

    std::unique_ptr<S> Open() const { return open_(); }

private:
    const int limit_;
    const std::function<std::unique_ptr<S>()> open_;
    base::Mutex mutex_;
    base::CondVar changed_;
    std::vector<std::unique_ptr<S>> idle_ OPENSEND_GUARDED_BY(mutex_);
    int out_ OPENSEND_GUARDED_BY(mutex_) = 0;
};

}  // namespace opensend::db
