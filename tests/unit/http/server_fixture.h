#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/base/error.h"
#include "kernel/base/guarded.h"
#include "kernel/base/text.h"
#include "kernel/http/server.h"
#include "tests/unit/http/raw_client.h"

namespace opensend::http {

/// A server that answers "<method> <path> [<body>]"; /hold keeps its reply, /drop loses it, /throw
/// throws, /big answers 4 MiB, /close closes, /refused is refused at the head.
class ServerTest : public ::testing::Test {
protected:
    static Response Text(int status, std::string body) {
        Response response;
        response.status = status;
        response.body = std::move(body);
        return response;
    }
    static constexpr size_t kMaxBody = 100'000;

    void Start(ServerOptions options) {
        if (options.reactors == 0) options.reactors = 2;
        server_ = std::make_unique<Server>(
            std::move(options),
            [](const Request& head) {
                HeadVerdict verdict{.max_body = kMaxBody};
                if (head.path == "/refused") verdict.refuse = Text(403, "refused");
                return verdict;
            },
            [this](Request&& request, Reply reply) {
                Handle(std::move(request), std::move(reply));
            },
            [](int status, std::string_view code, std::string_view) {
                return Text(status, std::string(code));
            }
        );
    }
    void Start() { Start({}); }
    void Handle(Request&& request, Reply reply) {
        handled_.With([&](auto& paths) { paths.push_back(request.path); });
        if (request.path == "/drop") return;
        if (request.path == "/throw") throw base::Error(base::ErrorCode::kInternal, "thrown");
        if (request.path == "/hold") {
            held_.With([&](auto& replies) { replies.push_back(std::move(reply)); });
            return;
        }
        Response response =
            Text(200, base::Cat(request.method, ' ', request.path, " [", request.body.View(), ']'));
        if (request.path == "/big") response.body = std::string(4 << 20, 'b');
        response.close = request.path == "/close";
        reply(std::move(response));
    }

    uint16_t port() const { return server_->port(); }
    std::string Once(std::string_view input) {
        RawClient client(port());
        client.Send(input);
        return client.ReadAnswer();
    }
    std::string UntilClosed(std::string_view input) {
        RawClient client(port());
        client.Send(input);
        return client.ReadAll();
    }
    static bool WaitFor(const std::function<bool()>& condition) {
        for (int i = 0; i < 2'000; ++i) {
            if (condition()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }
    size_t held() {
        return held_.With([](auto& replies) { return replies.size(); });
    }
    std::vector<Reply> TakeHeld() {
        return held_.With([](auto& replies) { return std::exchange(replies, {}); });
    }
    std::vector<std::string> handled() {
        return handled_.With([](auto& paths) { return paths; });
    }
    void TearDown() override {
        server_.reset();
        TakeHeld();
    }

    base::Guarded<std::vector<Reply>> held_;
    base::Guarded<std::vector<std::string>> handled_;
    std::unique_ptr<Server> server_;
};

inline std::string GetOf(std::string_view path, std::string_view fields = "") {
    return base::Cat("GET ", path, " HTTP/1.1\r\nHost: a\r\n", fields, "\r\n");
}
inline std::string PostOf(std::string_view path, std::string_view body) {
    return base::Cat(
        "POST ", path, " HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(), "\r\n\r\n", body
    );
}

}  // namespace opensend::http
