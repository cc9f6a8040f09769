#include <opensend/testing_calls.hpp>
#include <opensend/testing_services.hpp>

using namespace osp::testing;

int main(int, char** argv) {
    Checks checks;
    const Plugin plugin(argv[1], "http-mail");
    FakeHost host;
    Services services(host);
    host.secrets["secret:api"] = "k-123";
    const std::string config =
        R"({"url":"https://api.mail.example/v1/send","api_key":{"$secret":"secret:api"}})";
    {
        const Running running(plugin, host, config);
        if (!checks.That(running.status() == OSP_OK, "it starts: " + running.error()))
            return checks.Result();
        const auto send = [&](HttpReply reply,
                              std::vector<std::string> rcpts = {"b@x.example", "c@x.example"}) {
            services.http_replies = {reply};
            const TestMessage message(host, "Subject: hi\r\n\r\nbody\r\n", std::move(rcpts));
            return Send(plugin, running, host, message);
        };
        Answer answer = send({OSP_OK, 202, R"({"id":"pm-1"})"});
        checks.That(
            answer.all.outcome == OSP_OUT_ACCEPTED && answer.all.remote_id == "pm-1",
            "accepted with its id"
        );
        const HttpSeen seen = services.http_calls.empty() ? HttpSeen{} : services.http_calls[0];
        checks.That(
            seen.method == "POST" && seen.body == "Subject: hi\r\n\r\nbody\r\n",
            "the message is the body"
        );
        checks.That(
            seen.headers.size() == 5 && seen.headers.at("Authorization") == "Bearer k-123" &&
                seen.headers.at("X-Rcpt-To") == "b@x.example, c@x.example" &&
                seen.headers.at("Idempotency-Key") == "test-message",
            "the envelope and the key are headers"
        );
        const std::pair<int32_t, int32_t> outcomes[] = {
            {200, OSP_OUT_ACCEPTED },
            {429, OSP_OUT_THROTTLED},
            {401, OSP_OUT_DEFERRED },
            {422, OSP_OUT_REJECTED },
            {500, OSP_OUT_DEFERRED },
            {301, OSP_OUT_DEFERRED }
        };
        for (const auto& [status, outcome] : outcomes)
            checks.That(
                send({OSP_OK, status, ""}).all.outcome == outcome, "HTTP " + std::to_string(status)
            );
        checks.That(
            send({OSP_E_TIMEOUT, 0, ""}).all.outcome == OSP_OUT_INDETERMINATE,
            "no answer means not known"
        );
        HttpReply cut{OSP_OK, 200, R"({"id":"pm-2"})"};
        cut.cut_at = 4;
        checks.That(send(cut).all.outcome == OSP_OUT_INDETERMINATE, "half an answer, too");
        const size_t calls = services.http_calls.size();
        checks.That(
            send({}, {"b@x.example\r\nX-Evil: 1"}).status == OSP_E_INVALID,
            "an address adds no header"
        );
        checks.That(services.http_calls.size() == calls, "nor a call");

        services.defers = true;
        services.http_replies = {
            {OSP_OK, 200, ""}
        };
        const TestMessage message(host, "\r\n", {"b@x.example"});
        osp_error error{};
        error.size = sizeof error;
        plugin.table<osp_transport_v1>().submit(running.raw(), &message.batch, &error);
        const osp_token drained = host.Open(TokenKind::kOther);
        checks.That(
            plugin.instance().drain(running.raw(), drained, 0) == OSP_PENDING &&
                !host.IsCompleted(drained),
            "draining waits for what is out"
        );
        services.RunPending();
        checks.That(
            host.IsCompleted(message.msg.token) && host.IsCompleted(drained), "and ends with it"
        );
        checks.That(
            plugin.instance().drain(running.raw(), 0, 0) == OSP_OK,
            "with nothing out it is done at once"
        );
    }
    checks.That(host.Audit().empty(), "each token is answered once: " + host.Audit());
    checks.That(host.log_text().find("k-123") == std::string::npos, "the key is not logged");
    const Running plain(
        plugin, host, R"({"url":"http://api.mail.example","api_key":{"$secret":"secret:api"}})"
    );
    checks.That(plain.status() == OSP_E_CONFIG, "a URL without TLS is refused");
    return checks.Result();
}
