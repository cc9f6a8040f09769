#include <opensend/testing_calls.hpp>
#include <opensend/testing_peer.hpp>

using namespace osp::testing;

int main(int, char** argv) {
    Checks checks;
    const Plugin plugin(argv[1], "lmtp");
    FakeHost host;
    SmtpPeer peer;
    const Running running(
        plugin, host, "{\"host\":\"127.0.0.1\",\"port\":" + std::to_string(peer.port()) + "}"
    );
    if (!checks.That(running.status() == OSP_OK, "it starts: " + running.error()))
        return checks.Result();
    const std::string mail = "Subject: hi\r\n\r\n.a dot\r\nend\r\n";
    const auto send = [&](SmtpScript script, std::vector<std::string> rcpts) {
        script.lmtp = true;
        peer.Use(script);
        const TestMessage message(host, mail, std::move(rcpts));
        Answer answer = Send(plugin, running, host, message);
        answer.rcpts.resize(3);
        return answer;
    };
    const std::vector<std::string> three = {"a@x.example", "b@x.example", "c@x.example"};

    Answer answer = send({}, three);
    checks.That(answer.rcpts[2].outcome == OSP_OUT_ACCEPTED, "all mailboxes take it");
    checks.That(peer.messages().size() == 1 && peer.messages()[0].data == mail, "once, as it was");
    SmtpScript mixed;
    mixed.lmtp_dots = {"250 2.1.5 kept", "452 4.2.2 mailbox full", "550 5.2.1 closed"};
    answer = send(mixed, three);
    checks.That(
        answer.rcpts[0].outcome == OSP_OUT_ACCEPTED &&
            answer.rcpts[1].outcome == OSP_OUT_DEFERRED &&
            answer.rcpts[2].outcome == OSP_OUT_REJECTED && answer.rcpts[1].enhanced[2] == 2,
        "each mailbox answers for itself"
    );
    SmtpScript none;
    none.rcpt = "550 5.1.1 no such mailbox";
    answer = send(none, three);
    checks.That(answer.rcpts[0].outcome == OSP_OUT_REJECTED, "an unknown mailbox is rejected");
    SmtpScript silent;
    silent.fault = Fault::kResetAfterDot;
    answer = send(silent, three);
    checks.That(
        answer.rcpts[2].outcome == OSP_OUT_INDETERMINATE,
        "silence after the message means not known"
    );
    silent.fault = Fault::kResetOnConnect;
    checks.That(send(silent, three).status < 0, "a server that hangs up has nothing");
    osp_transport_caps caps{};
    caps.size = sizeof caps;
    plugin.table<osp_transport_v1>().get_caps(running.raw(), &caps);
    checks.That((caps.flags & OSP_TR_FINAL_HOST) != 0, "what it accepts is delivered");
    checks.That(host.Audit().empty(), "each token is answered once: " + host.Audit());
    return checks.Result();
}
