// Serves a small answer to anything, for a load generator: http_echo [port] [inline].
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "kernel/http/server.h"

int main(int argc, char** argv) {
    opensend::http::ServerOptions options;
    options.port = argc > 1 ? static_cast<uint16_t>(std::atoi(argv[1])) : uint16_t{0};
    options.inline_handlers = argc > 2 && std::string_view(argv[2]) == "inline";
    options.max_connections_per_address = 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    using opensend::http::Response;
    opensend::http::Server server(
        options, nullptr,
        [](opensend::http::Request&& request, const opensend::http::Reply& reply) {
            Response response;
            response.headers.Add("Content-Type", "application/json");
            response.body = request.body.empty() ? "{}" : R"({"id":"1"})";
            reply(std::move(response));
        },
        [](int status, std::string_view, std::string_view) {
            Response response;
            response.status = status;
            return response;
        }
    );
    std::cout << server.port() << std::endl;
    int signal = 0;
    sigwait(&signals, &signal);
    server.Stop(std::chrono::milliseconds(1000));
    const auto counters = server.counters();
    std::cout << counters.accepted << " connections, " << counters.requests << " requests\n";
}
