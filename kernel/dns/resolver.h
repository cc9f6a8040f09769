#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/base/clock.h"
#include "kernel/dns/answer_cache.h"
#include "kernel/dns/record.h"

namespace opensend::dns {

/// Stub resolver on a thread of its own: the given servers in turn, TCP after truncation, at most
/// eight aliases, answers kept for their TTL. Thread-safe.
class Resolver {
public:
    struct Options {
        std::vector<std::string> servers;         // "ip", "ip:port", "[v6]:port"; empty: system
        std::chrono::milliseconds timeout{5000};  // whole look-up
        int tries = 3;                            // questions, each to the next server
        std::string hosts_file = "/etc/hosts";    // answers A and AAAA before any server
        size_t max_cached = 10'000;
        size_t max_pending = 4096;
    };
    using Done = std::function<void(Answers)>;

    /// Throws base::Error (422 on "dns.servers") when a server is no address.
    Resolver(Options options, const base::Clock& clock);
    ~Resolver();  // open look-ups end with kCanceled before it returns

    /// `done` is called exactly once, on the resolver's thread: it must not block. When max_pending
    /// are under way it is called at once, on this thread, with kBusy.
    void Lookup(std::string_view name, RecordType type, Done done);
    /// Lookup and wait; not from a Done.
    Answers Query(std::string_view name, RecordType type);
    Answers Query(std::string_view name, RecordType type, std::chrono::milliseconds timeout);
    /// A and AAAA at once: every address; empty: the name has none; nullopt: one of the two failed.
    std::optional<std::vector<base::IpAddress>> ResolveAll(const std::string& host);
    /// The next look-up of this name asks a server again.
    void Forget(std::string_view name);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace opensend::dns
