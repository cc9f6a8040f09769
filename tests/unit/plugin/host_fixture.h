#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/plugin/host.h"

namespace opensend::plugin {

/// A host with plugins of the build's plugins_bad folder, and a way to wait for results.
class HostFixture : public testing::Test {
protected:
    HostFixture() {
        config.dir = OPENSEND_BINARY_DIR "/plugins_bad";
        config.call_timeout = std::chrono::milliseconds(2000);
        deps.clock = &clock;
    }
    /// One transport "t" of plugin `file`.
    model::Transport* Start(const std::string& file) {
        config.plugins.push_back({file, "", "", false, "{}"});
        config.transports.push_back({"t", "", file, "{}"});
        host = std::make_unique<Host>(config, deps);
        return host->FindTransport("t");
    }
    std::vector<model::DeliveryResult> Deliver(
        model::Transport& transport,
        size_t n = 1,
        int timeout_ms = 5000,
        uint32_t attempt = 1,
        const std::string& body = "body"
    ) {
        std::vector<std::shared_ptr<const model::OutgoingMessage>> batch;
        for (size_t i = 0; i < n; ++i) {
            auto message = std::make_shared<model::OutgoingMessage>();
            message->id = "id" + std::to_string(i);
            message->recipients = {"a@x.example", "b@x.example"};
            message->data = "Subject: x\r\n\r\n" + body + "\r\n";
            message->attempt = attempt;
            message->deadline = clock.Mono() + std::chrono::milliseconds(timeout_ms);
            batch.push_back(std::move(message));
        }
        std::vector<model::DeliveryResult> results(n);
        std::mutex mutex;
        std::condition_variable changed;
        size_t answered = 0;
        transport.Deliver(batch, [&](size_t index, model::DeliveryResult result) {
            const std::lock_guard lock(mutex);
            results[index] = std::move(result);
            ++answered;
            changed.notify_all();
        });
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return answered == n; })
        );
        return results;
    }
    /// The first outcome of one message with this body.
    model::DeliveryOutcome Say(const std::string& body, int timeout_ms = 5000) {
        return Deliver(*host->FindTransport("t"), 1, timeout_ms, 1, body)[0][0];
    }
    InstanceStatus Status(const std::string& name = "transport.t") {
        for (auto& one : host->instances()) {
            if (one.name == name) return one;
        }
        return {};
    }
    /// Until the instance of that name is in the state; its reason.
    std::string WaitFor(const std::string& state, const std::string& name = "transport.t") {
        for (int i = 0; i < 400; ++i) {
            const auto status = Status(name);
            if (status.state == state) return status.why;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        ADD_FAILURE() << name << " is " << Status(name).state << ", not " << state;
        return {};
    }
    std::string Problem() { return host->plugins()[0].problem; }

    base::SystemClock clock;
    HostConfig config;
    HostDeps deps;
    std::unique_ptr<Host> host;
};

}  // namespace opensend::plugin
