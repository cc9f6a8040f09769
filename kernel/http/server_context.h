#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/base/clock.h"
#include "kernel/http/connection_limits.h"
#include "kernel/http/parser.h"
#include "kernel/http/server.h"

namespace opensend::runtime {
class WorkerPool;
}

namespace opensend::http {

/// What all reactors of one server share.
struct ServerContext {
    // Constant after construction.
    ServerOptions options;
    Server::Head head;
    Server::Handler handler;
    ErrorBody error_body;
    ParserLimits parser_limits;
    runtime::WorkerPool* pool = nullptr;  // none: handlers run on the reactor

    // Used by many threads.
    base::SystemClock clock;
    ConnectionLimits limits;
    std::atomic<bool> stopping{false};  // queued requests are dropped
    std::atomic<uint64_t> accepted{0}, refused{0}, requests{0}, open{0}, late_replies{0};

    explicit ServerContext(ServerOptions given)
        : options(std::move(given)),
          parser_limits{
              .max_head_bytes = options.max_head_bytes,
              .max_request_line = options.max_request_line,
              .max_fields = options.max_fields,
              .spool = options.spool},
          limits(
              options.max_connections, options.max_connections_per_address, options.uncapped_peers
          ) {}
};

}  // namespace opensend::http
