#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/smtp/connection.h"

namespace opensend::smtp_plugin {

/// Idle connections, most recently used first. Safe from any thread.
class Pool {
public:
    /// A connection that still looks usable, or null.
    std::unique_ptr<Connection> Take(uint64_t now);
    /// Keeps `connection` when its session is idle and there is room; otherwise says good-bye.
    void Give(std::unique_ptr<Connection> connection, uint64_t now);
    void Clear();

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Connection>> idle_;
};

/// A message with what the relay adds to it. Not movable: `cancelled` is set from other threads.
struct Job {
    Transaction message;
    uint64_t deadline = 0;
    std::atomic<bool> cancelled{false};
    bool is_retried = false;
    std::string remote_address;
    std::string tls;

    /// Gives every open recipient this verdict.
    void Decide(const Verdict& verdict);
    void DecideAs(Outcome outcome, std::string_view text);
};

/// Sends batches to one configured host. Safe from any thread.
class Relay {
public:
    /// Reads a credential into `out`; false: it cannot be had now.
    using LoadSecret = std::function<bool(const Credential&, std::string& out)>;

    Relay(Config config, std::unique_ptr<TlsContext> tls, LoadSecret load_secret)
        : config_(std::move(config)), tls_(std::move(tls)), load_secret_(std::move(load_secret)) {}

    /// Sends the jobs over one connection after the other and calls `done(i)` once for each, in
    /// order, when its message is finished.
    void Deliver(Job* jobs, size_t count, const std::function<void(size_t)>& done);

    /// Connects up to readiness and says good-bye. False: `failure` tells why.
    bool Probe(uint64_t deadline, Verdict& failure);

    void CloseIdle() { pool_.Clear(); }
    /// Ends every wait at once, for good.
    void Stop() { stopping_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] const Config& config() const { return config_; }

private:
    class Batch;
    std::unique_ptr<Connection> OpenFresh(
        const Patient& patient, Verdict& failure, std::string& transcript
    );

    const Config config_;
    const std::unique_ptr<TlsContext> tls_;
    const LoadSecret load_secret_;
    std::atomic<bool> stopping_{false};
    Pool pool_;
};

}  // namespace opensend::smtp_plugin
